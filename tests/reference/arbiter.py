"""Arbiter and feed state in plain Python, written from the rules of ``docs/feed.md``.

What it says is one list of events in the order in which a reader of the market ring sees them:
``("feed", state, expected, received, line, session)`` for a FEED_STATE record, ``("message",
number)`` for a message handed to the book, ``("shown", instrument, flags)`` for a BBO that only a
flag caused. Messages S are of the market; H shows its instrument's flags; nothing else is known.
"""

import copy
import struct
from collections import Counter
from dataclasses import dataclass, field

IDLE, LIVE, RECOVERING, STALE, ENDED, NEW_SESSION, RETRACTED = range(7)
FLAG_RECOVERING, FLAG_STALE, FLAG_DESYNCED = 1, 4, 8
RECOVERY = 2
END = 0xFFFF
GREATEST = 2**63 - 2**16
SIZES = {b"S": 12, b"H": 25}
FRAMES = ("frames_a", "frames_b", "frames_recovery")


@dataclass(frozen=True)
class Rules:
    """Configuration; times in ns, 0 for never."""

    lines: tuple[int, ...] = (0, 1)
    skip: bool = False
    accept: bool = True
    line_timeout: int = 0
    patience: int = 0
    stale: int = 0
    start: int = 1


@dataclass
class Knowledge:
    """What the arbiter knows, and forgets again when a frame turns out damaged."""

    expected: int
    session: bytes | None = None
    previous: bytes | None = None
    shown: dict[int, list[int]] = field(default_factory=lambda: {0: [0], 1: [0]})
    last: dict[int, int] = field(default_factory=dict)
    counted_silent: set[int] = field(default_factory=set)
    hole: tuple[int, int] | None = None            # number, since when
    joined: bool = False
    recovering: bool = False
    stale: bool = False
    end: int | None = None

    @property
    def highest(self) -> int:
        return max(self.expected, *self.shown[0], *self.shown[1])

    def next_of(self, line: int) -> int:
        return max(self.shown[line])


class ReferenceArbiter:
    """Arbiter in front of ``instruments`` watched books, numbered from 1."""

    def __init__(self, rules: Rules, instruments: int) -> None:
        self.rules = rules
        self.instruments = range(1, instruments + 1)
        self.know = Knowledge(rules.start)
        self.saved: Knowledge | None = None
        self.taken = 0
        self.state = IDLE
        self.flags = 0                             # of the whole feed
        self.desynced: set[int] = set()
        self.seen: dict[int, int] = {}             # flags that each instrument was shown with
        self.events: list[tuple] = []
        self.counts: Counter[str] = Counter()

    # Inputs

    def packet(self, line: int, octets: bytes, now: int) -> int:
        """Take one datagram; return how many messages were accepted."""
        self.counts[FRAMES[line]] += 1
        self.saved, self.taken = copy.deepcopy(self.know), 0
        if len(octets) < 20:
            self.counts["packets_malformed"] += 1
            return 0
        session, first, count = struct.unpack(">10sQH", octets[:20])
        if not 1 <= first <= GREATEST:
            self.counts["packets_malformed"] += 1
            return 0
        if session != self.know.session and not self._session(session, first, line, now):
            return 0
        know = self.know
        if line != RECOVERY:
            if not know.last:
                know.last = {0: now, 1: now}
                know.expected = know.expected or first
            know.last[line] = now
            know.counted_silent.discard(line)
            know.stale = False
            if first > know.expected:
                know.shown[line].append(first)
            else:
                know.joined = True
            if self.state != LIVE:
                self._conclude(line)
            if first > know.expected:
                self._judge(line, first, now)
        if count in (0, END):
            self.counts["heartbeats"] += 1
            if count == END and line != RECOVERY:
                know.end = max(know.end or 0, first)
            count = 0
        messages, is_exact = self._blocks(octets[20:], count)
        for number, message in enumerate(messages, first):
            if first > know.expected:
                self.counts["messages_ahead"] += 1
            elif number < know.expected:
                self.counts["messages_duplicate"] += 1
            else:
                assert number == know.expected
                self._apply(number, message)
                know.expected += 1
                self.taken += 1
        if line == RECOVERY:
            self.counts["messages_recovered"] += self.taken
        else:
            know.shown[line].append(first + len(messages))
        if not is_exact:
            self.counts["packets_malformed"] += 1
        self._conclude(line)
        return self.taken

    def retract(self, line: int, now: int) -> None:
        """Learn that the frame of the last datagram is damaged."""
        self.counts["frames_retracted"] += 1
        now_known, self.know = self.know, self.saved
        same_session = self.know.session in (None, now_known.session)
        if now_known.expected != self.know.expected or not same_session:
            self._tell(RETRACTED, now_known.expected, line)
            self._desync_all()
            if same_session and now_known.expected == self.know.expected + self.taken:
                self.know.expected = now_known.expected
        self._conclude(line)

    def tick(self, now: int) -> None:
        """Let time pass."""
        know = self.know
        if not know.last or know.stale:
            return
        for line in self.rules.lines:
            if self._silent(line, now) and line not in know.counted_silent:
                know.counted_silent.add(line)
                self.counts[f"line_silences_{'ab'[line]}"] += 1
        if know.highest > know.expected:
            self._judge(0 if know.next_of(0) > know.next_of(1) else 1, None, now)
        ended = know.end is not None and know.expected >= know.end
        if self.rules.stale and not ended and now - max(know.last.values()) > self.rules.stale:
            know.stale = True
            self.counts["stales"] += 1
            self._conclude(0 if know.last[0] >= know.last[1] else 1)

    def give_up(self, line: int, number: int) -> None:
        """Do without the messages before ``number``."""
        know = self.know
        if number <= know.expected:
            return
        if self.state != RECOVERING:
            self._tell(RECOVERING, number, line)
            self.state = RECOVERING
        self.counts["messages_lost"] += number - know.expected
        know.expected = number
        know.recovering, know.joined = False, True
        self._desync_all()
        self._conclude(line)

    # Rules

    def _silent(self, line: int, now: int) -> bool:
        limit = self.rules.line_timeout
        return limit > 0 and now - self.know.last.get(line, 0) > limit

    def _session(self, session: bytes, first: int, line: int, now: int) -> bool:
        know = self.know
        known = know.session is not None
        is_late = session == know.previous and not all(self._silent(one, now) for one in (0, 1))
        if line == RECOVERY or (known and (not self.rules.accept or is_late)):
            self.counts["packets_session"] += 1
            return False
        self.counts["sessions"] += 1
        if not known:
            know.session = session
            return True
        self.know = Knowledge(1, session, know.session, last=know.last,
                              counted_silent=know.counted_silent)
        self._tell(NEW_SESSION, first, line)
        self.state = IDLE
        self._desync_all()
        return True

    @staticmethod
    def _blocks(octets: bytes, count: int) -> tuple[list[bytes], bool]:
        messages = []
        while len(messages) < count and len(octets) >= 2:
            size = int.from_bytes(octets[:2], "big")
            if len(octets) < 2 + size:
                break
            messages.append(octets[2:2 + size])
            octets = octets[2 + size:]
        return messages, len(messages) == count and not octets

    def _judge(self, line: int, first: int | None, now: int) -> None:
        know, rules = self.know, self.rules
        if know.hole is None or know.hole[0] != know.expected:
            know.hole = know.expected, now
        if not know.recovering:
            is_patient = not rules.patience or now - know.hole[1] <= rules.patience
            hopes = [other for other in rules.lines
                     if know.next_of(other) <= know.expected and not self._silent(other, now)]
            if hopes and is_patient:
                return
            self.counts["gaps"] += 1
            know.recovering = True
            self._conclude(line)
        if rules.skip:
            brings = {other: know.next_of(other) for other in (0, 1)}
            if first is not None:
                brings[line] = first
            found = [number for other, number in brings.items()
                     if number > know.expected and not self._silent(other, now)]
            self.give_up(line, min(found, default=know.highest))

    def _conclude(self, line: int) -> None:
        know = self.know
        whole = know.highest == know.expected
        know.recovering &= not whole
        know.joined |= whole and bool(know.last)
        if know.stale:
            state = STALE
        elif know.recovering:
            state = RECOVERING
        elif not know.joined:
            state = IDLE
        elif know.end is not None and know.expected >= know.end:
            state = ENDED
        else:
            state = LIVE
        if state != self.state:
            self.state = state
            self._tell(state, know.highest, line)
        self._set_flags()

    # Effects

    def _tell(self, state: int, received: int, line: int) -> None:
        self.events.append(("feed", state, self.know.expected, received, line,
                            self.know.session or bytes(10)))

    def _set_flags(self, and_desync: bool = False) -> None:
        before = self.flags
        self.flags = (FLAG_RECOVERING * self.know.recovering) | (FLAG_STALE * self.know.stale)
        fallen = before & ~self.flags
        for instrument in self.instruments:
            due = self.seen.get(instrument, 0) & fallen
            if and_desync and instrument not in self.desynced:
                self.desynced.add(instrument)
                due = True
            if due:
                self._show(instrument)

    def _desync_all(self) -> None:
        self._set_flags(and_desync=True)

    def _show(self, instrument: int) -> None:
        self.seen[instrument] = self.flags | FLAG_DESYNCED * (instrument in self.desynced)
        self.events.append(("shown", instrument, self.seen[instrument]))

    def _apply(self, number: int, message: bytes) -> None:
        self.counts["messages"] += 1
        if not message:
            self.counts["zero_length"] += 1
            return
        kind = message[:1]
        if SIZES.get(kind) == len(message):
            self.events.append(("message", number))
            locate = int.from_bytes(message[1:3], "big")
            if kind == b"H":
                self.seen[locate] = self.flags | FLAG_DESYNCED * (locate in self.desynced)
            return
        self.counts["wrong_length" if kind in b"SRHYLVWKJhAFECXDUPQBINO" else "unknown_type"] += 1
        if len(message) < 3:
            self._desync_all()
            return
        locate = int.from_bytes(message[1:3], "big")
        if locate in self.instruments and locate not in self.desynced:
            self.desynced.add(locate)
            self._show(locate)
