"""A card's order session at its host, against a scripted venue on a socket pair.

The venue's octets are written by hand from the SoupBinTCP 3.00 and OUCH 5.0 documents and cut
anywhere; time is an input.
"""

import itertools
import os
import socket
import struct
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.system.conformance import DOLLAR, LOCATES, accepted, software
from tickwire.device.order_connection import OrderConnection
from tickwire.device.session_keeper import SessionKeeper
from tickwire.engine import Engine
from tickwire.spec.intents import SETTLE, Operation
from tickwire.spec.wire import decode

SECOND = 1_000_000_000
NEXT_NUMBER = struct.pack(">cQI", b"Q", 1, 41)


def packet(kind: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">Hc", 1 + len(payload), kind) + payload


def executed(token: int, quantity: int = 100, match: int = 9) -> bytes:
    return packet(b"S", struct.pack(">cQIIQcQH", b"E", 2, token, quantity, 1_000_000, b"A", match,
                                    0))


@pytest.fixture
def ends():
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        yield near, far


def opened(near, received=b""):
    return OrderConnection(near.fileno(), received, 5, 0)


def settled(connection):
    return [decode(SETTLE, row.tobytes()) for row in connection.settles]


STREAM = (packet(b"S", NEXT_NUMBER) + packet(b"H") + executed(1) + packet(b"+", b"hello")
          + packet(b"U", b"hello") + executed(2, 50) + packet(b"S", b"S" + bytes(9)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_a_stream_cut_anywhere_is_the_same_answers(cuts):
    near, far = socket.socketpair()
    with near, far:
        connection = opened(near)
        edges = [0, *sorted(cuts), len(STREAM)]
        for begin, end in itertools.pairwise(edges):
            far.sendall(STREAM[begin:end])
            connection.receive(0)
        while connection.receive(0):
            pass
        assert [(row["operation"], row["token"], row["quantity"]) for row in settled(connection)
                ] == [(Operation.SETTLE_FILLED, 1, 100), (Operation.SETTLE_FILLED, 2, 50)]
        assert connection.sequence == 9 and connection.next_token == 41
        assert not connection.is_lost and not connection.is_drained    # two answers wait
        connection.settles.clear()
        assert connection.is_drained
        connection.close()


def test_what_came_with_the_login_counts(ends):
    near, far = ends
    connection = opened(near, executed(3))
    far.sendall(packet(b"H"))
    assert connection.receive(0)
    assert [row["token"] for row in settled(connection)] == [3]


@pytest.mark.parametrize("octets", [
    bytes(3), packet(b"A", bytes(30)), packet(b"?"), packet(b"L", b"O")])
def test_a_packet_that_no_venue_sends_ends_the_session_and_keeps_what_came_before(ends, octets):
    near, far = ends
    connection = opened(near)
    far.sendall(executed(1) + octets + executed(2))
    connection.receive(0)
    assert connection.is_lost and not connection.is_ended
    assert connection.counts["session_malformed"] == connection.counts["session_drops"] == 1
    assert [row["token"] for row in settled(connection)] == [1]
    far.sendall(executed(3))               # comes while the card has no room for the first one
    assert not connection.receive(0)
    assert [row["token"] for row in settled(connection)] == [1] and connection.sequence == 6


@pytest.mark.parametrize("message", [b"E", b"E" + bytes(20), b"z" * 12, b"A" + bytes(63)])
def test_an_answer_that_nobody_can_read_is_told_once(ends, message):
    near, far = ends
    connection = opened(near)
    far.sendall(packet(b"S", message) + executed(2))
    connection.receive(0)
    assert connection.take_malformed() and not connection.take_malformed()
    assert connection.counts["session_malformed"] == 1 and not connection.is_lost
    assert [row["token"] for row in settled(connection)] == [2] and connection.sequence == 7


def test_the_end_of_the_session_is_an_end_and_a_closed_socket_a_loss(ends):
    near, far = ends
    connection = opened(near)
    far.sendall(executed(1) + packet(b"Z"))
    connection.receive(0)
    assert connection.is_ended and connection.is_lost and len(connection.settles) == 1
    again = opened(near)
    far.close()
    again.receive(0)
    assert again.is_lost and not again.is_ended
    again.send(b"late", 0)                     # nobody is there: no error, nothing kept alive


def test_heartbeats_go_out_and_a_silent_peer_is_dropped(ends):
    near, far = ends
    connection = opened(near)
    assert not connection.receive(SECOND // 2)
    assert not connection.receive(2 * SECOND)
    assert far.recv(100) == packet(b"R")
    connection.send(b"order", 2 * SECOND)
    assert not connection.receive(2 * SECOND + 1)
    assert far.recv(100) == b"order"
    connection.receive(14 * SECOND)
    assert not connection.is_lost
    connection.receive(16 * SECOND)
    assert connection.is_lost and connection.counts["session_drops"] == 1


def test_periods_begin_anew_when_the_clock_was_set_back(ends):
    near, far = ends
    far.setblocking(False)
    connection = OrderConnection(near.fileno(), b"", 5, 3_600 * SECOND)
    connection.receive(0)
    connection.receive(2 * SECOND)
    assert far.recv(100) == packet(b"R")
    connection.receive(16 * SECOND)
    assert connection.is_lost


def test_a_slow_reader_holds_nothing_up_and_is_dropped_when_too_much_waits(ends):
    near, far = ends
    connection = opened(near)
    for _ in range(64):
        connection.send(bytes(1 << 16), 0)
    assert connection.is_lost
    assert connection.counts["order_octets"] == 64 << 16
    assert len(far.recv(1 << 16))


def test_what_awaits_an_answer_and_never_arrived_is_buried_a_replace_too(ends):
    near, far = ends
    with software(f"keeper-{os.getpid()}") as bench:
        bench.make_ready()
        engine = Engine(bench.device)
        fields = {"locate": LOCATES["AAA"], "price": 99 * DOLLAR, "quantity": 100}
        engine.submit({**fields, "operation": Operation.NEW})
        bench.turn()
        bench.say(accepted(1))
        bench.turn()
        engine.submit({**fields, "operation": Operation.REPLACE, "token": 1})
        engine.submit({**fields, "operation": Operation.NEW})
        bench.turn()
        assert [message[:1] for message in bench.heard()] == [b"O", b"U", b"O"]
        keeper, given = SessionKeeper(Mock()), []
        keeper.host, keeper.connection = engine.address, opened(near)
        far.sendall(packet(b"S", struct.pack(">cQI", b"Q", 1, 2)))
        for _ in range(4):
            keeper.turn(0, lambda row: given.append(decode(SETTLE, row.tobytes())) or True, Mock())
        keeper.close()
    assert [(row["operation"], row["token"]) for row in given] == [
        (Operation.SETTLE_REJECTED, 2), (Operation.SETTLE_REJECTED, 3)]
