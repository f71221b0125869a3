"""XGMII to frames: the receiving half of a 10G MAC, cut through."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.xgmii import (
    FRAME_DELIMITER,
    FRAME_SIZE_MIN,
    HALF,
    PREAMBLE,
    PREAMBLE_SIZE,
    Character,
)
from tickwire_hw.frame_check import BITS, after, is_right
from tickwire_hw.logic import lowest, select
from tickwire_hw.stream import LANES, WORD_BITS, Word, octets

LATENCY = 3
"""Cycles from the word with a START to the first word of its frame."""

_HALF_BITS = 8 * HALF
_SIZE_BITS = 17                             # holds more than any size limit
_LEAD = [PREAMBLE] * (PREAMBLE_SIZE - 2) + [FRAME_DELIMITER]      # behind START
_ALL = (1 << LANES) - 1
_ONES = (1 << BITS) - 1                     # the first four octets enter inverted


class MACReceive(wiring.Component):
    """Give the frames that come over XGMII, without preamble and check, and judge them.

    A word is given 3 cycles after the START, 2 behind the octets of a frame that begins in lane 0
    and 1 behind those of one that begins in lane 4: four octets more have to be seen, because
    they could be the check. The verdict is in ``error`` of the frame's last word, which may be
    without octets. One word a cycle, never exerts backpressure.

    Lost, each told: a frame behind a wrong preamble, which is not begun. Ended with ``error``: a
    frame with a wrong check, with a control character in it, below 64 octets with its check; at
    the first control character that is not ERROR, it is over. A longer frame than ``size_max``
    is told and passes: its reader bounds it. Ordered sets (link faults) are idle.

    Cycles: 0 the octets and four more are at the port; 1 the word, with the remainder over all
    that came in cycle 0, so a verdict costs nothing.

    Members
    -------
    data, control : ``In(64)``, ``In(8)``
        XGMII, two transfers a cycle, lane 0 first.
    now : ``In(64)``
        Time, ns.
    size_max : ``In(16)``
        Octets of the longest frame, without its check.
    words : ``Out(stream.Signature(Word, always_ready=True))``
        Frames.
    stamp : ``Out(64)``
        With the first word of a frame that is no runt: ``now`` at its START.
    is_bad_start : ``Out(1)``
        A frame was lost for its preamble.
    is_damaged, is_runt, is_oversize : ``Out(1)``
        In the cycle behind a last word: its frame was long enough and had a wrong check or a
        control character; was too short; was too long.
    """

    data: In(WORD_BITS)
    control: In(LANES)
    now: In(64)
    size_max: In(16)
    words: Out(stream.Signature(Word, always_ready=True))
    stamp: Out(64)
    is_bad_start: Out(1)
    is_damaged: Out(1)
    is_runt: Out(1)
    is_oversize: Out(1)

    def elaborate(self, platform):
        """Return start, end, alignment, check and judgement."""
        m = Module()

        self._see_start(m)
        self._see_end(m)
        self._give_words(m)
        self._check(m)
        self._judge(m)

        return m

    def _see_start(self, m):
        """See a START and what is behind it."""
        lanes, control = octets(self.data), self.control
        half = Signal()                          # the word before had half a preamble
        low, high = Signal(), Signal()           # START in lane 0, in lane 4
        is_low_good, is_high_good = Signal(), Signal()
        self._is_open = Signal()                 # the frame has octets in lane 0
        self._begins_low = begins_low = Signal()             # and they are the first
        self._begins_high = begins_high = Signal()           # the first ones are in lane 4
        self._is_first_data = Signal()
        self._is_data = Signal()
        self._is_shifted = Signal()
        begun = Signal.like(self.now)

        def is_lead(first, last, lead):
            return (Cat(lane == octet for lane, octet
                        in zip(lanes[first:last], lead, strict=True)).all()
                    & ~control[first:last].any())

        m.d.comb += [
            low.eq(control[0] & (lanes[0] == Character.START)),
            high.eq(control[HALF] & (lanes[HALF] == Character.START)),
            is_low_good.eq(low & is_lead(1, LANES, _LEAD)),
            is_high_good.eq(high & is_lead(HALF + 1, LANES, _LEAD[:HALF - 1])),
            begins_high.eq(half & is_lead(0, HALF, _LEAD[HALF - 1:])),
            self._is_first_data.eq(begins_low | half),
            self._is_data.eq(self._is_open | begins_high)]
        m.d.sync += [
            half.eq(is_high_good), begins_low.eq(is_low_good),
            self.is_bad_start.eq((low & ~is_low_good) | (high & ~is_high_good)
                                 | (half & ~begins_high))]
        with m.If(low | high):
            m.d.sync += begun.eq(self.now)
        with m.If(begins_low | begins_high):
            m.d.sync += self.stamp.eq(begun)
        with m.If(is_low_good):
            m.d.sync += self._is_shifted.eq(0)
        with m.Elif(begins_high):
            m.d.sync += self._is_shifted.eq(1)
        self._opens = is_low_good

    def _see_end(self, m):
        """Find the first character that ends a frame, and what damages it before."""
        lanes = octets(self.data)
        ends, is_before = Signal(LANES), Signal(LANES)
        self._end = end = Signal(LANES)          # one-hot
        self._is_end = Signal()
        self._is_harmed_here = Signal()

        def having(character):
            return Cat(is_control & (lane == character) for is_control, lane
                       in zip(self.control, lanes, strict=True))

        m.d.comb += [
            ends.eq(self.control & ~having(Character.ERROR)), end.eq(lowest(ends)),
            is_before.eq(Cat(~ends[:number + 1].any() for number in range(LANES))),
            self._is_end.eq(ends.any()),
            self._is_harmed_here.eq((having(Character.ERROR) & is_before).any()
                                    | (end & ~having(Character.TERMINATE)).any())]
        m.d.sync += self._is_open.eq(self._opens | (self._is_data & ~self._is_end))

    def _give_words(self, m):
        """Shift octets to lane 0 and give a word when four more than it has are known.

        A frame that begins in lane 0 may end in the upper half of a word: that word has at most
        three octets before the check, and is given, as the last one, a cycle later. So is the
        word of a frame that ends before it has a whole one.
        """
        words, shifted, end = self.words, self._is_shifted, self._end
        held = Signal(WORD_BITS)                 # the word before this one
        has_held = Signal()                      # has octets that were not given
        is_late, late_keep = Signal(), Signal(LANES)         # it has the frame's end too
        is_first, is_last = Signal(init=1), Signal()
        is_low_end = end[:HALF].any()

        def keep(lanes, offset):
            return select(*((end[lane], (1 << lane + offset) - 1) for lane in lanes))

        m.d.comb += is_last.eq(has_held & (is_late | Mux(shifted, self._is_end, is_low_end)))
        m.d.sync += [
            held.eq(self.data),
            has_held.eq(self._begins_high | (self._is_open & (is_late | ~is_last))),
            is_late.eq(self._is_end & (self._begins_high | (
                self._is_open & ~shifted & (~is_low_end | ~has_held | is_late)))),
            late_keep.eq(Mux(self._begins_high, 0, keep(range(HALF, LANES), -HALF))),
            words.valid.eq(has_held),
            words.p.data.eq(Mux(shifted, Cat(held[_HALF_BITS:], self.data[:_HALF_BITS]), held)),
            words.p.first.eq(is_first), words.p.last.eq(is_last)]
        with m.If(~is_last):
            m.d.sync += words.p.keep.eq(_ALL)
        with m.Elif(is_late):
            m.d.sync += words.p.keep.eq(late_keep)
        with m.Elif(shifted):
            m.d.sync += words.p.keep.eq(keep(range(LANES), 0))
        with m.Else():
            m.d.sync += words.p.keep.eq(keep(range(HALF), HALF))
        with m.If(has_held):
            m.d.sync += is_first.eq(is_last)

    def _check(self, m):
        """Divide by the polynomial, all octets at and behind a control character being zero."""
        remainder, end = Signal(BITS), Signal(LANES)
        octets_in, dividend, before = Signal(WORD_BITS), Signal(WORD_BITS), Signal(BITS)
        self._is_right, self._is_harmed = Signal(), Signal()

        m.d.comb += [
            octets_in.eq(self.data & Cat(
                (~self.control[:number + 1].any()).replicate(8) for number in range(LANES))),
            dividend.eq(octets_in), before.eq(remainder)]
        with m.If(self._begins_low):
            m.d.comb += [dividend.eq(octets_in ^ _ONES), before.eq(0)]
        with m.Elif(self._is_first_data):        # half a preamble, then the first four octets
            m.d.comb += [dividend.eq(Cat(C(0, BITS), ~octets_in[BITS:])), before.eq(0)]
        with m.If(self._is_data | self._is_first_data):
            m.d.sync += [
                remainder.eq(after(before, dividend)), end.eq(self._end),
                self._is_harmed.eq(self._is_harmed_here
                                   | (self._is_harmed & ~self._is_first_data))]
        m.d.comb += self._is_right.eq(Cat(
            end[lane] & is_right(remainder, LANES - lane) for lane in range(LANES)).any())

    def _judge(self, m):
        """Judge a frame in its last word by check, characters and size."""
        words = self.words
        before = Signal(_SIZE_BITS + 1)          # octets in the words before
        is_long, is_damaged = Signal(), Signal()
        size, is_over = Signal(_SIZE_BITS + 1), Signal()

        m.d.comb += [
            is_long.eq((before >= FRAME_SIZE_MIN // LANES * LANES + LANES)
                       | ((before == FRAME_SIZE_MIN // LANES * LANES)
                          & words.p.keep[FRAME_SIZE_MIN % LANES - 1])),
            is_damaged.eq(self._is_harmed | ~self._is_right),
            words.p.error.eq(words.p.last & (is_damaged | ~is_long)),
            self.is_oversize.eq(is_over & (size > self.size_max))]
        m.d.sync += [
            self.is_damaged.eq(words.valid & words.p.last & is_damaged & is_long),
            self.is_runt.eq(words.valid & words.p.last & ~is_long),
            is_over.eq(words.valid & words.p.last), size.eq(before + sum(words.p.keep))]
        with m.If(words.valid):
            m.d.sync += before.eq(Mux(words.p.last, 0, Mux(before[-1], before, before + LANES)))
