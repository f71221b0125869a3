"""Lost messages are asked for, believed only when asked for, handed over in order, or given up.

Method: the pure state against a simulated server and network that lose, repeat, reorder, cut
short and lie, with a clock that the test moves; then the socket against a server on loopback.
"""

import random
import socket
import struct

import pytest

from tests.captures import mold
from tickwire.errors import TickwireError
from tickwire.feed.recovery import RecoveryClient
from tickwire.feed.requests import RequestLimits, Requests

SESSION = b"DAY0000001"
MS = 1_000_000


def text(number):
    return b"message %d" % number


def answer(first, count, session=SESSION):
    return mold(first, *(text(first + n) for n in range(count)), session=session)


def request(octets):
    """Fields of a Request Packet."""
    session, first, count = struct.unpack(">10sQH", octets)
    assert session == SESSION
    return first, count


class Taker:
    """What the engine does with deliveries: checks their order, keeps their messages."""

    def __init__(self, expected):
        self.expected, self.got, self.lost, self.has_room = expected, [], [], True

    def deliver(self, payload):
        if not self.has_room:
            return False
        session, first, count = struct.unpack(">10sQH", payload[:20])
        assert session == SESSION and first <= self.expected
        place = 20
        for number in range(first, first + count):
            size, = struct.unpack_from(">H", payload, place)
            message = payload[place + 2:place + 2 + size]
            place += 2 + size
            assert message == text(number)
            if number == self.expected:
                self.got.append(number)
                self.expected += 1
        assert place == len(payload)
        return True

    def give_up(self, first, count):
        assert first == self.expected
        self.lost.append((first, count))
        self.expected = first + count


def make(expected=1, **limits):
    taker = Taker(expected)
    requests = Requests(taker.deliver, taker.give_up, RequestLimits(**limits))
    requests.begin(SESSION)
    return taker, requests


def test_a_gap_is_asked_for_in_bounded_pieces():
    taker, requests = make(100, pieces=3, messages=10)
    requests.want(100, 145, now=0)
    assert [request(octets) for octets in requests.poll(0)] == [(100, 10), (110, 10), (120, 10)]
    assert requests.poll(1) == [] and not requests.is_idle
    assert requests.receive(answer(110, 10), 2) and taker.got == []
    assert [request(octets) for octets in requests.poll(2)] == [(130, 10)]
    assert requests.receive(answer(100, 10), 3)
    assert taker.got == list(range(100, 120))
    assert [request(octets) for octets in requests.poll(3)] == [(140, 5)]
    for first, count in ((140, 5), (120, 10), (130, 10)):
        requests.receive(answer(first, count), 4)
    assert taker.got == list(range(100, 145)) and requests.is_idle
    assert requests.deadline() is None and requests.poll(10**12) == []
    assert requests.counts == {"requests": 5, "answers": 5}


def test_nothing_is_asked_for_before_the_session_is_known():
    taker = Taker(1)
    requests = Requests(taker.deliver, taker.give_up)
    requests.want(1, 9, 0)
    assert requests.poll(0) == [] and not requests.receive(answer(1, 8), 0)
    with pytest.raises(ValueError, match="session must have 10 octets, not 3"):
        requests.begin(b"abc")


def test_an_answer_with_fewer_messages_is_kept_and_the_rest_asked_for():
    taker, requests = make()
    requests.want(1, 31, 0)
    requests.poll(0)
    assert requests.receive(answer(1, 12), 1)
    assert taker.got == list(range(1, 13))
    assert [request(octets) for octets in requests.poll(1)] == [(13, 18)]
    assert requests.receive(answer(13, 18), 2)
    assert taker.got == list(range(1, 31))


def test_silence_is_asked_again_with_growing_patience_and_then_given_up():
    taker, requests = make(pieces=2, messages=5, timeout_ns=10 * MS, timeout_ns_max=40 * MS,
                           attempts=4)
    requests.want(1, 101, 0)
    now, times = 0, []
    while not taker.lost:
        for octets in requests.poll(now):
            first, count = request(octets)
            assert first in (1, 6) and count == 5
            if first == 1:
                times.append(now // MS)
        assert requests.deadline() is None or requests.deadline() > now
        now += MS
    assert times == [0, 10, 30, 70]
    # A server that never answered is dead: the whole gap is given up at once.
    assert taker.lost == [(1, 5), (6, 5), (11, 90)]
    assert now == 111 * MS and requests.is_idle and requests.deadline() is None
    assert requests.counts["messages_given_up"] == 100
    assert (requests.counts["requests"], requests.counts["retries"]) == (2, 6)


def test_one_piece_that_never_comes_costs_only_itself():
    taker, requests = make(pieces=4, messages=5, timeout_ns=10 * MS, attempts=3)
    requests.want(1, 61, 0)
    now = 0
    while not requests.is_idle:
        for octets in requests.poll(now):
            first, count = request(octets)
            if first != 16:
                requests.receive(answer(first, count), now)
        now += MS
        assert now < 10**9
    assert taker.lost == [(16, 5)]
    assert taker.got == [*range(1, 16), *range(21, 61)]


@pytest.mark.parametrize(("octets", "count"), [
    (b"", "answers_malformed"),
    (answer(1, 5)[:19], "answers_malformed"),
    (answer(1, 5)[:-1], "answers_malformed"),
    (answer(1, 5) + b"\0", "answers_malformed"),
    (mold(1, b"x", session=SESSION, count=5), "answers_malformed"),
    (mold(1, b"x", b"y", session=SESSION, count=1), "answers_malformed"),
    (answer(1, 5, b"DAY0000002"), "answers_session"),
    (mold(1, session=SESSION), "answers_empty"),
    (mold(1, session=SESSION, count=0xFFFF), "answers_empty"),
    (answer(2, 4), "answers_unasked"),
    (answer(11, 5), "answers_unasked"),
    (answer(2**63, 5), "answers_unasked"),
    (answer(0, 5), "answers_duplicate"),
    (answer(1, 6), "answers_too_long"),
])
def test_an_answer_that_was_not_asked_for_is_dropped_and_counted(octets, count):
    taker, requests = make(messages=5, pieces=2)
    requests.want(1, 21, 0)
    requests.poll(0)
    assert not requests.receive(octets, 1)
    assert requests.counts[count] == 1 and requests.counts["answers"] == 0
    assert taker.got == [] and requests.poll(1) == []
    assert requests.receive(answer(1, 5), 2) and taker.got == [1, 2, 3, 4, 5]
    assert not requests.receive(answer(1, 5), 3)           # twice
    assert requests.counts["answers_duplicate"] >= 1


def test_answers_that_wait_are_bounded():
    held = len(answer(6, 5))
    taker, requests = make(messages=5, pieces=4, held_octets=held)
    requests.want(1, 21, 0)
    requests.poll(0)
    assert requests.receive(answer(6, 5), 1)
    assert not requests.receive(answer(11, 5), 1)
    assert requests.counts["answers_no_room"] == 1
    requests.want(1, 1000, 1)
    assert requests.poll(1) == []                          # no more is asked for meanwhile
    assert requests.receive(answer(1, 5), 2) and len(taker.got) == 10
    assert requests.receive(answer(11, 5), 3)              # the first one wanted always has room
    assert requests.receive(answer(16, 5), 4) and len(taker.got) == 20


def test_a_refused_payload_is_offered_again():
    taker, requests = make()
    requests.want(1, 9, 0)
    requests.poll(0)
    taker.has_room = False
    assert requests.receive(answer(1, 8), 5) and taker.got == []
    assert requests.deadline() == 5 + MS
    requests.poll(5 + MS)
    assert requests.deadline() == 5 + 2 * MS
    taker.has_room = True
    assert requests.poll(6 + MS) == [] and len(taker.got) == 8 and requests.deadline() is None


def test_messages_that_came_by_another_way_are_no_longer_asked_for():
    taker, requests = make(pieces=3, messages=10)
    requests.want(1, 101, 0)
    requests.poll(0)
    requests.receive(answer(11, 10), 1)
    taker.expected = 25                                    # the other line filled it
    requests.want(25, 101, 2)
    assert [request(octets)[0] for octets in requests.poll(2)] == [31, 41]
    requests.receive(answer(21, 10), 3)                    # its head is known, its tail is not
    assert taker.got == [25, 26, 27, 28, 29, 30]
    taker.expected = 200
    requests.want(200, 200, 4)
    assert requests.is_idle and requests.poll(10**12) == [] and not taker.lost


def test_a_reader_that_lags_is_not_served_twice_but_one_that_lost_it_is():
    _, requests = make(timeout_ns_max=100 * MS)
    requests.want(1, 11, 0)
    requests.poll(0)
    requests.receive(answer(1, 10), 1)
    for now in range(2, 100 * MS, 9 * MS):
        requests.want(1, 15, now)                          # has not looked into its ring yet
        requests.poll(now)
    assert requests.counts["requests"] == 2                # 1 to 10, then 11 to 14
    requests.want(1, 15, 200 * MS)
    assert request(requests.poll(200 * MS)[0]) == (1, 14)


def test_another_session_forgets_what_was_wanted():
    taker, requests = make()
    requests.want(1, 50, 0)
    requests.poll(0)
    requests.begin(b"DAY0000002")
    assert requests.is_idle and requests.poll(10**12) == []
    assert not requests.receive(answer(1, 32), 1)
    assert requests.counts["answers_session"] == 1 and not taker.got


def test_limits_that_the_protocol_forbids_are_refused():
    for messages in (0, 65535):
        with pytest.raises(ValueError, match="messages must be from 1 to 65534"):
            RequestLimits(messages=messages)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_network_does_every_message_comes_once_and_in_order(seed):
    random_ = random.Random(seed)
    loss = random_.choice((0, 0.1, 0.5))
    per_datagram = random_.choice((3, 20, 40))
    first = random_.choice((1, 2**40))
    taker, requests = make(first, pieces=random_.choice((1, 4, 16)), attempts=30,
                           messages=random_.choice((1, 7, 32)))
    end, final, now, flying = first + 5, first + 1500, 0, []
    while taker.expected < final:
        now += MS // 2
        assert now < 10**12
        end = min(final, end + random_.randrange(20))
        if not random_.randrange(50):                      # the late line brings some itself
            taker.expected = min(end, taker.expected + random_.randrange(60))
        requests.want(taker.expected, end, now)
        for octets in requests.poll(now):
            begin, count = request(octets)
            assert begin + count <= end
            for _ in range(random_.choice((1, 1, 1, 2))):
                if random_.random() >= loss:
                    size = random_.randrange(1, min(count, per_datagram) + 1)
                    flying.append((now + random_.randrange(60 * MS), answer(begin, size)))
        flying.append((now, bytes(random_.choice((
            mold(random_.randrange(2**64), b"evil", session=SESSION),
            answer(taker.expected + random_.randrange(100), 40),
            random_.randbytes(30), answer(first, 3, b"DAY0000002"))))))
        arrived = [entry for entry in flying if entry[0] <= now]
        flying = [entry for entry in flying if entry[0] > now]
        random_.shuffle(arrived)
        for _, octets in arrived:
            requests.receive(octets, now)
        assert len(requests._pieces) <= 17
    assert not taker.lost
    assert taker.got == sorted(set(taker.got))


# The socket


class Server:
    """A request server on loopback that answers when it is told to."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(10)
        self.address = self.socket.getsockname()

    def serve(self, number):
        sender = None
        for _ in range(number):
            octets, sender = self.socket.recvfrom(100)
            first, count = request(octets)
            self.socket.sendto(answer(first, min(count, 20)), sender)
        return sender


def test_the_client_fills_a_gap_from_a_server_and_drops_other_senders():
    server, taker = Server(), Taker(7)
    client = RecoveryClient(("localhost", server.address[1]), taker.deliver, taker.give_up,
                            RequestLimits(messages=32))
    client.begin(SESSION)
    client.want(7, 70, 0)
    assert client.service(0) == 0 and client.deadline() == 20 * MS
    sender = server.serve(2)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.sendto(answer(7, 20), ("127.0.0.1", sender[1]))
    now = 0
    while taker.expected < 70:
        client.socket.setblocking(True)
        client.socket.settimeout(10)
        client.socket.recv(1, socket.MSG_PEEK)
        client.socket.setblocking(False)
        now += 1
        before = client.counts["requests"] + client.counts["retries"]
        client.service(now)
        server.serve(client.counts["requests"] + client.counts["retries"] - before)
    assert taker.got == list(range(7, 70)) and client.requests.is_idle
    while not client.counts["answers_foreign"]:
        client.service(now)
    assert client.fileno() >= 0
    client.close()
    server.socket.close()
    stranger.close()


def test_a_server_that_is_not_there_is_given_up_and_not_an_exception():
    taker = Taker(1)
    gone = Server()
    gone.socket.close()
    client = RecoveryClient(gone.address, taker.deliver, taker.give_up,
                            RequestLimits(attempts=2, timeout_ns=MS))
    client.begin(SESSION)
    client.want(1, 1000, 0)
    for now in range(0, 10 * MS, MS):
        client.service(now)
    assert sum(count for _, count in taker.lost) == 999
    client.close()


def test_an_unknown_host_is_one_sentence():
    with pytest.raises(TickwireError, match=r"^Cannot find the request server a\.\.b: "):
        RecoveryClient(("a..b", 1), lambda payload: True, lambda first, count: None)
