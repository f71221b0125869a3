"""Nothing that comes over the lines stops the card: garbage on all ports at once, at full rate.

Method: three ports get frames with no more than the line's gap between them; each is wrong at one
layer or at all, and some octets of some are anything. Time passes and silences are looked for
meanwhile. After each stretch the card must be alive - the awaited message gives its record - and
must have counted every frame once. ``TICKWIRE_HANG_CYCLES=10000000`` (``make hang``) is a long run.
"""

import dataclasses
import functools
import os
import random

import numpy as np
import pytest

from tests.feed_rig import SESSION
from tests.garbage import garbage, packet
from tests.pipeline_rig import LANES, Card
from tests.reference import itch
from tests.reference.flow import flow
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.records import RecordType
from tickwire_sim import bits

CYCLES = int(os.environ.get("TICKWIRE_HANG_CYCLES", "60000"))
STRETCH = 30_000                           # cycles between two looks at the card
GAP = 3                                    # words of check, gap and preamble at line rate
IDLE = 3_000                               # cycles in which all that waits is done
POOL = 500                                 # frames that are drawn from
PORTS = range(3)
SMALL = dataclasses.replace(CARD_SMALL, instruments=5)
FRAMES = ("frames_a", "frames_b", "frames_recovery", "frames_other", "frames_malformed")
"""Counters of which one counts each frame."""


@functools.cache
def pool(seed: int) -> list[tuple[np.ndarray, int]]:
    """Words of frames, and the lanes of each last one."""
    draw = random.Random(seed)
    messages, found = flow(400, 5), []
    for _ in range(POOL):
        first = draw.randrange(len(messages))
        octets = garbage(draw, 1 + first, messages[first:first + 4])
        size = -(-len(octets) // LANES) * LANES
        found.append((np.frombuffer(octets.ljust(size, b"\0"), "<u8"), len(octets)))
    return found


def fill(card: Card, rows: np.ndarray, source: np.random.Generator, cycles: int) -> int:
    """Put frames into the first ``cycles`` rows; return their number."""
    frames, count = pool(int(source.integers(8))), 0
    for port in PORTS:
        at, words, keep, first, last = 0, [], [], [], []
        while True:
            octets, size = frames[source.integers(POOL)]
            number = len(octets)
            if at + number > cycles:
                break
            place = np.arange(at, at + number)
            words.append((place, octets))
            keep.append((at + number - 1, (1 << (size - 1) % LANES + 1) - 1))
            first.append(at)
            last.append(at + number - 1)
            at += number + GAP
            count += 1
        where = np.concatenate([place for place, _ in words])
        octets = np.concatenate([octets for _, octets in words])
        damaged = source.random(len(octets)) < .02
        octets[damaged] ^= np.uint64(1) << source.integers(0, 64, damaged.sum(), np.uint64)
        columns = {name: np.zeros(len(rows), np.int64) for name in ("first", "last", "error")}
        columns["keep"] = np.full(len(rows), 0xFF)
        columns["first"][first] = columns["last"][last] = 1
        columns["error"][last] = source.random(len(last)) < .1
        for place, lanes in keep:
            columns["keep"][place] = lanes
        given = rows[where]
        given[f"words__{port}__valid"] = 1
        card.model.put(given, f"words__{port}__payload", data=octets,
                       **{name: values[where] for name, values in columns.items()})
        rows[where] = given
    return count


@pytest.mark.long
def test_garbage_on_all_ports_at_once_never_stops_the_card():
    card, source = Card(SMALL, "small_5"), np.random.default_rng(7)
    card.start()
    session = bits.words([int.from_bytes(SESSION, "little")], 8 * len(SESSION))[0]
    time, sent, done = 0, 0, 0

    def run(rows: np.ndarray) -> np.ndarray:
        nonlocal time
        rows["now"] = time + 1 + np.arange(len(rows))
        rows["line_timeout_ns"], rows["patience_ns"], rows["stale_ns"] = 400, 900, 2_000
        rows["has_session"], rows["accept_session"], rows["session"] = 1, 0, session
        time += len(rows)
        return card.model.run(rows)
    begin = card._rows(1)
    begin["restart"] = 1
    run(begin)
    while done < CYCLES:
        rows = card._rows(STRETCH + IDLE)
        sent += fill(card, rows, source, STRETCH)
        ticks = source.choice(STRETCH, 40, replace=False)
        rows["tick"][ticks] = 1
        rows["tick_stamp"][ticks] = time + ticks
        expected = int(run(rows)["expected"][-1])

        probe = packet(expected, [itch.system(b"Q")])
        rows = card._rows(400)
        size = -(-len(probe) // LANES)
        given = rows[:size]
        given["words__0__valid"] = 1
        card.model.put(given, "words__0__payload", data=np.frombuffer(
            probe.ljust(size * LANES, b"\0"), "<u8"), keep=np.full(size, 0xFF),
            first=np.arange(size) == 0, last=np.arange(size) == size - 1)
        rows[:size] = given
        found = run(rows)
        sent += 1
        kinds = card.records(found)[:, -1]
        assert RecordType.STATUS in kinds and int(found["expected"][-1]) == expected + 1
        counted = card.counters()
        time += 1_000
        frames = sum(counted.get(name, 0) for name in FRAMES)
        assert sent - counted.get("port_overflows", 0) <= frames <= sent, (sent, counted)
        done += STRETCH
