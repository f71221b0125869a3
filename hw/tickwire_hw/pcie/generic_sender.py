"""Packets to the host on a stream of transaction layer packets."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.host_port import LINE, WORDS, Burst
from tickwire_hw.pcie.completion import lower_address, span
from tickwire_hw.pcie.generic_receiver import QUESTION
from tickwire_hw.pcie.generic_stream import (
    COMPLETION,
    COMPLETION_1,
    COMPLETION_2,
    FIRST,
    HAS_DATA,
    HAS_LONG_HEADER,
    HEAD_WORDS,
    MEMORY,
    REQUEST,
    swapped,
)
from tickwire_hw.pcie.packet import Packet

_COMPLETION_HEAD = 3


class Sender(wiring.Component):
    """Send each burst as one posted memory write, and completions between them.

    The first beat is there in the cycle of the burst; a line is 10 beats of 64 or 5 of 128 bits.
    An address below 4 GiB has a header of three words, as it must. A completion goes behind all
    bursts that were taken before it, and waits for one more at most. Attributes of writes are 0,
    no relaxed order among them.

    Members
    -------
    i : ``In(stream.Signature(Burst))``
        Bursts; one is taken with the last beat.
    answer : ``In(stream.Signature(LINE))``
        Words of a read.
    question, is_asked, is_answered
        Of ``Receiver``.
    identity : ``In(16)``
        Bus, device and function: who asks, and who completes.
    tdata, tkeep, tlast, tvalid, tready
        Beats.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        super().__init__({
            "i": In(stream.Signature(Burst)), "answer": In(stream.Signature(LINE)),
            "question": In(QUESTION), "is_asked": In(1), "is_answered": Out(1),
            "identity": In(16), "tdata": Out(width), "tkeep": Out(width // 8), "tlast": Out(1),
            "tvalid": Out(1), "tready": In(1)})

    def elaborate(self, platform):
        """Return the choice of a packet, and its beats."""
        m = Module()

        m.submodules.packet = packet = Packet(HEAD_WORDS + WORDS, self._width)
        write, write_count = self._write(m)
        completion, completion_count = self._completion(m)
        is_good = self.question.status == 0
        is_due = self.is_asked & (self.answer.valid | ~is_good)
        # What was chosen stays until it is sent; after a write a completion has its turn.
        is_completion, was_completion, is_held, was_write = (Signal() for _ in range(4))
        m.d.comb += [
            is_completion.eq(Mux(is_held, was_completion, is_due & (was_write | ~self.i.valid))),
            packet.valid.eq(Mux(is_completion, is_due, self.i.valid)),
            packet.words.eq(Mux(is_completion, completion, write)),
            packet.count.eq(Mux(is_completion, completion_count, write_count)),
            packet.tready.eq(self.tready), self.i.ready.eq(packet.done & ~is_completion),
            self.is_answered.eq(packet.done & is_completion),
            self.answer.ready.eq(packet.done & is_completion & is_good),
            self.tdata.eq(packet.tdata), self.tlast.eq(packet.tlast),
            self.tkeep.eq(Cat(lane.replicate(4) for lane in packet.tkeep)),
            self.tvalid.eq(packet.tvalid)]
        m.d.sync += [is_held.eq(packet.valid & ~packet.done), was_completion.eq(is_completion)]
        with m.If(packet.done):
            m.d.sync += was_write.eq(~is_completion)

        return m

    def _write(self, m):
        """Words of the burst's packet, and their number."""
        burst = self.i.p
        first, request, is_long, count = Signal(FIRST), Signal(REQUEST), Signal(), Signal(5)
        m.d.comb += [
            is_long.eq(burst.address[32:].any()), count.eq(Mux(burst.is_word, 1, WORDS)),
            first.type.eq(MEMORY), first.count.eq(count),
            first.format.eq(HAS_DATA | Mux(is_long, HAS_LONG_HEADER, 0)),
            request.first_enables.eq(0xF), request.last_enables.eq(Mux(burst.is_word, 0, 0xF)),
            request.requester.eq(self.identity)]
        begin = Cat(swapped(first.as_value()), swapped(request.as_value()))
        low = swapped(Cat(C(0, 2), burst.address[2:32]))
        return (Cat(begin, Mux(is_long, Cat(swapped(burst.address[32:]), low, burst.data),
                               Cat(low, burst.data))),
                count + 3 + is_long)

    def _completion(self, m):
        """Words of the completion, and their number."""
        question, is_good = self.question, self.question.status == 0
        first, second, third = Signal(FIRST), Signal(COMPLETION_1), Signal(COMPLETION_2)
        m.d.comb += [
            first.type.eq(COMPLETION | question.is_locked),
            first.format.eq(Mux(is_good, HAS_DATA, 0)),
            first.count.eq(Mux(is_good, question.count, 0)),
            first.traffic_class.eq(question.traffic_class),
            first.attributes.eq(question.attributes[:2]),
            first.attribute_2.eq(question.attributes[2]),
            second.octets.eq(Mux(is_good, span(question.first_enables, question.last_enables,
                                               question.count), 4)),
            second.status.eq(question.status), second.completer.eq(self.identity),
            third.lower_address.eq(Mux(is_good, lower_address(
                question.first_enables, question.word), 0)),
            third.tag.eq(question.tag), third.requester.eq(question.requester)]
        return (Cat(*(swapped(word.as_value()) for word in (first, second, third)), self.answer.p),
                _COMPLETION_HEAD + Mux(is_good, question.count, 0))
