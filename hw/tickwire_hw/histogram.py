"""Latency histograms of all stages in RAM: one sample a cycle, read as one picture."""

from collections.abc import Callable

from amaranth.hdl import C, Cat, Module, Mux, Shape, ShapeLike, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.stages import (
    HISTOGRAM_BUCKETS,
    HISTOGRAM_CARD_BITS,
    HISTOGRAM_CARD_BUCKETS,
    HISTOGRAM_SUB_BITS,
    HISTOGRAM_WORDS,
    STAGES,
)
from tickwire_hw.logic import lowest, select, stages
from tickwire_hw.ram import RAM

READ_LATENCY = 3
"""Cycles from the address of a word to the word."""
_BEFORE = HISTOGRAM_WORDS - HISTOGRAM_BUCKETS        # words of totals
_BITS = HISTOGRAM_CARD_BITS
_BANKS = 2
_AGE = 2                                    # cycles from an address to its row
_COLUMNS = ("count", "sum", "minimum", "maximum")
assert len(_COLUMNS) == _BEFORE


class Totals(data.Struct):
    """What is kept of a stage beside its buckets."""

    count: _BITS
    sum: 64
    minimum: _BITS
    maximum: _BITS


class Sample(data.Struct):
    """One duration, ns; a negative one counts as 0."""

    stage: range(len(STAGES))
    duration: signed(64)


class Histogram(wiring.Component):
    """Count durations in one bank and show the other one, which stands still.

    Kernel: :func:`tickwire.kernels.histogram.add`, the same buckets; words are read in its
    layout. Takes a sample in every cycle, whatever stage and bucket it is for; never exerts
    backpressure. A duration of 2^36 ns or more counts as 2^36 - 1, and a count stays at 2^36 - 1;
    nothing else is lost. After reset, and after ``clear``, a bank is cleared within as many
    cycles as it has words; samples of the first such time are lost.

    ``swap`` shows what was counted since the one before, so a reader adds up. It works while
    ``is_ready`` and is ignored else; a sample of its cycle is the last of what is shown, which is
    whole 6 cycles later. ``clear`` gives back what is shown; reads are 0 until a swap.

    Members
    -------
    i : ``In(stream.Signature(Sample, always_ready=True))``
        Samples.
    swap, clear : ``In(1)``
        Show the bank that was counted in; clear the one that is shown.
    is_ready, is_shown : ``Out(1)``
        The bank that is not counted in is clear; it is shown, whole.
    read_stage, read_word : ``In``
        A word of what is shown: count, sum, minimum, maximum, then buckets.
    read_data : ``Out(64)``
        The word, 3 cycles later.
    """

    i: In(stream.Signature(Sample, always_ready=True))
    swap: In(1)
    clear: In(1)
    is_ready: Out(1)
    is_shown: Out(1)
    read_stage: In(range(len(STAGES)))
    read_word: In(range(HISTOGRAM_WORDS))
    read_data: Out(64)

    def elaborate(self, platform):
        """Return both tables, the banks' roles and the reader."""
        m = Module()

        row_bits = ceil_log2(HISTOGRAM_CARD_BUCKETS)
        stage_bits = len(self.read_stage)
        self._bank = Signal()                    # is counted in
        self._clear = Signal(row_bits + stage_bits)
        self._is_clearing = Signal(_BANKS, init=(1 << _BANKS) - 1)
        self._take_turns(m)

        # 1: at most 36 bits, 2: the bucket; 2 to 4 the rows, 4 to 5 the new ones.
        duration, value_1 = self.i.p.duration, Signal(_BITS)
        is_long = duration[_BITS:63].any()
        m.d.sync += value_1.eq(Mux(duration[-1], 0, Mux(is_long, (1 << _BITS) - 1, duration)))
        value_2, bucket_2 = Signal(_BITS), Signal(row_bits)
        m.d.sync += [value_2.eq(value_1), bucket_2.eq(_bucket(m, value_1))]
        stage_2 = stages(m, self.i.p.stage, 2, "stage")[-1]
        bank_2 = stages(m, self._bank, 2, "bank")[-1]
        is_counted = ~self._is_clearing.bit_select(self._bank, 1)
        valid_2 = stages(m, self.i.valid & is_counted, 2, "valid")[-1]
        value_4 = stages(m, value_2, 2, "value")[-1]

        bucket = self.read_word - _BEFORE
        counts = self._table(
            m, "counts", _BITS, Cat(bucket_2, stage_2), bank_2, valid_2,
            lambda row: Mux(row.all(), row, row + 1), Cat(bucket[:row_bits], self.read_stage))
        totals = self._table(
            m, "totals", Totals, stage_2, bank_2, valid_2,
            lambda row: _added(Totals(row), value_4), self.read_stage)

        words = stages(m, self.read_word, 2, "read_word")[-1]
        is_shown = stages(m, self._is_shown, 2, "is_shown")[-1]
        row = Totals(totals)
        is_bucket = (words >= _BEFORE) & (words < _BEFORE + HISTOGRAM_CARD_BUCKETS)
        m.d.sync += self.read_data.eq(Mux(is_shown, select(
            (is_bucket, counts),
            *((words == place, getattr(row, name)) for place, name in enumerate(_COLUMNS))), 0))

        return m

    def _take_turns(self, m):
        """Swap and clear banks."""
        self._is_shown = is_shown = Signal()
        bank, clearing = self._bank, self._is_clearing
        other = ~bank
        is_settled = Signal()                    # nothing of the other bank is under way
        m.d.comb += self.is_ready.eq(~is_shown & ~clearing.any() & is_settled)
        do_swap = self.swap & self.is_ready
        turned = stages(m, do_swap, 6, "turned")
        m.d.comb += is_settled.eq(~Cat(turned[1:]).any())
        m.d.comb += self.is_shown.eq(is_shown & is_settled)
        with m.If(do_swap):
            m.d.sync += [bank.eq(other), is_shown.eq(1)]
        with m.If(self.clear & is_shown & is_settled):
            m.d.sync += [is_shown.eq(0), clearing.bit_select(other, 1).eq(1), self._clear.eq(0)]
        with m.Elif(clearing.any()):
            m.d.sync += self._clear.eq(self._clear + 1)
            with m.If(self._clear.all()):
                m.d.sync += clearing.eq(0)

    def _table(self, m: Module, name: str, shape: ShapeLike, address: Value, bank: Value,
               valid: Value, change: Callable[[Value], Value], read: Value) -> Value:
        """Change rows of the bank that is counted in; return the row that is read of the other.

        An operation sees what the three before it, which memory may not show yet, have written.
        """
        width = Shape.cast(shape).width
        here = Cat(address, bank)
        place = stages(m, here, _AGE, f"{name}_at")[-1]
        is_valid = stages(m, valid, _AGE, f"{name}_valid")[-1]
        written, write_at = Signal(width, name=f"{name}_new"), Signal.like(here)
        is_written = Signal()
        rows = []
        for number in range(_BANKS):
            m.submodules[f"{name}_{number}"] = ram = RAM(width, 1 << len(address))
            is_clear = self._is_clearing[number]
            m.d.comb += [
                ram.read_address.eq(Mux(bank == number, address, read)),
                ram.write_enable.eq(is_clear | (is_written & (write_at[-1] == number))),
                ram.write_address.eq(Mux(is_clear, self._clear, write_at)),
                ram.write_data.eq(Mux(is_clear, 0, written))]
            rows.append(ram.read_data)
        row = Signal(width, name=f"{name}_row")
        m.d.comb += row.eq(Mux(place[-1], rows[1], rows[0]))
        before = [stages(m, value, _AGE, f"{name}_{kind}") for kind, value in (
            ("value", written), ("place", write_at), ("is_there", is_written))]
        for value, at, is_there in reversed(list(zip(*before, strict=True))):
            with m.If(is_there & (at == place)):
                m.d.comb += row.eq(value)        # the newest comes last, and counts
        m.d.sync += [written.eq(change(row)), write_at.eq(place), is_written.eq(is_valid)]
        return Mux(self._bank, rows[0], rows[1])


def _bucket(m: Module, value: Value) -> Value:
    """Bucket of a value, as :func:`tickwire.kernels.histogram.bucket_of` has it."""
    octaves = _BITS - HISTOGRAM_SUB_BITS
    downwards, highest = Signal(octaves), Signal(octaves)    # bits above the linear ones
    m.d.comb += [downwards.eq(Cat(reversed(list(value[HISTOGRAM_SUB_BITS:])))),
                 highest.eq(lowest(downwards))]
    parts = []
    for place in range(octaves):
        shift = octaves - 1 - place
        parts.append((highest[place], Cat(value[shift:shift + HISTOGRAM_SUB_BITS],
                                          C(shift + 1, HISTOGRAM_SUB_BITS + 1))))
    return select((~downwards.any(), value[:HISTOGRAM_SUB_BITS]), *parts)


def _added(row: data.View, value: Value) -> Value:
    """Totals with one more duration."""
    is_first = row.count == 0
    return Cat(Mux(row.count.all(), row.count, row.count + 1)[:_BITS], (row.sum + value)[:64],
               Mux(is_first | (value < row.minimum), value, row.minimum),
               Mux(value > row.maximum, value, row.maximum))
