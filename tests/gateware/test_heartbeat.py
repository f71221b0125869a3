"""Heartbeats of leased sessions leave behind what goes out, as the kernel writes them.

Method: as of ``test_frame.py``; heartbeats are asked for between orders at random, and at every
cycle around what forgets them.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.frame_rig import U32, Asked, Kernels, Position, packet
from tests.gateware.frame_card import Card
from tests.unit.test_frame import orders
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.intents import Operation
from tickwire.spec.sessions import SessionOperation
from tickwire_hw.frame import Frame
from tickwire_sim.verilate import verilate

BEAT_WORDS, BEAT_FIRST = 8, 3                  # words of a heartbeat; cycles from idle to the first


@pytest.fixture(scope="module")
def card():
    return Card(verilate(Frame(CARD_SMALL)))


@pytest.fixture(scope="module")
def kernels():
    return Kernels()


def test_a_heartbeat_leaves_as_the_kernel_writes_it_and_moves_the_sequence(card, kernels):
    where = {0: Position(sequence=U32 - 1), 1: Position(0, U32, 0xFFFF), 2: Position()}
    card.start(where)
    for session, position in where.items():
        kernels.place(session, position)
    for session in (1, 0, 2, 0, 0):
        card.update(session, SessionOperation.HEARTBEAT)
        asked = card.cycle - 1
        card.drain()
        at, octets = card.frames()[-1]
        assert octets == kernels.heartbeat(session)
        assert at == asked + 1 + BEAT_FIRST
        order = Asked(Operation.CANCEL, session=session, token=session + 1)
        card.take(order)
        card.drain()
        assert card.frames()[-1][1] == kernels.frame(order)
    assert [report["token"] for _, report in card.sent()] == [2, 1, 3, 1, 1]


@given(st.lists(st.tuples(st.one_of(orders, st.integers(0, 2)), st.integers(0, 14)), max_size=12))
@settings(max_examples=60, deadline=None)
def test_no_heartbeat_changes_the_order_of_orders_or_holds_one_back_longer(card, kernels, steps):
    where = {session: Position() for session in range(3)}
    card.start(where)
    for session, position in where.items():
        kernels.place(session, position)
    asked, taken = [], []
    for step, pause in steps:
        for _ in range(pause):
            card.step()
        if isinstance(step, Asked):
            # Nobody relies on ready before the order is there; then it goes as soon as it can.
            card.row["next_session"] = step.session
            card.step(quiet=0)
            begin = card.cycle
            while not card.step(quiet=0, order=step.fields())["order__ready"]:
                pass
            taken.append((card.cycle - 1 - begin, step))
            card.step(passes=1, quiet=0)
        else:
            card.update(step, SessionOperation.HEARTBEAT)
            asked.append(step)
    card.drain(10 * BEAT_WORDS)
    expected = [step for _, step in taken]
    sessions = [session for session, _ in _beats(card)]
    for _, octets in card.frames():
        session = int.from_bytes(octets[34:36], "big") - 40_000
        if len(octets) == 57:
            assert octets == kernels.heartbeat(session)
        else:
            assert octets == kernels.frame(expected.pop(0))
    assert not expected
    # One that is asked for while one of its session waits is that one.
    assert set(sessions) == set(asked) and len(sessions) <= len(asked)
    for before, (waited, _) in zip([0, *(len(packet(step)) for _, step in taken)], taken,
                                   strict=False):
        words = -(-(54 + before) // 8) if before else 0
        assert waited <= words + BEAT_WORDS + 1


def _beats(card):
    """Session and cycle of each heartbeat that left."""
    return [(int.from_bytes(octets[34:36], "big") - 40_000, at) for at, octets in card.frames()
            if len(octets) == 57]


def test_an_order_that_is_relied_on_goes_before_a_heartbeat(card, kernels):
    card.start({0: Position()})
    kernels.place(0, Position())
    card.update(0, SessionOperation.HEARTBEAT)
    for _ in range(30):
        assert not card.step(quiet=0)["o__valid"]
    card.take(Asked(token=4), quiet=0)
    card.drain(40)
    assert [octets for _, octets in card.frames()] == [kernels.frame(Asked(token=4)),
                                                       kernels.heartbeat(0)]


@pytest.mark.parametrize("waits", [0, 1, 2, 3, 4, 9])
def test_a_heartbeat_that_waits_for_the_line_goes_on_when_killed_and_is_whole(card, kernels,
                                                                              waits):
    card.start({0: Position()})
    kernels.place(0, Position())
    card.update(0, SessionOperation.HEARTBEAT)
    begin = card.cycle + BEAT_FIRST
    card.held = frozenset(range(card.cycle, begin + waits))
    for _ in range(BEAT_FIRST + waits):
        card.step(ready=0, killed=1)
    for _ in range(20):
        card.step(killed=1)
    assert card.frames() == [(begin + waits, kernels.heartbeat(0))]
    card.held = frozenset()


def test_a_session_that_is_not_leased_has_no_heartbeat(card, kernels):
    card.start({0: Position()})
    for session in (1, 2):
        card.update(session, SessionOperation.HEARTBEAT)
        card.drain()
    for operation in (SessionOperation.RELEASE, SessionOperation.LEASE):
        card.update(0, SessionOperation.LEASE, Position())
        for _ in range(3):
            card.step(quiet=0)
        while not card.step(quiet=0, i_session={"session": 0, "operation": int(
                SessionOperation.HEARTBEAT)})["i_session__ready"]:
            pass
        # Given back, or leased anew, while it waits.
        while not card.step(quiet=0, i_session={
                "session": 0, "operation": int(operation), **vars(Position(5, 6, 7))}
        )["i_session__ready"]:
            pass
        card.drain(40)
    card.update(0, SessionOperation.RELEASE)
    card.update(0, SessionOperation.HEARTBEAT)
    card.drain(40)
    assert not card.frames() and not card.sent()
    # An update that is no position is none.
    card.update(0, SessionOperation.LEASE, Position(5, 6, 7))
    card.update(0, SessionOperation.HEARTBEAT, Position(50, 60, 70))
    kernels.place(0, Position(5, 6, 7))
    card.drain(40)
    assert [octets for _, octets in card.frames()] == [kernels.heartbeat(0)]


@pytest.mark.parametrize("late", range(6))
def test_a_release_that_comes_before_its_first_word_forgets_a_heartbeat(card, kernels, late):
    card.start({0: Position()})
    kernels.place(0, Position())
    card.update(0, SessionOperation.HEARTBEAT)
    for _ in range(late):
        card.step()
    release = {"session": 0, "operation": int(SessionOperation.RELEASE)}
    while not card.step(i_session=release)["i_session__ready"]:
        pass
    taken = card.cycle - 1
    card.drain(40)
    frames = card.frames()
    assert not card.sent() and len(frames) <= 1
    assert all(at <= taken and octets == kernels.heartbeat(0) for at, octets in frames)
    assert bool(frames) == (late >= 1)
