"""The digest of records depends on every octet that counts, on their order, and on nothing else.

Method: compared with the digest written a second time, on drawn records; then single octets
change, and records change places.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import itch, records
from tests.reference.device import Device
from tests.reference.digest import stream_digest
from tickwire.kernels import digest
from tickwire.spec.geometry import Geometry
from tickwire.spec.records import RECORDS, RecordType

MARKET_TYPES = (records.BBO, records.LEVEL, records.TRADE, records.STATUS, records.IMBALANCE,
                records.DIRECTORY)
MASKS = digest.masks()


def digest_of(found: np.ndarray, start: int = digest.DIGEST_EMPTY) -> int:
    found = np.ascontiguousarray(found)
    return digest.fold_all(start, found.ctypes.data, len(found), MASKS.ctypes.data) & (1 << 64) - 1


def drawn(seed: int, count: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    found = generator.integers(0, 256, (count, 64)).astype(np.uint8)
    found[:, 60] = generator.choice(MARKET_TYPES, count)
    return found


@given(st.integers(0, 2**32 - 1), st.integers(0, 20), st.integers(0, 20))
def test_it_is_what_the_description_says_however_the_stream_is_cut(seed, count, cut):
    found = drawn(seed, count)
    expected = stream_digest(found)
    assert digest_of(found) == expected
    cut = min(cut, count)
    half = digest.fold_all(0, found[:cut].ctypes.data, cut, MASKS.ctypes.data)
    assert digest_of(found[cut:], half) == expected


@pytest.mark.parametrize("kind", MARKET_TYPES)
def test_it_depends_on_every_octet_that_is_not_volatile_and_on_no_other(kind):
    found = drawn(kind, 3)
    found[1, 60] = kind
    before = digest_of(found)
    mask = records.compared(kind)
    for octet in range(64):
        if octet == 60:
            continue                        # another type has another mask
        for bit in (0, 7):
            changed = found.copy()
            changed[1, octet] ^= 1 << bit
            assert (digest_of(changed) != before) == bool(mask[octet]), octet


def test_it_depends_on_the_order_and_the_number_of_records():
    found = drawn(1, 4)
    orders = {digest_of(found[list(order)]) for order in ((0, 1, 2, 3), (1, 0, 2, 3), (3, 1, 2, 0),
                                                          (0, 1, 2), (0, 1, 2, 3, 3), ())}
    assert len(orders) == 6 and 0 in orders


def test_masks_follow_the_tables_for_every_type():
    table = MASKS.view(np.uint8)
    for kind, message in RECORDS.items():
        for field, offset in message.placed():
            part = table[kind, offset:offset + field.size]
            assert set(part.tolist()) == ({0} if field.volatile else {255})
    assert set(table[0].tolist()) == {255}             # a type that nobody declared counts whole


def test_a_time_stamp_does_not_count_but_a_price_does():
    def one(stamp: int, price: int) -> int:
        device = Device(Geometry(instruments=2, orders_log2=4, levels_log2=4, window_words=4))
        return digest_of(device.feed([itch.add(1, 1, b"B", 1, price, stamp)]))
    assert one(1, 100) == one(2, 100) != one(1, 200)


def test_the_types_above_are_those_of_the_table():
    assert [RecordType(kind).name for kind in MARKET_TYPES] == [
        "BBO", "LEVEL", "TRADE", "STATUS", "IMBALANCE", "DIRECTORY"]
