"""Counters of the device: every cycle's events, added up in block RAM (kernel ``ring.count``)."""

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.checks import CHECKS
from tickwire.spec.counters import COUNTER_SLOTS, CounterIndex
from tickwire.spec.geometry import WAYS, Geometry
from tickwire_hw.arbiter_machine import PORTS
from tickwire_hw.arbiter_machine import WIDTHS as ARBITER_WIDTHS
from tickwire_hw.logic import select, stages
from tickwire_hw.ram import RAM, READ_AGE

_C = CounterIndex
_PORTS = PORTS.bit_length()                 # bits of a number of ports
FRAME_WIDTHS = dict.fromkeys(
    (_C.FRAMES_OTHER, _C.FRAMES_MALFORMED, _C.PORT_OVERFLOWS, _C.PORT_LOSSES), _PORTS)
BOOK_WIDTHS = dict.fromkeys(
    (_C.MESSAGES, _C.UNKNOWN_TYPE, _C.WRONG_LENGTH, _C.ZERO_LENGTH, _C.UNKNOWN_LOCATE,
     _C.FILTERED, _C.UNKNOWN_ORDER, _C.DUPLICATE_ORDER, _C.OVER_EXECUTION, _C.ZERO_QUANTITY,
     _C.BAD_SIDE, _C.BAD_PRICE, _C.OFF_GRID, _C.ORDER_OVERFLOW, _C.LEVEL_OVERFLOW,
     _C.WINDOW_SHIFTS, _C.WINDOW_SWEEPS, _C.HIDDEN), 1)
ORDER_WIDTHS = dict.fromkeys(
    (_C.INTENT_ERRORS, _C.RISK_REJECTS, _C.ORDERS_SENT, _C.CANCELS_SENT, _C.REPLACES_SENT,
     _C.CANCELS_UNSENT, _C.ORDERS_LOST, _C.SETTLE_UNKNOWN, _C.SETTLE_MISMATCH, _C.REPLACES_LAPSED,
     _C.ORDERS_ACCEPTED, _C.ORDERS_CANCELED, _C.ORDERS_REJECTED, _C.ORDERS_REPLACED, _C.FILLS,
     _C.TRIGGERS_ARMED, _C.TRIGGERS_FIRED, _C.TRIGGERS_DISARMED, _C.TRIGGERS_MISSED, _C.KILLS,
     _C.ARMS, _C.ARMS_REFUSED, _C.WATCHDOG_KICKS, _C.WATCHDOG_REFUSED, _C.LIMITS_COMMITTED,
     _C.LIMITS_REFUSED), 1)
SOFT = {_C[f"SOFT_{check.name.upper()}"]: number
        for number, check in enumerate(CHECKS) if not check.is_hard}
"""Bit of the check whose soft failures a counter counts."""
HOST_WIDTHS = dict.fromkeys((_C.ORDER_RECORDS, _C.INTENTS, _C.SAMPLES_LOST), 1) | {
    _C.RECORDS_DROPPED: 2}
OTHER_WIDTHS = {**ORDER_WIDTHS, **dict.fromkeys(SOFT, 1), **HOST_WIDTHS}
WIDTHS = {**FRAME_WIDTHS, **ARBITER_WIDTHS, **BOOK_WIDTHS, _C.RECORDS: 1, **OTHER_WIDTHS}
"""Counters in gateware, and the bits of what one cycle can add to each."""
WORD = 64
_SLOT = COUNTER_SLOTS.bit_length() - 1
_SUM_AGE = READ_AGE + 1
assert COUNTER_SLOTS == 1 << _SLOT


def step_layout(widths: Mapping[CounterIndex, int]) -> data.StructLayout:
    """Layout of what one cycle adds to some counters, by the names of their rows."""
    return data.StructLayout({counter.name.lower(): width for counter, width in widths.items()})


BookCounts = step_layout(BOOK_WIDTHS)
"""What the book adds to its counters in one cycle."""
OtherCounts, HostCounts = step_layout(OTHER_WIDTHS), step_layout(HOST_WIDTHS)
"""What the order path and the host's side add to theirs, and the host's side alone."""


def peak_layout(geometry: Geometry) -> data.StructLayout:
    """Layout of the fills whose greatest values are counters."""
    return data.StructLayout({
        name: (-(-slots // WAYS) * WAYS).bit_length() for name, slots in (
            ("order_stash_max", geometry.order_stash), ("level_stash_max", geometry.level_stash))})


class PageSignature(wiring.Signature):
    """The counter page, for whoever reads it.

    A strobe of ``take`` takes a picture of all counters as they were at one instant, less than
    130 cycles later; ``is_shown`` falls, and rises when the picture is whole, less than 262 cycles
    after the strobe. Until the next strobe ``value`` is the word at ``address`` (a CounterIndex)
    in it, two cycles later. What is no counter of the gateware reads as 0.
    """

    def __init__(self) -> None:
        super().__init__({"take": In(1), "is_shown": Out(1), "address": In(_SLOT),
                          "value": Out(WORD)})


class Counters(wiring.Component):
    """Add up what happens in every cycle; show all sums of one instant.

    What comes is gathered in a few bits a counter, from a register, as it comes from all over the
    device. Every 128 cycles these are put aside, and while the next are gathered, one word of RAM
    a cycle is brought up to date. Nothing is lost, whatever comes in whichever cycle. Reset begins
    anew from 0.

    Members
    -------
    i : ``In(step_layout(WIDTHS))``
        What this cycle adds to each counter.
    i_peak : ``In(peak_layout(geometry))``
        Fills; a counter is the greatest so far.
    page : ``Out(PageSignature())``
        The sums. What comes in the cycle of a strobe of ``take``, or before, is in its picture.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._peaks = peak_layout(geometry)
        super().__init__({"i": In(step_layout(WIDTHS)), "i_peak": In(self._peaks),
                          "page": Out(PageSignature())})

    def elaborate(self, platform):
        """Return registers and both RAMs; a number behind a name is the age of a slot's turn."""
        m = Module()

        slot, is_round, is_written = Signal(_SLOT), Signal(init=1), Signal()
        m.d.sync += [slot.eq(slot + 1), is_round.eq(slot == COUNTER_SLOTS - 1)]
        with m.If(slot == COUNTER_SLOTS - 1):
            m.d.sync += is_written.eq(1)

        due, is_peak_0 = self._gather(m, is_round), Signal()
        m.d.comb += is_peak_0.eq(Cat(slot == _C[name.upper()] for name in dict(self._peaks)).any())
        slots = stages(m, slot, _SUM_AGE, "slot")
        turns_1 = [(stages(m, slot == counter, 1, f"is_{counter.name.lower()}")[1], value)
                   for counter, value in due.items()]
        due_2 = Signal(WORD)
        m.d.sync += due_2.eq(select(*turns_1))

        # Before all words were written once, RAM may hold what was there before a reset.
        m.submodules.sums = sums = RAM(WORD, COUNTER_SLOTS)
        is_whole_2 = stages(m, is_peak_0 | ~is_written, READ_AGE, "is_whole")[-1]
        sum_3 = Signal(WORD)
        m.d.sync += sum_3.eq(due_2 + Mux(is_whole_2, 0, sums.read_data))
        m.submodules.picture = picture = RAM(WORD, COUNTER_SLOTS)
        is_taking_3 = self._take(m, is_round)
        m.d.comb += [
            sums.read_address.eq(slot), sums.write_enable.eq(1),
            sums.write_address.eq(slots[_SUM_AGE]), sums.write_data.eq(sum_3),
            picture.write_enable.eq(is_taking_3), picture.write_address.eq(slots[_SUM_AGE]),
            picture.write_data.eq(sum_3), picture.read_address.eq(self.page.address),
            self.page.value.eq(picture.read_data)]
        return m

    def _gather(self, m: Module, is_round: Signal) -> dict[CounterIndex, Signal]:
        """Return what is put aside at the end of the first cycle of every round, by counter."""
        due = {}
        steps, fills = (stages(m, value, 1, name)[1] for name, value in (
            ("step", self.i), ("fill", self.i_peak)))
        for counter, width in WIDTHS.items():
            step = steps[counter.name.lower()]
            bits = min(WORD, width + _SLOT)
            gathered, due[counter] = (Signal(bits, name=f"{counter.name.lower()}_{name}")
                                      for name in ("gathered", "due"))
            m.d.sync += gathered.eq(Mux(is_round, 0, gathered) + step)
            with m.If(is_round):
                m.d.sync += due[counter].eq(gathered)
        for name, entry in self._peaks:
            counter, fill = _C[name.upper()], fills[name]
            greatest, due[counter] = (Signal(entry.shape, name=f"{name}_{part}")
                                      for part in ("greatest", "due"))
            with m.If(fill > greatest):
                m.d.sync += greatest.eq(fill)
            with m.If(is_round):
                m.d.sync += due[counter].eq(greatest)
        return due

    def _take(self, m: Module, is_round: Signal) -> Signal:
        """Return whether the sums of age 3 belong to the picture."""
        is_asked, is_wanted, is_taking_1 = Signal(), Signal(), Signal()
        m.d.sync += is_asked.eq(self.page.take)      # as old as what is gathered
        with m.If(is_round):
            m.d.sync += [is_taking_1.eq(is_wanted), is_wanted.eq(0)]
        with m.If(is_asked):
            m.d.sync += is_wanted.eq(1)
        is_taking = stages(m, is_taking_1, _SUM_AGE - 1, "is_taking")
        with m.If(is_taking[-1] & ~is_taking[-2] & ~is_wanted & ~is_asked):
            m.d.sync += self.page.is_shown.eq(1)
        with m.If(self.page.take):
            m.d.sync += self.page.is_shown.eq(0)
        return is_taking[-1]
