"""One order line for the encoder and the host: whole frames, the encoder's first, no cycle lost.

Method: both senders offer frames at random, the line takes words at random, and each is driven by
what it has just seen; behind the MAC, a host's frames and orders as close as they can be.
"""

import random
from collections import deque
from itertools import pairwise

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tests import mac_rig
from tests.gateware.cycle_rig import Cycles
from tickwire.spec.records import FrameOrigin
from tickwire_hw.mac_transmit import MACTransmit
from tickwire_hw.order_line import OrderLine
from tickwire_hw.stream import LANES, Word
from tickwire_sim.verilate import verilate

NAMES = {FrameOrigin.SENT: "i_order", FrameOrigin.HOST: "i_host"}


class OnLine(wiring.Component):
    """Both senders through the MAC."""

    def __init__(self):
        super().__init__({"i_order": In(stream.Signature(Word)),
                          "i_host": In(stream.Signature(Word)), "data": Out(64),
                          "control": Out(8), "is_underrun": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.line, m.submodules.mac = line, mac = OrderLine(), MACTransmit()
        for name in NAMES.values():
            connect(m, flipped(getattr(self, name)), getattr(line, name))
        connect(m, line.o, mac.i)
        m.d.comb += [self.data.eq(mac.data), self.control.eq(mac.control),
                     self.is_underrun.eq(mac.is_underrun)]
        return m


class Sender:
    """Offers frames, a word in every cycle of one that has begun."""

    def __init__(self, rig, origin):
        self._rig, self._port = rig, NAMES[origin]
        self.frames = deque()                  # (octets, cycles of pause before it)
        self._at, self.pause = 0, 0
        self.begun = []                        # (cycle of the offer, cycle of the first word)
        self._offered = None

    def is_idle(self):
        return not self.frames

    def offer(self, cycle, *, withdrawn=False):
        """Set the port for this cycle."""
        valid = bool(self.frames) and not self.pause and not withdrawn
        self.pause = max(0, self.pause - 1)
        self._rig.set(f"{self._port}__valid", int(valid))
        if not valid:
            return
        octets, at = self.frames[0], self._at
        if at == 0 and self._offered is None:
            self._offered = cycle
        part = octets[at:at + LANES]
        self._rig.set(f"{self._port}__payload", data=int.from_bytes(part, "little"),
                      keep=(1 << len(part)) - 1, first=int(at == 0),
                      last=int(at + LANES >= len(octets)))

    def see(self, cycle, found, chance):
        """Go on when the word was taken."""
        if not (self._rig.row[f"{self._port}__valid"][0] and found[f"{self._port}__ready"][0]):
            return
        if self._at == 0:
            self.begun.append((self._offered, cycle))
            self._offered = None
        self._at += LANES
        if self._at >= len(self.frames[0]):
            self.frames.popleft()
            self._at = 0
            self.pause = chance.choice((0, 0, 1, 2, 9))


@pytest.fixture(scope="module")
def model():
    return verilate(OrderLine())


@pytest.mark.parametrize("slow", [0.0, 0.3])
def test_frames_are_whole_and_the_encoders_go_first_between_them(model, slow):
    rig, chance = Cycles(model), random.Random(int(100 * slow))
    senders = {origin: Sender(rig, origin) for origin in NAMES}
    for sender in senders.values():
        sender.frames.extend(chance.randbytes(chance.choice((1, 8, 9, 57, 72, 100, 300)))
                             for _ in range(60))
    given = {origin: list(sender.frames) for origin, sender in senders.items()}
    found, open_frame, cycle = {origin: [] for origin in NAMES}, None, 0
    while not all(sender.is_idle() for sender in senders.values()):
        for sender in senders.values():
            sender.offer(cycle)
        ready = chance.random() >= slow
        rig.set("o__ready", int(ready))
        seen = rig.cycle()
        offers = {origin for origin, name in NAMES.items() if rig.row[f"{name}__valid"][0]}
        assert bool(seen["o__valid"][0]) == bool(
            offers & {open_frame[0]} if open_frame else offers)
        assert bool(seen["sent__valid"][0]) == bool(seen["o__valid"][0] and ready)
        if seen["sent__valid"][0]:
            origin = FrameOrigin(rig.get(seen, "sent__payload", "origin"))
            for name in ("data", "keep", "first", "last"):
                assert rig.get(seen, "sent__payload", f"word.{name}") == rig.get(
                    seen, "o__payload", name)
            if open_frame is None:
                open_frame = origin, b""
                # The encoder's, whenever there is one.
                assert origin == min(offers)
            assert open_frame[0] == origin
            octets = open_frame[1] + rig.get(seen, "o__payload", "data").to_bytes(8, "little")[
                :rig.get(seen, "o__payload", "keep").bit_count()]
            open_frame = origin, octets
            if rig.get(seen, "o__payload", "last"):
                found[origin].append(octets)
                open_frame = None
        for sender in senders.values():
            sender.see(cycle, seen, chance)
        cycle += 1
    assert found == given and open_frame is None


def test_an_order_on_an_idle_line_waits_for_nothing_and_else_for_the_rest_of_one_frame(model):
    for host, late in ((None, 0), *((1_514, late) for late in range(0, 192, 7))):
        rig = Cycles(model)
        rig.set("o__ready", 1)
        order, other = Sender(rig, FrameOrigin.SENT), Sender(rig, FrameOrigin.HOST)
        order.frames.append(bytes(72))
        order.pause = late
        if host:
            other.frames.append(bytes(host))
        for cycle in range(260):
            order.offer(cycle)
            other.offer(cycle)
            seen = rig.cycle()
            order.see(cycle, seen, random)
            other.see(cycle, seen, random)
        [(offered, begun)] = order.begun
        words = -(-(host or 0) // LANES)
        assert begun - offered == (max(0, words - late) if late else 0)


def test_an_order_that_is_taken_back_before_its_first_word_lets_the_hosts_frame_pass(model):
    rig = Cycles(model)
    order, other = Sender(rig, FrameOrigin.SENT), Sender(rig, FrameOrigin.HOST)
    order.frames.append(bytes(72))
    other.frames.append(bytes(64))
    rig.set("o__ready", 0)
    for cycle in range(4):
        order.offer(cycle)
        other.offer(cycle)
        seen = rig.cycle()
        assert seen["o__valid"][0] and rig.get(seen, "sent__payload", "origin") == FrameOrigin.SENT
        assert not seen["i_host__ready"][0] and not seen["sent__valid"][0]
    rig.set("o__ready", 1)
    for cycle in range(4, 12):
        order.offer(cycle, withdrawn=True)     # killed
        other.offer(cycle)
        seen = rig.cycle()
        assert rig.get(seen, "sent__payload", "origin") == FrameOrigin.HOST
        other.see(cycle, seen, random)
    assert other.is_idle()


def test_behind_the_mac_nothing_is_cut_and_gaps_are_the_least_that_there_are():
    rig, chance = Cycles(verilate(OnLine())), random.Random(5)
    senders = {origin: Sender(rig, origin) for origin in NAMES}
    for sender in senders.values():
        sender.frames.extend(chance.randbytes(chance.choice((1, 57, 66, 101, 104, 1_514)))
                             for _ in range(30))
    given = {origin: [mac_rig.checked(frame) for frame in sender.frames]
             for origin, sender in senders.items()}
    words, cycle = [], 0
    while cycle < 12 or not all(sender.is_idle() for sender in senders.values()):
        for sender in senders.values():
            sender.pause = 0
            sender.offer(cycle)
        seen = rig.cycle()
        assert not seen["is_underrun"][0]
        words.append((rig.get(seen, "data"), rig.get(seen, "control")))
        for sender in senders.values():
            sender.see(cycle, seen, chance)
        cycle += 1
    for _ in range(16):
        for sender in senders.values():
            sender.offer(cycle)
        seen = rig.cycle()
        words.append((rig.get(seen, "data"), rig.get(seen, "control")))
    line = list(mac_rig.frames(mac_rig.octets(words)))
    assert all(frame.is_whole for frame in line)
    # Always an order's, as long as there is one: it costs what one after another costs.
    assert [frame.octets for frame in line] == given[FrameOrigin.SENT] + given[FrameOrigin.HOST]
    assert [after.start - one.end for one, after in pairwise(line)] == \
        list(mac_rig.gaps([len(one.octets) for one in line[:-1]]))
