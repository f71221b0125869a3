"""Which devices this machine has, in the order in which ``auto`` takes them, and why not others."""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

from tickwire.config import Config
from tickwire.device import pci
from tickwire.errors import TickwireError
from tickwire.spec.registers import PCI_DEVICE, PCI_VENDOR

NO_ADDRESS = ("has no address for its order line: set orders.card_address, such as 10.0.0.2/24, or "
              "let orders.route be fix.")
LOOPBACK = ("hears nothing of this machine's loopback, where the market is that feed.interface {} "
            "names.")
SIMULATED = ("the card's own gateware, simulated and so slower than any market; "
             "`--device verilated` takes it.")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device that could run, and what speaks against it; nothing when ``reason`` is empty."""

    kind: str
    name: str
    reason: str


def candidates(root: Path = pci.ROOT) -> list[Candidate]:
    """Return every device of this machine, best first; those without a card are always there."""
    found = [Candidate("pcie", function.address, function.obstacle)
             for function in pci.functions(root)]
    if not found:
        found.append(Candidate("pcie", "", f"No PCI function {PCI_VENDOR:04x}:{PCI_DEVICE:04x}: "
                               "there is no card."))
    return [*found, Candidate("software", "", ""), Candidate("verilated", "", SIMULATED)]


def choose(config: Config, root: Path = pci.ROOT) -> tuple[Candidate, str]:
    """Return the device that trades, and a sentence when it is not the best there is.

    Raises :class:`TickwireError` when ``device.kind`` names one that cannot.
    """
    kind, orders = config.device.kind, config.orders
    found = candidates(root)
    reason = ""
    if IPv4Address(config.feed.interface).is_loopback:
        reason = LOOPBACK.format(config.feed.interface)
    elif orders.route == "ouch" and not orders.card_address:
        reason = NO_ADDRESS
    found = [replace(one, reason=one.reason or (reason and f"Card {one.name} {reason}"))
             if one.kind == "pcie" else one for one in found]
    if kind == "verilated":
        return Candidate(kind, "", ""), ""
    can = [one for one in found if not one.reason and kind in ("auto", one.kind)]
    if can:
        reason = found[0].reason if kind == "auto" and can[0] is not found[0] else ""
        return can[0], f"The software device trades: {_inside(reason)}" if reason else ""
    reasons = " ".join(one.reason for one in found if one.kind == kind)
    raise TickwireError(f"device.kind is {kind}, but no card can trade: {reasons}")


def _inside(sentence: str) -> str:
    """Return a sentence as it stands behind a colon."""
    return sentence if sentence.startswith("Card") else sentence[0].lower() + sentence[1:]
