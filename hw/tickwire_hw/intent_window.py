"""Intent window: 64 slots that the host's stores fill in any order (kernel ``intent_window``).

The kernel's slot is published by one last store. A card sees the processor's stores cut and
shuffled, so a slot has a mask of its 16 words and is whole when all of them came.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.intents import INTENT, PARTIAL_NS, WINDOW_SLOTS, IntentError
from tickwire_hw.crc32c import AGE, crc32c
from tickwire_hw.host_port import WORDS, Request
from tickwire_hw.logic import saturated, stages
from tickwire_hw.records import line_layout

INTENT_LAYOUT = line_layout(INTENT)
COMMIT_AGE = 7
"""Cycles from the request with a slot's last word to its intent."""
_FULL = (1 << WORDS) - 1
_SLOT = range(WINDOW_SLOTS)
_CELL = data.StructLayout({"word": 32, "is_whole": 1, "is_some": 1})


class Taken(data.Struct):
    """What the window gives: an intent that may be executed, or why one was refused.

    ``error`` is 0 or an IntentError, with what was expected and received; of SEQUENCE and
    PARTIAL_TIMEOUT nothing is consumed, of CRC and EPOCH the slot is. A PARTIAL_TIMEOUT has the
    mask of the words that came, and no intent.
    """

    intent: INTENT_LAYOUT
    error: 4
    slot: _SLOT
    expected: 32
    received: 32
    is_old: 1                              # further from now than ttl_ns, either way
    age: 32                                # that distance, saturated


class IntentWindow(wiring.Component):
    """Collect stores, and give whole intents in sequence, each exactly once.

    Whole means that every word of the slot was stored, by stores of whole words in any order and
    of any size; a slot is looked at when its turn comes. Its intent is given 7 cycles after the
    request that completed it, one each 5 cycles at most. A slot whose sequence is not its turn's
    is reported as the kernel does, emptied and not consumed; so is one that was begun and is not
    whole after 10 us of being looked at. What waits to be taken is judged anew, by the arming
    token of the cycle before and the time of 3 cycles before. Stores of less than a word fill
    nothing, but begin a slot. Never exerts backpressure on stores: the host keeps to 64 intents.

    Members
    -------
    i : ``In(stream.Signature(Request, always_ready=True))``
        Stores to the window; address and enables as the host gave them. Reads are ignored.
    o : ``Out(stream.Signature(Taken))``
        Intents and errors, in order.
    has_room : ``In(1)``
        Whether the order ring has room for whatever one intent may cause; nothing is given else.
    epoch, now : ``In(32)``, ``In(64)``
        Arming token, and time, ns.
    consumed : ``Out(64)``
        Intents consumed so far: the credit of records.
    """

    i: In(stream.Signature(Request, always_ready=True))
    o: Out(stream.Signature(Taken))
    has_room: In(1)
    epoch: In(32)
    now: In(64)
    consumed: Out(64)

    def elaborate(self, platform):
        """Return the slots, their masks, and what looks at the one whose turn it is."""
        m = Module()

        turn, read_slot = Signal(_SLOT), Signal(INTENT_LAYOUT)
        is_emptied, is_frozen = Signal(), Signal()     # what was checked is what is given
        assert AGE == 2
        mask, is_begun = self._slots(m, turn, read_slot, is_emptied, is_frozen)
        m.d.comb += turn.eq(self.consumed)         # sequence - 1, modulo the slots
        expected = Signal(32)
        m.d.comb += expected.eq(self.consumed + 1)

        # What is said of the slot is known some cycles after its words.
        octets = read_slot.as_value()
        crc_at = 8 * INTENT.field("crc")[1]
        crc = crc32c(m, Cat(octets[:crc_at], octets[crc_at + 32:]), "crc")
        distance, age, is_given = Signal(64), Signal(64), Signal()
        taken = self.o.p
        m.d.sync += [
            distance.eq(self.now - Mux(is_given, taken.intent.timestamp, read_slot.timestamp)),
            age.eq(Mux(distance[-1], -distance, distance))]
        waits = stages(m, is_given, 2, "waits")[-1]
        last, refused = Cat(read_slot.epoch, read_slot.sequence), Signal(64)
        is_right, is_stale = Signal(), Signal()
        m.d.sync += [is_right.eq(read_slot.sequence == expected),
                     is_stale.eq((last == 0) | (last == refused)
                                 | (read_slot.sequence == (expected - WINDOW_SLOTS)[:32]))]

        since, is_timed = Signal(64), Signal()
        with m.FSM():
            with m.State("Empty"):
                m.d.sync += is_timed.eq(is_begun)
                with m.If(~is_timed):
                    m.d.sync += since.eq(self.now)
                with m.If(self.has_room & (mask == _FULL)):
                    m.next = "Read"
                with m.Elif(self.has_room & is_timed & (self.now - since > PARTIAL_NS)):
                    m.d.sync += [
                        self.o.valid.eq(1), taken.error.eq(IntentError.PARTIAL_TIMEOUT),
                        taken.intent.eq(0), taken.slot.eq(turn), taken.expected.eq(_FULL),
                        taken.received.eq(mask), taken.is_old.eq(0), taken.age.eq(0)]
                    m.d.comb += is_emptied.eq(1)
                    m.next = "Given"
            with m.State("Read"):
                m.d.comb += [is_emptied.eq(1), is_frozen.eq(1)]
                m.next = "Age"
            with m.State("Age"):
                m.d.comb += is_frozen.eq(1)
                m.next = "Judge"
            with m.State("Judge"):
                m.d.comb += is_frozen.eq(1)
                m.d.sync += [
                    taken.intent.eq(read_slot), taken.slot.eq(read_slot.sequence - 1),
                    taken.is_old.eq(read_slot.ttl_ns.any() & (age > read_slot.ttl_ns)),
                    taken.age.eq(saturated(age, 32)),
                    taken.expected.eq(0), taken.received.eq(0), taken.error.eq(0)]
                with m.If(~is_right):
                    m.d.sync += [taken.error.eq(IntentError.SEQUENCE), taken.expected.eq(expected),
                                 taken.received.eq(read_slot.sequence),
                                 self.o.valid.eq(~is_stale)]
                    with m.If(~is_stale):
                        m.d.sync += refused.eq(last)
                with m.Else():
                    m.d.sync += [self.o.valid.eq(1), self.consumed.eq(self.consumed + 1)]
                    with m.If(crc != read_slot.crc):
                        m.d.sync += [taken.error.eq(IntentError.CRC), taken.expected.eq(crc),
                                     taken.received.eq(read_slot.crc)]
                    with m.Elif(read_slot.epoch != self.epoch):
                        m.d.sync += [taken.error.eq(IntentError.EPOCH),
                                     taken.expected.eq(self.epoch),
                                     taken.received.eq(read_slot.epoch)]
                m.next = "Given"
            with m.State("Given"):
                m.d.comb += is_given.eq(1)
                m.d.sync += is_timed.eq(0)
                with m.If(~taken.error.any()):
                    self._judge_anew(m, waits, age)
                with m.If(~self.o.valid | self.o.ready):
                    m.d.sync += self.o.valid.eq(0)
                    m.next = "Empty"

        return m

    def _judge_anew(self, m: Module, waits: Signal, age: Signal) -> None:
        """An intent that waits grows old, and after both keys it is of an earlier arming."""
        taken = self.o.p
        with m.If(waits):
            m.d.sync += [
                taken.is_old.eq(taken.intent.ttl_ns.any() & (age > taken.intent.ttl_ns)),
                taken.age.eq(saturated(age, 32))]
        with m.If(taken.intent.epoch != self.epoch):
            m.d.sync += [taken.error.eq(IntentError.EPOCH), taken.expected.eq(self.epoch),
                         taken.received.eq(taken.intent.epoch)]

    def _slots(self, m: Module, turn: Signal, read_slot: data.View, is_emptied: Signal,
               is_frozen: Signal) -> tuple[Signal, Signal]:
        """Take stores into a bank a word; return the mask of ``turn``'s slot, and if it is begun.

        Every bank has an address of its own, so a store may lie across two slots.
        """
        given, first = self.i.p, self.i.p.address[:4]
        is_store = self.i.valid & ~given.is_read
        cells = [Signal(_CELL, name=f"cell_{lane}") for lane in range(WORDS)]
        for lane, cell in enumerate(cells):
            some = given.enables.word_select(lane, 4)
            m.d.comb += [cell.word.eq(given.data.word_select(lane, 32)),
                         cell.is_whole.eq(is_store & some.all()),
                         cell.is_some.eq(is_store & some.any())]
        # Cell n goes to bank (address + n) modulo 16: turned by the address's bits, one by one.
        for place in range(4):
            before = cells
            cells = [Signal(_CELL, name=f"turned_{place}_{bank}") for bank in range(WORDS)]
            m.d.comb += [cell.eq(Mux(first[place], before[(bank - (1 << place)) % WORDS],
                                     before[bank])) for bank, cell in enumerate(cells)]

        held, slot, is_next = stages(m, Cat(cells), 1, "cells")[1], Signal(_SLOT), Signal(WORDS)
        m.d.sync += [slot.eq(given.address >> 4), is_next.eq((1 << first) - 1)]
        whole, some = Signal(WORDS), Signal(WORDS)
        for bank in range(WORDS):
            rows = memory.Memory(shape=32, depth=WINDOW_SLOTS, init=[])
            m.submodules[f"bank_{bank}"] = rows
            write, read = rows.write_port(), rows.read_port()
            cell = data.View(_CELL, held.word_select(bank, _CELL.size))
            m.d.comb += [
                whole[bank].eq(cell.is_whole), some[bank].eq(cell.is_some),
                write.en.eq(cell.is_whole), write.data.eq(cell.word),
                write.addr.eq(slot + is_next[bank]), read.addr.eq(turn), read.en.eq(~is_frozen),
                read_slot.as_value().word_select(bank, 32).eq(read.data)]
        here, after = whole & ~is_next, whole & is_next
        is_some_here, is_some_after = (some & ~is_next).any(), (some & is_next).any()
        masks, begun = Array(Signal(WORDS, name=f"mask_{number}") for number in _SLOT), Signal(
            WINDOW_SLOTS)
        for number, mask in enumerate(masks):
            is_slot, is_after = slot == number, (slot + 1)[:len(slot)] == number
            is_cleared = is_emptied & (turn == number)
            m.d.sync += [
                mask.eq(Mux(is_cleared, 0, mask) | Mux(is_slot, here, 0) | Mux(is_after, after, 0)),
                begun[number].eq(begun[number] & ~is_cleared | is_some_here & is_slot
                                 | is_some_after & is_after)]
        found, is_begun = Signal(WORDS), Signal()
        m.d.sync += [found.eq(masks[turn]), is_begun.eq(begun.bit_select(turn, 1))]
        return found, is_begun
