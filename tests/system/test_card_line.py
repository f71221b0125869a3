"""A card's order line is the host's too: its frames leave there, and every frame there comes up.

Method: the compiled card behind the driver, with a capture ring; what leaves and what comes in is
in the test's hands, octet for octet. A card of software shares no line, and says so.
"""

import os

import numpy as np
import pytest

from tests.frame_rig import Position
from tests.system.conformance import (
    DOLLAR,
    ENDS,
    FACTORIES,
    GEOMETRY,
    LOCATES,
    MACS,
    SYMBOLS,
    TOKEN_LOG2,
    accepted,
    verilated,
)
from tickwire.device.card_network import CardSession
from tickwire.device.pcie import PCIeDevice
from tickwire.errors import TickwireError
from tickwire.kernels.frame import SESSION, heartbeat
from tickwire.orders.template import template
from tickwire.spec.intents import Operation
from tickwire.spec.network import FRAME_SIZE_MAX
from tickwire.spec.records import FrameOrigin, RecordType
from tickwire.spec.registers import BAR_REGISTERS, FRAME_TO_ORDERS, RegisterOffset
from tickwire.spec.sessions import HEADERS_SIZE
from tickwire_sim.soft_card import LoopTransport
from tickwire_sim.verilated import _words

CAPTURE_LOG2 = 12
RECEIVED, SENT, HOST = FrameOrigin
SIZES = (1, 8, 39, 40, 41, 60, 80, 81, 1_514)
FIRST = Position(sequence=1, acknowledgment=1, window=0xFFFF)
long = pytest.mark.long                        # the card's gateware


@pytest.fixture
def bench():
    """A card that trades, its capture ring read so far."""
    with verilated(f"test-{os.getpid()}", capture_log2=CAPTURE_LOG2) as made:
        made.make_ready()
        made.capture = made.device.capture_reader()
        yield made


def noise(size, seed=1):
    return np.random.default_rng(seed).bytes(size)


def came(bench):
    """Frames that came up since the last call; nothing is ever lost here."""
    found = []
    while (frame := bench.capture.take()) is not None:
        found.append(frame)
    assert bench.capture.lost == 0
    assert bench.device.read_register("RING_CAPTURE_DROPS") == 0
    return found


def beat(position):
    """Frame of a heartbeat of session 0, by the kernel."""
    session = np.zeros(1, SESSION)
    session["template"] = np.frombuffer(template(*ENDS, *MACS), np.uint8)
    for name in ("sequence", "acknowledgment", "window"):
        session[name] = getattr(position, name)
    payload, octets = np.zeros(64, np.uint8), np.zeros(128, np.uint8)
    size = heartbeat(session.ctypes.data, payload.ctypes.data, octets.ctypes.data)
    return octets[:size].tobytes()


def numbers_of(frame):
    """Sequence and acknowledgment number and window of a frame."""
    return (int.from_bytes(frame[38:42], "big"), int.from_bytes(frame[42:46], "big"),
            int.from_bytes(frame[48:50], "big"))


@long
def test_a_frame_of_the_host_leaves_as_it_was_given_and_comes_up_as_its_own(bench):
    for size in (*SIZES, FRAME_SIZE_MAX):
        bench.device.give_frame(noise(size), to_orders=True)
        bench.turn()
    assert bench.slot.sent_frames == [noise(size) for size in (*SIZES, FRAME_SIZE_MAX)]
    assert [(origin, octets, damaged) for origin, _, octets, damaged in came(bench)] == [
        (HOST, frame, False) for frame in bench.slot.sent_frames]


@long
def test_a_frame_that_is_received_comes_up_with_its_time_and_what_its_check_said(bench):
    before = bench.device.read_register("TIME_NOW")
    for number, size in enumerate(SIZES):
        bench.slot.give_order_frame(noise(size), is_damaged=number % 3 == 1)
    found = came(bench)
    assert [(origin, octets, damaged) for origin, _, octets, damaged in found] == [
        (RECEIVED, noise(size), number % 3 == 1) for number, size in enumerate(SIZES)]
    stamps = [before, *(stamp for _, stamp, _, _ in found),
              bench.device.read_register("TIME_NOW")]
    assert sorted(stamps) == stamps and len(set(stamps)) == len(stamps)
    assert bench.slot.sent_frames == [] and bench.records() == [] and bench.answers() == []


@long
def test_an_order_comes_up_as_it_left_before_anything_that_is_received_later(bench):
    [message] = bench.order()
    bench.slot.give_order_frame(noise(60))
    bench.slot.give_order_frame(noise(61))
    (left,), found = bench.slot.sent_frames, came(bench)
    assert left[HEADERS_SIZE:] == b"\x00" + bytes([1 + len(message)]) + b"U" + message
    assert numbers_of(left) == (1, 1, 0xFFFF)
    assert [(origin, octets) for origin, _, octets, _ in found] == [
        (SENT, left), (RECEIVED, noise(60)), (RECEIVED, noise(61))]
    [sent] = [record for kind, record in bench.answers() if kind == RecordType.ORDER_SENT]
    assert sent["timestamp"] == found[0][1]        # both are of its first word


@long
def test_both_directions_at_line_rate_lose_nothing(bench):
    # Frames come without any pause while the longest one of the host leaves, and two orders.
    bench.device.give_frame(noise(FRAME_SIZE_MAX), to_orders=True)
    bench.turn()
    rows = bench.slot.rows(2 * _words(bytes(FRAME_SIZE_MAX)))
    frames, at = [], 0
    while at + 200 < len(rows):
        frames.append(noise((72, 41, 1_514, 60, 64)[len(frames) % 5], len(frames)))
        bench.slot._put(rows[at:at + _words(frames[-1])], "order_words__", frames[-1])
        at += _words(frames[-1])
    given = rows[40:41]
    given["request__valid"] = 1
    bench.slot.model.put(
        given, "request__payload", bar=BAR_REGISTERS, address=RegisterOffset.FRAME_SEND // 4,
        count=1, enables=0xF, data=np.array([[FRAME_SIZE_MAX | FRAME_TO_ORDERS, *[0] * 7]]))
    for number in range(2):
        bench.device.push_intent({
            "timestamp": 1, "intent_id": number, "operation": Operation.NEW,
            "locate": LOCATES["AAA"], "price": 100 * DOLLAR, "quantity": 100})
    bench.slot.run(rows)
    bench.turn()
    found = came(bench)
    assert [octets for origin, _, octets, _ in found if origin == RECEIVED] == frames
    assert [octets for origin, _, octets, _ in found if origin == HOST] == [
        noise(FRAME_SIZE_MAX)] * 2
    orders = [octets for origin, _, octets, _ in found if origin == SENT]
    assert len(orders) == 2
    assert sorted(bench.slot.sent_frames) == sorted([*orders, *[noise(FRAME_SIZE_MAX)] * 2])


@long
def test_a_market_frame_of_the_host_does_not_leave(bench):
    bench.device.give_frame(noise(100))
    bench.turn()
    assert bench.slot.sent_frames == [] and came(bench) == []


@long
def test_a_heartbeat_leaves_and_the_next_order_follows_it(bench):
    bench.device.send_heartbeat(0)
    bench.turn()
    bench.slot.sent.clear()                        # ``heard`` awaits orders alone
    [message] = bench.order()
    first, order = bench.slot.sent_frames
    assert first == beat(FIRST) and numbers_of(order) == (4, 1, 0xFFFF)
    assert order[HEADERS_SIZE + 3:] == message
    bench.device.move_session(0, 1_000, 77)
    bench.device.kill()
    bench.device.send_heartbeat(0)
    for session in (1, 7):
        bench.device.send_heartbeat(session)       # nobody leased them
    bench.turn()
    sequence = 4 + len(order) - HEADERS_SIZE
    assert bench.slot.sent_frames[2:] == [beat(Position(sequence, 1_000, 77))]
    assert [(origin, octets) for origin, _, octets, _ in came(bench)] == [
        (SENT, frame) for frame in bench.slot.sent_frames]


@long
def test_a_session_is_taken_back_and_leased_anew_while_the_card_runs(bench):
    bench.device.release_session(0)
    assert bench.order() == []
    assert [kind for kind, _ in bench.answers()][-1] == RecordType.ORDER_REJECTED
    bench.device.send_heartbeat(0)
    bench.turn()
    assert bench.slot.sent_frames == [] and came(bench) == []
    CardSession(template=template(*ENDS, *MACS), sequence=0xFFFF_FFFE, acknowledgment=5,
                window=6).write(bench.device, 0)
    bench.device.send_heartbeat(0)
    bench.turn()
    bench.slot.sent.clear()
    assert len(bench.order()) == 1
    assert bench.slot.sent_frames[0] == beat(Position(0xFFFF_FFFE, 5, 6))
    assert numbers_of(bench.slot.sent_frames[1]) == (1, 5, 6)
    with pytest.raises(ValueError, match="order sessions 0 to 7, not 8"):
        bench.device.send_heartbeat(8)


@long
def test_without_a_capture_ring_all_else_is_the_same():
    left, records = [], []
    for log2 in (0, CAPTURE_LOG2):
        with verilated(f"test-{os.getpid()}-{log2}", capture_log2=log2) as bench:
            bench.make_ready()
            bench.device.give_frame(noise(99), to_orders=True)
            bench.slot.give_order_frame(noise(1_514))
            bench.slot.sent.clear()
            bench.order()
            bench.say(accepted(1))
            bench.turn()
            left.append(list(bench.slot.sent_frames))
            records.append([(kind, {name: value for name, value in record.items()
                                    if "time" not in name and name not in (
                                        "latency_ns", "epoch", "credit")})
                            for kind, record in bench.answers()])
            assert bool(bench.device.read_register("RING_CAPTURE_SEQUENCE")) == bool(log2)
            assert bench.device.read_register("RING_CAPTURE_DROPS") == 0
            if not log2:
                with pytest.raises(TickwireError, match="opened without a capture ring"):
                    bench.device.capture_reader()
    assert left[0] == left[1] and len(left[0]) == 2
    assert records[0] == records[1] and len(records[0]) >= 2


@long
@pytest.mark.parametrize("size", [0, FRAME_SIZE_MAX + 1])
def test_a_frame_that_would_hold_the_line_for_too_long_is_refused(bench, size):
    with pytest.raises(TickwireError, match=f"1 to 9,022 octets of the host, not of {size:,}"):
        bench.device.give_frame(bytes(size), to_orders=True)


def test_a_card_that_does_not_share_its_order_line_says_so():
    with FACTORIES["pcie"](f"test-{os.getpid()}") as bench, \
            pytest.raises(TickwireError, match="does not share its order line"):
        bench.device.give_frame(bytes(60), to_orders=True)
    slot = LoopTransport("captureless", GEOMETRY, SYMBOLS, token_log2=TOKEN_LOG2)
    with pytest.raises(TickwireError, match="does not share its order line"):
        PCIeDevice(slot, symbols=tuple(SYMBOLS), is_huge=False, capture_log2=8)


def test_a_capture_ring_has_a_size_that_rings_have():
    slot = LoopTransport("captureless", GEOMETRY, SYMBOLS, token_log2=TOKEN_LOG2)
    with pytest.raises(TickwireError, match="not 2\\^5: choose another size of the capture ring"):
        PCIeDevice(slot, symbols=tuple(SYMBOLS), is_huge=False, capture_log2=5)
