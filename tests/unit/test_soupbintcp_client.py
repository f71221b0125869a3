"""The order session of the device against a scripted venue on a socket pair.

The venue's octets are written by hand from the SoupBinTCP 3.00 and OUCH 5.0 documents and cut
anywhere; time is an input. Whatever breaks the stream must take the session down, once, and with
it the right to send orders.
"""

import socket
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.order_rig import DOLLAR, Rig
from tickwire.kernels import engine_session
from tickwire.kernels.arena import Arena
from tickwire.kernels.engine_session import INPUT, OUTPUT, SESSION
from tickwire.spec.counters import CounterIndex
from tickwire.spec.orders import RESERVED_RECORDS
from tickwire.spec.records import RecordType
from tickwire.spec.registers import KillCause

SECOND = 1_000_000_000
BID = 100 * DOLLAR


def packet(kind, payload=b""):
    return struct.pack(">Hc", 1 + len(payload), kind) + payload


def sequenced(message):
    return packet(b"S", message)


def accepted(token, quantity=100, price=BID):
    return sequenced(struct.pack(
        ">cQIcI8sQccQcccc14sH", b"A", 1, token, b"B", quantity, b"AAPL    ", price, b"0", b"Y", 7,
        b"P", b"N", b"N", b"L", bytes(14), 0))


def executed(token, quantity, price=BID):
    return sequenced(struct.pack(">cQIIQcQH", b"E", 2, token, quantity, price, b"A", 9, 0))


def next_number(token):
    return sequenced(struct.pack(">cQI", b"Q", 3, token))


class Line:
    """A session that the loop has, and the venue's end of it."""

    def __init__(self, *, is_up=True, rig=None, now=0):
        self.rig = rig or Rig()
        self.venue, self.near = socket.socketpair()
        for end in (self.venue, self.near):
            end.setblocking(False)
        arena = self.arena = Arena()
        self.address = arena.take("session", SESSION.itemsize)
        s = self.session = arena.view("session", SESSION)[0]
        s["socket"] = self.near.fileno()
        s["up"] = self.rig.path.sessions
        s["input"], s["output"] = arena.take("input", INPUT), arena.take("output", OUTPUT)
        s["settle"] = arena.take("settle", 64)
        s["sequence"] = 1
        s["awaited"] = not is_up
        s["heartbeat_ns"], s["timeout_ns"] = SECOND, 15 * SECOND
        s["sent_at"] = s["received_at"] = now
        s["counters"] = self.rig.path.counters
        self.rig.up[0] = is_up

    def say(self, octets, now=0):
        """Let the venue say ``octets``; the loop looks once."""
        if octets:
            self.venue.sendall(octets)
        return engine_session.receive(self.address, self.rig.address, now)

    def heard(self):
        """Octets that came to the venue."""
        try:
            return self.venue.recv(1 << 20)
        except BlockingIOError:
            return b""

    def transmit(self, octets, now=0):
        self.kept = np.frombuffer(octets, np.uint8).copy()
        engine_session.transmit(self.address, self.kept.ctypes.data, len(octets), now)

    @property
    def is_held(self):
        return int(self.session["socket"]) >= 0

    def count(self, name):
        return int(self.rig.counters[CounterIndex[name]])

    def assert_down(self):
        assert not self.is_held and self.rig.up[0] == 0
        assert self.count("SESSION_DROPS") == 1
        assert [check for check in range(32) if self.rig.rejected()["checks"] >> check & 1] == [13]


@pytest.fixture
def line():
    made = Line()
    yield made
    made.venue.close()
    made.near.close()


def test_answers_are_settled_and_counted(line):
    line.rig.new()
    line.say(accepted(1) + packet(b"H") + executed(1, 40) + packet(b"+", b"hello"))
    kinds = [kind for kind, _ in line.rig.records()]
    assert kinds == [RecordType.ORDER_SENT, RecordType.ORDER_ACCEPTED, RecordType.ORDER_FILLED]
    assert int(line.session["sequence"]) == 3 and line.count("SESSION_MESSAGES") == 2
    assert int(line.rig.path.exposures[0]["position"]) == 40


@pytest.mark.parametrize("kind", [b"U", b"+"])
@pytest.mark.parametrize("payload", [b"", b"?", executed(1, 40)[3:], bytes(0xFFFE)],
                         ids=["empty", "short", "answer", "longest"])
def test_what_the_venue_says_outside_of_the_sequence_is_passed_over(line, kind, payload):
    line.rig.new()
    said = accepted(1) + packet(kind, payload) + executed(1, 10)
    while said:                                # the longest packet is more than a socket takes
        line.say(said[:1 << 14])
        said = said[1 << 14:]
    assert line.is_held and line.rig.up[0] == 1 and line.rig.path.killed == 0
    assert int(line.rig.path.exposures[0]["position"]) == 10
    assert int(line.session["sequence"]) == 3 and line.count("SESSION_MESSAGES") == 2
    assert line.count("SESSION_MALFORMED") == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_a_stream_cut_anywhere_means_the_same(cuts):
    line = Line()
    line.rig.new(quantity=1_000)
    stream = accepted(1, 1_000) + packet(b"H") + packet(b"+", bytes(300)) + b"".join(
        executed(1, 1 + index) for index in range(10))
    for cut in cuts:
        line.say(stream[:cut])
        stream = stream[cut:]
    line.say(stream)
    assert int(line.rig.path.exposures[0]["position"]) == 55
    assert int(line.session["sequence"]) == 12 and line.is_held
    assert int(line.session["input_octets"]) == 0
    line.venue.close()
    line.near.close()


@pytest.mark.parametrize("octets", [
    b"\x00\x00", packet(b"A", bytes(30)), packet(b"J", b"A"), packet(b"L", bytes(46)),
    packet(b"x"), packet(b"\x00")])
def test_a_packet_that_has_no_place_here_takes_the_session_down(line, octets):
    line.say(octets + b"\x00")
    assert line.count("SESSION_MALFORMED") == 1
    line.assert_down()


@pytest.mark.parametrize("message", [
    b"", b"E", executed(1, 1)[3:-1], executed(1, 1)[3:] + b"\x00", b"?" + bytes(35),
    executed(1, 1, 1 << 32)[3:]])
def test_an_answer_that_can_not_be_read_kills(line, message):
    line.say(sequenced(message))
    assert line.rig.path.killed == KillCause.SETTLEMENT
    assert line.count("SESSION_MALFORMED") == 1 and int(line.session["sequence"]) == 2


def test_the_end_of_the_session_takes_it_down_for_good(line):
    line.say(packet(b"Z"))
    line.assert_down()
    assert int(line.session["ended"]) == 1


def test_a_closed_connection_takes_the_session_down(line):
    line.venue.close()
    line.say(b"")
    line.assert_down()


def test_what_came_before_the_end_is_settled(line):
    line.rig.new()
    line.venue.sendall(accepted(1) + executed(1, 100))
    line.venue.close()
    line.say(b"")
    line.say(b"")
    assert int(line.rig.path.exposures[0]["position"]) == 100
    line.rig.records()
    line.assert_down()


def test_an_idle_session_sends_a_heartbeat_after_a_second_and_not_before(line):
    engine_session.pulse(line.address, SECOND)
    assert line.heard() == b""
    engine_session.pulse(line.address, SECOND + 1)
    assert line.heard() == packet(b"R") and line.count("HEARTBEATS_SENT") == 1
    engine_session.pulse(line.address, 2 * SECOND)
    assert line.heard() == b""
    line.transmit(packet(b"U", b"x"), 2 * SECOND)
    engine_session.pulse(line.address, 3 * SECOND)
    assert line.heard() == packet(b"U", b"x"), "an order is as good as a heartbeat"


def test_a_venue_silent_for_fifteen_seconds_takes_the_session_down(line):
    line.session["received_at"] = 5 * SECOND
    engine_session.pulse(line.address, 20 * SECOND)
    assert line.is_held
    engine_session.pulse(line.address, 20 * SECOND + 1)
    line.assert_down()


def test_any_packet_of_the_venue_ends_its_silence(line):
    line.session["received_at"] = -SECOND
    line.say(packet(b"H"), 5 * SECOND)
    assert int(line.session["received_at"]) >= 5 * SECOND


def test_what_a_full_socket_does_not_take_waits_in_order(line):
    line.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    sent = b""
    while int(line.session["output_octets"]) == 0:
        part = packet(b"U", len(sent).to_bytes(4, "big") * 250)
        line.transmit(part)
        sent += part
    for _ in range(5):
        part = packet(b"U", len(sent).to_bytes(4, "big"))
        line.transmit(part)
        sent += part
    heard = b""
    while len(heard) < len(sent):
        heard += line.heard()
        line.say(b"")
    assert heard == sent and line.is_held and int(line.session["output_octets"]) == 0


def test_a_venue_that_does_not_read_takes_the_session_down(line):
    line.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    for _ in range(10_000):
        if not line.is_held:
            break
        line.transmit(packet(b"U", bytes(1_000)))
    line.assert_down()


def test_answers_wait_in_the_socket_while_the_order_ring_is_full():
    line = Line(rig=Rig(ring_log2=6))
    line.rig.new(quantity=1_000)
    line.venue.sendall(accepted(1, 1_000) + b"".join(executed(1, 1) for _ in range(200)))
    for _ in range(10):
        line.say(b"")
    ring = line.rig.path.ring
    assert int(ring["written"]) - int(line.rig.consumed[0]) <= 64 - RESERVED_RECORDS
    for _ in range(100):
        line.rig.records()
        line.say(b"")
    assert int(line.rig.path.exposures[0]["position"]) == 200
    assert line.count("RECORDS_DROPPED") == 0 and line.is_held


def test_a_session_comes_up_with_the_venues_next_number_and_not_before():
    line = Line(is_up=False)
    line.rig.up[0] = 1
    line.rig.new()                              # of an earlier connection, and lost with it
    line.rig.records()
    line.rig.up[0] = 0
    line.say(packet(b"H"))
    assert line.rig.up[0] == 0
    line.say(next_number(1))
    for _ in range(2):
        line.say(b"")
    assert line.rig.up[0] == 1 and line.count("ORDERS_LOST") == 1
    assert int(line.rig.path.gate["open_orders"]) == 0
    line.rig.records()
    line.rig.new()
    assert line.rig.last()[1]["token"] == 2


def test_numbers_that_the_venue_has_seen_are_not_used_again():
    line = Line(is_up=False)
    line.say(next_number(5_000))
    for _ in range(2):
        line.say(b"")
    line.rig.new()
    assert line.rig.last()[1]["token"] == 5_000


def test_a_broken_trade_is_counted_and_moves_nothing(line):
    before = line.rig.snapshot()
    line.say(sequenced(struct.pack(">cQIQc14s", b"B", 1, 1, 9, b"E", bytes(14))))
    assert line.count("BROKEN_TRADES") == 1 and line.rig.snapshot() == before
