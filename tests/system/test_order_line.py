"""A card's order line carries a kernel's connection, whose orders the card sends.

Method: both ends are kernels' TCP, each in a network namespace of its own; between them a card of a
few lines that keeps the wire and the capture ring, and loses of them what a test says. The venue
must see one stream of octets without a gap, whoever sent them. Skips where it may not make such
namespaces. Nothing leaves this process.
"""

import contextlib
import fcntl
import random
import socket
import struct

import pytest

from tests.order_line_rig import HEARTBEAT, LOGIN, SECOND, Card, Rig
from tests.tap_rig import NAME
from tickwire.device.order_line import OrderLine
from tickwire.errors import TickwireError
from tickwire.orders.lease import Lease
from tickwire.spec.records import FrameOrigin

SESSION = 3
SENT, RECEIVED = FrameOrigin.SENT, FrameOrigin.RECEIVED


@pytest.fixture
def rig():
    with contextlib.closing(Rig()) as made:
        yield made


@pytest.fixture
def leased(rig):
    rig.line.lease(rig.socket, SESSION)
    rig.rest()
    return rig


def order(number):
    return b"\x00\x0aUX" + b"%08d" % number


def numbers(frame):
    """Sequence and acknowledgment number, window, and octets of a segment's payload."""
    sequence, acknowledgment, offset, window = struct.unpack_from(">IIBxH", frame, 38)
    return sequence, acknowledgment, window, struct.unpack_from(">H", frame, 16)[0] - 20 - (
        offset >> 4) * 4


def with_payload(origin):
    """Return a rule that is true of a segment with octets of that origin."""
    return lambda found, frame: found == origin and frame[12:14] == b"\x08\x00" and numbers(
        frame)[3] > 0


def test_the_card_sends_orders_on_the_kernels_connection(leased):
    said = b""
    for number in range(20):
        leased.card.send(order(number))
        leased.until(lambda number=number: leased.told.endswith(order(number)))
        said += b"answer %d" % number
        leased.venue.send(b"answer %d" % number)
        leased.until(lambda said=said: leased.heard == b"accepted" + said)
    leased.rest()
    assert leased.told == LOGIN + b"".join(map(order, range(20)))
    assert not [frame for frame in leased.card.given if b"UX" in frame], "the kernel sent it too"
    counts = leased.line.counts
    assert counts["sent"] == counts["adopted"] == 20 and counts["adopted_octets"] == 20 * 12
    assert counts["given"] == len(leased.card.given)
    assert counts["received"] == len(leased.card.received)
    assert counts["lost_records"] == counts["damaged"] == counts["undelivered"] == 0
    assert leased.line.session == SESSION and not leased.line.is_lost and not leased.line.reason


def test_what_the_card_sends_acknowledges_what_the_kernel_has(leased):
    for number in range(5):
        leased.venue.send(b"x" * 1_000)
        leased.until(lambda number=number: len(leased.heard) == 8 + 1_000 * (number + 1))
        leased.rest()
        last = [frame for frame in leased.card.received if with_payload(RECEIVED)(RECEIVED, frame)]
        sequence, _, _, size = numbers(last[-1])
        frame = leased.card.send(order(number))
        assert numbers(frame)[1] == sequence + size & 0xFFFF_FFFF
        assert numbers(frame)[2] == Lease(leased.socket).position().window
    assert len({acknowledgment for acknowledgment, _ in leased.card.moves}) == 5
    before = len(leased.card.moves)
    leased.rest()
    assert len(leased.card.moves) == before, "told once"


def test_a_window_that_the_reader_has_closed_and_opened_is_the_cards(leased):
    leased.step = lambda: (leased.card.poll(), leased.line.turn())     # nobody reads
    octets = b"y" * 200_000
    place = leased.venue.send(octets)
    leased.until(lambda: leased.card.moves and leased.card.moves[-1][1] < 16)
    del leased.step
    leased.until(lambda: len(leased.heard) == 8 + place)
    leased.rest()
    last = numbers([frame for frame in leased.card.given if frame[12:14] == b"\x08\x00"][-1])
    assert leased.card.moves[-1] == (last[1], last[2]), "as the kernel's own frame says"
    assert last[2] > 16


def test_a_silent_session_is_kept_alive_by_the_card(leased):
    def after(nanoseconds):
        leased.now += nanoseconds
        leased.rest()
        return leased.card.heartbeats
    assert [after(SECOND - 1), after(1), after(SECOND - 1)] == [0, 1, 1]
    leased.card.send(order(0))
    leased.rest()
    assert [after(SECOND - 1), after(1), after(10 * SECOND)] == [1, 2, 3]
    assert leased.told == LOGIN + HEARTBEAT + order(0) + HEARTBEAT * 2
    assert leased.line.counts["heartbeats"] == 3 and leased.line.counts["adopted"] == 4
    leased.line.release()
    assert after(10 * SECOND) == 3


def test_a_frame_that_the_line_has_lost_is_sent_again_by_the_kernel(leased):
    leased.card.lose("wire", with_payload(SENT))
    leased.card.send(order(1))
    leased.card.send(order(2))
    leased.until(lambda: leased.told == LOGIN + order(1) + order(2))
    assert [frame for frame in leased.card.given if order(1) in frame], "by the kernel"
    leased.card.send(order(3))
    leased.until(lambda: leased.told.endswith(order(3)))
    assert not leased.line.is_lost


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_received_frame_that_was_lost_or_damaged_is_sent_again_by_the_venue(leased, is_damaged):
    if is_damaged:
        rule = with_payload(RECEIVED)

        def damage(origin, frame, _=False, capture=leased.card.capture):
            capture(origin, frame, rule(origin, frame) and not leased.line.counts["damaged"])
        leased.card.capture = damage
    else:
        leased.card.lose("ring", with_payload(RECEIVED))
    leased.card.send(order(1))
    leased.venue.send(b"first")
    leased.until(lambda: leased.heard.endswith(b"first"))
    leased.card.send(order(2))
    leased.until(lambda: leased.told == LOGIN + order(1) + order(2))
    assert not leased.line.is_lost
    assert leased.line.counts["damaged"] == int(is_damaged)
    assert leased.line.counts["lost_records"] == (0 if is_damaged else 2)


def test_frames_that_no_interface_takes_are_counted_and_dropped(leased):
    for octets in (b"", bytes(13), bytes(9_023)):
        leased.card.capture(RECEIVED, octets)
    for octets in (bytes(14), bytes(60), bytes(9_022), b"\xff" * 60):
        leased.card.capture(RECEIVED, octets)
    leased.card.send(order(1))
    leased.until(lambda: leased.told == LOGIN + order(1))
    assert leased.line.counts["undelivered"] == 3 and not leased.line.is_lost


def test_orders_beyond_the_venues_window_are_sent_when_it_opens(leased):
    leased.venue.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    expected = b""
    for number in range(400):
        leased.card.send(order(number) * 20)
        expected += order(number) * 20
        leased.line.turn()
        leased.card.poll()                 # and the venue does not read
    assert len(leased.venue.recv(1 << 20, socket.MSG_PEEK)) < len(expected) // 2
    leased.until(lambda: leased.told == LOGIN + expected)
    assert leased.line.counts["adopted"] == 400 and not leased.line.is_lost


def test_whatever_is_lost_the_venue_sees_one_stream(leased):
    draw = random.Random(7)
    expected, said = LOGIN, b"accepted"
    for number in range(60):
        for where, origin in (("wire", SENT), ("ring", RECEIVED), ("wire", FrameOrigin.HOST)):
            # One at a time: to lose what is sent again over and over doubles the wait each time.
            if draw.random() < 0.2 and not any(leased.card.losses.values()):
                leased.card.lose(where, with_payload(origin))
        leased.card.send(order(number))
        expected += order(number)
        if draw.random() < 0.5:
            leased.venue.send(b"answer %d" % number)
            said += b"answer %d" % number
        for _ in range(draw.randrange(4)):
            leased.step()
    leased.until(lambda: leased.told == expected and leased.heard == said)
    assert not leased.line.is_lost and leased.line.counts["adopted"] == 60
    assert leased.line.counts["lost_records"], "the ring has lost something"
    assert [frame for frame in leased.card.given if b"UX" in frame], "so has the line"


# A lease that breaks


def broken(rig):
    """Check that nothing is adopted any more, and return why."""
    rig.until(lambda: rig.line.is_lost)
    assert rig.line.session is None and not rig.card.is_leased
    before, reason = rig.line.counts["adopted"], rig.line.reason
    rig.card.capture(SENT, rig.card.sent[-1] if rig.card.sent else b"")
    rig.now += 10 * SECOND
    rig.rest()
    rig.line.release()
    assert rig.line.counts["adopted"] == before and rig.line.reason == reason
    assert reason.endswith(".") and "\n" not in reason
    return reason


def test_a_sent_frame_that_the_ring_lost_is_noticed_when_the_venue_acknowledges_it(leased):
    leased.card.lose("ring", with_payload(SENT))
    leased.card.send(order(1))
    assert broken(leased) == (
        "The venue has acknowledged 12 octets that the kernel does not know: the capture ring has "
        "lost a frame that the card sent, and the lease is broken.")
    assert leased.told == LOGIN + order(1)


def test_a_sent_frame_that_the_ring_lost_is_noticed_at_the_next_one(leased):
    leased.card.lose("ring", with_payload(SENT))
    leased.card.send(order(1))
    leased.card.send(order(2))
    assert "but the kernel is at" in broken(leased)
    assert leased.line.counts["adopted"] == 0 and leased.line.counts["lost_records"] == 2


@pytest.mark.parametrize("octets", [b"", bytes(60), b"\xff" * 90])
def test_a_sent_frame_that_is_no_segment_breaks_the_lease(leased, octets):
    leased.card.capture(SENT, octets)
    assert broken(leased) == (f"A frame of {len(octets)} octets that the device sent is no segment "
                              "of TCP over IPv4.")


def test_a_sent_frame_of_which_words_are_missing_breaks_the_lease(leased):
    leased.card.capture(SENT, leased.card.send(order(1))[:40], is_damaged=True)
    assert "not all of it" in broken(leased)
    assert leased.line.counts["adopted"] == 1


def test_a_reset_of_the_venue_ends_the_lease(leased):
    leased.venue.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    leased.venue.close()
    leased.venue = None
    assert broken(leased) == (f"Order session {SESSION} has lost its connection: it was reset, or "
                              "the venue has not answered for too long.")


def test_a_venue_that_closes_ends_the_lease(leased):
    leased.venue.shutdown(socket.SHUT_WR)
    assert broken(leased) == (f"Order session {SESSION} has lost its connection: the venue has "
                              "closed it.")


def test_an_order_to_a_connection_that_is_closed_breaks_the_lease(leased):
    # The reset lies in the ring behind an order that was sent when it had come already.
    leased.venue.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    leased.venue.close()
    leased.venue = None
    while not leased.card.ring:
        leased.card.poll()
    leased.card.capture(SENT, leased.card.send(order(1)))
    assert "The kernel adopts nothing of this connection any more" in broken(leased)


def test_a_venue_that_does_not_answer_any_more_ends_the_lease(leased):
    leased.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 300)
    leased.card.poll = lambda: None        # the line is cut
    leased.card.send(order(1))

    leased.until(lambda: leased.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) != b"\1")
    leased.now += SECOND                   # nothing comes that would tell
    assert "it was reset, or the venue has not answered for too long" in broken(leased)


def test_a_burst_of_orders_without_an_acknowledgment_is_adopted(leased):
    for number in range(2_000):
        leased.card.send(order(number))
        leased.line.turn()
    leased.until(lambda: leased.told == LOGIN + b"".join(map(order, range(2_000))))
    assert leased.line.counts["adopted"] == 2_000 and not leased.line.is_lost


def test_orders_that_the_venue_never_acknowledges_break_the_lease_in_the_end(leased):
    leased.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_608)
    leased.card.poll = lambda: None        # the line is cut

    def asked():
        leased.card.send(order(1))
        return leased.line.is_lost
    leased.until(asked)
    assert leased.line.counts["adopted"] > 3
    assert "its send buffer is full" in broken(leased)


def test_an_interface_that_is_set_down_breaks_the_lease(leased):
    fcntl.ioctl(leased.socket, 0x8914, struct.pack("=16sH22x", NAME.encode(), 0))
    leased.venue.send(b"never heard")
    assert broken(leased) == "Interface card is down: set it up again."


def test_another_writer_breaks_the_lease(leased):
    leased.socket.send(b"a mistake")
    leased.rest()
    leased.card.send(order(1))
    assert "but the kernel is at" in broken(leased)


# Leases come and go


def test_a_session_that_is_given_back_is_the_kernels(leased):
    leased.card.send(order(1))
    leased.card.last_words = [order(2), order(3)]
    leased.line.release()
    assert leased.line.counts["adopted"] == 3 and leased.line.session is None
    leased.socket.send(b"\x00\x01O")       # SoupBinTCP 3.00, Logout Request Packet
    leased.until(lambda: leased.told == LOGIN + order(1) + order(2) + order(3) + b"\x00\x01O")
    leased.socket.shutdown(socket.SHUT_WR)
    leased.rest()
    assert not leased.line.is_lost and not leased.card.send(order(4))


def test_a_session_can_be_leased_again(leased):
    for number in range(3):
        leased.card.send(order(number))
        leased.line.release()
        leased.socket.send(b"kernel")
        leased.line.lease(leased.socket, SESSION)
    leased.card.send(order(3))
    leased.until(lambda: leased.told == LOGIN + b"kernel".join(map(order, range(4))))
    assert not leased.line.is_lost


def test_a_new_connection_can_be_leased_after_one_that_was_lost(leased):
    leased.card.lose("ring", with_payload(SENT))
    leased.card.send(order(1))
    leased.until(lambda: leased.line.is_lost)
    # What the card sent before it was told is nobody's, and breaks no other lease.
    leased.card.capture(SENT, leased.card.sent[-1])
    leased.socket.close()
    leased.socket = leased.spare
    leased.connect()
    leased.line.lease(leased.socket, SESSION)
    assert not leased.line.is_lost and not leased.line.reason
    leased.card.send(order(2))
    leased.until(lambda: leased.told == LOGIN + order(2))
    assert leased.line.counts["adopted"] == 1 and leased.line.counts["sent"] == 2


def test_what_cannot_be_leased_is_refused(leased):
    with pytest.raises(TickwireError, match="has session 3 leased: it must be released before "
                                            "session 4 can be"):
        leased.line.lease(leased.socket, 4)
    leased.line.release()
    for number in (-1, 8):
        with pytest.raises(TickwireError, match=f"has order sessions 0 to 7, not {number}"):
            leased.line.lease(leased.socket, number)
    assert not leased.card.is_leased


def test_a_connection_of_another_interface_is_refused(rig):
    line = OrderLine(Card(rig.far), Card(rig.far), rig.far)
    with pytest.raises(TickwireError, match="card does not know the MAC address of 10.9.0.2, the"):
        line.lease(rig.socket, 0)
