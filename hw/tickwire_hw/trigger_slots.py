"""What each slot waits for, and which ones are armed (kernel ``triggers``)."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import TRIGGERS, TriggerKind
from tickwire_hw.settle_port import Filled
from tickwire_hw.trigger_rules import TriggerRules
from tickwire_hw.triggers_port import SLOT, Condition, Sight


class SlotChange(data.Struct):
    """A slot is armed, or not any more."""

    instrument: 16
    slot: SLOT
    is_armed: 1
    is_written: 1                          # it has another condition
    condition: Condition


class TriggerSlots(wiring.Component):
    """Hold all slots of an instrument against a record or a fill in the same cycle.

    The conditions of the sixteen slots are sixteen memories by instrument, of 143 bits; what is
    armed is in registers, so a reset disarms. Latency none; a change holds from the next cycle on.

    Members
    -------
    instrument : ``In(16)``
        Whose slots are looked at.
    sight, fill, is_fill : ``In``
        The record, or the fill, and which of them it is.
    now : ``In(64)``
        Time, ns.
    due, over : ``Out(TRIGGERS)``
        Armed slots that it sets off, and those that wait for its kind, of prints, best levels or
        fills, whose time is over; one bit each.
    group, others : ``In(8)``, ``Out(TRIGGERS)``
        A group, and its armed slots.
    slot, is_armed : ``In(SLOT)``, ``Out(1)``
        Whether this one is armed, one cycle later.
    i : ``In(stream.Signature(SlotChange, always_ready=True))``
        What changes.
    is_cleared : ``In(1)``
        Strobe: none is armed, already in this cycle.
    has_through : ``Out(1)``
        A slot of the instrument waits for prints.
    waiting : ``Out(instruments)``
        Instruments with armed slots that wait for the market.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._instruments = geometry.instruments
        super().__init__({
            "instrument": In(16), "sight": In(Sight), "fill": In(Filled), "is_fill": In(1),
            "now": In(64), "due": Out(TRIGGERS), "over": Out(TRIGGERS), "group": In(8),
            "others": Out(TRIGGERS), "slot": In(SLOT), "is_armed": Out(1),
            "i": In(stream.Signature(SlotChange, always_ready=True)), "is_cleared": In(1),
            "has_through": Out(1), "waiting": Out(geometry.instruments)})

    def elaborate(self, platform):
        """Return memories with rules behind them, and two bits a slot."""
        m = Module()

        bits, change = max(1, ceil_log2(self._instruments)), self.i.p
        armed, hedges = (Array(Signal(TRIGGERS, name=f"{name}_{number}") for number in range(
            1 << bits)) for name in ("armed", "hedges"))
        is_hedge = change.condition.kind == TriggerKind.FILL_HEDGE
        for number in range(1 << bits):
            is_armed, is_hedging = Signal(TRIGGERS), Signal(TRIGGERS)
            m.d.comb += [is_armed.eq(armed[number]), is_hedging.eq(hedges[number])]
            with m.If(self.is_cleared):
                m.d.comb += is_armed.eq(0)
            with m.Elif(self.i.valid & (change.instrument == number)):
                m.d.comb += [is_armed.bit_select(change.slot, 1).eq(change.is_armed),
                             is_hedging.bit_select(change.slot, 1).eq(change.is_armed & is_hedge)]
            m.d.sync += [armed[number].eq(is_armed), hedges[number].eq(is_hedging)]
            if number < self._instruments:     # which records are looked at waits for this bit
                m.d.sync += self.waiting[number].eq((is_armed & ~is_hedging).any())

        number = self.instrument[:bits]
        is_here, waits = Signal(TRIGGERS), Signal(TRIGGERS)
        m.d.comb += [
            is_here.eq(Mux(self.is_cleared, 0, armed[number])),
            waits.eq(is_here & Mux(self.is_fill, hedges[number], ~hedges[number]))]
        through = Signal(TRIGGERS)
        m.d.comb += self.has_through.eq(through.any())
        m.d.sync += self.is_armed.eq(is_here.bit_select(self.slot, 1))
        for slot in range(TRIGGERS):
            rows = memory.Memory(shape=Condition, depth=1 << bits, init=[])
            m.submodules[f"slot_{slot}"] = rows
            m.submodules[f"rules_{slot}"] = rules = TriggerRules()
            read, write = rows.read_port(domain="comb"), rows.write_port()
            is_hedged = read.data.quantity == self.fill.token
            is_through = read.data.kind == TriggerKind.TRADE_THROUGH
            is_of_kind = self.is_fill | (is_through == self.sight.is_trade)
            m.d.comb += [
                read.addr.eq(number), write.addr.eq(change.instrument),
                write.data.eq(change.condition),
                write.en.eq(self.i.valid & change.is_written & (change.slot == slot)),
                rules.condition.eq(read.data), rules.sight.eq(self.sight), rules.now.eq(self.now),
                through[slot].eq(waits[slot] & is_through),
                self.over[slot].eq(waits[slot] & rules.is_over & is_of_kind),
                self.due[slot].eq(waits[slot] & ~rules.is_over
                                  & Mux(self.is_fill, is_hedged, rules.holds)),
                self.others[slot].eq(is_here[slot] & (read.data.group == self.group))]

        return m
