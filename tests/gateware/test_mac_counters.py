"""What the MACs of a board lose is counted, and the host reads it.

Method: a batch model of the counters with random strobes, and sums made here; a board around a card
that does nothing, with damaged frames on every line, in Amaranth's simulator; the host's side of a
card around a core that does nothing, with accesses as an adapter gives them.
"""

import gc

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator

from tests.mac_rig import IDLE, LANES, START, TERMINATE, checked, data, sent, words
from tickwire.spec.counters import COUNTER_SLOTS, CounterIndex
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.registers import COUNTER_OFFSET, RegisterOffset
from tickwire_hw import board as board_module
from tickwire_hw import card as card_module
from tickwire_hw.board import Board
from tickwire_hw.card import Card
from tickwire_hw.core import Core
from tickwire_hw.counters import Counters
from tickwire_hw.mac_counters import MACS, WIDTHS, MACCounters
from tickwire_sim.verilate import verilate

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
NAMES = [counter.name.lower() for counter in WIDTHS]
LINE_NS, BUS_NS = 6.4, 4


@pytest.fixture(scope="module")
def model():
    return verilate(MACCounters(), has_reset=True)


def page(model, others=0):
    """Read the page, of which the others' part reads as ``others``."""
    rows = model.rows(COUNTER_SLOTS + 2, i_page__value=others)
    rows["page__address"][:-2] = np.arange(COUNTER_SLOTS)
    return model.run(rows)["page__value"][2:].tolist()


@pytest.mark.parametrize("density", [.02, .5, 1])
def test_a_picture_is_the_sums_of_the_cycle_of_its_strobe(model, density):
    model.restart()
    source, rows = np.random.default_rng(3), model.rows(300)
    given = {}
    for name, counter in zip(NAMES, WIDTHS, strict=True):
        values = source.integers(0, 1 << WIDTHS[counter], len(rows))
        values[source.random(len(rows)) > density] = 0
        given[name] = values
    model.put(rows, "i", **given)
    for at in (0, 17, 18, 250):
        rows["page__take"] = 0
        rows["page__take"][at] = 1
        model.restart()
        assert model.run(rows)["i_page__take"].nonzero()[0].tolist() == [at]
        seen = page(model)
        assert {name: seen[CounterIndex[name.upper()]] for name in NAMES} == {
            name: values[:at + 1].sum() for name, values in given.items()}
        assert sum(map(bool, seen)) <= len(NAMES)
        model.reset()
        rows_after = model.rows(3)
        rows_after["page__take"][1] = 1
        model.run(rows_after)
        assert not any(page(model))


def test_the_other_counters_are_shown_as_they_are(model):
    model.restart()
    assert page(model, others=7) == [7] * COUNTER_SLOTS
    rows = model.rows(6)
    rows["i_page__is_shown"][2:4], rows["page__address"] = 1, [5, 100, 0, 127, 1, 2]
    found = model.run(rows)
    assert found["page__is_shown"].tolist() == [0, 0, 1, 1, 0, 0]
    assert found["i_page__address"].tolist() == rows["page__address"].tolist()


class Idle(wiring.Component):
    """Has the ports of a part, and does nothing; ``counts`` and ``size_max`` are the test's."""

    def __init__(self, signature, counters=None):
        self._counters = counters
        super().__init__(signature)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += Signal().eq(1)                 # something in the domain
        if self._counters is not None:
            m.submodules.counters = self._counters
            wiring.connect(m, self._counters.page, wiring.flipped(self.counters))
        return m


@pytest.fixture
def idle_board(monkeypatch):
    """Return a board and the idle card in it."""
    found = []

    def idle(geometry, rows_log2):
        found.append(Idle(Card(geometry, rows_log2).signature))
        return found[0]
    monkeypatch.setattr(board_module, "Card", idle)
    return Board(CARD_SMALL), found[0]


WRONG = checked(bytes(70))[:-1] + b"\x55"
BAD_START = [START, *data(bytes(7)), *data(bytes(64)), TERMINATE]
LOST = {"mac_bad_starts": BAD_START, "mac_damaged": sent(WRONG), "mac_runts": sent(bytes(20)),
        "mac_oversize": sent(checked(bytes(150)))}
SIZE_MAX = 120


def test_what_each_of_a_boards_macs_loses_is_told_to_the_card(idle_board):
    board, card = idle_board
    line = [octet for frame in LOST.values() for octet in (*frame, *[IDLE] * (
        32 + -len(frame) % LANES))]
    ports = [(board.line_data[0], board.line_control[0]),
             (board.line_data[1], board.line_control[1]),
             (board.order_receive_data, board.order_receive_control)]
    seen = dict.fromkeys(NAMES, 0)

    async def bench(context):
        context.set(board.user_reset, 1)
        context.set(card.size_max, SIZE_MAX)

        async def cycle(values):
            for (data_port, control_port), (octets, control) in zip(ports, values, strict=True):
                context.set(data_port, octets)
                context.set(control_port, control)
            for level in (1, 0):
                context.set(board.line_clk, level)
                context.set(board.user_clk, level)
                await context.delay(LINE_NS / 2 * 1e-9)
            for name in NAMES:
                seen[name] += context.get(card.mac_counts[name])

        idle = words([IDLE] * LANES)[0]
        for _ in range(4):
            await cycle([idle] * MACS)
        context.set(board.user_reset, 0)
        for word in words([*[IDLE] * 64, *line, *[IDLE] * 64]):
            await cycle([word] * MACS)
        # A frame of two words whose second one never comes.
        context.set(card.o_order.valid, 1)
        await cycle([idle] * MACS)
        context.set(card.o_order.valid, 0)
        for _ in range(8):
            await cycle([idle] * MACS)

    simulator = Simulator(board)
    simulator.add_testbench(bench)
    simulator.run()
    # The order line's frames may have any size.
    assert seen == {"mac_bad_starts": MACS, "mac_damaged": MACS, "mac_runts": MACS,
                    "mac_oversize": MACS - 1, "mac_underruns": 1}
    gc.collect()                           # warnings are given now, where they are awaited


def test_the_host_reads_them_on_the_counter_page(monkeypatch):
    monkeypatch.setattr(card_module, "Core", lambda geometry, rows_log2: Idle(
        Core(geometry, rows_log2).signature, Counters(geometry)))
    model = verilate(Card(CARD_SMALL), "idle_card")
    rows = model.rows(40)
    model.put(rows, "mac_counts", **{name: [number + 1 if at % 8 == 0 and number < MACS else 0
                                            for at in range(len(rows))]
                                     for number, name in enumerate(NAMES)})
    model.run(rows)

    def ask(cycles, **fields):
        asked = model.rows(cycles, answer__ready=1)
        asked["request__valid"][0] = 1
        model.put(asked, "request__payload", **fields)
        found = model.run(asked)
        assert found["request__ready"][0]
        return found["answer__payload"][found["answer__valid"].nonzero()[0]]

    ask(20, address=RegisterOffset.FRAME_SIZE_MAX // 4, count=1, data=SIZE_MAX, enables=15)
    ask(600, address=RegisterOffset.COUNTERS_TAKE // 4, count=1, data=1, enables=15)
    seen = {name: np.ascontiguousarray(ask(60, address=(
        COUNTER_OFFSET + 8 * CounterIndex[name.upper()]) // 4, count=2, is_read=1)[0]).view(
            np.uint64)[0] for name in NAMES}
    assert seen == {name: 5 * (number + 1) * (number < MACS) for number, name in enumerate(NAMES)}
    assert model.run(model.rows(1))["size_max"][0] == SIZE_MAX
    gc.collect()
