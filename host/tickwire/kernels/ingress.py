"""Ingress: one Ethernet frame through receiver, arbiter and books, as the card composes them."""

from tickwire.kernels.arbiter import datagram, retract
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import unlikely
from tickwire.kernels.receive import MALFORMED, frame, receive_at
from tickwire.kernels.ring import count
from tickwire.spec.counters import CounterIndex

_MALFORMED = CounterIndex.FRAMES_MALFORMED.value


@kernel
def ingress(receive, arbiter, book, address, size, now, is_damaged):
    """Take the frame of ``size`` octets at ``address``, ingress time ``now`` (ns, above 0).

    8 octets after the frame must be readable; what they hold does not matter.

    ``is_damaged`` says that its FCS was wrong; software that never sees an FCS gives 0. A damaged
    frame is dropped, or with cut-through used and then retracted. Returns (line, or
    ``receive.OTHER`` or ``receive.MALFORMED``; messages accepted).
    """
    r = receive_at(receive)
    if unlikely(is_damaged != 0) and r["cut_through"] == 0:
        count(r["counters"], _MALFORMED)
        return MALFORMED, 0
    line, offset, octets = frame(receive, address, size)
    if line < 0:
        return line, 0
    accepted = datagram(arbiter, book, address + offset, octets, line, now)
    if unlikely(is_damaged != 0) or unlikely(r["is_damaged"] != 0):
        retract(arbiter, book, line, now)
    return line, accepted
