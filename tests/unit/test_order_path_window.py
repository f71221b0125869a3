"""The intent window and what is refused before the risk gate is asked.

Intents are sealed by the test's own CRC, and made wrong one bit, one field, one lap at a time; a
refused one may change nothing but the window.
"""

import numpy as np
import pytest

from tests.order_rig import (
    DOLLAR,
    GENEROUS_FIRM,
    LOCATES,
    UNWATCHED,
    Rig,
    crc32c,
    pack_intent,
    sealed,
)
from tickwire.device.order_memory import OrderMemory
from tickwire.kernels import order_path
from tickwire.spec.intents import IntentError, IntentFlag, Operation
from tickwire.spec.orders import ANSWER_RECORDS, RESERVED_RECORDS
from tickwire.spec.records import RecordType
from tickwire.spec.registers import KillCause

BID = 100 * DOLLAR


@pytest.fixture
def rig():
    return Rig()


class Window:
    """The host's side of the intent window."""

    def __init__(self, rig):
        self.rig = rig
        self.slots = rig.path.arena.view("window")
        self.sequence = 0

    def write(self, octets, sequence=None, epoch=None):
        self.sequence += sequence is None
        number = self.sequence if sequence is None else sequence
        octets = sealed(octets, int(self.rig.path.context["epoch"]) if epoch is None else epoch,
                        number)
        start = 64 * ((self.sequence - (sequence is None)) % 64)
        self.slots[start:start + 64] = list(octets)

    def take(self, now=0):
        """Execute what is ready; return the octets sent."""
        sent = b""
        while intent := order_path.ready(self.rig.address, now):
            size = order_path.execute(self.rig.address, intent, now)
            assert size >= 0
            sent += self.rig.leave(size, now)
        return sent


def test_the_window_is_taken_in_sequence_over_many_laps(rig):
    window = Window(rig)
    for number in range(200):
        assert window.take() == b""
        window.write(pack_intent(price=BID, quantity=1, intent_id=number))
        assert window.take()
        record = rig.last()[1]
        assert record["intent_id"] == number and record["credit"] == number + 1
    assert rig.count("INTENTS") == 200


def test_intents_written_ahead_are_all_taken(rig):
    window = Window(rig)
    for number in range(64):
        window.write(pack_intent(price=BID, quantity=1, intent_id=number))
    assert len(window.take()) == 64 * 50
    assert [record["intent_id"] for _, record in rig.records()] == list(range(64))


def test_an_intent_with_a_wrong_sequence_is_reported_once_and_does_not_block(rig):
    window = Window(rig)
    window.write(pack_intent(price=BID, quantity=1), sequence=9)
    for _ in range(3):
        assert window.take(7) == b""
    kind, record = rig.last()
    assert kind == RecordType.INTENT_ERROR
    assert (record["error"], record["expected"], record["received"], record["slot"]) == (
        IntentError.SEQUENCE, 1, 9, 8)
    window.write(pack_intent(price=BID, quantity=1))
    assert window.take()


def test_the_sequence_wraps_at_32_bits():
    rig = Rig()
    rig.path.context["expected"] = (1 << 32) - 2
    for _ in range(4):
        rig.send()
    assert int(rig.path.context["expected"]) == (1 << 32) + 2


def test_nothing_is_taken_while_the_order_ring_lacks_room():
    rig = Rig(ring_log2=6)
    window = Window(rig)
    for _ in range(63):
        window.write(pack_intent(price=BID, quantity=1))
    window.take()
    taken = int(rig.path.ring["written"]) - int(rig.consumed[0])
    assert taken == 64 - RESERVED_RECORDS - ANSWER_RECORDS + 1
    assert order_path.execute(
        rig.address, int(rig.path.context["window"]), 0) == order_path.NO_ROOM
    before = rig.snapshot()
    assert order_path.ready(rig.address, 0) == 0 and rig.snapshot() == before
    while int(rig.path.context["expected"]) <= 63:
        rig.records()                           # the host reads
        window.take()
    assert rig.count("INTENTS") == 63 and rig.count("RECORDS_DROPPED") == 0


def test_kills_have_room_when_intents_have_none():
    rig = Rig(ring_log2=6)
    while order_path.execute(rig.address, rig.put(sealed(
            pack_intent(operation=255), 2, int(rig.path.context["expected"]))), 0) == 0:
        pass
    for cause in KillCause:
        order_path.kill(rig.address, cause, 1)
    kinds = [kind for kind, _ in rig.records()]
    assert kinds.count(RecordType.KILL) == len(KillCause)
    assert rig.count("RECORDS_DROPPED") == 0


def test_what_the_host_seals_is_what_the_device_takes(rig):
    intent = np.frombuffer(pack_intent(price=BID, quantity=5, intent_id=3), np.uint8).copy()
    order_path.seal(intent.ctypes.data, 2, 1)
    assert intent.tobytes() == sealed(pack_intent(price=BID, quantity=5, intent_id=3), 2, 1)
    assert rig.execute(intent.tobytes(), seal=False)


def test_any_single_wrong_bit_is_refused_and_changes_nothing(rig):
    octets = sealed(pack_intent(price=BID, quantity=100, intent_id=1), 2, 1)
    for bit in range(512):
        wrong = bytearray(octets)
        wrong[bit // 8] ^= 1 << bit % 8
        rig.path.context["expected"] = 1
        before = rig.snapshot()
        assert rig.execute(bytes(wrong), seal=False) == b""
        kind, record = rig.last()
        assert kind == RecordType.INTENT_ERROR
        if bit >= 480:
            assert record["error"] == IntentError.SEQUENCE
        else:
            assert record["error"] == IntentError.CRC
            if bit < 416:
                right = crc32c(bytes(wrong[:52] + wrong[56:]))
                assert (record["expected"], record["received"]) == (right, int.from_bytes(
                    wrong[52:56], "little"))
        assert rig.snapshot() == before


def test_a_refused_intent_is_consumed_unless_its_sequence_is_wrong(rig):
    for octets, step in ((sealed(pack_intent(), 2, 1)[:52] + bytes(4)
                          + sealed(pack_intent(), 2, 1)[56:], 1),
                         (sealed(pack_intent(), 1, 2), 1), (sealed(pack_intent(), 2, 4), 0)):
        before = int(rig.path.context["expected"])
        rig.execute(octets, seal=False)
        assert int(rig.path.context["expected"]) == before + step
    assert [record["error"] for _, record in rig.records()] == [
        IntentError.CRC, IntentError.EPOCH, IntentError.SEQUENCE]


def test_too_many_faulty_intents_kill():
    rig = Rig()
    rig.set_firm(**GENEROUS_FIRM | {"intent_errors_max": 2})
    rig.path.commit(0)
    rig.records()
    for _ in range(2):
        rig.execute(sealed(pack_intent(), 77, int(rig.path.context["expected"])), seal=False)
    assert not rig.path.killed
    rig.execute(sealed(pack_intent(), 77, 99), 5, seal=False)
    assert rig.path.killed == KillCause.INTENT_ERRORS
    assert [kind for kind, _ in rig.records()][-2:] == [RecordType.INTENT_ERROR, RecordType.KILL]
    rig.path.arm(6)
    rig.records()
    assert rig.send()
    rig.execute(sealed(pack_intent(), 77, 0), seal=False)
    assert not rig.path.killed, "arming starts the count again"


@pytest.mark.parametrize("operation", [7, 8, 15, 21, 255])
def test_unknown_operations_are_refused(rig, operation):
    rig.refused(IntentError.OPERATION, 0, operation, operation=operation, intent_id=4)


def test_an_instrument_is_found_by_its_newest_locate_alone(rig):
    before, now = LOCATES[0], UNWATCHED
    rig.name(now, 0)
    rig.refused(IntentError.UNKNOWN_INSTRUMENT, 0, before, locate=before)
    assert rig.send(locate=now)
    rig.name(now, None)
    rig.refused(IntentError.UNKNOWN_INSTRUMENT, 0, now, locate=now)


def test_unknown_sessions_instruments_orders_and_flags_are_refused(rig):
    rig.refused(IntentError.UNKNOWN_SESSION, 2, 2, session=2)
    rig.refused(IntentError.UNKNOWN_SESSION, 2, 0xFFFF, session=0xFFFF)
    rig.refused(IntentError.UNKNOWN_INSTRUMENT, 0, UNWATCHED, locate=UNWATCHED)
    rig.refused(IntentError.UNKNOWN_INSTRUMENT, 0, 0, locate=0)
    rig.refused(IntentError.UNKNOWN_INSTRUMENT, 0, 9, operation=Operation.MASS_CANCEL, locate=9)
    rig.refused(IntentError.FLAGS, 15, IntentFlag.SHORT, flags=IntentFlag.SHORT)
    rig.refused(IntentError.FLAGS, 15, 16, flags=16)
    for operation in (Operation.CANCEL, Operation.REPLACE):
        for token in (0, 1, 0xFFFF_FFFF):
            rig.refused(IntentError.UNKNOWN_ORDER, 0, token, operation=operation, token=token)
    token = rig.send()
    rig.refused(IntentError.FLAGS, 15, 128, operation=Operation.REPLACE, token=token, flags=128)
    rig.answer(Operation.SETTLE_CANCELED, token, quantity=100)
    for operation in (Operation.CANCEL, Operation.REPLACE):
        rig.refused(IntentError.UNKNOWN_ORDER, 0, token, operation=operation, token=token)


@pytest.mark.parametrize("operation", [Operation.NEW, Operation.REPLACE])
def test_a_decision_is_stale_beyond_its_time_to_live(rig, operation):
    token = rig.send()
    fields = {"operation": operation, "token": token, "timestamp": 1_000, "ttl_ns": 500}
    before = rig.snapshot()
    for now, age in ((1_501, 501), (499, 501), (1 << 62, 0xFFFF_FFFF)):
        assert rig.new(now, **fields) == b""
        record = rig.last()[1]
        assert (record["error"], record["expected"], record["received"]) == (
            IntentError.STALE, 500, age)
    assert rig.snapshot() == before
    assert rig.new(1_500, **fields)
    assert rig.new(10**15, operation=Operation.CANCEL, token=token, timestamp=1_000, ttl_ns=500)


@pytest.mark.parametrize("timestamp", [1 << 63, (1 << 64) - 1])
def test_an_absurd_time_stamp_is_stale(rig, timestamp):
    assert rig.new(5_000_000_000, timestamp=timestamp, ttl_ns=0xFFFF_FFFF) == b""
    assert rig.last()[1]["error"] == IntentError.STALE


@pytest.mark.parametrize("seen, now, most, is_refused", [
    (10, 12, 2, False), (10, 13, 2, True), (10, 13, 0, False), (10, 9, 5, True),
    (0xFFFF_FFFF, 1, 2, False), (0xFFFF_FFFF, 2, 2, True), (7, 7, 1, False)])
def test_a_decision_on_an_old_book_is_refused(rig, seen, now, most, is_refused):
    rig.book(version=now)
    fields = {"book_version": seen, "max_version_lag": most}
    if is_refused:
        rig.refused(IntentError.BOOK_VERSION, now, seen, **fields)
    else:
        assert rig.send(**fields)


def test_one_replace_at_a_time(rig):
    token = rig.send()
    assert rig.new(operation=Operation.REPLACE, token=token)
    second = rig.last()[1]["token"]
    for name in (token, second):
        rig.refused(IntentError.REPLACE_PENDING, 0, name, operation=Operation.REPLACE, token=name)
    rig.answer(Operation.SETTLE_REPLACED, second, previous_token=token, quantity=100, price=BID)
    rig.refused(IntentError.UNKNOWN_ORDER, 0, token, operation=Operation.REPLACE, token=token)
    assert rig.new(operation=Operation.REPLACE, token=second)


@pytest.mark.parametrize("options, words", [
    ({"orders_log2": 3}, "orders_log2 must be 4 to 24, not 3"),
    ({"ring_log2": 5}, "ring_log2 must be 6 to 20, not 5"),
    ({"capacity": "X"}, "capacity must be one of A P R O, not 'X'")])
def test_memory_refuses_sizes_that_can_not_work(rig, options, words):
    with pytest.raises(ValueError, match=words):
        OrderMemory(rig.book_side, **options)
