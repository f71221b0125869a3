"""Messages once more: the application's from the store, runs of the session's as gap fills."""

from collections.abc import Callable, Iterator

from tickwire.orders.fix.encode import resend
from tickwire.orders.fix.store import Store
from tickwire.spec.fix import ADMIN_TYPES

_TYPE = b"\x0135="
_ADMIN = frozenset(ADMIN_TYPES.encode())


def resent(store: Store, first: int, last: int, timestamp: Callable[[], bytes],
           gap_fill: Callable[[int, int], bytes]) -> Iterator[bytes]:
    """Yield what answers a request for the numbers ``first`` to ``last``, all of them sent once.

    ``gap_fill(number, next)`` makes a SequenceReset numbered ``number`` that leads to ``next``.
    Numbers that are not in the store are filled like those of session messages.
    """
    gap = first
    for number, octets in store.sent(first, last):
        if is_admin(octets):
            continue
        if number > gap:
            yield gap_fill(gap, number)
        yield resend(octets, timestamp())
        gap = number + 1
    if gap <= last:
        yield gap_fill(gap, last + 1)


def is_admin(octets: bytes) -> bool:
    """Whether a message that was sent is one of the session's own."""
    start = octets.index(_TYPE) + len(_TYPE)
    return octets[start] in _ADMIN and octets[start + 1] == 1
