"""Triggers: orders that the host armed, fired when a record says so (kernel ``triggers``)."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import TRIGGERS, Operation, TriggerEvent, TriggerKind
from tickwire.spec.records import TRIGGER, BookFlag, RecordType
from tickwire_hw.entry_port import Source, Wanted
from tickwire_hw.logic import encode, lowest
from tickwire_hw.order_rows import TOKEN
from tickwire_hw.record_writer import RECORD
from tickwire_hw.records import body_layout
from tickwire_hw.risk_port import Market, Owner
from tickwire_hw.settle_port import Filled
from tickwire_hw.trigger_queue import TriggerQueue
from tickwire_hw.trigger_slots import TriggerSlots
from tickwire_hw.triggers_port import SLOT, TRIGGER_LAYOUT, Armed, ArmWish, Triggered
from tickwire_hw.wipe import Wipe


class Triggers(wiring.Component):
    """Keep sixteen slots an instrument, look at records and fills, and ask for orders.

    Slots are looked at in parallel: from the record at ``i`` to the order at ``o`` 3 cycles, from
    one order of a record to the next one 3 cycles after it was told. A record that fires nothing
    takes 2. The gate begins with a record's instrument while slots are looked at; a new order whose
    static checks were made under the limits in force goes on with that. A slot is disarmed when its
    order was taken, whatever the gate then says.

    What comes while something else is executed waits, see :class:`TriggerQueue`. While the device
    is killed or the ring has no room, records are looked at by no one. Orders of slots are RAM,
    zero at configuration and once it is ``ready`` after a reset, so generations begin anew.

    Members
    -------
    ready : ``Out(1)``
        Whether nothing of an earlier run is left, see ``Wipe``; the rest comes only then.
    i : ``In(stream.Signature(RECORD, always_ready=True))``
        Market records.
    early, glimpse : ``In(stream.Signature(Sight, always_ready=True))``
        What a market record will show, as of ``TriggerQueue``, and a glimpse of that.
    i_taught, watch_all
        As of ``Locates``.
    filled : ``In(stream.Signature(Filled, always_ready=True))``
        What was filled; hedged when its answer is done.
    may_look, has_room, is_killed : ``In(1)``
        Nothing is being executed; the order ring has room for what one record may cause; kill.
    epoch, is_cleared : ``In``
        Arming token, and a strobe with each new one: all are disarmed.
    time, now : ``In(64)``
        Time, ns, and when what is being executed was taken.
    arm : ``In(stream.Signature(ArmWish))``
        Arms or disarms a slot; done when it is taken.
    generation, is_armed : ``Out``
        Of the slot of ``arm.p``, one cycle later, while nothing else is done.
    begin : ``Out(stream.Signature({instrument, market}))``
        Of a record: the gate may begin, before it is known whether anything fires.
    market, version : ``In``
        Of the instrument at ``begin``, in the same cycle; of the limits in force.
    owner : ``Out(stream.Signature(Owner, always_ready=True))``
        Two cycles after ``begin``: whose order it is, if it is one.
    o : ``Out(stream.Signature(Wanted))``
        Orders of triggers that fire.
    fired : ``In(stream.Signature(TOKEN))``
        What became of the last one: its token, 0 when it was refused; taken when all is told.
    record : ``Out(stream.Signature(RECORD))``
        TRIGGER records.
    is_busy, is_telling : ``Out(1)``
        Nothing else may begin; a slot is being told of.
    counted : ``Out(Triggered)``
        What to count.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._bits = max(1, ceil_log2(geometry.instruments))
        self._queue, self._slots = TriggerQueue(geometry), TriggerSlots(geometry)
        queue = self._queue.signature.members
        super().__init__({
            "ready": Out(1), "i": queue["i"], "early": queue["early"], "glimpse": queue["glimpse"],
            "i_taught": queue["i_taught"],
            "watch_all": In(1),
            "filled": In(stream.Signature(Filled, always_ready=True)), "may_look": In(1),
            "has_room": In(1), "is_killed": In(1), "epoch": In(32), "is_cleared": In(1),
            "time": In(64), "now": In(64), "arm": In(stream.Signature(ArmWish)),
            "begin": Out(stream.Signature(data.StructLayout(
                {"instrument": 16, "market": Market}))), "market": In(Market), "version": In(32),
            "owner": Out(stream.Signature(Owner, always_ready=True)),
            "generation": Out(32), "is_armed": Out(1), "o": Out(stream.Signature(Wanted)),
            "fired": In(stream.Signature(TOKEN)), "record": Out(stream.Signature(RECORD)),
            "is_busy": Out(1), "is_telling": Out(1), "counted": Out(Triggered)})

    def elaborate(self, platform):
        """Return queue, slots, orders, and the steps from a record to what is told."""
        m = Module()

        m.submodules.queue, m.submodules.slots = queue, slots = self._queue, self._slots
        connect(m, flipped(self.i), queue.i)
        connect(m, flipped(self.early), queue.early)
        connect(m, flipped(self.glimpse), queue.glimpse)
        connect(m, flipped(self.i_taught), queue.i_taught)
        m.d.comb += [queue.watch_all.eq(self.watch_all), queue.waiting.eq(slots.waiting),
                     slots.is_cleared.eq(self.is_cleared), slots.now.eq(self.time),
                     self.counted.triggers_missed.eq(queue.is_lost)]
        self._fill, self._has_fill = Signal(Filled), Signal()
        self._instrument, self._slot = Signal(16), Signal(SLOT)
        self._due, self._over = Signal(TRIGGERS), Signal(TRIGGERS)
        self._left = Signal(TRIGGERS, init=-1)  # slots that this record was not yet held against
        self._others = Signal(TRIGGERS)        # of the group, to be disarmed
        self._event, self._token = Signal(TriggerEvent), Signal(TOKEN)
        self._quantity, self._rest = Signal(32), Signal(32)
        self._is_begun, self._market = Signal(2), Signal(Market)
        m.d.sync += self._is_begun.eq(Cat(self.begin.valid & self.begin.ready, self._is_begun))
        with m.If(self.filled.valid & self.filled.p.quantity.any()):
            m.d.sync += [self._fill.eq(self.filled.p), self._has_fill.eq(1)]
        self._keep(m)
        self._name_order(m)
        self._name_record(m)
        self._states(m)
        return m

    def _keep(self, m):
        """Orders by instrument and slot; a row is shown one cycle after its address."""
        m.submodules.rows = rows = memory.Memory(
            shape=Armed, depth=TRIGGERS << self._bits, init=[])
        read, write = rows.read_port(), rows.write_port()
        self._row, self._wanted_slot = read.data, Signal(SLOT)
        self._is_looking, self._is_written = Signal(), Signal()
        armed = Signal(Armed)                    # the row that is written
        slots, wish = self._slots, self.arm.p
        intent = data.View(TRIGGER_LAYOUT, wish.intent.as_value())
        number = Mux(self._is_looking, wish.instrument, self._instrument)
        m.submodules.wipe = wipe = Wipe(TRIGGERS << self._bits)
        m.d.comb += [
            self.ready.eq(wipe.ready),
            *wipe.write(write, self._is_written, Cat(self._slot, self._instrument[:self._bits]),
                        armed),
            read.addr.eq(Cat(self._wanted_slot, number[:self._bits])),
            self._wanted_slot.eq(Mux(self._is_looking, intent.slot, self._slot)),
            self.generation.eq(self._row.generation)]

        # A hedge that is not used up waits for the next fill.
        self._is_arming = Signal()
        is_cancel = intent.kind == TriggerKind.CANCEL_ON_MOVE
        m.d.comb += [armed.eq(self._row), armed.quantity.eq(self._rest)]
        with m.If(self._is_arming):
            m.d.comb += [getattr(armed, name).eq(getattr(intent, name)) for name in (
                "generation", "intent_id", "locate", "flags", "price", "token", "session",
                "strategy", "kind", "group", "trigger_price")]
            m.d.comb += [armed.quantity.eq(Mux(is_cancel, 0, intent.quantity)),
                         armed.decided.eq(intent.timestamp),
                         armed.window_slot.eq(wish.window_slot),
                         armed.checked.eq(wish.checked)]

        is_hedge = intent.kind == TriggerKind.FILL_HEDGE
        change, condition = slots.i.p, slots.i.p.condition
        m.d.comb += [
            change.instrument.eq(self._instrument), change.slot.eq(self._slot),
            change.is_written.eq(self._is_arming),
            # The host may have armed the device anew since it wrote this.
            change.is_armed.eq(self._is_arming & (wish.intent.epoch == self.epoch)),
            condition.kind.eq(Mux(self._is_arming, intent.kind, self._row.kind)),
            condition.is_sell.eq(intent.flags[0]), condition.group.eq(intent.group),
            condition.price.eq(intent.trigger_price),
            condition.quantity.eq(Mux(is_hedge, intent.token, intent.trigger_quantity)),
            condition.deadline.eq(Mux(intent.ttl_ns.any(), intent.timestamp + intent.ttl_ns, 0))]

    def _name_order(self, m):
        """The order of the slot that fires."""
        row, wanted = self._row, self.o.p
        intent, is_cancel = wanted.taken.intent, row.kind == TriggerKind.CANCEL_ON_MOVE
        m.d.comb += [
            intent.operation.eq(Mux(is_cancel, Operation.CANCEL.value, Operation.NEW.value)),
            intent.timestamp.eq(Mux(self._has_fill, self.time, self._queue.o.p.timestamp)),
            intent.quantity.eq(Mux(self._has_fill & (self._fill.quantity < row.quantity),
                                   self._fill.quantity, row.quantity)),
            wanted.taken.slot.eq(row.window_slot), wanted.source.eq(Source.TRIGGER),
            wanted.decided.eq(row.decided), wanted.instrument.eq(self._instrument),
            wanted.is_begun.eq(self._is_begun[-1] & ~self._has_fill & ~is_cancel
                               & (row.checked.version == self.version)),
            wanted.checked.eq(row.checked), wanted.market.eq(self._market),
            self.owner.valid.eq(self._is_begun[-1]), self.owner.p.strategy.eq(row.strategy),
            self.owner.p.session.eq(row.session)]
        m.d.comb += [getattr(intent, name).eq(getattr(row, name)) for name in (
            "intent_id", "locate", "flags", "price", "token", "session", "strategy")]

    def _name_record(self, m):
        """The record of the slot that is told of."""
        row, body, is_fired = self._row, Signal(body_layout(TRIGGER)), Signal()
        m.d.comb += [
            is_fired.eq(self._event == TriggerEvent.FIRED), body.timestamp.eq(self.now),
            body.feed_sequence.eq(Mux(is_fired & ~self._has_fill, self._queue.o.p.sequence, 0)),
            body.token.eq(Mux(is_fired, self._token, 0)),
            body.quantity.eq(Mux(is_fired, self._quantity, row.quantity)),
            body.slot.eq(self._slot), body.event.eq(self._event),
            self.record.p.kind.eq(RecordType.TRIGGER), self.record.p.octets.eq(body)]
        m.d.comb += [getattr(body, name).eq(getattr(row, name)) for name in (
            "intent_id", "price", "locate", "strategy", "generation", "kind", "group",
            "trigger_price")]

    def _states(self, m):
        """Look, choose, fire, tell; arm and disarm between two looks."""
        queue, slots, intent = self._queue, self._slots, data.View(
            TRIGGER_LAYOUT, self.arm.p.intent.as_value())
        subject = Mux(self._has_fill, self._fill.instrument, queue.o.p.instrument)
        shown, market = queue.o.p, self.begin.p.market
        is_looking = self._is_looking & self.may_look & ~self._has_fill & ~self.arm.valid
        m.d.comb += market.eq(self.market)
        with m.If(shown.is_early & ~self._has_fill):   # what the record's state line will show
            m.d.comb += [market.bid.eq(shown.bid), market.ask.eq(shown.ask), market.flags.eq(Mux(
                (shown.bid >= shown.ask) & shown.bid.any() & shown.ask.any(),
                BookFlag.CROSSED.value, 0))]
            with m.If(shown.last.any()):
                m.d.comb += market.last.eq(shown.last)
        with m.If(self._is_looking):
            m.d.sync += self._market.eq(market)
        m.d.comb += [
            slots.sight.eq(queue.o.p), slots.fill.eq(self._fill),
            slots.is_fill.eq(self._has_fill), slots.slot.eq(intent.slot),
            slots.group.eq(self._row.group), self.is_armed.eq(slots.is_armed),
            slots.instrument.eq(Mux(self._is_looking, Mux(
                self.may_look, subject, self.arm.p.instrument), self._instrument)),
            self.begin.p.instrument.eq(subject),
            self.begin.valid.eq(is_looking & queue.o.valid), queue.has_through.eq(
                slots.has_through),
            queue.can_look.eq(is_looking & ~self.is_killed & self.has_room),
            self.is_busy.eq(~self._is_looking | self._has_fill | queue.o.valid)]
        is_held = ~self._has_fill & ~self.has_room
        with m.FSM():
            with m.State("Look"):
                m.d.comb += self._is_looking.eq(1)
                m.d.sync += [
                    self._instrument.eq(Mux(self.may_look, subject, self.arm.p.instrument)),
                    self._slot.eq(intent.slot), self._due.eq(slots.due & self._left),
                    self._over.eq(slots.over & self._left)]
                with m.If(self.arm.valid):
                    m.next = "Arm"
                with m.Elif(self.may_look & (self._has_fill | queue.o.valid)):
                    with m.If(self.is_killed | is_held):
                        self._end(m)
                    with m.Else():
                        m.next = "Choose"
            with m.State("Choose"):
                first, found = Signal(TRIGGERS), Signal(TRIGGERS)
                m.d.comb += [found.eq(self._due | self._over), first.eq(Cat(lowest(found))),
                             self._wanted_slot.eq(encode(first))]
                m.d.sync += [self._slot.eq(self._wanted_slot), self._left.eq(
                    self._left & Cat(found[:slot].any() for slot in range(TRIGGERS))),
                    self._event.eq(TriggerEvent.EXPIRED)]
                with m.If(queue.is_void):
                    m.d.sync += self._left.eq(-1)
                    m.next = "Look"
                with m.Elif(self.is_killed | ~found.any()):
                    self._end(m)
                with m.Elif((first & self._over).any()):
                    m.next = "Tell"
                with m.Else():
                    m.next = "Fire"
            with m.State("Fire"):
                quantity = self.o.p.taken.intent.quantity
                rest = Mux(self._row.kind == TriggerKind.FILL_HEDGE,
                           self._row.quantity - quantity, 0)
                m.d.comb += self.o.valid.eq(~self.is_killed)
                m.d.sync += [self._quantity.eq(quantity), self._rest.eq(rest)]
                with m.If(self.is_killed):
                    self._end(m)
                with m.Elif(self.o.ready):
                    m.d.comb += self.counted.triggers_fired.eq(1)
                    m.next = "Fired"
            with m.State("Fired"):
                m.d.comb += slots.i.valid.eq(~self._rest.any())
                m.d.sync += [self._event.eq(TriggerEvent.FIRED), self._token.eq(self.fired.p)]
                with m.If(self.fired.valid):
                    m.next = "Tell"
            with m.State("Arm"):
                m.d.comb += [
                    self._is_arming.eq(intent.operation == Operation.PRE_ARM),
                    slots.i.valid.eq(1), self._is_written.eq(self._is_arming),
                    self.counted.triggers_armed.eq(self._is_arming),
                    self.counted.triggers_disarmed.eq(~self._is_arming)]
                m.d.sync += self._event.eq(Mux(self._is_arming, TriggerEvent.ARMED,
                                               TriggerEvent.DISARMED))
                m.next = "Read"
            with m.State("Read"):
                m.d.comb += self.is_telling.eq(1)
                m.next = "Tell"
            with m.State("Tell"):
                self._tell(m)
            with m.State("Group"):
                first = Signal(TRIGGERS)
                m.d.comb += [self.is_telling.eq(1), first.eq(Cat(lowest(self._others))),
                             self._wanted_slot.eq(encode(first))]
                m.d.sync += [self._others.eq(self._others & ~first),
                             self._event.eq(TriggerEvent.GROUP)]
                with m.If(first.any()):
                    m.d.sync += self._slot.eq(self._wanted_slot)
                    m.next = "Tell"
                with m.Else():
                    m.d.comb += self.fired.ready.eq(1)
                    m.next = "Look"

    def _tell(self, m):
        """Write a record, then go on with what it is about."""
        slots, event = self._slots, self._event
        m.d.comb += [self.is_telling.eq(1), self.record.valid.eq(1)]
        own = Signal(TRIGGERS)
        m.d.comb += own.bit_select(self._slot, 1).eq(1)
        with m.If(self.record.ready), m.Switch(event):
            with m.Case(TriggerEvent.FIRED):
                m.d.comb += self._is_written.eq(self._rest.any())
                m.d.sync += self._others.eq(
                    Mux(self._row.group.any(), slots.others & ~own, 0))
                m.next = "Group"
            with m.Case(TriggerEvent.GROUP, TriggerEvent.EXPIRED):
                m.d.comb += [slots.i.valid.eq(1), self.counted.triggers_disarmed.eq(1)]
                with m.If(event == TriggerEvent.GROUP):
                    m.next = "Group"
                with m.Else():
                    m.next = "Look"
            with m.Default():
                m.d.comb += self.arm.ready.eq(1)
                m.next = "Look"

    def _end(self, m):
        """Nothing is left that this record or fill could fire."""
        m.d.sync += self._left.eq(-1)
        with m.If(self._has_fill):
            m.d.sync += self._has_fill.eq(0)
        with m.Else():
            m.d.comb += self._queue.o.ready.eq(1)
        m.next = "Look"
