"""Frames to XGMII: the transmitting half of a 10G MAC."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.xgmii import (
    CHECK_SIZE,
    DEFICIT_MAX,
    FRAME_DELIMITER,
    FRAME_SIZE_MIN,
    GAP,
    HALF,
    PREAMBLE,
    PREAMBLE_SIZE,
    Character,
)
from tickwire_hw.frame_check import BITS, after, before_zeros
from tickwire_hw.logic import select
from tickwire_hw.stream import LANES, WORD_BITS, Word

_HALF_BITS = 8 * HALF
_ALL = (1 << LANES) - 1
_ONES = (1 << BITS) - 1                      # the first four octets enter the check inverted
_WORDS_MIN = -(-FRAME_SIZE_MIN // LANES)
_IDLES = int.from_bytes(bytes([Character.IDLE] * LANES))
_PREAMBLE = int.from_bytes(bytes([Character.START, *[PREAMBLE] * (PREAMBLE_SIZE - 2),
                                  FRAME_DELIMITER]), "little")
_ABORTED = int.from_bytes(bytes([Character.ERROR, Character.TERMINATE]
                                + [Character.IDLE] * (LANES - 2)), "little")
assert DEFICIT_MAX == HALF - 1 and GAP == 3 * HALF


class MACTransmit(wiring.Component):
    """Send frames over XGMII: preamble, padding, check, and the least gap that is allowed.

    The START is at the port one cycle after a frame's first word was taken, its octets follow
    without a pause. A frame begins in lane 0 or 4; gaps are 12 octets on average, from TERMINATE
    on, and as short as 9 while the deficit of idles stays within three. So a line that never
    waits for a frame carries one after the other in the fewest cycles.

    Takes a word in every cycle of a frame and then holds back for preamble, padding, check and
    gap. A frame that has begun can not be taken back: ``error`` of a word is ignored. A word that
    does not come in its cycle ends the frame with ERROR and TERMINATE, so nobody believes it; the
    rest of it is taken and lost, and ``is_underrun`` tells.

    Members
    -------
    i : ``In(stream.Signature(Word))``
        Frames without check; those below 60 octets are padded with zeros.
    data, control : ``Out(64)``, ``Out(8)``
        XGMII, two transfers a cycle, lane 0 first.
    is_start : ``Out(1)``
        A START is at the port in this cycle.
    is_underrun : ``Out(1)``
        A frame was cut in the cycle before.
    """

    i: In(stream.Signature(Word))
    data: Out(WORD_BITS)
    control: Out(LANES)
    is_start: Out(1)
    is_underrun: Out(1)

    def elaborate(self, platform):
        """Return intake, check, assembly and alignment."""
        m = Module()

        self._take(m)
        self._check(m)
        self._assemble(m)
        self._wait(m)
        self._align(m)

        return m

    def _take(self, m):
        """Take a frame's words one a cycle, pad it, drop the rest of one that was cut."""
        words = self.i
        count = Signal(range(_WORDS_MIN + 1))    # words so far
        is_long = count == _WORDS_MIN            # as long as a frame must be
        is_last_short = count == _WORDS_MIN - 1
        self._may_start = may_start = Signal()
        self._starts = starts = Signal()
        self._is_word = is_word = Signal()       # this cycle has a word of a frame, or padding
        self._is_last = is_last = Signal()
        self._keep, self._octets = keep, octets = Signal(LANES), Signal(WORD_BITS)
        self._is_cut = is_cut = Signal()
        masked = words.p.data & Cat(lane.replicate(8) for lane in words.p.keep)
        padded = FRAME_SIZE_MIN - (_WORDS_MIN - 1) * LANES

        m.d.comb += [
            octets.eq(Mux(words.p.last, masked, words.p.data)), keep.eq(words.p.keep)]
        with m.FSM():
            with m.State("Between"):
                m.d.comb += [words.ready.eq(may_start), starts.eq(may_start & words.valid),
                             is_word.eq(starts)]
                with m.If(starts):
                    m.d.sync += count.eq(1)
                    with m.If(words.p.last):
                        m.next = "Pad"
                    with m.Else():
                        m.next = "Frame"
            with m.State("Frame"):
                m.d.comb += words.ready.eq(1)
                with m.If(~words.valid):
                    m.d.comb += is_cut.eq(1)
                    m.next = "Drop"
                with m.Else():
                    m.d.comb += is_word.eq(1)
                    m.d.sync += count.eq(Mux(is_long, count, count + 1))
                    with m.If(words.p.last):
                        with m.If(is_long | is_last_short):
                            m.d.comb += is_last.eq(1)
                            m.next = "Between"
                        with m.Else():
                            m.next = "Pad"
            with m.State("Pad"):
                m.d.comb += [is_word.eq(1), octets.eq(0), keep.eq(0), is_last.eq(is_last_short)]
                m.d.sync += count.eq(count + 1)
                with m.If(is_last):
                    m.next = "Between"
            with m.State("Drop"):
                m.d.comb += words.ready.eq(1)
                with m.If(words.valid & words.p.last):
                    m.next = "Between"
        with m.If(is_last_short):
            m.d.comb += keep[:padded].eq(_ALL)
        m.d.sync += self.is_underrun.eq(is_cut)

    def _check(self, m):
        """Divide by the polynomial, a last word filled up with zeros, one cycle behind the word."""
        remainder, before = Signal(BITS), Signal(BITS)
        dividend = Signal(WORD_BITS)
        self._held = held = Signal(WORD_BITS)
        self._is_held, self._is_held_last, self._is_held_cut = Signal(), Signal(), Signal()
        self._size = size = Signal(LANES + 1)    # of the last word, one-hot
        self._sum = Signal(BITS)

        m.d.comb += [
            dividend.eq(Mux(self._starts, self._octets ^ _ONES, self._octets)),
            before.eq(Mux(self._starts, 0, remainder)),
            # The zeros behind the frame are taken out again, and it is inverted at the end.
            self._sum.eq(~select(*((size[count], before_zeros(remainder, LANES - count))
                                   for count in range(LANES + 1))))]
        m.d.sync += [
            held.eq(self._octets), self._is_held.eq(self._is_word),
            self._is_held_last.eq(self._is_last), self._is_held_cut.eq(self._is_cut),
            size.eq(Cat(~self._keep[0], self._keep[:-1] & ~self._keep[1:], self._keep[-1]))]
        with m.If(self._is_word):
            m.d.sync += remainder.eq(after(before, dividend))

    def _assemble(self, m):
        """Put preamble, octets, check and TERMINATE in a row, as if frames began in lane 0."""
        self._row, self._row_control = row, control = Signal(WORD_BITS, init=_IDLES), Signal(
            LANES, init=_ALL)
        rest, rest_control = Signal(WORD_BITS), Signal(LANES)
        self._has_rest = has_rest = Signal()
        self._is_roomy = Signal()                # the last word has room for check and TERMINATE
        places = [self._place(lane) for lane in range(2 * LANES)]
        tail, tail_control = (Cat(part) for part in zip(*places, strict=True))

        m.d.comb += self._is_roomy.eq(self._size[:LANES - CHECK_SIZE].any())
        m.d.sync += [
            row.eq(_IDLES), control.eq(_ALL), has_rest.eq(self._is_held_last & ~self._is_roomy),
            rest.eq(tail[WORD_BITS:]), rest_control.eq(tail_control[LANES:])]
        with m.If(self._starts):
            m.d.sync += [row.eq(_PREAMBLE), control.eq(1)]
        with m.Elif(self._is_held_cut):
            m.d.sync += row.eq(_ABORTED)
        with m.Elif(self._is_held_last):
            m.d.sync += [row.eq(tail[:WORD_BITS]), control.eq(tail_control[:LANES])]
        with m.Elif(self._is_held):
            m.d.sync += [row.eq(self._held), control.eq(0)]
        with m.Elif(has_rest):
            m.d.sync += [row.eq(rest), control.eq(rest_control)]
        self._rest_lane = Signal(range(LANES))   # of TERMINATE
        m.d.sync += self._rest_lane.eq(select(*(
            (self._size[size], size + CHECK_SIZE - LANES)
            for size in range(LANES - CHECK_SIZE, LANES + 1))))

    def _place(self, lane):
        """Octet and control of a lane behind the row's begin, which the last word's size moves."""
        sizes = range(LANES + 1)
        is_octet = Cat(self._size[size] for size in sizes if size > lane).any()
        is_end = Cat(self._size[size] for size in sizes if size + CHECK_SIZE == lane).any()
        is_idle = Cat(self._size[size] for size in sizes if size + CHECK_SIZE < lane).any()
        parts = [(self._size[size], self._sum.word_select(lane - size, 8))
                 for size in sizes if size <= lane < size + CHECK_SIZE]
        octet = self._held.word_select(lane, 8) if lane < LANES else C(0, 8)
        return (select((is_octet, octet), (is_end, C(Character.TERMINATE, 8)),
                       (is_idle, C(Character.IDLE, 8)), *parts), is_end | is_idle)

    def _wait(self, m):
        """Count half words to the next place at which a frame may begin, and the deficit.

        A gap is rounded down to half words as long as the deficit does not exceed three, else up:
        that is the carry of a sum of two bits. Waiting for a frame pays all of it back.
        """
        left = Signal(range(5))                  # halves to that place, from the next row's begin
        deficit = Signal(range(DEFICIT_MAX + 1))
        self._is_shifted = shifted = Signal()    # the frame began in lane 4
        is_busy = self._is_held | self._is_held_cut | self._has_rest
        is_end = Signal()                        # a TERMINATE comes into the row
        lane = Signal(range(LANES))
        total = Signal(range(2 * HALF))

        m.d.comb += [
            self._may_start.eq(~is_busy & (left <= 1)),
            is_end.eq(self._is_held_cut | self._has_rest | (self._is_held_last & self._is_roomy)),
            total.eq(deficit + lane[:2])]
        with m.If(self._is_held_cut):
            m.d.comb += lane.eq(1)
        with m.Elif(self._has_rest):
            m.d.comb += lane.eq(self._rest_lane)
        with m.Else():
            m.d.comb += lane.eq(select(*((self._size[size], size + CHECK_SIZE)
                                         for size in range(LANES - CHECK_SIZE))))
        with m.If(is_end):
            m.d.sync += [left.eq(Cat(1, 0) + shifted + lane[2] + total[2]), deficit.eq(total[:2])]
        with m.Elif(~is_busy):
            m.d.sync += left.eq(Mux(left <= 2, 0, left - 2))
            with m.If(self._starts):
                m.d.sync += shifted.eq(left == 1)
            with m.Elif(self._may_start):
                m.d.sync += deficit.eq(0)

    def _align(self, m):
        """Give the row in lane 0, or half a word later."""
        halves = Signal(_HALF_BITS, init=_IDLES >> _HALF_BITS), Signal(HALF, init=_ALL >> HALF)
        was_shifted = Signal()
        idle = C(_IDLES >> _HALF_BITS, _HALF_BITS), C(_ALL >> HALF, HALF)

        m.d.sync += [was_shifted.eq(self._is_shifted), self.is_start.eq(self._starts)]
        for port, row, half, none in zip((self.data, self.control), (self._row, self._row_control),
                                         halves, idle, strict=True):
            middle = len(row) // 2
            m.d.sync += half.eq(row[middle:])
            m.d.comb += port.eq(row)
            with m.If(self._is_shifted):
                m.d.comb += port.eq(Cat(Mux(was_shifted, half, none), row[:middle]))
