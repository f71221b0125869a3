"""The histograms as the host reads them, a word of BAR 0 at a time."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tickwire.spec.registers import HISTOGRAM_OFFSET, HistogramControl, HistogramState
from tickwire.spec.stages import HISTOGRAM_WORDS, STAGES
from tickwire_hw.histogram import READ_LATENCY, Histogram, Sample
from tickwire_hw.host_port import Access

_PAGE = HISTOGRAM_OFFSET // 4
_OCTET = 8
_ACCESS_CYCLES = 3
assert READ_LATENCY == _ACCESS_CYCLES      # of the bus, see HostBus


class HistogramPage(wiring.Component):
    """Count durations, and show one stage of what was counted behind the registers.

    Samples, throughput and losses are those of :class:`Histogram`. A word is there as the bus
    reads, three cycles after the first of an access.

    Members
    -------
    i : ``In(stream.Signature(Sample, always_ready=True))``
        Durations.
    access : ``In(stream.Signature(Access, always_ready=True))``
        Accesses to BAR 0; those to other words are answered with 0.
    is_start : ``In(1)``
        Strobe: all is counted anew; what comes within 8,192 cycles is lost.
    control, stage : ``In(32)``
        What was written to HISTOGRAM_CONTROL, in that cycle alone; register HISTOGRAM_STAGE.
    state, o : ``Out(32)``
        Register HISTOGRAM_STATE; what is read.
    """

    i: In(stream.Signature(Sample, always_ready=True))
    access: In(stream.Signature(Access, always_ready=True))
    is_start: In(1)
    control: In(32)
    stage: In(32)
    state: Out(32)
    o: Out(32)

    def elaborate(self, platform):
        """Return the histograms and their page."""
        m = Module()

        histogram = Histogram()
        m.submodules.histogram = ResetInserter(self.is_start)(histogram)
        connect(m, flipped(self.i), histogram.i)
        access, number, is_page, is_high = self.access.p, Signal(_OCTET), Signal(), Signal()
        bits = Signal(_OCTET)
        m.d.comb += [
            number.eq(Mux(self.stage < len(STAGES), self.stage, len(STAGES))),
            histogram.read_stage.eq(number), histogram.read_word.eq((access.address - _PAGE)[1:]),
            histogram.swap.eq((self.control & HistogramControl.SHOW).any()),
            histogram.clear.eq((self.control & HistogramControl.RELEASE).any()),
            bits.eq(Mux(histogram.is_ready, HistogramState.READY, 0)
                    | Mux(histogram.is_shown, HistogramState.SHOWN, 0)),
            self.state.eq(Cat(bits, number)),
            self.o.eq(Mux(is_page, histogram.read_data.word_select(is_high, 32), 0))]
        m.d.sync += [
            is_high.eq(access.address[0]), is_page.eq(
                self.access.valid & access.is_read & (access.address >= _PAGE)
                & (access.address < _PAGE + 2 * HISTOGRAM_WORDS))]
        return m
