"""The venue's lines carry its market data whole, fail as they are told to, and can be repaired.

Method: real sockets on the loopback interface. Datagrams are taken apart with ``struct`` and
compared with the venue's own store; what a lossy line lacks must be there after requests.
"""

import ctypes
import socket
import threading
import time

import numpy as np
import pytest

from tests import exchange_receiver as receiver
from tests.exchange_reference import Replay, decode
from tickwire.errors import TickwireError
from tickwire.kernels.arena import Arena
from tickwire_sim import traffic
from tickwire_sim.exchange.config import LineConfig, VenueConfig, symbols
from tickwire_sim.exchange.counters import COUNTER_SLOTS, CounterIndex
from tickwire_sim.exchange.engine import take_store
from tickwire_sim.exchange.lines import Lines
from tickwire_sim.exchange.publisher import answer, publish, pulse
from tickwire_sim.exchange.store import commit, reserve
from tickwire_sim.exchange.venue import Venue

GROUPS = ("239.192.71.1", "239.192.71.2")


def config(impairments=({}, {}), **options):
    """A configuration whose ports are all free ones."""
    line_a, line_b = (LineConfig(group, 0, **impairment)
                      for group, impairment in zip(GROUPS, impairments, strict=True))
    return VenueConfig(**{
        "symbols": symbols(4, 2), "messages_per_second": 10_000, "line_a": line_a,
        "line_b": line_b, "request_port": 0, "order_port": 0, "linger_seconds": 0.5,
        "heartbeat_seconds": 0.2, "store_octets": 1 << 24, **options})


class Running:
    """A venue that trades, with a receiver on each line."""

    def __init__(self, **options):
        self.venue = Venue(config(**options))
        ports = self.venue.open()
        self.lines = [receiver.join(*ports.line_a), receiver.join(*ports.line_b)]
        self.ports = ports

    def trade(self):
        """Run the whole day in this thread; returns the datagrams of each line."""
        self.venue.run()
        return [receiver.drain(line, 0.1) for line in self.lines]

    def stored(self):
        """Messages of the venue by number."""
        parts = []
        self.venue.engine.save(1, lambda part: parts.append(bytes(part)))
        octets, found = b"".join(parts), {}
        while octets:
            size = int.from_bytes(octets[:2], "big")
            found[len(found) + 1] = octets[2:2 + size]
            octets = octets[2 + size:]
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for line in self.lines:
            line.close()


def test_a_line_that_is_delayed_for_longer_than_the_venue_lingers_is_whole_and_ends_too():
    with Running(impairments=({"delay_us": 400_000}, {"delay_us": 1_000}), seconds=0.2,
                 linger_seconds=0.1) as running:
        for datagrams in running.trade():
            packets = [receiver.split(datagram) for datagram in datagrams]
            assert sum(len(blocks) for *_, blocks in packets) == len(running.stored())
            assert packets[-1][2] == receiver.END


def test_both_lines_carry_every_message_in_sequence_and_end_the_session():
    with Running(seconds=0.5) as running:
        line_a, line_b = running.trade()
        stored = running.stored()
    assert line_a == line_b
    following, replay = 1, Replay()
    for datagram in line_a:
        session, sequence, _, blocks = receiver.split(datagram)
        assert session == b"TICKWIRE01" and len(datagram) <= 1_400
        assert sequence == following
        for number, block in enumerate(blocks, sequence):
            assert block == stored[number]
            replay.apply(decode(block))
        following += len(blocks)
    assert following == len(stored) + 1 > 2_000
    counts = [receiver.split(datagram)[2] for datagram in line_a]
    assert receiver.END in counts and set(counts[counts.index(receiver.END):]) == {receiver.END}
    for number in range(4):
        assert replay.book(number + 1) == tuple(
            [(row.reference, row.price, row.quantity) for row in side]
            for side in running.venue.engine.book(number))


def test_an_idle_venue_sends_heartbeats_with_the_next_number():
    with Running(seconds=1.1, messages_per_second=0) as running:
        line_a, _ = running.trade()
        last = len(running.stored())
    beats = [receiver.split(datagram) for datagram in line_a]
    idle = [sequence for _, sequence, count, _ in beats if count == receiver.HEARTBEAT]
    assert len(idle) >= 3
    # 12 + 3 messages a symbol come before; the three that end the day come after.
    assert set(idle) == {last - 3 + 1}
    assert beats[-1][1:3] == (last + 1, receiver.END)


def ask(asker, port, *arguments):
    """Send a request and return the answer, None after some silence."""
    asker.sendto(receiver.request(*arguments), ("127.0.0.1", port))
    try:
        return receiver.split(asker.recv(2_048))
    except TimeoutError:
        return None


@pytest.fixture(scope="module")
def served():
    """A venue that has a few thousand messages and answers requests."""
    with Running(messages_per_second=20_000) as running:
        thread = threading.Thread(target=running.venue.run)
        thread.start()
        deadline = time.monotonic() + 60
        while running.venue.engine.messages < 4_000 and time.monotonic() < deadline:
            time.sleep(0.05)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(0.4)
            running.asker = asker
            yield running
        running.venue.request_stop()
        thread.join()


def test_a_request_is_answered_with_what_fits_one_datagram(served):
    stored, port = None, served.ports.request
    answers = {first: ask(served.asker, port, "TICKWIRE01", first, 1_000)
               for first in (1, 2, 500, 3_000)}
    few = ask(served.asker, port, "TICKWIRE01", 7, 3)
    stored = served.stored()
    for first, (session, sequence, count, blocks) in answers.items():
        assert (session, sequence) == (b"TICKWIRE01", first) and 20 <= count <= 100
        assert blocks == [stored[number] for number in range(first, first + count)]
        octets = 20 + sum(2 + len(block) for block in blocks)
        assert octets <= 1_400 < octets + 2 + len(stored[first + count])
    assert few[1:3] == (7, 3)


@pytest.mark.parametrize(("session", "first", "count", "counter"), [
    ("TICKWIRE01", 0, 10, "requests_unknown"), ("TICKWIRE01", 10**9, 10, "requests_unknown"),
    ("TICKWIRE01", 2**64 - 1, 10, "requests_unknown"), ("TICKWIRE01", 2**63, 1, "requests_unknown"),
    ("OTHER", 1, 10, "requests_session"), ("TICKWIRE0", 1, 10, "requests_session"),
    ("TICKWIRE01", 1, 0, "requests_malformed"),
])
def test_a_request_for_nothing_that_is_there_is_counted_in_silence(served, session, first, count,
                                                                   counter):
    before = served.venue.statistics()[counter]
    assert ask(served.asker, served.ports.request, session, first, count) is None
    assert served.venue.statistics()[counter] == before + 1


@pytest.mark.parametrize("octets", [b"", b"x", bytes(19), bytes(21), bytes(1_400), bytes(9_000)])
def test_a_request_of_another_size_is_counted_in_silence(served, octets):
    before = served.venue.statistics()["requests_malformed"]
    served.asker.sendto(octets, ("127.0.0.1", served.ports.request))
    with pytest.raises(TimeoutError):
        served.asker.recv(2_048)
    assert served.venue.statistics()["requests_malformed"] == before + 1


def test_what_both_lines_lost_is_repaired_by_requests():
    lossy = {"loss": 0.3, "duplicate": 0.1, "reorder": 0.2}
    with Running(impairments=(lossy, lossy), seconds=0.6, linger_seconds=3, seed=3) as running:
        thread = threading.Thread(target=running.venue.run)
        thread.start()
        line_a, line_b = receiver.until_end(running.lines)
        found = receiver.assemble(line_a + line_b)
        last = receiver.split(line_a[-1])[1] - 1
        lost = sorted(set(range(1, last + 1)) - set(found))
        assert lost, "this seed loses packets on both lines"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(5)
            while missing := sorted(set(range(1, last + 1)) - set(found)):
                _, sequence, _, blocks = ask(asker, running.ports.request, "TICKWIRE01",
                                             missing[0], min(missing[-1] - missing[0] + 1, 200))
                found.update(enumerate(blocks, sequence))
        thread.join()
        assert found == running.stored()
        assert running.venue.statistics()["messages_repeated"] >= len(lost)


class Wire:
    """A publisher of numbered messages, each packet published by hand."""

    def __init__(self, seed=1, **impairments):
        arena = Arena()
        self.store = take_store(arena, "numbers", 1 << 20, 1 << 14)
        counters = arena.take("counters", 8 * COUNTER_SLOTS)
        self.lines = Lines(arena, config((impairments, {}), seed=seed), self.store, counters)
        self.receivers = [receiver.join(*ports) for ports in self.lines.ports]
        self.counters = arena.view("counters", np.int64)
        self.now, self.count, self.arena = 10**12, 0, arena

    def send(self, packets, step=1_000):
        """Publish so many packets of one message each."""
        for _ in range(packets):
            target = reserve(self.store, 8)
            self.count += 1
            ctypes.memmove(target, self.count.to_bytes(8, "big"), 8)
            commit(self.store, 8)
            self.now += step
            publish(self.lines.address, self.count, 1, self.now)
            pulse(self.lines.address, self.now)

    def pulse(self, later):
        """Let time pass."""
        self.now += later
        return pulse(self.lines.address, self.now)

    def heard(self, line=0):
        """Sequence numbers of the packets with messages that a line delivered, in order."""
        rows = [receiver.split(datagram) for datagram in receiver.drain(self.receivers[line], 0.1)]
        return [sequence for _, sequence, count, _ in rows if count == 1]

    def counted(self, name):
        """Value of a counter of line A."""
        return int(self.counters[CounterIndex[f"LINE_A_{name}".upper()]])

    def close(self):
        """Close every socket."""
        self.lines.close()
        for made in self.receivers:
            made.close()


@pytest.fixture
def wire(request):
    made = Wire(**request.param)
    yield made
    made.close()


@pytest.mark.parametrize("wire", [{"loss": 0.25}], indirect=True)
def test_a_line_loses_the_share_it_is_told_to_and_the_other_loses_nothing(wire):
    wire.send(2_000)
    heard = wire.heard()
    assert heard == sorted(heard) and len(heard) + wire.counted("lost") == 2_000
    assert 400 < wire.counted("lost") < 600
    assert wire.heard(1) == list(range(1, 2_001))


@pytest.mark.parametrize("wire", [{"duplicate": 0.25}], indirect=True)
def test_a_line_repeats_the_share_it_is_told_to(wire):
    wire.send(1_000)
    heard = wire.heard()
    assert sorted(set(heard)) == list(range(1, 1_001)) and heard == sorted(heard)
    assert len(heard) == 1_000 + wire.counted("duplicated")
    assert 180 < wire.counted("duplicated") < 320


@pytest.mark.parametrize("wire", [{"reorder": 0.25}], indirect=True)
def test_a_line_lets_packets_be_overtaken_by_the_next_one(wire):
    wire.send(1_000)
    wire.pulse(10**9)
    heard = wire.heard()
    assert sorted(heard) == list(range(1, 1_001)) and heard != sorted(heard)
    assert max(abs(number - place) for place, number in enumerate(heard, 1)) == 1
    assert 120 < wire.counted("reordered") < 300


@pytest.mark.parametrize("wire", [{"reorder": 1.0}], indirect=True)
def test_a_packet_that_nothing_overtakes_goes_out_after_a_while(wire):
    wire.send(1)
    assert wire.heard() == []
    due = wire.pulse(0)
    assert wire.now < due < wire.now + 10**8
    wire.pulse(due - wire.now)
    assert wire.heard() == [1]


@pytest.mark.parametrize("wire", [{"delay_us": 1_000}], indirect=True)
def test_a_delayed_line_keeps_every_packet_for_the_delay(wire):
    wire.send(10, step=200_000)
    assert wire.heard() == [1, 2, 3, 4, 5]
    assert wire.pulse(0) - wire.now == 200_000
    assert wire.pulse(1_000_000) > wire.now
    assert wire.heard() == [6, 7, 8, 9, 10]


@pytest.mark.parametrize("wire", [{"delay_us": 1_000_000}], indirect=True)
def test_a_delay_queue_that_is_full_lets_its_oldest_packet_go(wire):
    wire.send(4_096 + 7, step=1)
    assert wire.heard() == [1, 2, 3, 4, 5, 6, 7] and wire.counted("crowded") == 7


@pytest.mark.parametrize(("loss", "answered"), [(0.0, 40), (1.0, 0), (0.5, None)])
def test_requests_may_go_unanswered(loss, answered):
    made = Wire()
    made.lines.row["request_loss"] = round(loss * (1 << 32))
    made.send(40)
    got = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        for number in range(1, 41):
            asker.sendto(receiver.request("TICKWIRE01", number, 1),
                         ("127.0.0.1", made.lines.request_port))
            answer(made.lines.address)
        asker.settimeout(0.2)
        got = len(receiver.drain(asker, 0.2))
    made.close()
    assert got == answered or (answered is None and 8 <= got <= 32)


def test_equal_seeds_impair_the_same_packets():
    heard = []
    for seed in (5, 5, 6):
        made = Wire(seed=seed, loss=0.2, duplicate=0.2, reorder=0.2)
        made.send(400)
        heard.append(made.heard())
        made.close()
    assert heard[0] == heard[1] != heard[2]


def test_a_file_is_sent_at_its_pace_and_can_be_repaired(tmp_path):
    day = tmp_path / "day.itch"
    assert traffic.main([str(day), "--messages", "6000", "--symbols", "5", "--live", "200"]) == 0
    with traffic.LoadPublisher(day, config()) as publisher:
        lines = [receiver.join(*ports) for ports in publisher.ports]
        assert publisher.run(20_000, 0.1) <= 2_100
        assert publisher.run(1_000_000, 5) == publisher.messages >= 6_000
        publisher.end(0.2)
        octets, place = day.read_bytes(), 0
        for line in lines:
            found = receiver.assemble(receiver.drain(line, 0.2))
            line.close()
            assert len(found) == publisher.messages
        for number in range(1, publisher.messages + 1):
            size = int.from_bytes(octets[place:place + 2], "big")
            assert found[number] == octets[place + 2:place + 2 + size]
            place += 2 + size
        assert publisher.statistics()["line_a_errors"] == 0


@pytest.mark.parametrize("octets", [None, b"", b"\0\0", b"\0\5abc"])
def test_a_file_without_a_message_is_refused_in_one_sentence(tmp_path, octets):
    path = tmp_path / "bad"
    if octets is not None:
        path.write_bytes(octets)
    with pytest.raises(TickwireError, match=r"^[^\n]+\.$"):
        traffic.LoadPublisher(path, config())
