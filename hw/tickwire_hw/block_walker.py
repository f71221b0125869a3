"""Message blocks of a datagram: found, counted and cut out of the words that they lie in."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec import itch50, moldudp64
from tickwire_hw.backlog import Entry
from tickwire_hw.blocks_port import MESSAGE_SIZE_MAX, Header, Message, PacketSignature
from tickwire_hw.frame_layout import START
from tickwire_hw.logic import select
from tickwire_hw.stream import LANES, big_endian, octets, offset_of

_HEADER = moldudp64.DOWNSTREAM_HEADER
_PREFIX_SIZE = moldudp64.MESSAGE_BLOCK.size
_GROUPS = -(-MESSAGE_SIZE_MAX // LANES)

EARLY_SIZE = offset_of(itch50.ORDER_DELETE, "order_reference") \
    + itch50.ORDER_DELETE.field("order_reference")[0].size
"""Octets of a message that tell type, stock and order."""

assert START[1] == START[0] + 4, "bit 2 tells where a datagram starts"
_COUNT = Header.as_shape()["count"].width
_LENGTH = Message.as_shape()["length"].width


class Early(data.Struct):
    """The beginning of a block that may not have ended yet."""

    data: 8 * EARLY_SIZE                   # octet 0 lowest; zero where the block is shorter
    index: _COUNT


class BlockWalker(wiring.Component):
    """Walk the blocks of datagrams, one block that ends a cycle.

    Latency is 1 from the entry that completes a header, a message or a datagram to its strobe. A
    word in which a block both begins and ends, so one of 7 octets or less, is asked for again. One
    entry a cycle otherwise; no backpressure.

    What lies in the words is looked at through a window of nine octets: the last one of the word
    before and the eight of this one. ``at`` is the distance from there to the next length: below
    8 the whole of it is in the window, from 2 to 9 the item before it ends in this word.

    Members
    -------
    entry, is_first, is_next, is_cut, is_verdict, may_be_first, is_start : ``In``
        Words, cuts and verdicts in order, as :class:`tickwire_hw.backlog.Backlog` gives them. A
        datagram starts at one of ``frame_layout.START``.
    is_again : ``Out(1)``
        The word must come again in the next cycle that nothing holds. Follows ``is_next``.
    packet : ``Out(PacketSignature())``
        Headers, messages, ends, verdicts.
    early : ``Out(stream.Signature(Early, always_ready=True))``
        Once for each message: its first octets, as soon as they are here, or with it.
    """

    entry: In(Entry)
    is_first: In(1)
    is_next: In(1)
    is_cut: In(1)
    is_verdict: In(1)
    may_be_first: In(1)
    is_start: In(1)
    is_again: Out(1)
    packet: Out(PacketSignature())
    early: Out(stream.Signature(Early, always_ready=True))

    def elaborate(self, platform):
        """Return the framing, the octets of the item in hand and what is said of them."""
        m = Module()

        self._frame(m)
        self._collect(m)
        self._count(m)
        self._tell(m)

        return m

    def _frame(self, m):
        """Find where items end and blocks begin."""
        entry = self.entry
        self._is_open, self._is_header = Signal(), Signal()    # an item, the header, is in hand
        self._has_due = Signal()                 # blocks
        self._is_last_due = is_last_due = Signal()             # and no more than one
        self._ends, self._starts = ends, starts = Signal(), Signal()
        self._due = Signal(_COUNT)               # blocks that the header promised, not ended yet
        self._before = before = Signal(8)        # last octet of the word before
        lanes = octets(entry.data)
        self._length_now = length = Signal(_LENGTH)

        # Whether a word comes again is known late: `at` is kept as if it did not, in words and
        # lanes, and is a word further when it does; it is below 16 then.
        self._is_repeat = is_repeat = Signal()
        self._offset = offset = Signal(range(LANES))
        self._at = at = Signal(_LENGTH + 1)
        words_off, next_at = Signal(len(at) - len(offset)), Signal.like(at)
        is_far = Signal()                                 # surely when `words_off` is 8 or more
        self._is_near, is_second = Signal(), Signal()     # `at` is below 16; and not below 8
        self._at_in_two = Cat(offset, is_second)          # `at` where it is near
        # Lanes of an item's last octet and of the one behind it, from which `at` is a constant.
        is_last, is_behind, self._is_beyond = Signal(), Signal(), Signal()
        may_start, is_short = Signal(), Signal()          # a block; it ends in this word
        self._is_used_up = Signal()                          # this word need not come again

        m.d.comb += [
            at.eq(Cat(offset, words_off + is_repeat)),
            self._is_near.eq(is_repeat | ~(is_far | words_off[1:3].any())),
            is_second.eq(words_off[0] ^ is_repeat),
            is_last.eq(Cat(entry.mask[at - _PREFIX_SIZE]
                           for at in range(LANES)).bit_select(offset, 1)),
            is_behind.eq(Cat(entry.mask[at + 1 - _PREFIX_SIZE]
                             for at in range(LANES)).bit_select(offset, 1)),
            self._is_beyond.eq(is_behind & ~(is_second & offset[0])),
            ends.eq(self.is_next & self._is_open & is_last & self._is_near
                    & (is_second ^ (offset >= _PREFIX_SIZE)) & (self._is_header | self._has_due)),
            length.eq(Cat(entry.data.word_select(offset, 8),
                          Cat(before, *lanes[:-1]).word_select(offset, 8))),
            next_at.eq(length + (offset - (LANES - _PREFIX_SIZE))),
            # While the header ends its count is not known yet: what follows it is taken for a
            # block, which will not count if there is none.
            may_start.eq(self._is_near & ~is_second & entry.mask.bit_select(offset, 1)
                         & (self._is_header | (self._has_due & ~(self._is_open & is_last_due)))),
            # Seen at each place where the length may be, in time to choose one of the answers.
            is_short.eq(Cat(
                (offset == lane) & (high == 0) & (low < LANES - lane)
                for lane, (high, low) in enumerate(zip((before, *lanes[:-1]), lanes, strict=True))
            ).any()),
            starts.eq(self.is_next & may_start), self._is_used_up.eq(~(may_start & is_short)),
            self.is_again.eq(self.is_next & ~self._is_used_up)]
        with m.If(self.may_be_first):
            m.d.sync += [self._is_open.eq(self.is_first), self._is_header.eq(1), is_far.eq(0),
                         Cat(offset, words_off).eq(1 + entry.start + _HEADER.size - LANES)]
        with m.Elif(self.is_next):
            m.d.sync += [before.eq(lanes[-1]), is_repeat.eq(self.is_again),
                         self._is_open.eq(starts | (self._is_open & ~ends)),
                         words_off.eq(Mux(is_repeat, words_off, words_off - 1)),
                         is_far.eq(words_off[3:].any())]
            with m.If(starts):
                m.d.sync += [Cat(offset, words_off).eq(next_at), is_far.eq(length[5:].any())]
            with m.If(ends):
                m.d.sync += self._is_header.eq(0)

    def _collect(self, m):
        """Gather the octets of the item in hand from the words that they come in.

        An item's octets are turned so that its first one comes lowest. Each word then belongs to
        two groups of eight: what lies from lane ``first`` on, to the group of this word, what
        lies before, to the one before it. An item that ends is copied out while the next one may
        already begin; where it does is known late, so its first octets wait in ``fresh``, and
        what is in ``held`` counts no more from the next word on. In cycles without a word noise is
        written, where the coming word will be written.
        """
        entry = self.entry
        first = Signal(range(LANES))             # lane of the item's octet 0
        group = Signal(_GROUPS + 1)              # one-hot: that of the coming word
        held = Signal(data.ArrayLayout(8, MESSAGE_SIZE_MAX))
        grown = Signal.like(held)                # with what this word brings
        lanes = octets(entry.data)
        turned, is_valid = Signal(data.ArrayLayout(8, LANES)), Signal(LANES)
        head = Signal(range(LANES + 1))          # lane of octet 0 of the item that begins here
        begun, fresh = Signal(data.ArrayLayout(8, LANES)), Signal(data.ArrayLayout(8, LANES))
        is_fresh, begins = Signal(), Signal()    # `begins`: an item may in this word

        m.d.comb += [head.eq(Mux(self.is_start, entry.start, self._offset + 1)),
                     begins.eq(self.may_be_first | self._starts)]
        is_split = head[3]                       # it begins in the next word
        is_item = Signal(LANES)                  # lanes up to its last one, if that is near
        m.d.comb += is_item.eq(Cat(self._at_in_two >= lane + _PREFIX_SIZE
                                   for lane in range(LANES)))
        for place in range(LANES):
            from_first = [(lane + place) % LANES for lane in range(LANES)]
            shifted = Cat(lanes[lane] for lane in from_first)
            is_ours = Cat(is_item[lane] for lane in from_first).bit_select(first, 1)
            behind_head = Cat(*lanes[place:], Const(0, 8 * place))
            m.d.comb += [
                turned[place].eq(shifted.word_select(first, 8)),
                is_valid[place].eq(is_ours | ~self._is_near),
                begun[place].eq(Mux(is_split, 0, behind_head.word_select(head[:3], 8)))]
        # The item of a word that comes again is in one group less.
        group_now = Signal.like(group)
        m.d.comb += group_now.eq(Mux(self._is_repeat, group[1], group))
        is_written = Signal(MESSAGE_SIZE_MAX)
        for octet in range(MESSAGE_SIZE_MAX):
            number, place = divmod(octet, LANES)
            before = fresh[octet] if octet < LANES else 0
            m.d.comb += [
                is_written[octet].eq(Mux(first + place < LANES, group_now[number],
                                         group_now[number + 1])),
                grown[octet].eq(Mux(is_written[octet],
                                    turned[place] & is_valid[place].replicate(8),
                                    Mux(is_fresh, before, held[octet])))]

        m.d.sync += held.eq(grown)
        with m.If(self.may_be_first | self.is_next):
            m.d.sync += [fresh.eq(begun), is_fresh.eq(begins), group.eq(
                select((begins, Mux(is_split, 1, 2)), (~begins, group_now << 1)))]
        with m.If(begins):
            m.d.sync += first.eq(head)

        number, place = divmod(EARLY_SIZE - 1, LANES)
        self._octets, self._grown = Signal.like(held), grown
        # When a header ends, its count's octets are in one of two places of the word.
        count_at = [(start + offset_of(_HEADER, "message_count")) % LANES for start in START[:2]]
        self._counted = lambda value: Mux(first[2], *(
            value(big_endian(entry.data[8 * at:][:_COUNT])) for at in reversed(count_at)))
        self._is_early = (is_written[EARLY_SIZE - 1] & is_valid[place]
                          & entry.mask.bit_select((first + place)[:3], 1))
        m.d.sync += self._octets.eq(grown)

    def _count(self, m):
        """Count blocks, and see whether they end where the datagram does."""
        entry, ends, is_header = self.entry, self._ends, self._is_header
        self._index = index = Signal(_COUNT)
        self._is_exact = is_exact = Signal()     # no octet has come behind the last end
        counted = self._counted                  # a value of the header's count, in either place
        self._count_now = counted(lambda count: count)
        with m.If(self.may_be_first):
            m.d.sync += [index.eq(0), self._has_due.eq(0)]
        with m.If(ends):
            m.d.sync += [
                self._due.eq(Mux(is_header, self._count_now, self._due - 1)),
                self._has_due.eq(Mux(is_header, counted(lambda count: count.any() & ~count.all()),
                                     ~self._is_last_due)),
                self._is_last_due.eq(Mux(is_header, counted(lambda count: count == 1),
                                         self._due == 2))]
            with m.If(~is_header):
                m.d.sync += index.eq(index + 1)
        with m.If(self.is_next & entry.mask[0]):
            m.d.sync += is_exact.eq(ends & ~self._is_beyond)
        with m.If(self.may_be_first | self.is_cut):
            m.d.sync += is_exact.eq(0)

    def _tell(self, m):
        """Say what the entry before this cycle has brought."""
        entry, packet, early = self.entry, self.packet, self.early
        is_block_end = self._ends & ~self._is_header
        self._length = length = Signal(_LENGTH)  # of the block in hand
        line, stamp = Signal.like(entry.line), Signal.like(entry.stamp)

        with m.If(self._starts):
            m.d.sync += length.eq(self._length_now)
        with m.If(self.may_be_first):
            m.d.sync += [line.eq(entry.line), stamp.eq(entry.stamp)]
        m.d.sync += [
            packet.header.valid.eq(self._ends & self._is_header),
            packet.message.valid.eq(is_block_end),
            packet.message.p.length.eq(length), packet.message.p.index.eq(self._index),
            early.valid.eq(self.is_next & self._is_open & ~self._is_header & self._has_due & (
                self._is_early | (self._ends & (length < EARLY_SIZE)))),
            packet.end.valid.eq(self.is_cut | (entry.last & self.is_first)
                                | (entry.last & self.is_next & self._is_used_up)),
            packet.verdict.valid.eq(self.is_verdict),
            packet.verdict.p.is_damaged.eq(entry.last)]

        values = {name: Cat(self._octets[offset_of(_HEADER, name) + place]
                            for place in range(_HEADER.field(name)[0].size))
                  for name in ("session", "sequence_number", "message_count")}
        m.d.comb += [
            packet.header.p.session.eq(values["session"]),
            packet.header.p.first.eq(big_endian(values["sequence_number"])),
            packet.header.p.count.eq(big_endian(values["message_count"])),
            packet.header.p.line.eq(line), packet.header.p.stamp.eq(stamp),
            packet.message.p.data.eq(self._octets),
            early.p.data.eq(self._octets.as_value()[:8 * EARLY_SIZE]),
            early.p.index.eq(packet.message.p.index),
            packet.end.p.passed.eq(self._index), packet.end.p.is_short.eq(self._is_header),
            packet.end.p.is_malformed.eq(self._has_due | ~self._is_exact)]
