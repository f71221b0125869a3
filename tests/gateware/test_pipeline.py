"""The card's market data is the kernels': the same frames give the same records, octet for octet.

Method: frames at line rate into the compiled pipeline, and one after the other into the kernels;
all records and the state tables are compared, time stamps included. Frames of two ports do not
overlap here, because the kernels take whole frames; ``test_arbiter`` has those that do.
"""

import dataclasses
import functools
import os
import random

import numpy as np
import pytest
from hypothesis import given, settings

from tests.captures import ethernet, ipv4, mold, udp
from tests.garbage import garbage, packet
from tests.pipeline_rig import (
    GROUPS,
    LANES,
    PORT,
    SHOWN,
    Card,
    Sent,
    compare,
    compare_latencies,
    latencies,
    schedule,
)
from tests.reference import itch
from tests.reference.flow import flow
from tests.reference.sequences import Space, sequences
from tickwire.spec import itch50
from tickwire.spec.geometry import CARD_SMALL, SWEEP_PERIOD
from tickwire.spec.records import FeedState, RecordType
from tickwire_sim.traffic import generate

SMALL = dataclasses.replace(CARD_SMALL, instruments=5)
MESSAGES = int(os.environ.get("TICKWIRE_CARD_DAY", "60000"))
SIZES = {message.tag: message.size for message in itch50.MESSAGES}
GARBAGE_CYCLES = int(os.environ.get("TICKWIRE_GARBAGE_CYCLES", "40000"))
STATE_AT = 25                               # of a FEED_STATE record
ALONE, APART = 900, 280                   # messages, and cycles from one to the next
EXAMPLES = int(os.environ.get("TICKWIRE_CARD_EXAMPLES", "30"))
CROWDED = Space(prices=(1_999_900, 2_000_000, 2_000_050, 2_600_000, 0), quantities=(1, 2, 100, 0))
SIZE = 1_300                                # octets of messages in a packet, at most
EARLY_CYCLES = {"early": 8, "early_add": 4, "glimpses": 3}
RECORD_CYCLES = 48                          # the grid adds 0 or 1, a step right before it 0 to 2


@functools.cache
def card() -> Card:
    return Card(SMALL, "small_5")


@functools.cache
def plain() -> Card:
    return Card(dataclasses.replace(SMALL, cached=0), "plain_5")


def packets(messages: list[bytes], line: int = 0, each: int = 20) -> list[bytes]:
    return [packet(1 + at, messages[at:at + each], line)
            for at in range(0, len(messages), each)]


def full_packets(messages: list[bytes]) -> list[bytes]:
    """Packets as large as they may be."""
    found, waiting, size, number = [], [], 0, 1
    for message in messages:
        if size + 2 + len(message) > SIZE:
            found.append(packet(number, waiting))
            number, waiting, size = number + len(waiting), [], 0
        waiting.append(message)
        size += 2 + len(message)
    return [*found, packet(number, waiting)]


def in_turn(frames: list[Sent]) -> list[Sent]:
    """Frames one after the other, whatever their ports."""
    cycle = 0
    for frame in frames:
        frame.cycle = cycle
        cycle += -(-len(frame.octets) // LANES) + 3
    return frames


def kinds(records: np.ndarray) -> set[int]:
    return set(records[:, -1].tolist())


def states(records: np.ndarray) -> set[int]:
    return set(records[records[:, -1] == RecordType.FEED_STATE][:, STATE_AT].tolist())


@pytest.mark.parametrize("each", (1, 20))
@pytest.mark.parametrize("card", (card, plain))
def test_a_flow_of_all_types_on_one_line_gives_the_kernels_records(card, each):
    records = compare(card(), [Sent(frame) for frame in packets(flow(2_500, 3), each=each)])
    assert kinds(records) == {kind.value for kind in (
        RecordType.BBO, RecordType.TRADE, RecordType.FEED_STATE, RecordType.STATUS,
        RecordType.DIRECTORY, RecordType.IMBALANCE)}


def test_records_of_messages_that_come_alone_are_told_ahead_as_they_will_be():
    messages = flow(ALONE, 5)
    frames = [Sent(packet(1 + number, [message]), cycle=APART * number)
              for number, message in enumerate(messages)]
    records = compare(card(), frames)
    told = card().sights
    assert len(told) > .8 * (records[:, -1] == RecordType.BBO).sum()
    assert {messages[number - 1][:1] for number in told} == {
        letter.encode() for letter in "AFDUECX"}


def test_a_card_that_keeps_no_best_levels_tells_nothing_ahead():
    frames = [Sent(packet(1 + number, [message]), cycle=APART * number)
              for number, message in enumerate(flow(300, 5))]
    records = compare(plain(), frames)
    assert (records[:, -1] == RecordType.BBO).sum() > 100 and not plain().sights
    plain().start()
    found = plain().send(frames)
    assert not any(found[f"{port}__valid"].any() for port in (
        "early", "early_add", "sights", "glimpses"))


@settings(max_examples=EXAMPLES)
@given(sequences(CROWDED, others=True, length=24))
def test_what_marks_a_book_is_told_by_its_record_alone(messages):
    compare(card(), [Sent(packet(1 + number, [message]), cycle=APART * number)
                     for number, message in enumerate(messages)])


def test_messages_of_other_instruments_between_them_change_nothing():
    alone = [message for message in flow(ALONE // 3, 5) if message[:1] != b"S"]
    frames, number = [], 1
    for at, message in enumerate(alone):
        others = [itch.add(9, 1 + at, b"B", 1, 100), itch.action(9, b"T"), itch.delete(9, 1 + at)]
        frames += [Sent(packet(number, [*others, message]), cycle=APART * at),
                   Sent(packet(number + 4, others), cycle=APART * at + APART // 2)]
        number += 7
    records = compare(card(), frames)
    assert len(card().sights) > (records[:, -1] == RecordType.BBO).sum() / 2


def test_symbols_are_watched_from_their_directory_message_on():
    """The locates of a day are the directory's, above all instruments and in any order."""
    symbols = ("WATCH", "AAPL", "NEVER", "LATE")
    locates = {"AAPL": 7_001, "OTHER": 2, "WATCH": 65_535, "LATE": 3}
    draw, messages, references = random.Random(8), [], iter(range(1, 1_000))

    def orders(count: int) -> list[bytes]:
        return [itch.add(draw.choice(list(locates.values())), next(references),
                         draw.choice((b"B", b"S")), 100, 100 * draw.randrange(19_990, 20_010))
                for _ in range(count)]
    for symbol, locate in locates.items():
        messages += [*orders(3), itch.directory(locate, symbol), itch.directory(9, symbol + "X"),
                     *orders(20), itch.action(locate, b"T")]
    messages += [itch.directory(40, "AAPL"), *(itch.add(40, next(references), b"B", 5, 1_990_000)
                                               for _ in range(3))]
    broken = [b"", b"R" + messages[3][1:-1], b"?" + messages[3][1:]]
    messages += [*broken, *orders(40)]
    frames = [Sent(packet(1 + at, messages[at:at + 7])) for at in range(0, len(messages), 7)]
    found = compare(card(), frames, tick=0, symbols=symbols)
    assert {RecordType.BBO, RecordType.DIRECTORY} <= kinds(found)


@pytest.mark.parametrize("seed", range(3))
def test_a_second_day_gives_the_kernels_records(seed):
    """Locates are given anew: to others that are watched, to others that are not, or to nobody."""
    symbols, draw = ("WATCH", "AAPL", "NEVER", "LATE"), random.Random(seed)
    stocks, places, messages = [*symbols, "OTHER", "MORE"], [1, 2, 3, 4, 7_001, 65_535], []
    for day in range(1, 6):
        draw.shuffle(places)
        for symbol, locate in zip(draw.sample(stocks, 5), places, strict=False):
            # Orders in the midst of it, so that each sees what its locate is at that moment.
            messages += [itch.directory(locate, symbol, round_lot=day), *(
                itch.add(draw.choice(places), 1_000 * len(messages) + number, draw.choice(
                    (b"B", b"S")), 100, 100 * draw.randrange(19_990, 20_010))
                for number in range(draw.randrange(4)))]
        messages += [itch.add(draw.choice(places), 1_000 * day + number, draw.choice((b"B", b"S")),
                              100, 100 * draw.randrange(19_990, 20_010)) for number in range(60)]
        messages += [itch.action(locate, b"T") for locate in places]
    frames = [Sent(packet(1 + at, messages[at:at + 7])) for at in range(0, len(messages), 7)]
    found = compare(card(), frames, tick=0, symbols=symbols)
    assert {RecordType.BBO, RecordType.DIRECTORY, RecordType.STATUS} <= kinds(found)


def test_a_generated_day_gives_the_kernels_records():
    octets = bytearray()
    generate(octets.extend, MESSAGES, 4, 1_200, 3)
    messages = list(itch.messages_of(bytes(octets)))
    records = compare(card(), [Sent(frame) for frame in full_packets(messages)], gap=2)
    assert len(records) > MESSAGES // 10


@pytest.mark.parametrize("seed", range(3))
def test_two_lines_that_lose_frames_and_a_server_that_repeats_give_the_kernels_records(seed):
    draw = random.Random(seed)
    messages = flow(1_500, 30 + seed)
    frames = []
    for at in range(0, len(messages), 10):
        for line in draw.sample((0, 1), 2):
            if draw.random() > .3:
                frames.append(Sent(packet(1 + at, messages[at:at + 10], line), line))
        if draw.random() < .4:
            first = draw.randrange(max(0, at - 60), at + 1)
            frames.append(Sent(packet(1 + first, messages[first:first + 30], 2), 2))
        if draw.random() < .05:
            frames.append(Sent(packet(2 + at, [], draw.randrange(2)), draw.randrange(2)))
    records = compare(card(), in_turn(frames))
    assert {FeedState.LIVE, FeedState.RECOVERING} <= states(records)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_frames_and_lies_give_the_kernels_records(seed):
    draw = random.Random(100 + seed)
    messages = flow(1_200, 60 + seed)
    frames = []
    for at in range(0, len(messages), 8):
        octets = bytearray(packet(1 + at, messages[at:at + 8], 0))
        kind = draw.randrange(12)
        if kind == 0:                          # any octet wrong, FCS wrong as well
            octets[draw.randrange(len(octets))] ^= 1 << draw.randrange(8)
        elif kind == 1:                        # a message that is none
            broken = [bytes(draw.randrange(256) for _ in range(draw.randrange(60))),
                      *messages[at + 1:at + 8]]
            octets = bytearray(packet(1 + at, broken, 0))
        elif kind == 2:                        # a header that lies
            octets = bytearray(packet(1 + at, messages[at:at + 8], 0, count=draw.choice(
                (0, 1, 7, 9, 0xFFFF))))
        elif kind == 3:
            octets = octets[:draw.randrange(20, len(octets))]
        is_damaged = kind == 0 or draw.random() < .05
        frames.append(Sent(bytes(octets), 0, is_damaged=is_damaged))
        if draw.random() < .6:                 # the other line's copy repairs it
            frames.append(Sent(packet(1 + at, messages[at:at + 8], 1), 1))
    records = compare(card(), in_turn(frames))
    assert FeedState.RETRACTED in states(records)


def test_a_change_of_session_gives_the_kernels_records():
    messages = flow(600, 9)
    first = packets(messages[:300])
    other = [ethernet(ipv4(udp(mold(1 + at, *messages[at:at + 20], session=b"ANOTHER   "), PORT),
                           destination=GROUPS[0])) for at in range(0, 300, 20)]
    records = compare(card(), [Sent(frame) for frame in first + other])
    assert FeedState.NEW_SESSION in states(records)


@pytest.mark.parametrize("name", ("lobster/AAPL_2012-06-21_oracle.itch",
                                  "ritch/ex20101224.TEST_ITCH_50"))
def test_a_recording_gives_the_kernels_records(shared_data, name):
    messages = list(itch.messages_of((shared_data / name).read_bytes()))[:20_000]
    records = compare(card(), [Sent(frame) for frame in full_packets(messages)], tick=0)
    assert len(records) > 100


# Cycles from the word with a message's last octet to its first record


def unwatched(locate: int, octets: int) -> list[bytes]:
    """Messages that no book takes, so many octets of blocks modulo 8."""
    halt, label = itch.action(locate, b"T"), itch.position(locate)
    for halts in range(8):
        for labels in range(8):
            if (halts * (2 + len(halt)) + labels * (2 + len(label))) % LANES == octets:
                return [halt] * halts + [label] * labels
    raise AssertionError(octets)


ORDERS = [itch.add(1, 1, b"B", 100, 2_000_000), itch.add(1, 2, b"B", 50, 1_999_900),
          itch.add(1, 3, b"S", 100, 2_000_200)]
MEASURED = {
    "A, better": itch.add(1, 4, b"B", 10, 2_000_100), "A": itch.add(1, 4, b"B", 10, 2_000_000),
    "D, best lost": itch.delete(1, 1), "X": itch.cancel(1, 1, 10),
    "E": itch.executed(1, 1, 10, 5), "E, best lost": itch.executed(1, 1, 100, 5),
    "C": itch.executed_with_price(1, 1, 10, 5, b"Y", 2_000_000),
    "U": itch.replace(1, 1, 9, 100, 2_000_100), "P": itch.trade(1, 0, b"B", 100, 2_000_000, 1),
    "H": itch.action(1, b"T"), "S": itch.system(b"Q")}


@pytest.mark.parametrize("name", MEASURED)
def test_answers_and_the_first_record_come_in_so_many_cycles_at_every_alignment(name):
    cycles, early = set(), set()
    for octets in range(LANES):
        start = card().start()
        frames = [Sent(packet(1, ORDERS)),
                  Sent(packet(4, [*unwatched(9, octets), MEASURED[name]]), cycle=400)]
        found = card().send(frames)
        begin = start + schedule(frames)[0][1]
        last = begin + (len(frames[1].octets) - 1) // LANES
        came = found["cycle"][found["records__valid"] == 1].astype(int)
        cycles.add(int(came[came > begin][0]) - last)
        for port in (*EARLY_CYCLES, "sights"):
            answers = found["cycle"][found[f"{port}__valid"] == 1].astype(int)
            early |= {(port, int(cycle) - last) for cycle in answers[answers > begin]}
    halves = 2 * (name == "U")
    assert cycles <= set(range(RECORD_CYCLES + halves, RECORD_CYCLES + halves + 4))
    early -= {("sights", EARLY_CYCLES["early_add" if name[0] == "A" else "early"])}
    ports = {"A": tuple(EARLY_CYCLES), "P": (), "H": (), "S": ()}.get(name[0], ("early",))
    assert early == {(port, EARLY_CYCLES[port]) for port in ports}


# Latencies, counted from a frame's first word

FULL = ("A, better", "D, best lost", "E, best lost", "C", "U", "P", "H", "S")


def told(name: str, line: int = 0, other: int | None = None) -> tuple[np.ndarray, list[int]]:
    """Records of a message behind others, and the cycles from its frame to each.

    With ``other`` the other line brings it too, so many cycles later.
    """
    start = card().start()
    frames = [Sent(packet(1, ORDERS, line), line),
              Sent(packet(4, [MEASURED[name]], line), line, 400)]
    if other is not None:
        frames.append(Sent(packet(4, [MEASURED[name]], 1 - line), 1 - line, 400 + other))
    found = card().send(frames)
    begin = start + 400
    rows = found[(found["records__valid"] == 1) & (found["cycle"] > begin)]
    return card().records(rows), (rows["cycle"].astype(int) - begin).tolist()


@pytest.mark.parametrize("name", FULL)
def test_a_latency_is_from_the_frames_first_word_to_the_book(name):
    records, cycles = told(name)
    assert latencies(records).tolist() == [cycles[0] - SHOWN] * len(cycles)
    assert cycles == list(range(cycles[0], cycles[0] + 1 + (name[0] in "EC")))


@pytest.mark.parametrize("line", (0, 1))
@pytest.mark.parametrize("other", (1, 20))
def test_a_latency_is_from_the_frame_of_the_line_that_came_first(line, other):
    alone, _ = told("A, better")
    assert (told("A, better", line, other)[0] == alone).all()


def test_the_record_of_a_sweeps_step_has_the_latency_of_the_message_before_it():
    """A best level below the window comes into sight by a step, behind every fourth message."""
    messages = [itch.add(1, 1, b"B", 100, 2_000_000),
                itch.add(1, 2, b"B", 100, 2_000_000 - 100 * (SMALL.window_ticks + 8)),
                itch.delete(1, 1), *[itch.action(2, b"T")] * 4_000]
    start = card().start()
    found = card().send([Sent(frame) for frame in packets(messages, each=8)])
    records = card().records(found)
    compare_latencies(card(), found, records, start)
    numbers = np.ascontiguousarray(records[:, 8:16]).view("<u8")[:, 0]
    step, = np.flatnonzero((records[:, -1] == RecordType.BBO) & (numbers > 3))
    # The message's own STATUS record is two cycles before it.
    assert (latencies(records[step - 1:step + 1]) >= RECORD_CYCLES - SHOWN).all()
    assert numbers[step] == numbers[step - 1] and numbers[step] % SWEEP_PERIOD == 0
    assert np.diff(latencies(records[step - 1:step + 1])) == [2]


@pytest.mark.parametrize("each", (1, 20))
def test_each_order_message_of_a_watched_book_is_one_duration(each):
    messages = flow(3_000, 8)
    card().start()
    found = card().send([Sent(frame) for frame in packets(messages, each=each)], gap=1)
    applied = found["cycle"][found["applied__valid"] == 1]
    assert len(applied) == sum(
        message[:1] in b"AFECXDU" and int.from_bytes(message[1:3], "big") < SMALL.instruments
        for message in messages)
    assert np.diff(applied.astype(int)).min() >= 2


# Coverage


def of_all_types(reference: int) -> dict[str, bytes]:
    """One message of each type about instrument 1; those about an order are about this one."""
    price = 1_999_900
    return {message[:1].decode(): message for message in (
        itch.system(b"Q"), itch.directory(1, "ONE"), itch.action(1, b"T"), itch.reg_sho(1, b"0"),
        itch.position(1), itch.decline(), itch.breach(b"1"), itch.ipo(1, price),
        itch.collar(1, price, price + 1_000, price - 1_000), itch.operational(1, b"Q", b"T"),
        itch.add(1, reference + 1, b"S", 50, price + 300),
        itch.add(1, reference + 1, b"B", 50, price, mpid="MPID"),
        itch.executed(1, reference, 10, 5),
        itch.executed_with_price(1, reference, 10, 5, b"Y", price),
        itch.cancel(1, reference, 10), itch.delete(1, reference),
        itch.replace(1, reference, reference + 1, 70, price + 100),
        itch.trade(1, 0, b"B", 100, price, 1), itch.cross(1, 100, price), itch.broken(1, 5),
        itch.imbalance(1, 1, 2, b"B", price, price, price, b"O"), itch.retail(1),
        itch.listing(1))}


def covered(frames: list[Sent]) -> set[tuple[str, int, str]]:
    """Type, lane of the first octet, and place in its packet of every message in frames."""
    found, head = set(), 14 + 20 + 8 + 20                   # octets before the first block
    for frame in frames:
        at, places = head, []
        while at < len(frame.octets):
            places.append(at + 2)
            at += 2 + int.from_bytes(frame.octets[at:at + 2], "big")
        for number, place in enumerate(places):
            where = ("only" if len(places) == 1 else "first" if number == 0
                     else "last" if number == len(places) - 1 else "middle")
            found.add((chr(frame.octets[place]), place % LANES, where))
    return found


@pytest.mark.long
def test_every_type_at_every_alignment_and_place_gives_the_kernels_records():
    frames, number, around = [], 1, [itch.position(9)]
    cases = [(tag, before, after) for tag in SIZES for after in ([], around) for before in (
        [], around * LANES, *(unwatched(9, lane) for lane in range(1, LANES)))]
    for case, (tag, before, after) in enumerate(cases):
        order = itch.add(1, 10 + 10 * case, b"B", 100, 1_999_900)
        for messages in ([order], [*before, of_all_types(10 + 10 * case)[tag], *after]):
            frames.append(Sent(packet(number, messages)))
            number += len(messages)
    lanes = {"only": {0}, "first": {0}, "middle": set(range(LANES)), "last": set(range(LANES))}
    assert covered(frames) == {(tag, lane, place) for tag in SIZES for place, found in lanes.items()
                               for lane in found}
    compare(card(), frames)


# Garbage


def test_garbage_at_full_rate_gives_the_kernels_records_and_stops_nothing():
    draw = random.Random(77)
    messages = flow(400, 5)
    frames, cycles = [], 0
    while cycles < GARBAGE_CYCLES:
        first = draw.randrange(len(messages))
        frames.append(Sent(garbage(draw, 1 + first, messages[first:first + 4]), draw.randrange(3),
                           is_damaged=draw.random() < .2))
        cycles += len(frames[-1].octets) // LANES + 4
    for at in range(0, len(messages), 10):     # a server repeats all: in step again
        frames.append(Sent(packet(1 + at, messages[at:at + 10], 2), 2))
    compare(card(), in_turn(frames))
