"""Stages of an order message's way, as samples for histograms (kernel ``order_stages``)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.stages import StageIndex
from tickwire_hw.histogram import Sample
from tickwire_hw.logic import stages
from tickwire_hw.order_rows import TOKEN
from tickwire_hw.ram import RAM, READ_AGE

_TIME = 64
SAMPLES = 3
"""Cycles that the samples of one message take; nothing else may come meanwhile."""


class Departed(data.Struct):
    """An order message that left, was handed to the host, or never left; times in ns."""

    token: TOKEN                           # of the order
    begin: _TIME                           # it was taken
    egress: _TIME                          # its first word left; 0 when it never did
    ingress: _TIME                         # stamp of what caused it, 0 for nothing of the market
    has_row: 1                             # it made the order
    is_counted: 1                          # it left through the card


class OrderStages(wiring.Component):
    """Tell how long order messages took, and how long the venue's first answer to them.

    Samples come in the three cycles behind a message, and two behind an answer; a message or an
    answer comes at least three cycles after the one before, as they do where one is executed at a
    time. Nothing is lost. When orders left is kept by token in RAM, zero at configuration.

    Members
    -------
    departed : ``In(stream.Signature(Departed, always_ready=True))``
        Messages, in order.
    verdict : ``In(64)``
        When the gate let it pass, ns.
    acknowledged : ``In(stream.Signature(TOKEN, always_ready=True))``
        Orders that the venue answers for the first time.
    now : ``In(64)``
        Time of that answer, ns.
    o : ``Out(stream.Signature(Sample, always_ready=True))``
        Durations.
    """

    def __init__(self, rows_log2: int) -> None:
        self._depth = 1 << rows_log2
        super().__init__({
            "departed": In(stream.Signature(Departed, always_ready=True)), "verdict": In(_TIME),
            "acknowledged": In(stream.Signature(TOKEN, always_ready=True)), "now": In(_TIME),
            "o": Out(stream.Signature(Sample, always_ready=True))})

    def elaborate(self, platform):
        """Return the stamps and one subtraction."""
        m = Module()

        m.submodules.stamps = stamps = RAM(_TIME, self._depth)
        given, left, verdict = self.departed, Signal(Departed), Signal(_TIME)
        m.d.comb += [
            stamps.write_enable.eq(given.valid & given.p.has_row),
            stamps.write_address.eq(given.p.token), stamps.write_data.eq(given.p.egress),
            stamps.read_address.eq(self.acknowledged.p)]
        number = Signal(range(SAMPLES + 1), init=SAMPLES)
        with m.If(given.valid & given.p.is_counted):
            m.d.sync += [left.eq(given.p), verdict.eq(self.verdict), number.eq(0)]
        with m.Elif(number != SAMPLES):
            m.d.sync += number.eq(number + 1)

        begins, ends, sample = Signal(_TIME), Signal(_TIME), self.o.p
        is_read = stages(m, self.acknowledged.valid, READ_AGE, "read")[-1]
        answered = stages(m, self.now, READ_AGE, "answered")[-1]
        is_caused = left.ingress.any() & (left.ingress < left.begin)
        with m.Switch(number):
            for place, stage, first, last, is_there in (
                    (0, "RISK", left.begin, verdict, 1), (1, "SEND", verdict, left.egress, 1),
                    (2, "TICK_TO_ORDER", left.ingress, left.egress, is_caused)):
                with m.Case(place):
                    m.d.comb += [self.o.valid.eq(is_there), begins.eq(first), ends.eq(last),
                                 sample.stage.eq(StageIndex[stage])]
            with m.Default():
                m.d.comb += [
                    self.o.valid.eq(is_read & stamps.read_data.any()), begins.eq(stamps.read_data),
                    ends.eq(answered), sample.stage.eq(StageIndex["ORDER_TO_ACK"])]
        m.d.comb += sample.duration.eq((ends - begins)[:_TIME].as_signed())
        return m
