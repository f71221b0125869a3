"""Packets of the host from a stream of transaction layer packets."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.host_port import WORDS, Request
from tickwire_hw.logic import encode
from tickwire_hw.pcie.completion import ABORT, UNSUPPORTED
from tickwire_hw.pcie.generic_stream import (
    ATOMIC,
    CONFIGURATION,
    FIRST,
    HAS_DATA,
    HAS_LONG_HEADER,
    IO,
    IS_PREFIX,
    MEMORY,
    MEMORY_LOCKED,
    REQUEST,
    swapped,
)

_BARS = 6
_COUNT = 11                                # bits of a number of words, 1 to 1,024
QUESTION = data.StructLayout({
    "status": 3, "is_locked": 1, "count": _COUNT, "word": 30, "first_enables": 4,
    "last_enables": 4, "requester": 16, "tag": 8, "traffic_class": 3, "attributes": 3})
"""A request that must be answered, as far as its completion repeats it; ``word`` is its address."""


class Receiver(wiring.Component):
    """Turn memory writes and reads of any size into requests; say what must be completed.

    A beat of a write is a request of its own, in the cycle in which it came. A read of up to 64
    octets is asked for; a longer one is aborted, since no load of a processor is longer. Of the
    rest, what has a completion is not supported, what has none is ignored; so are writes that are
    poisoned, and packets with a prefix. A digest is not looked at. One request at a time is
    answered: stores behind it go on, but only up to the next one that is to be answered, which
    waits until it is completed. A block that can hold those back alone should.

    Members
    -------
    tdata, tlast, tvalid, tready, bars
        Beats; ``bars`` has the bit of the BAR that the packet is for, in its first beat.
    request : ``Out(stream.Signature(Request))``
        Requests in the order of the packets.
    question, is_asked, is_answered : ``Out``, ``Out``, ``In(1)``
        What is to be completed now, and that its completion was sent.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        super().__init__({
            "tdata": In(width), "tlast": In(1), "tvalid": In(1), "tready": Out(1),
            "bars": In(_BARS), "request": Out(stream.Signature(Request)),
            "question": Out(QUESTION), "is_asked": Out(1), "is_answered": In(1)})

    def elaborate(self, platform):
        """Return the header, the words behind it, and the wait for an answer."""
        m = Module()

        lanes = self._width // 32
        head_beats = 4 // lanes
        words = [self.tdata.word_select(lane, 32) for lane in range(lanes)]
        beat, kept = Signal(range(head_beats + 1)), Signal(4 * 32)
        held_bar, bar = Signal(3), Signal(3)
        # A header's words are there in the beat that brings its fourth word, or the third and data.
        header = Signal(4 * 32)
        whole = [kept[32 * place:32 * place + 32] for place in range(4 - lanes)] + words
        m.d.comb += header.eq(Cat(whole))
        is_head = beat == head_beats - 1
        first, asked, fresh = Signal(FIRST), Signal(REQUEST), Signal(Facts)
        third, fourth = swapped(header[64:96]), swapped(header[96:128])
        is_long = (first.format & HAS_LONG_HEADER).any()
        has_data = (first.format & HAS_DATA).any()
        is_memory = (first.type == MEMORY) & ~(first.format & IS_PREFIX).any()
        m.d.comb += [
            first.eq(swapped(header[0:32])), asked.eq(swapped(header[32:64])),
            bar.eq(Mux(beat == 0, encode(self.bars), held_bar)),
            fresh.is_write.eq(is_memory & has_data & ~first.is_poisoned),
            fresh.is_asking.eq(~(first.format & IS_PREFIX).any() & (
                (is_memory & ~has_data) | (first.type == MEMORY_LOCKED) | (first.type == IO)
                | (first.type[1:] == CONFIGURATION >> 1)
                | ((first.type >= ATOMIC) & (first.type < ATOMIC + 3)))),
            fresh.bar.eq(bar), fresh.question.count.eq(Cat(first.count, first.count == 0)),
            fresh.question.word.eq(Mux(is_long, fourth, third)[2:]),
            fresh.question.status.eq(Mux(~(is_memory & ~has_data), UNSUPPORTED, Mux(
                fresh.question.count > WORDS, ABORT, 0))),
            fresh.question.is_locked.eq(first.type == MEMORY_LOCKED),
            fresh.question.attributes.eq(Cat(first.attributes, first.attribute_2)),
            fresh.question.traffic_class.eq(first.traffic_class)]
        m.d.comb += [getattr(fresh.question, name).eq(getattr(asked, name))
                     for name in ("first_enables", "last_enables", "requester", "tag")]

        known, facts = Signal(Facts), Signal(Facts)
        at = Signal(_COUNT)                        # number of this beat's first word of data
        done = Signal(_COUNT)
        m.d.comb += [facts.eq(Mux(is_head, fresh, known)), at.eq(Mux(is_head, 0, done))]
        question, request, is_due = facts.question, self.request.p, Signal()
        m.d.comb += self.is_asked.eq(is_due)
        with m.If(self.is_answered):
            m.d.sync += is_due.eq(0)
        # Behind a short header the last lane of its beat has data; behind a long one the next beat.
        is_data = (beat == head_beats) | is_head & ~is_long
        count = Mux(is_head, 1, lanes)
        enables = []
        for lane in range(lanes):
            number = at + lane
            some = Mux(number == 0, question.first_enables, Mux(
                number == question.count - 1, question.last_enables, 0xF))
            enables.append(Mux(number < question.count, some, 0))
        with m.FSM():
            with m.State("Packet"):
                m.d.comb += [
                    request.bar.eq(facts.bar), request.address.eq(question.word + at),
                    request.data.eq(Mux(is_head, words[-1], self.tdata)),
                    request.enables.eq(Mux(is_head, enables[0], Cat(enables))),
                    request.count.eq(count),
                    self.request.valid.eq(self.tvalid & is_data & facts.is_write),
                    self.tready.eq(Mux(is_head & fresh.is_asking, ~is_due,
                                       self.request.ready | ~self.request.valid))]
                with m.If(self.tvalid & self.tready):
                    m.d.sync += [beat.eq(Mux(self.tlast, 0, Mux(is_data | is_head, head_beats,
                                                                beat + 1))),
                                 done.eq(Mux(is_data, at + count, 0))]
                    with m.If(beat == 0):
                        m.d.sync += [held_bar.eq(bar), kept.eq(self.tdata)]
                    with m.If(is_head):
                        m.d.sync += known.eq(fresh)
                    with m.If(self.tlast & facts.is_asking & (is_head | (beat == head_beats))):
                        m.next = "Ask"
            with m.State("Ask"):
                m.d.comb += [
                    request.is_read.eq(1), request.bar.eq(known.bar),
                    request.address.eq(known.question.word), request.count.eq(known.question.count),
                    self.request.valid.eq(known.question.status == 0)]
                with m.If(self.request.ready | (known.question.status != 0)):
                    m.d.sync += [is_due.eq(1), self.question.eq(known.question)]
                    m.next = "Packet"

        return m


class Facts(data.Struct):
    """What a header says, as it is kept for the beats behind it."""

    is_write: 1
    is_asking: 1
    bar: 3
    question: QUESTION
