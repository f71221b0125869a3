"""How many messages a session may send: a bucket of tokens that fills at a rate."""

SECOND = 1_000_000_000


class Throttle:
    """``rate`` messages a second over time, ``burst`` at once; rate 0 lets everything pass."""

    def __init__(self, rate: int, burst: int) -> None:
        self._interval = SECOND // rate if rate else 0
        self._most = burst * self._interval
        self._credit = self._most
        self._last = 0

    def takes(self, now: int) -> bool:
        """Whether a message may go at ``now`` (ns); it counts when it may."""
        if not self._interval:
            return True
        self._credit = min(self._most, self._credit + max(0, now - self._last))
        self._last = now
        if self._credit < self._interval:
            return False
        self._credit -= self._interval
        return True
