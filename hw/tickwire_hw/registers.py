"""Register file of BAR 0, made from ``tickwire.spec.registers``."""

from functools import reduce
from operator import or_

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.registers import COUNTER_OFFSET, REGISTERS, Register
from tickwire_hw.host_port import Access

SHOWN = ("ECHO", "INTERRUPT_CAUSE", "TABLE_INDEX", "FRAME_SEND", "SESSION_UPDATE",
         "RING_MARKET_CONTROL", "RING_ORDER_CONTROL", "RING_CAPTURE_CONTROL", "STATE_CONTROL")
"""Registers that may be written but do not read as what was written."""
_U32 = 0xFFFF_FFFF


def _layout(rows) -> data.StructLayout:
    return data.StructLayout({row.name.lower(): 8 * row.size for row in rows})


READABLE = [row for row in REGISTERS if row.access == "ro" or row.name in SHOWN]
KEPT = [row for row in REGISTERS if row.access == "rw"]
EVENTS = [row for row in REGISTERS if row.access == "wo" or row.name in SHOWN]
STATUS_LAYOUT, VALUES_LAYOUT = _layout(READABLE), _layout(KEPT)
EVENTS_LAYOUT = data.StructLayout({row.name.lower(): data.StructLayout(
    {"is_written": 1, "value": 8 * row.size}) for row in EVENTS})
_WORDS = COUNTER_OFFSET // 4


class Registers(wiring.Component):
    """Registers as the host sees them, a word at a time.

    Takes an access in every cycle; a read is answered in the next one. A register of 8 octets is
    two words: reading the low one keeps the high one for the next read of it, writing the low one
    takes effect with the high one, together. Octets that a store does not enable stay, or are 0
    where nothing stays. Words without a register read as 0 and ignore stores.

    Members
    -------
    i : ``In(stream.Signature(Access, always_ready=True))``
        Accesses to BAR 0 below the counters; others are ignored and answered with 0.
    o : ``Out(32)``
        Answer of the read in the cycle before, else 0.
    status : ``In(STATUS_LAYOUT)``
        What registers read as that keep nothing.
    values : ``Out(VALUES_LAYOUT)``
        What was written to the others, 0 after reset.
    events : ``Out(EVENTS_LAYOUT)``
        For one cycle: a register was written, and with what.
    """

    i: In(stream.Signature(Access, always_ready=True))
    o: Out(32)
    status: In(STATUS_LAYOUT)
    values: Out(VALUES_LAYOUT)
    events: Out(EVENTS_LAYOUT)

    def elaborate(self, platform):
        """Return every register's words."""
        m = Module()

        access = self.i.p
        bits = Signal(32)
        m.d.comb += bits.eq(Cat(bit.replicate(8) for bit in access.enables))
        is_store = self.i.valid & ~access.is_read & access.enables.any()
        is_read = self.i.valid & access.is_read
        # The other half of a register of 8 octets, and the register that it is of.
        half, half_of, is_low = Signal(32), Signal(12), Signal()
        m.d.sync += self.events.eq(0)
        answers = []
        for row in REGISTERS:
            name, word = row.name.lower(), row.offset // 4
            readable = self._readable(row)
            kept = getattr(self.values, name) if row in KEPT else None
            is_first = Signal(name=f"is_{name}")
            m.d.comb += is_first.eq(access.address == word)
            old = C(0, 8 * row.size) if kept is None else kept
            if row.size == 4:
                merged = Signal(32, name=f"{name}_merged")
                m.d.comb += merged.eq(access.data & bits | old & ~bits)
                self._write(m, row, is_store & is_first, merged, access.data & bits)
                answers.append(Mux(is_first, readable, 0))
                continue
            is_second, is_ours = Signal(name=f"is_{name}_high"), Signal(name=f"{name}_has_half")
            m.d.comb += [is_second.eq(access.address == word + 1), is_ours.eq(half_of == word)]
            low, high = Signal(32, name=f"{name}_low"), Signal(32, name=f"{name}_top")
            is_mine = is_ours & is_low
            m.d.comb += [low.eq(Mux(is_mine, half, old[:32])),
                         high.eq(access.data & bits | old[32:] & ~bits)]
            self._write(m, row, is_store & is_second, Cat(low, high),
                        Cat(Mux(is_mine, half, 0), access.data & bits))
            with m.If(is_store & is_first):
                m.d.sync += [half.eq(access.data & bits | old[:32] & ~bits), half_of.eq(word),
                             is_low.eq(1)]
            with m.If(is_read & is_first):
                m.d.sync += [half.eq(readable[32:]), half_of.eq(word), is_low.eq(0)]
            answers += [Mux(is_first, readable[:32], 0),
                        Mux(is_second, Mux(is_ours & ~is_low, half, readable[32:]), 0)]
        while len(answers) > 1:                # in pairs: simulators take no chain of so many
            answers = [reduce(or_, answers[at:at + 2]) for at in range(0, len(answers), 2)]
        m.d.sync += self.o.eq(Mux(is_read & (access.address < _WORDS), answers[0], 0))

        return m

    def _readable(self, row: Register):
        name = row.name.lower()
        if row in READABLE:
            return getattr(self.status, name)
        return getattr(self.values, name) if row in KEPT else C(0, 8 * row.size)

    def _write(self, m: Module, row: Register, condition, merged, given) -> None:
        """Keep what was written, tell of it, or both."""
        name = row.name.lower()
        with m.If(condition):
            if row in KEPT:
                m.d.sync += getattr(self.values, name).eq(merged)
            if row in EVENTS:
                event = getattr(self.events, name)
                m.d.sync += [event.is_written.eq(1), event.value.eq(given)]
