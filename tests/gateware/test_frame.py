"""Frames of orders leave the gateware as the kernels write them, in the cycles that are promised.

Method: the component runs as a batch model beside :mod:`tickwire.kernels.encoder` and
:mod:`tickwire.kernels.frame`, which ``tests/unit/test_frame.py`` holds against the documents and
another implementation. Orders come as early as they are taken, sessions change from order to
order, the line holds the first word back, hosts write between any two cycles. Behind the MAC the
gaps on the line are those of the standard.
"""

from dataclasses import replace
from itertools import pairwise

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import mac_rig
from tests.frame_rig import (
    U32,
    Asked,
    Kernels,
    Position,
    moved,
    packet,
    some_orders,
)
from tests.gateware.frame_card import NOW, Card
from tests.unit.test_frame import orders, positions
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.intents import Operation
from tickwire.spec.sessions import SessionOperation
from tickwire_hw.frame import Frame
from tickwire_hw.mac_transmit import MACTransmit
from tickwire_sim.verilate import verilate

FIRST_WORD = 1                                 # cycles from an order taken to its first word


class OnLine(wiring.Component):
    """Frames of orders through the MAC."""

    def __init__(self):
        self.frame, self.mac = Frame(CARD_SMALL), MACTransmit()
        found = {name: member for name, member in self.frame.signature.members.items()
                 if name != "o"}
        super().__init__({**found, "data": Out(64), "control": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.frame, m.submodules.mac = self.frame, self.mac
        for name, member in self.frame.signature.members.items():
            if name != "o" and member.is_port:
                own, inner = getattr(self, name), getattr(self.frame, name)
                m.d.comb += inner.eq(own) if member.flow == In else own.eq(inner)
            elif name != "o":
                flip = wiring.flipped(getattr(self, name))
                connect(m, flip, getattr(self.frame, name))
        connect(m, self.frame.o, self.mac.i)
        m.d.comb += [self.data.eq(self.mac.data), self.control.eq(self.mac.control)]
        return m


@pytest.fixture(scope="module")
def card():
    return Card(verilate(Frame(CARD_SMALL)))


@pytest.fixture(scope="module")
def line():
    return Card(verilate(OnLine()))


@pytest.fixture(scope="module")
def kernels():
    return Kernels()


@given(st.lists(orders, min_size=1, max_size=6), st.lists(positions, min_size=3, max_size=3))
@settings(max_examples=60, deadline=None)
def test_frames_follow_each_other_as_the_kernels_write_them(card, kernels, some, places):
    where = dict(enumerate(places))
    card.start(where)
    for session, position in where.items():
        kernels.place(session, position)
    taken = [card.take(order) for order in some]
    card.drain()
    frames = card.frames()
    assert [octets for _, octets in frames] == [kernels.frame(order) for order in some]
    assert [at for at, _ in frames] == [at + FIRST_WORD for at in taken]
    # The next one is taken with the last word of the one before.
    for (at, octets), after in zip(frames, taken[1:], strict=False):
        assert after == at + -(-len(octets) // 8) - 1
    for (cycle, report), order, (at, _) in zip(card.sent(), some, frames, strict=True):
        size = len(packet(order))
        assert cycle == at + 1 and report == {
            "token": order.token, "session": order.session, "size": size, "is_blocked": 0,
            "sequence": where[order.session].sequence, "stamp": NOW + at}
        where[order.session] = moved(where[order.session], size)


@pytest.mark.parametrize("pause", [0, 1, 2, 3, 5, 8, 30])
def test_a_first_word_that_waits_changes_nothing(card, kernels, pause):
    card.start({0: Position()})
    kernels.place(0, Position())
    order = Asked(token=9, price=U32 >> 1, quantity=U32 >> 1, intent_id=U32, strategy=0xFFFF)
    taken = card.take(order, ready=not pause)
    card.held = frozenset(range(taken + FIRST_WORD, taken + FIRST_WORD + pause))
    for _ in range(pause - 1):
        assert card.step(ready=0)["o__valid"]
    card.drain()
    [(at, octets)] = card.frames()
    card.held = frozenset()
    assert at == taken + FIRST_WORD + pause and octets == kernels.frame(order)


def test_a_refused_order_leaves_nothing_and_the_next_one_comes_two_cycles_later(card, kernels):
    card.start({0: Position(), 1: Position()})
    kernels.place(0, Position())
    some = [replace(order, session=0) for order in some_orders(3, 6)]
    taken = [card.take(order, passes=number == 5) for number, order in enumerate(some)]
    card.drain()
    assert [after - before for before, after in pairwise(taken)] == [2] * 5
    [(_, octets)] = card.frames()
    assert octets == kernels.frame(some[-1])
    assert len(card.sent()) == 1


@pytest.mark.parametrize("kind", [Operation.NEW, Operation.REPLACE])
@pytest.mark.parametrize("late", range(6))
def test_the_kill_stops_a_frame_that_has_not_begun_in_its_own_cycle(card, kernels, kind, late):
    card.start({0: Position()})
    kernels.place(0, Position())
    first, second = Asked(kind, token=8), Asked(Operation.CANCEL, token=3)
    card.take(first, ready=0)
    for _ in range(late):
        assert card.step(ready=0)["o__valid"]
    assert not card.step(killed=1)["o__valid"]
    assert card.step(killed=1)["sent__valid"]
    card.found.clear()
    card.cycle = 0
    card.take(second, killed=1)
    for _ in range(20):
        card.step(killed=1)
    # The cancel passes, at the position that the blocked order has left as it was.
    [(_, octets)] = card.frames()
    assert octets == kernels.frame(second)
    assert [report["is_blocked"] for _, report in card.sent()] == [0]


def test_a_frame_that_has_begun_ends_whatever_the_kill_says(card, kernels):
    card.start({0: Position()})
    kernels.place(0, Position())
    order = Asked(token=8)
    card.take(order)
    card.step()
    for _ in range(20):
        card.step(killed=1)
    assert [octets for _, octets in card.frames()] == [kernels.frame(order)]


def test_nothing_leaves_on_a_session_that_is_not_leased_or_was_given_back(card, kernels):
    card.start({0: Position()})
    kernels.place(0, Position())
    for session in (1, 2):
        card.take(Asked(Operation.CANCEL, session=session, token=5))
    card.drain()
    card.take(Asked(token=6))
    card.drain()
    card.update(0, SessionOperation.RELEASE)
    card.take(Asked(token=7))
    card.drain()
    card.update(0, SessionOperation.LEASE, Position(5, 6, 7))
    card.take(Asked(token=8))
    card.drain()
    first = kernels.frame(Asked(token=6))
    kernels.place(0, Position(5, 6, 7))
    assert [octets for _, octets in card.frames()] == [first, kernels.frame(Asked(token=8))]
    assert [(report["token"], report["is_blocked"]) for _, report in card.sent()] == \
        [(5, 1), (5, 1), (6, 0), (7, 1), (8, 0)]


def test_a_release_is_not_taken_while_an_order_waits(card):
    card.start({0: Position()})
    card.take(Asked(token=6), ready=0)
    release = {"session": 0, "operation": int(SessionOperation.RELEASE)}
    for _ in range(5):
        assert not card.step(ready=0, i_session=release)["i_session__ready"]
    assert not card.step(i_session=release)["i_session__ready"]
    while not card.step(i_session=release)["i_session__ready"]:
        pass
    card.drain()
    assert [report["is_blocked"] for _, report in card.sent()] == [0]


@pytest.mark.parametrize("after", range(1, 13))
def test_a_position_that_comes_during_a_frame_is_the_next_frames(card, kernels, after):
    card.start({0: Position()})
    kernels.place(0, Position())
    card.take(Asked(token=6))
    for _ in range(after):
        card.step()
    # Neither the position nor a template for a leased session touches what is under way.
    card.update(0, SessionOperation.MOVE, Position(77, 0xFFFF_0001, 9))
    card.write(0, b"\xee" * 64)
    card.drain()
    expected = [kernels.frame(Asked(token=6))]
    kernels.place(0, Position(int(kernels.sessions["sequence"][0]), 0xFFFF_0001, 9))
    card.take(Asked(token=7))
    card.drain()
    assert [octets for _, octets in card.frames()] == [*expected, kernels.frame(Asked(token=7))]


def test_behind_the_mac_frames_of_several_sessions_have_the_least_gaps(line, kernels):
    where = {0: Position(sequence=U32 - 100), 1: Position(0, U32, 0xFFFF), 2: Position()}
    line.start(where)
    for session, position in where.items():
        kernels.place(session, position)
    some = some_orders(11, 200)
    for order in some:
        line.take(order)
    line.drain(30)
    seen = list(mac_rig.frames(mac_rig.octets((int(row["data"]), int(row["control"]))
                                              for row in line.found)))
    assert [one.octets for one in seen] == [mac_rig.checked(kernels.frame(order))
                                            for order in some]
    assert [after.start - one.end for one, after in pairwise(seen)] == \
        list(mac_rig.gaps([len(one.octets) for one in seen[:-1]]))
