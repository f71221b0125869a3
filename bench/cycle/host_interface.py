"""From a record of the pipeline to its packets at the PCIe block, from a store to its intent."""

from collections.abc import Callable, Coroutine, Iterator

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped
from amaranth.sim import Simulator

from bench.cycle import Row
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.intents import INTENT, WINDOW_SLOTS
from tickwire.spec.registers import BAR_WINDOW
from tickwire_hw.burst_merge import BurstMerge
from tickwire_hw.intent_window import IntentWindow
from tickwire_hw.pcie.ultrascale_requester import Requester
from tickwire_hw.pcie.ultrascale_stream import WIDTHS
from tickwire_hw.record_writer import RecordWriter, Ring

_NAMES = ("i_market", "i_line", "rings", "table")
_BASE, _TABLE = 0x10_0000, 0x20_0000
_SETTLED, _SEEN = 8, 16                    # cycles


class RecordPath(wiring.Component):
    """What a record passes: record writer, merge with the interrupts, requester of the block."""

    def __init__(self, width: int) -> None:
        self._writer, self._requester = RecordWriter(CARD_SMALL, 4), Requester(width)
        members = self._writer.signature.members
        super().__init__({**{name: members[name] for name in _NAMES},
                          "rq": self._requester.signature.members["rq"]})

    def elaborate(self, platform):
        m = Module()

        m.submodules.writer, m.submodules.requester = writer, requester = (
            self._writer, self._requester)
        m.submodules.merge = merge = BurstMerge()
        connect(m, writer.o, merge.i_first)
        connect(m, merge.o, requester.i)
        connect(m, requester.rq, flipped(self.rq))
        for name in ("i_market", "i_line"):
            connect(m, flipped(getattr(self, name)), getattr(writer, name))
        m.d.comb += [writer.rings.eq(self.rings), writer.table.eq(self.table),
                     requester.has_room.eq(1)]
        return m


def first_beats(width: int) -> list[int]:
    """Cycles from a record and its state line to the first beats of their packets, line first."""
    dut, found = RecordPath(width), []

    async def bench(context):
        context.set(dut.rings[Ring.MARKET.value], {"base": _BASE, "log2": 6, "enable": 1})
        context.set(dut.table, {"base": _TABLE, "enable": 1})
        context.set(dut.rq.tready, 1)
        await context.tick().repeat(_SETTLED)
        for name in ("i_market", "i_line"):
            context.set(getattr(dut, name).valid, 1)
        is_first = True
        for cycle in range(_SEEN):
            if context.get(dut.rq.tvalid):
                if is_first:
                    found.append(cycle)
                is_first = bool(context.get(dut.rq.tlast))
            await context.tick()
            for name in ("i_market", "i_line"):
                context.set(getattr(dut, name).valid, 0)
    _simulate(dut, bench)
    return found


def window() -> list[int]:
    """Cycles from the store that completes a slot to its intent, for each slot in turn."""
    dut, counted = IntentWindow(), []

    async def bench(context):
        context.set(dut.has_room, 1)
        context.set(dut.o.ready, 1)
        for number in range(1, WINDOW_SLOTS + 1):
            octets = bytes(INTENT.size - 4) + number.to_bytes(4, "little")
            context.set(dut.i.p, {
                "is_read": 0, "bar": BAR_WINDOW, "address": INTENT.size // 4 * (number - 1),
                "data": int.from_bytes(octets, "little"), "enables": (1 << INTENT.size) - 1})
            context.set(dut.i.valid, 1)
            for cycle in range(_SEEN):
                if context.get(dut.o.valid):
                    counted.append(cycle)
                await context.tick()
                context.set(dut.i.valid, 0)
    _simulate(dut, bench)
    return counted


def _simulate(dut: wiring.Component, bench: Callable[..., Coroutine]) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(4e-9)
    simulator.add_testbench(bench)
    simulator.run()


def rows() -> Iterator[Row]:
    """Yield the cycles of a BBO and its state line at both widths, and of an intent."""
    for width in WIDTHS:
        for name, cycles in zip(("state line", "record"), first_beats(width), strict=True):
            yield Row.of("record writer: BBO event to first beat of its DMA write", [cycles],
                         "i_market valid to m_axis_rq tvalid, nothing under way", message=name,
                         alignment=f"{width} bits")
    yield Row.of("intent window: last word to intent", window(), "i valid to o valid")
