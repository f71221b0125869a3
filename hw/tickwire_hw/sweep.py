"""Which side's window comes down, which ones wait, and what each coming step looks up.

Kernels: ``request``, ``begin_sweep``, ``restart_sweep``, ``end_sweep`` and ``ask`` of ``window``,
``sweep_step`` of ``book``.
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import SWEEP_DELAY, SWEEP_PERIOD, Geometry
from tickwire_hw.logic import is_less, stages
from tickwire_hw.ram import RAM

KEY = 32
_ASK_AGE = 3                                # from a step to its question; the next cycle shows it
_DUE_AGE = _ASK_AGE + 2                     # from a step to what the next one answers
STEP_DISTANCE = 2 * (SWEEP_PERIOD + 1)
"""Cycles from step to step, or more."""


def side_bits(geometry: Geometry) -> int:
    """Bits of the number of a side: the instrument's above one for bid or ask."""
    return 1 + ceil_log2(geometry.instruments)


class Sweep(wiring.Component):
    """Queue the sides that ask for a sweep, serve one after the other, a tick a step.

    Takes an operation every two cycles or at any greater distance, steps ten cycles apart or
    further: ``SWEEP_PERIOD`` operations are between them. Never exerts backpressure. A side that
    finds the queue full is not taken; it asks again with its next new or lost level. Ready after
    one cycle a side.

    Members
    -------
    ready : ``Out(1)``
        Whether no side is marked as queued any more; operations come only then.
    i : ``In(stream.Signature({side, floor, unseen_high, is_wanted, is_step, is_done, is_moved},
    always_ready=True))``
        A side as an operation left it. It wants a sweep, or this is a step: for the side in hand,
        if that was asked for its tick, and the sweep of it is done, or has to ask anew.
    is_begun : ``Out(1)``
        In the cycle of ``i``: this step took the next side from the queue.
    due : ``Out({is_asked, floor})``
        What the coming step is to answer, five cycles after a step and until the next one: whether
        anything, and the floor at which it was asked.
    ask : ``Out(ArrayLayout({is_asked, side, key}, SWEEP_DELAY))``
        What the step of each number modulo ``SWEEP_DELAY`` is to look up; four cycles after a step
        for the one of the same place.
    pending : ``Out(range(sweep_queue + 2))``
        Sides that wait for a sweep or are in one.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._bits, self._places = side_bits(geometry), geometry.sweep_queue
        super().__init__({
            "ready": Out(1),
            "i": In(stream.Signature(data.StructLayout(
                {"side": self._bits, "floor": signed(KEY), "unseen_high": signed(KEY),
                 "is_wanted": 1, "is_step": 1, "is_done": 1, "is_moved": 1}), always_ready=True)),
            "is_begun": Out(1),
            "due": Out(data.StructLayout({"is_asked": 1, "floor": signed(KEY)})),
            "ask": Out(data.ArrayLayout(data.StructLayout(
                {"is_asked": 1, "side": self._bits, "key": signed(KEY)}), SWEEP_DELAY)),
            "pending": Out(range(self._places + 2))})

    def elaborate(self, platform):
        """Return the queue, the side in hand, and the questions to its level."""
        m = Module()

        given = self.i.p
        side, is_sweeping = Signal(self._bits), Signal()
        waiting = Signal(range(self._places + 1))
        is_pushed, is_done, is_void = Signal(), Signal(), Signal()
        has_place, has_next = Signal(), Signal()      # a cycle late: operations are two apart
        was_queued = self._marks(m, is_pushed, is_done)
        m.d.comb += [
            is_done.eq(self.i.valid & given.is_done),
            is_pushed.eq(self.i.valid & given.is_wanted & ~was_queued & has_place),
            self.is_begun.eq(self.i.valid & given.is_step & (~is_sweeping | given.is_done)
                             & has_next),
            is_void.eq(self.i.valid & (given.is_done | given.is_moved
                                       | given.is_step & ~is_sweeping & has_next)),
            self.pending.eq(waiting + is_sweeping)]
        m.d.sync += [waiting.eq(waiting + is_pushed - self.is_begun),
                     has_place.eq(waiting != self._places), has_next.eq(waiting != 0)]
        following = self._queue(m, is_pushed)
        with m.If(is_done):
            m.d.sync += is_sweeping.eq(0)
        with m.If(self.is_begun):
            m.d.sync += [is_sweeping.eq(1), side.eq(following)]

        # The side in hand after this step, and after no younger operation: those write later.
        m.submodules.sides = sides = RAM(
            data.StructLayout({"floor": signed(KEY), "unseen_high": signed(KEY)}), 1 << self._bits)
        m.d.comb += [
            sides.write_enable.eq(self.i.valid), sides.write_address.eq(given.side),
            sides.write_data.floor.eq(given.floor),
            sides.write_data.unseen_high.eq(given.unseen_high), sides.read_address.eq(side)]
        is_step = stages(m, self.i.valid & given.is_step, _ASK_AGE, "is_step")[-1]
        is_anew = stages(m, is_void, _ASK_AGE, "is_anew")[-1]

        # What is unseen is below the floor. A key below the lowest number wraps. Nobody sees it:
        # the question before it, for the lowest, ends the sweep or makes it ask anew.
        floor, key, last = (Signal(signed(KEY), name=name) for name in ("floor", "key", "last"))
        m.d.comb += [
            floor.eq(Mux(is_anew, sides.read_data.floor, last)),
            key.eq(Mux(is_anew | is_less(sides.read_data.unseen_high, last),
                       sides.read_data.unseen_high, last - 1))]

        assert STEP_DISTANCE >= _DUE_AGE
        number = Signal(range(SWEEP_DELAY))
        questions = [Signal(data.StructLayout(
            {"is_asked": 1, "floor": signed(KEY), "key": signed(KEY)}), name=f"question_{place}")
            for place in range(SWEEP_DELAY)]
        with m.If(is_step):
            m.d.sync += [number.eq(number + 1), last.eq(key)]
        with m.Switch(number):
            for place, question in enumerate(questions):
                with m.Case(place):
                    m.d.sync += [self.due.is_asked.eq(question.is_asked),
                                 self.due.floor.eq(question.floor)]
                    with m.If(is_step & is_sweeping):
                        m.d.sync += [question.is_asked.eq(1), question.floor.eq(floor),
                                     question.key.eq(key)]
        for question, ask in zip(questions, self.ask, strict=True):
            with m.If(is_void):
                m.d.sync += question.is_asked.eq(0)
            m.d.comb += [ask.is_asked.eq(question.is_asked), ask.side.eq(side),
                         ask.key.eq(question.key)]

        return m

    def _marks(self, m: Module, is_pushed: Signal, is_done: Signal) -> Signal:
        """Add a mark a side, set while it waits or is in hand; return that of ``i``'s side."""
        m.submodules.marks = marks = memory.Memory(shape=1, depth=1 << self._bits, init=[])
        write, read = marks.write_port(), marks.read_port(domain="comb")
        clear = Signal(self._bits + 1)
        m.d.comb += [
            self.ready.eq(clear[-1]), read.addr.eq(self.i.p.side),
            write.en.eq(~self.ready | is_pushed | is_done),
            write.addr.eq(Mux(self.ready, self.i.p.side, clear)),
            write.data.eq(self.ready & is_pushed)]
        m.d.sync += clear.eq(clear + ~self.ready)
        return read.data

    def _queue(self, m: Module, is_pushed: Signal) -> Signal:
        """Add the sides that wait, in their order; return the first one."""
        m.submodules.places = places = memory.Memory(shape=self._bits, depth=self._places, init=[])
        write, read = places.write_port(), places.read_port(domain="comb")
        m.d.comb += [write.en.eq(is_pushed), write.data.eq(self.i.p.side)]
        m.d.sync += [write.addr.eq(write.addr + is_pushed),
                     read.addr.eq(read.addr + self.is_begun)]
        return read.data
