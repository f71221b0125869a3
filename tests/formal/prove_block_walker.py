"""The block walker tells every whole message once, in order, and no other: for ever.

Method: datagrams of any octets and sizes, cut anywhere, with idle cycles and words that come again
where they are asked for; beside the walker, the walk of MoldUDP64's document, one octet after the
other. Where the walker stands is what the walk says, whatever came before; that is the invariant,
and the induction. The header's count is any number there; that it and the rest of the header are
the octets that came is looked for separately, in the first words of a datagram.
"""

from amaranth.hdl import Assert, Assume, Cat, Const, Cover, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tests.formal.sby import Property
from tickwire.spec import moldudp64
from tickwire_hw.backlog import EntryKind
from tickwire_hw.block_walker import BlockWalker
from tickwire_hw.stream import LANES, WORD_BITS

HEADER_SIZE = moldudp64.DOWNSTREAM_HEADER.size
COUNT = LENGTH = 16                         # bits
Walk = data.StructLayout({
    "header": range(HEADER_SIZE + 1),       # octets of it that are to come
    "is_in": 1, "left": LENGTH, "length": LENGTH,   # in a block, octets of it to come and of all
    "has_high": 1, "high": 8,               # half of a length
    "passed": COUNT, "is_beyond": 1,        # blocks; octets came behind the last one
    "lane": range(LANES + 1)})              # lanes done of a word that comes again, else 0
Inside = data.StructLayout({"is_open": 1, "is_header": 1, "due": COUNT, "index": COUNT,
                            "is_exact": 1, "at": LENGTH + 1, "before": 8, "length": LENGTH,
                            "count": COUNT, "is_repeat": 1, "is_near": 1, "has_due": 1,
                            "is_last": 1})


class Walker(BlockWalker):
    """The walker, and its registers to look at."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = Signal(Inside)

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.inside.eq(Cat(
            self._is_open, self._is_header, self._due, self._index, self._is_exact, self._at,
            self._before, self._length, self._count_now, self._is_repeat,
            self._is_near, self._has_due, self._is_last_due))
        return m


class OctetWalk(wiring.Component):
    """The walk over one word, or to the first length whose block ends in the same word."""

    before: In(Walk)
    number: In(COUNT)
    data: In(WORD_BITS)
    mask: In(LANES)
    after: Out(Walk)
    has_stopped: Out(1)
    has_passed: Out(1)

    def elaborate(self, platform):
        m = Module()
        now, has_stopped = self.before, Const(0)
        # A block of no octets ends when the word comes again.
        first = Signal(Walk)
        is_empty = now.is_in & (now.left == 0)
        m.d.comb += [first.eq(now), first.lane.eq(0)]
        with m.If(is_empty):
            m.d.comb += [first.is_in.eq(0), first.passed.eq(now.passed + 1)]
        now, has_passed = first, is_empty
        for lane in range(LANES):
            then = Signal(Walk, name=f"after_{lane}")
            octet = self.data.word_select(lane, 8)
            length = Cat(octet, now.high)
            is_due = (now.passed != self.number) & ~self.number.all()
            stops, passes = Signal(name=f"stops_{lane}"), Signal(name=f"passes_{lane}")
            m.d.comb += then.eq(now)
            with m.If(self.mask[lane] & (self.before.lane <= lane) & ~has_stopped):
                with m.If(now.header != 0):
                    m.d.comb += then.header.eq(now.header - 1)
                with m.Elif(now.is_in):
                    m.d.comb += then.left.eq(now.left - 1)
                    with m.If(now.left == 1):
                        m.d.comb += [then.is_in.eq(0), then.passed.eq(now.passed + 1),
                                     passes.eq(1)]
                with m.Elif(~is_due):
                    m.d.comb += then.is_beyond.eq(1)
                with m.Elif(~now.has_high):
                    m.d.comb += [then.has_high.eq(1), then.high.eq(octet)]
                with m.Else():
                    m.d.comb += [then.has_high.eq(0), then.length.eq(length),
                                 then.left.eq(length), then.is_in.eq(1),
                                 stops.eq(length < LANES - lane)]
                    with m.If(stops):
                        m.d.comb += then.lane.eq(lane + 1)
            now, has_stopped, has_passed = then, has_stopped | stops, has_passed | passes
        m.d.comb += [self.after.eq(now), self.has_stopped.eq(has_stopped),
                     self.has_passed.eq(has_passed)]
        return m


class WalkerTellsMessages(wiring.Component):
    """One datagram after the other."""

    valid: In(1)
    cut: In(1)
    other: In(1)                           # a datagram that is for nobody begins
    data: In(WORD_BITS)
    start: In(range(LANES))
    size: In(range(LANES + 1))             # lanes of a last word
    last: In(1)
    number: In(COUNT)

    def __init__(self, *, is_wrong: bool = False) -> None:
        self._is_wrong = is_wrong          # a word never comes again
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = Walker()
        m.submodules.walk = walk = OctetWalk()
        entry, inside, state, number = walker.entry, walker.inside, Signal(Walk), Signal(COUNT)
        is_open, is_repeat, again = Signal(), Signal(), Signal(entry.shape())
        first = Mux(is_open, 0, self.start)
        with m.If(is_repeat):
            m.d.comb += entry.eq(again)
        with m.Else():
            m.d.comb += [
                entry.kind.eq(Mux(is_open, EntryKind.NEXT, EntryKind.FIRST)),
                entry.data.eq(self.data), entry.last.eq(self.last), entry.start.eq(self.start),
                entry.mask.eq(Cat((lane >= first) & (~self.last | (lane < self.size))
                                  for lane in range(LANES)))]
        is_word = is_repeat | self.valid
        m.d.comb += [
            walker.is_first.eq(~is_repeat & self.valid & ~is_open),
            walker.may_be_first.eq(walker.is_first | ~is_open & ~is_repeat & self.other),
            walker.is_start.eq(~is_open & ~is_repeat),
            walker.is_next.eq(is_repeat | self.valid & is_open),
            walker.is_cut.eq(~is_word & is_open & self.cut)]
        is_again = walker.is_again & walker.is_next
        is_end = Signal()
        m.d.comb += is_end.eq(walker.is_cut | is_word & entry.last & ~is_again)
        m.d.sync += [again.eq(entry), is_repeat.eq(is_again & (not self._is_wrong))]
        with m.If(walker.is_first):
            m.d.sync += [is_open.eq(1), number.eq(self.number)]
        with m.If(is_end):
            m.d.sync += is_open.eq(0)

        # The walk takes the same word, each time that it comes.
        before, after = walk.before, walk.after
        m.d.comb += [before.eq(state), walk.data.eq(entry.data), walk.mask.eq(entry.mask),
                     walk.number.eq(number)]
        with m.If(walker.is_first):
            m.d.comb += [before.eq(0), before.header.eq(HEADER_SIZE)]
        with m.If(is_word):
            m.d.sync += state.eq(after)
            with m.If(is_again & ~walk.has_stopped):
                m.d.sync += state.lane.eq(LANES)
        with m.If(walker.is_cut):
            m.d.sync += state.is_beyond.eq(1)
        has_header = walker.is_next & (before.header != 0) & (after.header == 0)
        is_nothing = (number == 0) | number.all()
        m.d.comb += Assume(~has_header | (inside.count == number))

        # What is told in the next cycle.
        was = {name: Signal(name=f"was_{name}") for name in ("header", "message", "end")}
        index, length = Signal(COUNT), Signal(LENGTH)
        m.d.sync += [
            was["header"].eq(has_header), was["message"].eq(is_word & walk.has_passed),
            was["end"].eq(is_end), index.eq(before.passed), length.eq(before.length)]
        packet, end = walker.packet, walker.packet.end
        message = packet.message
        is_due = (state.passed != number) & ~number.all()
        m.d.comb += [
            Assert(~is_word | (is_again == (walk.has_stopped & walker.is_next))
                   | has_header & is_nothing & after.is_beyond),
            Assert(packet.header.valid == was["header"]),
            Assert(message.valid == was["message"]), Assert(end.valid == was["end"])]
        with m.If(message.valid):
            m.d.comb += [Assert(message.p.index == index), Assert(message.p.length == length)]
        with m.If(end.valid):
            m.d.comb += [
                Assert(end.p.passed == state.passed), Assert(end.p.is_short == (state.header != 0)),
                Assert(end.p.is_malformed == ((state.header != 0) | is_due | state.is_beyond))]
        m.d.comb += [
            Assert(~is_repeat | ((again.mask & (again.mask + 1)[:LANES]) == 0)),
            Assert(~is_repeat | again.last | again.mask.all()),
            Assert(~is_repeat | ~is_due | again.mask.bit_select((state.lane - 1)[:3], 1))]
        self._invariant(m, is_open, was["end"], is_repeat, state, inside, number, is_due)
        m.d.comb += [
            Cover(message.valid & (length == 0) & is_repeat & (state.passed == 2)),
            Cover(end.valid & ~end.p.is_malformed & (end.p.passed == 2) & (length > LANES)),
            Cover(end.valid & end.p.is_malformed & (state.header == 0) & ~is_due)]
        return m

    def _invariant(self, m: Module, is_open, is_ended, is_repeat, state, inside, number,
                   is_due) -> None:
        """Where the walker stands is what the walk says."""
        is_known, is_header = is_open | is_ended, state.header != 0
        m.d.comb += [Assert(~is_repeat | is_open), Assert(inside.is_repeat == is_repeat)]
        with m.If(is_open):
            m.d.comb += Assert(inside.is_near == (inside.at < 2 * LANES))
        with m.If(is_known):
            m.d.comb += [Assert(inside.index == state.passed),
                         Assert(inside.is_header == is_header),
                         Assert((state.lane != 0) == is_repeat)]
        with m.If(is_known & is_header):
            m.d.comb += [
                Assert((state.header <= HEADER_SIZE) & ~inside.has_due & ~inside.is_exact),
                Assert(~state.is_in & ~state.has_high & (state.passed == 0) & ~is_repeat)]
            with m.If(is_open):
                m.d.comb += Assert(inside.is_open & (inside.at == state.header + 1)
                                   & ~state.is_beyond)
        with m.Elif(is_known):
            m.d.comb += [Assert(inside.due == number - state.passed),
                         Assert(inside.has_due == is_due),
                         Assert(inside.is_last == (inside.due == 1)),
                         Assert(~number.all() | (state.passed == 0))]
            with m.If(~is_due):
                m.d.comb += [Assert(inside.is_exact == ~state.is_beyond),
                             Assert(~state.is_in & ~state.has_high),
                             Assert(~is_repeat | state.is_beyond)]
            with m.Elif(is_open & state.is_in):
                m.d.comb += [
                    Assert(~state.is_beyond),
                    Assert(inside.is_open & (inside.at == state.left + state.lane + 1)),
                    Assert(inside.length == state.length), Assert(~state.has_high),
                    Assert(Mux(is_repeat, state.left + state.lane <= LANES, state.left != 0))]
            with m.Elif(is_open):
                m.d.comb += [
                    Assert(~state.is_beyond),
                    Assert(~inside.is_open & ~is_repeat & (inside.at == ~state.has_high)),
                    Assert(~state.has_high | (inside.before == state.high))]


class HeaderIsWhatCame(wiring.Component):
    """One octet of a datagram's header, any one, is told as it came; the first datagram only."""

    valid: In(1)
    data: In(WORD_BITS)
    start: In(range(LANES))
    followed: In(range(HEADER_SIZE))

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = BlockWalker()
        is_open, place = Signal(), Signal(range(8 * LANES))     # octets of the datagram so far
        followed, octet = Signal(range(HEADER_SIZE), reset_less=True), Signal(8)
        is_started = Signal(reset_less=True)
        m.d.sync += [followed.eq(self.followed), is_started.eq(1)]
        m.d.comb += [
            Assume(~is_started | (self.followed == followed)),
            Assume(self.followed < HEADER_SIZE),
            walker.is_first.eq(self.valid & ~is_open), walker.may_be_first.eq(walker.is_first),
            walker.is_next.eq(self.valid & is_open), walker.is_start.eq(~is_open),
            walker.entry.data.eq(self.data),
            walker.entry.mask.eq((1 << LANES) - 1), walker.entry.start.eq(self.start)]
        first = Mux(is_open, 0, self.start)
        lane = self.followed - place + first
        with m.If(self.valid & ~place[-1]):
            m.d.sync += [is_open.eq(1), place.eq(place + LANES - first)]
            with m.If((lane >= first) & (lane < LANES)):
                m.d.sync += octet.eq(self.data.word_select(lane[:3], 8))
        header, told = walker.packet.header.p, Signal(data.ArrayLayout(8, HEADER_SIZE))
        m.d.comb += told.eq(Cat(header.session, *(
            Cat(reversed([value.word_select(at, 8) for at in range(len(value) // 8)]))
            for value in (header.first, header.count))))
        with m.If(walker.packet.header.valid):
            m.d.comb += [Assert(told[self.followed] == octet), Cover(octet == 0xA5)]
        return m


PROPERTIES = [
    Property("header_is_what_came", HeaderIsWhatCame, bmc=8, cover=8),
    Property("walker_tells_messages", WalkerTellsMessages, prove=1, cover=9),
    Property("walker_is_not_given_a_word_again", lambda: WalkerTellsMessages(is_wrong=True), bmc=8,
             is_false=True),
]
