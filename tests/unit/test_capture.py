"""Frames of the order line are the records that the page says.

Method: one frame octet for octet as written by hand; sizes at the edges of a record, and any,
against ``struct``.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture_rig import Framed, Ring, bodies, by_hand
from tickwire.spec.records import RECORD_SIZE, FrameOrigin, RecordType

LONG = bytes(range(1, 46))                     # 45 octets: a record of 40 and one of 5
HAND = (
    # timestamp 0x0102030405060708      origin SENT, FIRST, 40 octets, zero; place 0; zero
    "0807060504030201" "02" "01" "28" "00" "0000" "0000"
    "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728"
    # number 1, type 0x24, epoch 7, credit 0
    "01000000" "24" "07" "0000",
    # LAST and DAMAGED, 5 octets, place 40; 35 octets of zero
    "0807060504030201" "02" "06" "05" "00" "2800" "0000"
    "292a2b2c2d" + "00" * 35 + "02000000" "24" "07" "0000")


def test_a_frame_is_the_records_written_by_hand():
    ring = Ring(epoch=7)
    assert ring.write(Framed(LONG, FrameOrigin.SENT, 0x0102030405060708, True)) == 2
    assert ring.octets()[:2 * RECORD_SIZE].hex() == "".join(HAND)


@pytest.mark.parametrize("size", [1, 39, 40, 41, 60, 79, 80, 81, 1_514, 16_384])
def test_sizes_at_the_edges_of_a_record(size):
    frame = Framed(bytes(number % 251 for number in range(size)), FrameOrigin.RECEIVED, 5)
    assert bodies(frame) == by_hand(frame)
    assert len(bodies(frame)) == -(-size // 40)


@given(st.binary(min_size=0, max_size=200), st.sampled_from(list(FrameOrigin)),
       st.integers(0, (1 << 63) - 1), st.booleans())
def test_any_frame(octets, origin, stamp, is_damaged):
    frame = Framed(octets, origin, stamp, is_damaged)
    assert bodies(frame) == by_hand(frame)


def test_what_a_slot_held_before_does_not_show():
    ring = Ring(log2=6)
    for _ in range(1 << 6):
        ring.commit(RecordType.TIME, b"\xff" * 56)
    frame = Framed(b"\x01", FrameOrigin.HOST)
    assert ring.write(frame) == 1
    assert ring.octets()[:56] == by_hand(frame)[0]
