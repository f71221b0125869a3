"""The book: events of the feed to what each did to orders, levels and best levels, in order.

Composes what the kernels ``book``, ``order_table``, ``level_table`` and ``window`` do. Every
component takes an operation each two cycles and none holds another up.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import WAYS, Geometry
from tickwire_hw.best_value import RESULT_AGE as VALUE_AGE
from tickwire_hw.best_value import SERIAL, BestValue
from tickwire_hw.commit import FORESEEN_AGE, BookOperation, Commit, LevelChange
from tickwire_hw.commit import RESULT_AGE as COMMIT_AGE
from tickwire_hw.counters import BookCounts, peak_layout
from tickwire_hw.early import Early
from tickwire_hw.feed_port import FeedEvent
from tickwire_hw.grid import KEY_AGE, Grid, grid_layout
from tickwire_hw.level_table import CHANGE, LEVEL
from tickwire_hw.logic import stages
from tickwire_hw.order_table import PRICE, SHARES
from tickwire_hw.product import AGE as PRODUCT_AGE
from tickwire_hw.product import product
from tickwire_hw.publish import AHEAD
from tickwire_hw.publish_port import Operation
from tickwire_hw.ram import RAM, READ_AGE
from tickwire_hw.sequencer import (
    CONTEXT,
    COUNTED,
    DEPTH,
    STORED,
    TOLD,
    Sequencer,
    context_layout,
)
from tickwire_hw.window import RESULT_AGE as WINDOW_AGE
from tickwire_hw.window import Window
from tickwire_hw.window_rules import WindowOperation

OUTCOME_AGE = COMMIT_AGE + WINDOW_AGE + VALUE_AGE + AHEAD
"""Cycles from an operation to its outcome."""
assert AHEAD == PRODUCT_AGE + 1             # the checksum's product takes that long
_IN_FLIGHT = OUTCOME_AGE // 2 + 1
assert STORED >= DEPTH + OUTCOME_AGE + 16   # events from one whose outcome comes to the newest
_KINDS = {LevelChange.NONE: WindowOperation.NONE, LevelChange.CHANGED: WindowOperation.CHANGE,
          LevelChange.NEW: WindowOperation.NEW, LevelChange.LOST: WindowOperation.LOST}
_ERRORS = {"unknown": "unknown_order", "over": "over_execution", "zero": "zero_quantity",
           "bad_price": "bad_price", "duplicate": "duplicate_order",
           "level_overflow": "level_overflow", "order_overflow": "order_overflow"}
_WINDOW_COUNTED = ("off_grid", "hidden", "window_shifts", "window_sweeps")
_ORDERS = (BookOperation.ADD, BookOperation.REPLACE, BookOperation.TAKE, BookOperation.REMOVE)


class Book(wiring.Component):
    """Apply the feed's events to the books of all instruments.

    An operation each two cycles, whatever the messages. The outcome of an operation comes 38
    cycles after it was issued, in order; a message's operations are issued 4 cycles after it came,
    or later when others wait before it. Ready when all tables are clear, see ``Commit``.

    Members
    -------
    ready : ``Out(1)``
        Whether the tables are clear; events come only then.
    i : ``In(stream.Signature(FeedEvent, always_ready=True))``
        From ``Arbiter``, which ``hold`` holds.
    watch_all, i_watch, i_grid : ``In``
        What is watched, see ``InstrumentFilter``, and the tick grids, see ``Grid``.
    counts, peaks : ``Out(BookCounts)``, ``Out(peak_layout(geometry))``
        What this cycle adds to the book's counters, and the fills of both stashes.
    o_ahead : ``Out(stream.Signature(range(instruments), always_ready=True))``
        The instrument of the outcome that comes 3 cycles later.
    o : ``Out(stream.Signature(Operation, always_ready=True))``
        Outcomes, for ``Publish``.
    o_level : ``Out(stream.Signature(CHANGE, always_ready=True))``
        With a geometry whose ``depth`` is not 0, with each outcome that changed a level: that
        level.
    o_taught : ``Out(stream.Signature(taught_layout(geometry), always_ready=True))``
        As of ``InstrumentFilter``.
    early, early_add, early_glimpse : ``Out(stream.Signature(early_layout(geometry), ...))``
        Best levels after each order message, 6 and, of added orders, 2 cycles after it and 1, see
        ``Early``.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._sequencer, self._early = Sequencer(geometry), Early(geometry)
        super().__init__({
            "ready": Out(1), "hold": Out(1),
            "i": In(stream.Signature(FeedEvent, always_ready=True)),
            "watch_all": In(1), "i_watch": self._sequencer.signature.members["i_watch"],
            "i_grid": In(stream.Signature(grid_layout(geometry), always_ready=True)),
            "o_ahead": Out(stream.Signature(max(1, ceil_log2(geometry.instruments)),
                                            always_ready=True)),
            "o": Out(stream.Signature(Operation, always_ready=True)),
            "counts": Out(BookCounts), "peaks": Out(peak_layout(geometry)),
            "o_taught": self._sequencer.signature.members["o_taught"],
            "early": self._early.signature.members["o"],
            "early_add": self._early.signature.members["o_add"],
            "early_glimpse": self._early.signature.members["o_glimpse"],
            **({"o_level": Out(stream.Signature(CHANGE, always_ready=True))}
               if geometry.depth else {})})

    def elaborate(self, platform):
        """Return the components and what runs beside them."""
        m = Module()

        instrument = max(1, ceil_log2(self._geometry.instruments))
        effect = data.StructLayout({                  # of an operation on its order and level
            "instrument": instrument, "is_found": 1, "is_desync": 1, "price": PRICE, "side": 1,
            "is_touched": 1, "moved_shares": SHARES, "moved_order": 1,
            **({"is_changed": 1, "level": LEVEL} if self._geometry.depth else {})})
        passed = data.StructLayout({"effect": effect, "serial": SERIAL})
        best = data.StructLayout({"effect": effect, "side": 1, "is_hidden": 1, "is_desync": 1})
        m.submodules.sequencer = sequencer = self._sequencer
        m.submodules.commit = commit = Commit(self._geometry, context=instrument)
        m.submodules.grid = grid = Grid(self._geometry)
        m.submodules.window = window = Window(self._geometry, context=passed)
        m.submodules.value = value = BestValue(self._geometry, context=best)
        m.submodules.contexts = contexts = RAM(context_layout(self._geometry),
                                               1 << ceil_log2(_IN_FLIGHT))
        m.submodules.early = early = self._early
        for part in (sequencer, early):
            connect(m, part.i, flipped(self.i))
        connect(m, sequencer.i_watch, flipped(self.i_watch))
        connect(m, sequencer.o_taught, early.i_taught)
        m.d.comb += [self.o_taught.valid.eq(sequencer.o_taught.valid),
                     self.o_taught.p.eq(sequencer.o_taught.p)]
        for part in (grid, early):
            connect(m, part.i_write, flipped(self.i_grid))
        connect(m, sequencer.o, commit.i)
        m.d.comb += [
            self.ready.eq(sequencer.ready & commit.ready & window.ready & early.ready),
            self.hold.eq(sequencer.hold | early.hold),
            sequencer.watch_all.eq(self.watch_all), early.watch_all.eq(self.watch_all),
            contexts.write_enable.eq(sequencer.o.valid),
            contexts.write_data.eq(sequencer.o_context),
            sequencer.i_ask.eq(window.ask), grid.i_ask.eq(sequencer.o_ask),
            sequencer.i_asked.eq(grid.o_asked),
            value.i_price.eq(grid.o_price), value.i_look_up.eq(commit.o_look_up)]
        self._to_early(m, early, commit, grid, window, value)

        # Prices become tick keys while their levels are looked up.
        tick = stages(m, grid.o, COMMIT_AGE - (FORESEEN_AGE + 1) - KEY_AGE, "tick")[-1]

        self._to_window(m, commit, tick, window, value)
        connect(m, early.o, flipped(self.early))
        connect(m, early.o_add, flipped(self.early_add))
        connect(m, early.o_glimpse, flipped(self.early_glimpse))
        m.d.comb += [
            value.i.valid.eq(window.o.valid), value.i.p.has_best.eq(window.o.p.has_best),
            value.i.p.best.eq(window.o.p.best), value.i.p.side.eq(window.o.p.side),
            value.i.p.instrument.eq(window.o.p.instrument),
            value.i.p.serial.eq(window.o.p.context.serial),
            value.i.p.context.effect.eq(window.o.p.context.effect),
            value.i.p.context.side.eq(window.o.p.side),
            value.i.p.context.is_hidden.eq(window.o.p.is_hidden),
            value.i.p.context.is_desync.eq(window.o.p.is_desync)]
        self._outcome(m, value, contexts)
        self._count(m, sequencer, commit, window)
        return m

    def _count(self, m: Module, sequencer: Sequencer, commit: Commit, window: Window) -> None:
        """Show what each stage counts, in a register."""
        m.d.sync += [
            *(self.counts[name].eq(sequencer.counts[name]) for name in COUNTED),
            *(self.counts[counter].eq(commit.o.valid & commit.o.p[f"is_{flag}"])
              for flag, counter in _ERRORS.items()),
            *(self.counts[name].eq(window.o.valid & window.o.p[name])
              for name in _WINDOW_COUNTED),
            self.peaks.order_stash_max.eq(commit.order_stash),
            self.peaks.level_stash_max.eq(commit.level_stash)]

    def _to_early(self, m: Module, early: Early, commit: Commit, grid: Grid, window: Window,
                  value: BestValue) -> None:
        """Tell the early port what is done, and lend it every port that is free in a cycle."""
        phase, result = Signal(init=1), commit.o.p
        m.d.sync += phase.eq(~phase)            # operations come when it is 0
        named, places = commit.o_level, -(-self._geometry.level_stash // WAYS) * WAYS
        is_named = stages(m, self._sequencer.o.valid, FORESEEN_AGE + 1, "is_named")[-1]
        is_order = Cat(result.operation == kind for kind in _ORDERS).any()
        m.d.comb += [
            early.i_window.valid.eq(window.o_write.valid), early.i_window.p.eq(window.o_write.p),
            early.is_committed.eq(commit.o.valid & is_order),
            early.has_added.eq((result.operation == BookOperation.ADD)
                               | (result.operation == BookOperation.REPLACE)),
            early.is_refused.eq(commit.o.valid & result.is_level_overflow),
            early.level_room.eq(places - commit.level_stash),
            early.is_granted.eq(Cat(~is_named, ~window.o.valid,
                                    phase & ~value.o_look_up.valid)),
            early.i_key.eq(grid.o.key), early.i_price.eq(grid.o_price),
            early.i_level.eq(commit.o_look_up)]
        m.d.comb += [grid.i[name].eq(Mux(is_named, named.key[name], early.o_price.p[name]))
                     for name in ("price", "side", "instrument")]
        m.d.comb += [
            grid.i.is_first.eq(is_named & named.is_first),
            grid.i_key.eq(Mux(window.o.valid, value.o_key, early.o_key.p)),
            commit.i_look_up.valid.eq(value.o_look_up.valid | phase & early.o_level.valid),
            commit.i_look_up.p.eq(Mux(value.o_look_up.valid, value.o_look_up.p,
                                      early.o_level.p))]

    def _to_window(self, m: Module, commit: Commit, tick, window: Window, value: BestValue):
        """Give the window what a committed operation did, and the value what it was before."""
        result, given = commit.o.p, window.i.p
        is_step = result.operation == BookOperation.STEP
        has_changed = commit.changes
        effect = given.context.effect
        m.d.comb += [
            window.i.valid.eq(commit.o.valid), given.instrument.eq(result.order.instrument),
            given.side.eq(result.order.side), given.key.eq(tick.key),
            given.on_grid.eq(tick.on_grid), given.least_floor.eq(tick.least_floor),
            given.is_found.eq(result.is_level_found), given.context.serial.eq(value.serial),
            effect.instrument.eq(result.context),
            effect.is_found.eq(result.is_found), effect.price.eq(result.order.price),
            effect.side.eq(result.order.side), effect.is_touched.eq(has_changed | is_step),
            effect.is_desync.eq(Cat(result[f"is_{error}"] for error in _ERRORS).any()),
            effect.moved_order.eq(has_changed & (result.is_placed | result.is_gone)),
            effect.moved_shares.eq(Mux(~has_changed, 0, Mux(
                result.is_placed, result.order.shares, result.taken))),
            value.i_change.valid.eq(has_changed),
            value.i_change.p.key.price.eq(result.order.price),
            value.i_change.p.key.side.eq(result.order.side),
            value.i_change.p.key.instrument.eq(result.order.instrument),
            value.i_change.p.before.eq(result.before)]
        if self._geometry.depth:
            m.d.comb += [effect.is_changed.eq(has_changed), effect.level.eq(result.level)]
        with m.Switch(result.change):
            for change, kind in _KINDS.items():
                with m.Case(change):
                    m.d.comb += given.kind.eq(kind)
        with m.If(is_step):
            m.d.comb += given.kind.eq(WindowOperation.STEP)

    def _outcome(self, m: Module, value: BestValue, contexts: RAM) -> None:
        """Put the outcome together; the checksum takes another three cycles."""
        shown = stages(m, value.o.p, AHEAD, "shown")[AHEAD]
        outcomes = stages(m, value.o.valid, AHEAD, "outcome")
        valid, is_soon = outcomes[AHEAD], outcomes[AHEAD - READ_AGE]
        for address, moves in ((contexts.write_address, contexts.write_enable),
                               (contexts.read_address, is_soon)):
            place = Signal.like(address)
            m.d.sync += place.eq(place + moves)
            m.d.comb += address.eq(place)
        effect = value.o.p.context.effect
        shares = product(m, effect.price, effect.moved_shares, "moved", 64)
        last = stages(m, effect, PRODUCT_AGE, "moved_effect")[-1]
        orders = Mux(last.moved_order, last.price, 0) << LEVEL["orders"].offset
        moved = Signal(64)
        moved_total = (shares + orders)[:64]
        m.d.sync += moved.eq(Mux(last.side ^ last.is_found, -moved_total, moved_total))
        outcome, seen = self.o.p, shown.context
        # Which event it was is known before the rest, so both come together.
        m.submodules.numbers = numbers = memory.Memory(
            shape=range(STORED), depth=1 << ceil_log2(_IN_FLIGHT), init=[])
        write, read = numbers.write_port(), numbers.read_port(domain="comb")
        m.d.comb += [write.en.eq(contexts.write_enable), write.addr.eq(contexts.write_address),
                     write.data.eq(self._sequencer.o_context.number),
                     read.addr.eq(contexts.read_address)]
        m.d.sync += self._sequencer.i_number.eq(read.data)
        context, told = contexts.read_data, self._sequencer.o_told
        m.d.comb += [
            self.o_ahead.valid.eq(value.o.valid), self.o_ahead.p.eq(effect.instrument),
            self.o.valid.eq(valid),
            *(outcome[name].eq(context[name]) for name in CONTEXT),
            *(outcome[name].eq(told[name]) for name in TOLD),
            outcome.is_found.eq(seen.effect.is_found), outcome.price.eq(seen.effect.price),
            outcome.side.eq(seen.effect.side),
            outcome.is_desync.eq(seen.effect.is_desync | seen.is_desync | context.is_bad_side),
            outcome.is_touched.eq(seen.effect.is_touched), outcome.touched_side.eq(seen.side),
            outcome.has_best.eq(shown.has_best), outcome.best_price.eq(shown.price),
            outcome.best_value.eq(shown.value), outcome.is_hidden.eq(seen.is_hidden),
            outcome.checksum.eq(moved),
            self._early.i_desync.valid.eq(valid & outcome.is_desync),
            self._early.i_desync.p.eq(seen.effect.instrument)]
        if self._geometry.depth:
            m.d.comb += [
                self.o_level.valid.eq(valid & seen.effect.is_changed),
                self.o_level.p.side.eq(seen.effect.side),
                self.o_level.p.price.eq(seen.effect.price),
                self.o_level.p.value.eq(seen.effect.level)]
