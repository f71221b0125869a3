"""When a FIX session is open: always, daily or weekly, in its own time zone.

A period begins at the start time and ends before the end time; an end that is not later than the
start lies on the next day (or in the next week). Numbers begin at 1 with each period. Local times
that a change of the clocks skips or repeats are taken as :mod:`zoneinfo` takes them, fold 0.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """Periods of a session; ``start`` None: one that never ends. Days count from Monday, 0."""

    start: time | None = None
    end: time | None = None
    start_day: int | None = None
    end_day: int | None = None
    zone: ZoneInfo | None = None

    def period(self, now: int) -> tuple[int, int] | None:
        """Return the bounds of the period that ``now`` (ns since 1970) lies in, or nothing."""
        if self.start is None:
            return 0, 1 << 63
        for start, end in self._near(now):
            if start <= now < end:
                return start, end
        return None

    def opens(self, now: int) -> int:
        """Return when the next period begins, ``now`` itself when one is open."""
        if self.period(now) is not None:
            return now
        return min(start for start, _ in self._near(now) if start > now)

    def _near(self, now: int) -> list[tuple[int, int]]:
        """Return the bounds of the periods around ``now``, the last, this and the next one."""
        assert self.start is not None and self.end is not None
        today = datetime.fromtimestamp(now // _SECOND, UTC).astimezone(self.zone).date()
        if self.start_day is None or self.end_day is None:
            step, first = 1, today
            length = int(self.end <= self.start)
        else:
            step, first = 7, today - timedelta((today.weekday() - self.start_day) % 7)
            length = (self.end_day - self.start_day) % 7
            length += 7 * (length == 0 and self.end <= self.start)
        days = [first + timedelta(step * index) for index in (-1, 0, 1)]
        return [(self._at(day, self.start), self._at(day + timedelta(length), self.end))
                for day in days]

    def _at(self, day: date, moment: time) -> int:
        return int(datetime.combine(day, moment, self.zone).timestamp()) * _SECOND


def parse_schedule(start: str, end: str, start_day: str, end_day: str, zone: str) -> Schedule:
    """Return the schedule that the settings say; a ValueError begins with the key at fault."""
    try:
        place = ZoneInfo(zone)
    except (ValueError, OSError, LookupError):
        raise ValueError(f"time_zone must be a time zone that this system knows, not {zone!r}"
                         ) from None
    if bool(start) != bool(end):
        raise ValueError("end_time must be given where start_time is, and only there")
    if bool(start_day) != bool(end_day) or (start_day and not start):
        raise ValueError("end_day must be given with start_day and start_time, and only then")
    if not start:
        return Schedule()
    return Schedule(time.fromisoformat(start), time.fromisoformat(end),
                    DAYS.index(start_day) if start_day else None,
                    DAYS.index(end_day) if end_day else None, place)
