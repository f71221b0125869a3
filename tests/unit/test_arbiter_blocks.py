"""Message blocks: what is whole before a lie is used, nothing after it; and no octets do harm.

Method: packets cut at every octet, counts and lengths that lie, blocks that are no ITCH message,
random octets. Datagrams end where memory may hardly be read any further.
"""

import random
import struct

import numpy as np
import pytest

from tests.feed_rig import SESSION, FeedRig, mold
from tests.reference import itch, records
from tickwire.kernels import layout

S = itch.system(b"O")
H = itch.action(1, b"H")
MESSAGES = (S, itch.delete(9, 1), H, itch.delete(9, 2), itch.system(b"Q"))
DESYNCED = 8
GOOD = mold(1, *MESSAGES)


def ends() -> list[int]:
    """Octets after the header and after each block of GOOD."""
    places = [20]
    for message in MESSAGES:
        places.append(places[-1] + 2 + len(message))
    assert places[-1] == len(GOOD)
    return places


@pytest.mark.parametrize("size", range(len(GOOD) + 1))
def test_of_a_datagram_cut_at_any_octet_the_whole_messages_are_used(size):
    rig = FeedRig()
    whole = sum(size >= end for end in ends()[1:])
    assert rig.send(GOOD[:size]) == whole
    assert rig.counters().get("packets_malformed", 0) == (size < len(GOOD))
    assert rig.memory.expected == rig.memory.highest == 1 + whole
    numbers = [event[1] for event in rig.events() if event[0] == "message"]
    assert numbers == [number for number in (1, 3, 5) if number <= whole]
    assert rig.send(GOOD, 1) == len(MESSAGES) - whole


@pytest.mark.parametrize("size", range(len(GOOD)))
def test_a_cut_datagram_ahead_shows_only_what_is_whole(size):
    rig = FeedRig()
    rig.send(mold(1, S))
    octets = mold(10, *MESSAGES)[:size]
    whole = sum(size >= end for end in ends()[1:])
    assert rig.send(octets) == 0
    assert rig.memory.highest == (10 + whole if size >= 20 else 2)
    assert rig.counters().get("messages_ahead", 0) == whole
    assert rig.counters()["packets_malformed"] == 1


@pytest.mark.parametrize("size", range(20, len(GOOD)))
def test_of_a_cut_duplicate_only_whole_messages_are_counted(size):
    rig = FeedRig()
    rig.send(GOOD)
    assert rig.send(GOOD[:size], 1) == 0
    assert rig.counters().get("messages_duplicate", 0) == sum(size >= end for end in ends()[1:])
    assert rig.counters()["packets_malformed"] == 1


@pytest.mark.parametrize(("octets", "accepted"), [
    (mold(1, S, S, count=3), 2),
    (mold(1, S, S, count=0xFFFE), 2),
    (mold(1, count=1), 0),
    (mold(1, S, S, count=1), 1),
    (mold(1, S, count=0), 0),
    (mold(2, S, count=0xFFFF), 0),
    (mold(1, S) + b"\0", 1),
    (mold(1, S) + b"\0\0", 1),
    (mold(1, S, count=2) + b"\xff\xff" + bytes(100), 1),
    (mold(1, S, count=2) + struct.pack(">H", 13) + S, 1),
], ids=("one block missing", "all but the least missing", "no block", "one block too many",
        "heartbeat with a block", "end with a block", "one octet after", "two octets after",
        "greatest length", "length one too great"))
def test_a_count_or_length_that_lies_is_counted_and_what_is_whole_is_used(octets, accepted):
    rig = FeedRig()
    assert rig.send(octets) == accepted
    assert rig.counters()["packets_malformed"] == 1
    assert rig.memory.expected == 1 + accepted


def test_a_length_that_reaches_into_the_next_block_takes_it_along():
    # Nothing can tell: the first message is too long for its type, the second is inside it.
    rig = FeedRig()
    octets = SESSION + struct.pack(">QHH", 1, 2, 12 + 2 + 12) + S + struct.pack(">H", 12) + S
    assert rig.send(octets) == 1
    assert rig.counters()["wrong_length"] == 1
    assert rig.counters()["packets_malformed"] == 1


UNREADABLE = {
    "empty": (b"", "zero_length", []),
    "type alone": (b"A", "wrong_length", [1, 2, 3]),
    "half a locate": (b"D\0", "wrong_length", [1, 2, 3]),
    "unknown type alone": (b"Z", "unknown_type", [1, 2, 3]),
    "locate alone": (b"D\0\2", "wrong_length", [2]),
    "one octet short": (itch.delete(3, 1)[:-1], "wrong_length", [3]),
    "one octet long": (itch.delete(3, 1) + b"\0", "wrong_length", [3]),
    "empty as long as it is": (bytes(300), "unknown_type", []),
    "unknown type": (b"Z" + itch.delete(1, 1)[1:], "unknown_type", [1]),
    "lower case": (b"d" + itch.delete(1, 1)[1:], "unknown_type", [1]),
    "type 255": (b"\xff" + itch.delete(1, 1)[1:], "unknown_type", [1]),
    "of the market": (S + b"\0", "wrong_length", []),
    "not watched": (itch.delete(4, 1)[:-1], "wrong_length", []),
    "not watched at all": (itch.delete(65_535, 1)[:-1], "wrong_length", []),
    "greatest": (b"A\0\1" + bytes(1_400), "wrong_length", [1]),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_block_that_is_no_message_uses_its_number_and_marks_what_it_may_have_been_for(name):
    block, counter, marked = UNREADABLE[name]
    rig = FeedRig()
    assert rig.send(mold(1, S, block, S)) == 3
    counters = rig.counters()
    assert counters["messages"] == 3
    assert {kind: counters.get(kind, 0) for kind in ("zero_length", "wrong_length",
                                                     "unknown_type")} \
        == {"zero_length": 0, "wrong_length": 0, "unknown_type": 0, counter: 1}
    assert rig.events() == [
        ("feed", 1, 1, 1, 0, SESSION), ("message", 1),
        *(("shown", instrument, DESYNCED) for instrument in marked), ("message", 3)]
    assert [rig.flags(instrument) for instrument in range(4)] \
        == [DESYNCED if instrument in marked else 0 for instrument in range(4)]
    assert "packets_malformed" not in counters


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_duplicate_of_a_block_that_is_no_message_is_only_a_duplicate(name):
    rig = FeedRig()
    rig.send(mold(1, S))
    assert rig.send(mold(1, UNREADABLE[name][0]), 1) == 0
    assert rig.flags(1) == 0
    assert rig.counters()["messages_duplicate"] == 1


def test_a_mark_carries_the_number_and_time_of_its_message():
    rig = FeedRig()
    rig.send(mold(1, S, S, b"Z\0\2"), now=5_555)
    line = records.state(rig.table()[2].tobytes())
    assert (line["feed_sequence"], line["timestamp"], line["flags"]) == (3, 5_555, DESYNCED)
    shown = records.record(rig.records()[-1].tobytes())
    assert (shown["record"], shown["feed_sequence"], shown["timestamp"]) == ("bbo", 3, 5_555)


# Looking ahead inside a packet


def flow(size: int) -> list[bytes]:
    """Orders on three instruments: adds, and a few of everything that refers to them."""
    draw, live, messages = random.Random(size), [], []
    for number in range(1, size + 1):
        if len(live) < 4 or draw.random() < 0.5:
            locate = draw.randint(1, 3)
            messages.append(itch.add(locate, number, draw.choice((b"B", b"S")), 100,
                                     10_000 + 100 * draw.randint(0, 5)))
            live.append((locate, number))
        elif draw.random() < 0.1:
            messages.append(draw.choice((S, H, b"", b"Z\0\1", itch.delete(2, 1)[:-1])))
        else:
            locate, reference = live.pop(draw.randrange(len(live)))
            messages.append(draw.choice((itch.delete(locate, reference),
                                         itch.executed(locate, reference, 100),
                                         itch.replace(locate, reference, number, 50, 10_300))))
            if messages[-1][:1] == b"U":
                live.append((locate, number))
    return messages


@pytest.mark.parametrize("size", [2, 63, 64, 65, 128, 129, 500])
def test_one_packet_of_many_messages_is_the_same_as_many_of_one(size):
    messages = flow(size)
    whole, single = FeedRig(), FeedRig()
    assert whole.send(mold(1, *messages)) == size
    assert sum(single.send(mold(number, message))
               for number, message in enumerate(messages, 1)) == size
    assert whole.records().tobytes() == single.records().tobytes()
    assert whole.table().tobytes() == single.table().tobytes()
    ours, theirs = whole.counters(), single.counters()
    assert (ours.pop("frames_a"), theirs.pop("frames_a")) == (1, size)
    assert ours == theirs


def test_a_directory_message_counts_for_the_messages_behind_it_in_the_packet():
    messages = [itch.directory(7, "AAPL"), itch.add(7, 1, b"B", 100, 10_000),
                itch.directory(8, "MSFT"), itch.directory(9, "NONE"),
                itch.add(8, 2, b"S", 200, 20_000), itch.add(9, 3, b"S", 300, 30_000),
                itch.executed(7, 1, 40)]
    rig = FeedRig(watch_symbols={"MSFT": 100, "AAPL": 100})
    assert rig.send(mold(1, *messages)) == len(messages)
    assert rig.counters()["filtered"] == 1
    lines = [records.state(row.tobytes()) for row in rig.table()]
    assert [(line["locate"], line["bid_price"], line["bid_quantity"], line["ask_price"])
            for line in lines[:2]] == [(8, 0, 0, 20_000), (7, 10_000, 60, 0)]
    assert lines[0]["ask_quantity"] == 200


# Random octets


def check_invariants(rig: FeedRig, frames: int, start: int = 1) -> None:
    counters = rig.counters()
    names = ("frames_a", "frames_b", "frames_recovery")
    assert sum(counters.get(name, 0) for name in names) == frames
    assert rig.memory.highest >= rig.memory.expected
    assert rig.memory.expected - start == (counters.get("messages", 0)
                                           + counters.get("messages_lost", 0))
    assert rig.register(0x30, 8) in (0, rig.memory.expected)
    assert int(rig.memory.state) == rig.register(0x28)
    headers = rig.book.arena.view("sides", layout.HEADER)[:4]
    assert int(np.max(headers["version"])) <= counters.get("records", 0)


@pytest.mark.parametrize("seed", range(4))
def test_random_datagrams_do_no_harm(seed):
    draw = random.Random(seed)
    rig = FeedRig(accept_session=False, cut_through=bool(seed & 1))
    good = mold(1, *flow(30))
    rig.send(good)
    start_frames, now = 1, 1_000
    for turn in range(3_000):
        now += draw.randint(0, 50)
        kind = draw.randrange(3)
        if kind == 0:
            octets = draw.randbytes(draw.randint(0, 80))
        else:
            octets = bytearray(mold(max(1, rig.memory.expected + draw.randint(-2, 2)),
                                    *flow(draw.randint(0, 6)),
                                    *(draw.randbytes(draw.randint(0, 50)) for _ in range(2))))
            for _ in range(draw.randint(0, 3) if kind == 1 else 0):
                octets[draw.randrange(18, len(octets))] = draw.randrange(256)
            octets = bytes(octets[:draw.randint(0, len(octets))] if draw.random() < 0.2
                           else octets)
        rig.send(octets, draw.randrange(3), now)
        if draw.random() < 0.05:
            rig.tick(now)
        if turn % 100 == 0:
            rig.records()
            check_invariants(rig, start_frames + turn + 1)
    assert rig.counters()["messages"] > 1_000
