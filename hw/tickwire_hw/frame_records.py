"""Words of one stream of frames to FRAME records, forty octets each."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.records import FRAME, FrameFlag, FrameOrigin
from tickwire_hw.records import body_layout
from tickwire_hw.stream import LANES, Word

FRAME_BODY = body_layout(FRAME)
"""A FRAME record without its trailer."""
_OCTETS = FRAME.field("octets")[0].size
_WORDS = _OCTETS // LANES
assert _OCTETS % LANES == 0


class CapturedWord(data.Struct):
    """A word of a frame, and how the frame came to the line, the same in all of its words."""

    word: Word
    origin: range(max(FrameOrigin) + 1)


class FrameRecords(wiring.Component):
    """Give each frame as records, in order, all of its octets and nothing else.

    Kernel: :func:`tickwire.kernels.capture.capture`. A record comes two cycles after the word with
    its last octet or, unless that is marked as the frame's last one, one cycle after the next word
    if that is later: the frame may end with a word without octets, which has no record of its own.
    A frame without any octet has none. Takes a word a cycle and never exerts backpressure; a record
    is five words, or what is left at a frame's end. ``place`` counts modulo 2^16.

    Members
    -------
    i : ``In(stream.Signature(CapturedWord, always_ready=True))``
        Words of frames; what follows a last word is a first one.
    now : ``In(64)``
        Time, ns; that of a frame's first word is in all of its records.
    o : ``Out(stream.Signature(FRAME_BODY, always_ready=True))``
        Records.
    """

    i: In(stream.Signature(CapturedWord, always_ready=True))
    now: In(64)
    o: Out(stream.Signature(FRAME_BODY, always_ready=True))

    def elaborate(self, platform):
        """Return the word that waits for the next one, and the record that is being filled."""
        m = Module()

        word = self.i.p.word
        held, is_held = Signal(CapturedWord), Signal()
        is_begin, begun = Signal(init=1), Signal(64)       # the next word is a frame's first one
        is_empty, ends_held = Signal(), Signal()
        m.d.comb += [
            is_empty.eq(~word.keep.any()),
            ends_held.eq(self.i.valid & word.last & is_empty & ~held.word.last)]
        with m.If(self.i.valid):
            m.d.sync += is_begin.eq(word.last)
            with m.If(is_begin):
                m.d.sync += begun.eq(self.now)

        leaves, is_last, is_damaged = Signal(), Signal(), Signal()
        m.d.comb += [
            leaves.eq(is_held & (held.word.last | self.i.valid)),
            is_last.eq(held.word.last | ends_held),
            is_damaged.eq(Mux(held.word.last, held.word.error, ends_held & word.error))]
        with m.If(self.i.valid & ~is_empty):
            m.d.sync += [held.eq(self.i.p), is_held.eq(1)]
        with m.Elif(leaves):
            m.d.sync += is_held.eq(0)

        record, count, is_whole = self.o.p, Signal(range(_WORDS)), Signal()
        is_first, place = Signal(init=1), Signal(16)       # of the record
        octets = held.word.data & Cat(lane.replicate(8) for lane in held.word.keep)
        m.d.comb += is_whole.eq(leaves & (is_last | (count == _WORDS - 1)))
        m.d.sync += self.o.valid.eq(is_whole)
        with m.If(leaves):
            m.d.sync += [
                record.timestamp.eq(begun), record.origin.eq(held.origin), record.place.eq(place),
                record.size.eq((count << (LANES - 1).bit_length()) + sum(held.word.keep)),
                record.flags.eq(Mux(is_first, FrameFlag.FIRST, 0) | Mux(is_last, FrameFlag.LAST, 0)
                                | Mux(is_damaged, FrameFlag.DAMAGED, 0)),
                count.eq(Mux(is_whole, 0, count + 1))]
            for number in range(_WORDS):
                with m.If(count == number):
                    m.d.sync += record.octets.word_select(number, 8 * LANES).eq(octets)
                with m.Elif(count == 0):
                    m.d.sync += record.octets.word_select(number, 8 * LANES).eq(0)
        with m.If(is_whole):
            m.d.sync += [is_first.eq(is_last), place.eq(Mux(is_last, 0, place + _OCTETS))]

        return m
