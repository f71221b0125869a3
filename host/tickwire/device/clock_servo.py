"""A card's clock follows the host's: phase by its slew, rate by its increment."""

import time
from collections.abc import Callable

from tickwire.device.base import Device
from tickwire.spec.registers import CLOCK_FRACTION_BITS

TURN_SECONDS = 0.1
"""Time between two looks at the card's clock."""

_READS = 5                                 # of the clock in one look; the quickest one counts
_SLEW_MAX = (1 << 31) - 1                  # of a register, ns
_FAR = 1_000_000                           # ns: nobody corrects that by slewing before trading
_RATE_PART = 0.3                           # of a drift that one look puts into the increment
_RATE_MAX = 200e-6                         # a quartz is no worse
_DRIFT_MAX = 2 * _RATE_MAX                 # what is beyond is a step or a bad look: no quartz's


class ClockServo:
    """Keeps TIME_NOW of a card at the host's time, to about half of what reading it takes.

    Attributes
    ----------
    offset_ns : int
        Card's time less the host's, at the last look.
    rate : float
        What the card's nominal increment is multiplied by, less one.
    """

    def __init__(self, card: Device, now: Callable[[], int] = time.time_ns) -> None:
        """Set the clock of a card that is not armed; ``now`` is the host's, ns."""
        self._card, self._now = card, now
        self._increment = increment = (1_000_000_000 << CLOCK_FRACTION_BITS) // card.read_register(
            "CORE_HZ")
        self.offset_ns, self.rate = 0, 0.0
        self._looked_at = 0
        card.write_register("CLOCK_INCREMENT", increment)
        card.write_register("CLOCK_SLEW_RATE", increment >> 8)
        card.write_register("CLOCK_SET", now())

    def turn(self) -> int:
        """Look at the clock and correct it, when it is time; returns whether it was."""
        now = self._now()
        since = now - self._looked_at
        if 0 <= since < TURN_SECONDS * 1e9:    # below 0 the host's time was set back
            return 0
        has_since, self._looked_at = self._looked_at != 0 and since > 0, now
        self.offset_ns = self._look()
        if abs(self.offset_ns) > _FAR and self._card.killed:
            self._card.write_register("CLOCK_SET", self._now())
            return 1
        drift = self.offset_ns / since
        if has_since and abs(drift) <= _DRIFT_MAX:   # what the last correction left is the rate's
            rate = self.rate - _RATE_PART * drift
            self.rate = max(-_RATE_MAX, min(_RATE_MAX, rate))
            self._card.write_register("CLOCK_INCREMENT",
                                      round(self._increment * (1 + self.rate)))
        correction = max(-_SLEW_MAX, min(_SLEW_MAX, -self.offset_ns))
        self._card.write_register("CLOCK_SLEW", correction & (1 << 64) - 1)
        return 1

    def _look(self) -> int:
        """Return the card's time less the host's, of the read that took least time."""
        looks = []
        for _ in range(_READS):
            before = self._now()
            found = self._card.read_register("TIME_NOW")
            after = self._now()
            looks.append((after - before, found - (before + after) // 2))
        return min(looks)[1]
