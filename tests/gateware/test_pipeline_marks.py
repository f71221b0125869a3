"""What marks a book, and a mark that goes, give the kernels' records and counters.

Method: as ``test_pipeline``, with messages that cannot be read between all others, and a gap in
which books are shown.
"""

import random

import pytest

from tests.garbage import packet
from tests.gateware.test_pipeline import card, in_turn, kinds, packets
from tests.pipeline_rig import Sent, compare
from tests.reference import itch
from tests.reference.flow import flow
from tickwire.spec.records import RecordType


def unreadable(draw: random.Random) -> bytes:
    """No message, or an order without a side, of a watched instrument or another, or of none."""
    locate = draw.choice((1, 2, 3, 4, 9, 300)).to_bytes(2, "big")
    return draw.choice((
        b"", b"D", b"D\0", b"Z" + locate + bytes(17), itch.delete(1, 7)[:1] + locate + bytes(4),
        b"S" + locate + bytes(20), itch.add(int.from_bytes(locate, "big"), 9, b"X", 5, 100)))


@pytest.mark.parametrize("each", (1, 20))
def test_what_cannot_be_read_gives_the_kernels_records_and_counters(each):
    for seed in range(4):
        draw, messages = random.Random(seed), []
        for message in flow(200, 40 + seed):
            messages += [message, *[unreadable(draw)] * (draw.random() < .1)]
        records = compare(card(), [Sent(frame) for frame in packets(messages, each=each)])
        assert RecordType.BBO in kinds(records)


def test_a_gap_that_closes_shows_again_what_was_shown_in_it():
    messages = [itch.add(1, number, b"B", 5, 100 * (20_000 + number)) for number in range(1, 9)]
    frames = [Sent(packet(1, messages[:2], line), line) for line in (0, 1)]
    frames += [Sent(packet(7, messages[6:7], line), line) for line in (0, 1)]
    frames += [Sent(packet(number, messages[number - 1:number], 2), 2) for number in range(3, 8)]
    records = compare(card(), in_turn([*frames, Sent(packet(8, messages[7:]))]))
    bbos = records[records[:, -1] == RecordType.BBO]
    assert len(bbos) == len(messages) + 1
