"""Self-test of a card that nobody uses: each check returns what is wrong, or nothing."""

import time
from collections.abc import Callable

from tickwire.device.pcie import PCIeDevice
from tickwire.errors import TickwireError
from tickwire.spec.intents import Operation
from tickwire.spec.registers import RingControl

_SECONDS = 0.5
_U32 = 0xFFFF_FFFF


def identity(card: PCIeDevice) -> str:
    """Magic, ABI and digest are this host's."""
    try:
        card.check()
    except TickwireError as error:
        return str(error)
    return ""


def echo(card: PCIeDevice) -> str:
    """Every data bit goes to the card and back."""
    for value in (*(1 << bit for bit in range(32)), *(_U32 ^ 1 << bit for bit in range(32))):
        card.write_register("ECHO", value)
        card.work()
        found = card.read_register("ECHO") ^ _U32
        if found != value:
            return f"0x{value:08x} came back as 0x{found:08x}"
    return ""


def rings(card: PCIeDevice) -> str:
    """The card has taken its rings and the state table."""
    for name in ("RING_MARKET", "RING_ORDER", "STATE"):
        if card.read_register(f"{name}_CONTROL") != RingControl.ENABLE:
            return f"{name}_CONTROL is {card.read_register(f'{name}_CONTROL')}"
    return ""


def refusal(card: PCIeDevice) -> str:
    """A ring that lies where it may not is refused."""
    card.write_register("RING_CAPTURE_LOG2", 6)
    card.write_register("RING_CAPTURE_BASE", 64)
    card.write_register("RING_CAPTURE_CONTROL", RingControl.ENABLE)
    card.work()
    found = RingControl(card.read_register("RING_CAPTURE_CONTROL"))
    card.write_register("RING_CAPTURE_CONTROL", 0)
    return "" if RingControl.REFUSED in found else f"RING_CAPTURE_CONTROL is {int(found)}"


def window(card: PCIeDevice) -> str:
    """Intents that do nothing are taken from the window, in order."""
    before = card.counters()["intents"]
    for number in range(4):
        card.push_intent({"operation": Operation.NOP, "intent_id": number})
    until = time.monotonic() + _SECONDS
    while card.counters()["intents"] < before + 4:
        card.work()
        if time.monotonic() > until:
            return f"{card.counters()['intents'] - before} of 4 were taken"
    return ""


CHECKS: tuple[Callable[[PCIeDevice], str], ...] = (identity, echo, rings, refusal, window)
