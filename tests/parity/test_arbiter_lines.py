"""Books behind two bad lines and a recovery line end as the books of a lossless run.

Method: hypothesis draws a stream of order messages, cuts it into packets for each line by
itself, and loses, repeats, swaps and delays packets. A request server answers, imperfectly, while
the feed is recovering. Where no gap was declared every record must be the same octet for octet;
after a gap the state table, and every record that is not only about a flag of the feed.
"""

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.feed_rig import BBO, FEED_STATE, STATUS, FeedRig, mold
from tests.reference import records
from tests.reference.sequences import Space, sequences
from tickwire.kernels import layout
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.records import FeedState

RECOVERY = 2
DELAYS = (0, 0, 0, 1, 2, 5, 20)
FATES = ("as sent",) * 6 + ("lost", "lost", "twice", "late")
FEED_FLAGS = 0b101                         # RECOVERING, STALE
TURNS_MAX = 200                            # of the server, until everything is there
HEARTBEATS = 3


@st.composite
def line_packets(draw, size: int) -> list[tuple[int, int, int]]:
    """(time, first, end) of the packets of one line, in the order of arrival."""
    delay = draw(st.sampled_from(DELAYS))
    sent, first = [], 1
    while first <= size:
        end = min(size + 1, first + draw(st.integers(1, 5)))
        sent.append((first, end))
        first = end
    arrivals = []
    for place, (first, end) in enumerate(sent):
        fate = draw(st.sampled_from(FATES))
        if fate != "lost":
            arrivals.append((10 * place + delay, first, end))
        if fate in ("twice", "late"):
            arrivals.append((10 * place + 10 * draw(st.integers(1, 4)) + delay, first, end))
        if fate == "late":
            arrivals.remove((10 * place + delay, first, end))
    return sorted(arrivals)


@st.composite
def cases(draw):
    messages = draw(sequences(Space(), others=True, length=40))
    lines = [draw(line_packets(len(messages))) for _ in range(2)]
    answers = draw(st.lists(st.integers(0, 5), min_size=1, max_size=8))
    return messages, lines, answers


def packet(messages: list[bytes], first: int, end: int) -> bytes:
    return mold(first, *messages[first - 1:end - 1])


def lossless(messages: list[bytes]) -> FeedRig:
    rig = FeedRig()
    for number in range(1, len(messages) + 1):
        for line in range(2):
            rig.send(packet(messages, number, number + 1), line)
    return rig


def impaired(messages: list[bytes], lines: list, answers: list[int]) -> FeedRig:
    """Deliver both lines; the server answers each turn with as many messages as ``answers`` say.

    0 is an answer that was lost.
    """
    rig = FeedRig()
    turn = 0

    def serve(now: int) -> None:
        nonlocal turn
        if rig.memory.state == FeedState.RECOVERING:
            first = rig.memory.expected
            end = min(first + answers[turn % len(answers)], rig.memory.highest)
            if end > first:
                rig.send(packet(messages, first, end), RECOVERY, now)
            turn += 1

    arrivals = sorted((time, line, first, end) for line, packets in enumerate(lines)
                      for time, first, end in packets)
    for time, line, first, end in arrivals:
        rig.send(packet(messages, first, end), line, 1_000 + time)
        serve(1_000 + time)
    done = 10_000
    for heartbeat in range(HEARTBEATS):
        for line in range(2):
            rig.send(mold(len(messages) + 1), line, done + heartbeat)
    while any(answers) and rig.memory.expected <= len(messages):
        serve(done)
        assert turn < TURNS_MAX
    return rig


def books(rig: FeedRig) -> tuple:
    """Everything that the books hold, by sums: each side's levels, and the live orders."""
    sides = rig.book.arena.view("sides", layout.SIDE)
    return (rig.book.live_orders(),
            [tuple(int(line[name]) for name in ("best", "best_value", "levels", "checksum"))
             for line in sides[:2 * rig.book.geometry.instruments]])


def same_records(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether all octets agree that must; which line was first and how far it was may differ."""
    kept = []
    for rows in (found, expected):
        plain, of_feed = records.comparable(rows), rows[:, 60] == FEED_STATE
        plain[of_feed] = rows[of_feed]
        for place in (slice(0, 8), slice(16, 25), slice(48, 52)):      # time, received and line
            plain[of_feed, place] = 0
        kept.append(plain.tobytes())
    return kept[0] == kept[1]


def about_books(found: np.ndarray) -> list[bytes]:
    """Records about books without their numbers, versions and feed flags.

    BBOs that show no message but a flag that fell are left out: they follow a FEED_STATE record
    and carry the number of a message before the one that it expects.
    """
    kept, expected = [], 0
    for row, plain in zip(found, records.comparable(found), strict=True):
        sequence = int.from_bytes(row[8:16].tobytes(), "little")
        if row[60] == FEED_STATE:
            expected = sequence
        elif row[60] != BBO or sequence >= expected:
            plain[56:60] = 0                            # number of the record
            plain[36:40] = 0                            # version of the book
            if row[60] in (BBO, STATUS):
                plain[35] &= ~FEED_FLAGS & 0xFF
            kept.append(plain.tobytes())
    return kept


@settings(max_examples=400)
@given(cases())
def test_what_two_bad_lines_and_a_server_bring_makes_the_lossless_books(case):
    messages, lines, answers = case
    good, bad = lossless(messages), impaired(messages, lines, answers)
    counts = bad.counters()
    assert counts.get("packets_malformed", 0) == 0
    if not any(answers) and bad.memory.expected <= len(messages):
        assert bad.memory.state == FeedState.RECOVERING
        event("a gap that nobody closed")
        return
    assert bad.memory.state == FeedState.LIVE
    assert bad.memory.expected == bad.memory.highest == counts["messages"] + 1 == len(messages) + 1
    assert books(bad) == books(good)
    ours, theirs = bad.table(), good.table()
    for table in (ours, theirs):
        table[:, 8:16] = 0                              # time stamp
        if counts.get("gaps"):
            # A line that was shown anew is newer: versions, number of the message, checksum.
            table[:, 0:4] = table[:, 32:40] = table[:, 48:60] = 0
    assert ours.tobytes().hex(" ", 8) == theirs.tobytes().hex(" ", 8)
    found, expected = bad.records(), good.records()
    if not counts.get("gaps"):
        event("no gap")
        assert same_records(found, expected)
        return
    event(f"gaps: {min(counts['gaps'], 3)}")
    assert counts["messages_recovered"] + counts.get("messages_lost", 0) > 0
    assert about_books(found) == about_books(expected)


@given(sequences(Space(), length=30), st.data())
def test_loss_on_one_line_alone_is_never_a_gap(messages, data):
    keeps = data.draw(st.lists(st.booleans(), min_size=len(messages), max_size=len(messages)))
    lag = data.draw(st.integers(0, 5))
    rig = FeedRig(patience_ns=0)
    arrivals = [(number, 0, number) for number, keep in enumerate(keeps, 1) if keep]
    arrivals += [(number + lag, 1, number) for number in range(1, len(messages) + 1)]
    for _, line, number in sorted(arrivals):
        rig.send(packet(messages, number, number + 1), line)
    good = lossless(messages)
    assert rig.memory.expected == len(messages) + 1
    assert "gaps" not in rig.counters()
    assert same_records(rig.records(), good.records())


def test_the_geometry_has_every_locate_of_the_space():
    assert max(Space().locates) < CARD_SMALL.instruments
