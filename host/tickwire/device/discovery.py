"""Which devices this machine has, in the order in which ``auto`` takes them, and why not others."""

from dataclasses import dataclass
from pathlib import Path

from tickwire.device import pci
from tickwire.errors import TickwireError
from tickwire.spec.registers import PCI_DEVICE, PCI_VENDOR

NO_ORDER_PATH = ("this version does not carry its order connection, so it can be looked at "
                 "(`tickwire device info`) but not trade")

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
    found = [Candidate("pcie", function.address, function.obstacle or f"{NO_ORDER_PATH}.")
             for function in pci.functions(root)]
    if not found:
        found.append(Candidate("pcie", "", f"No PCI function {PCI_VENDOR:04x}:{PCI_DEVICE:04x}: "
                               "there is no card."))
    return [*found, Candidate("software", "", ""), Candidate("verilated", "", SIMULATED)]


def choose(kind: str, root: Path = pci.ROOT) -> tuple[str, str]:
    """Return the kind of device that trades, and a sentence when it is not the best there is.

    Raises :class:`TickwireError` when ``kind`` names one that cannot.
    """
    if kind in ("software", "verilated"):
        return kind, ""
    found = candidates(root)
    if kind == "pcie":
        reasons = " ".join(_sentence(one) for one in found if one.kind == kind)
        raise TickwireError(f"device.kind is pcie, but no card can trade: {reasons}")
    best = found[0]
    return "software", f"The software device trades: {_sentence(best, is_inside=True)}"


def _sentence(candidate: Candidate, *, is_inside: bool = False) -> str:
    if not candidate.name:
        return (candidate.reason[0].lower() + candidate.reason[1:] if is_inside
                else candidate.reason)
    if candidate.reason.startswith(NO_ORDER_PATH):
        return f"card {candidate.name} is there, but {candidate.reason}"
    return candidate.reason
