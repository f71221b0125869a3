"""Message blocks of a datagram: found, counted and cut out of the words that they lie in."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec import itch50, moldudp64
from tickwire_hw.backlog import Entry
from tickwire_hw.blocks_port import MESSAGE_SIZE_MAX, Header, Message, PacketSignature
from tickwire_hw.stream import LANES, big_endian, octets, offset_of

_HEADER = moldudp64.DOWNSTREAM_HEADER
_PREFIX_SIZE = moldudp64.MESSAGE_BLOCK.size
_GROUPS = -(-MESSAGE_SIZE_MAX // LANES)

EARLY_SIZE = offset_of(itch50.ORDER_DELETE, "order_reference") \
    + itch50.ORDER_DELETE.field("order_reference")[0].size
"""Octets of a message that tell type, stock and order."""

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
    entry, is_first, is_next, is_cut, is_verdict, may_be_first : ``In``
        Words, cuts and verdicts in order, as :class:`tickwire_hw.backlog.Backlog` gives them.
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
        self._has_due, is_last_due = Signal(), Signal()
        self._ends, self._starts = ends, starts = Signal(), Signal()
        self._due = Signal(_COUNT)               # blocks that the header promised, not ended yet
        self._at = at = Signal(_LENGTH + 1)
        self._offset = offset = at[:3]
        self._lasts = lasts = Signal(LANES)      # lane in which the item in hand ends
        self._is_item = Signal(LANES)            # lanes up to it
        self._before = before = Signal(8)        # last octet of the word before
        lanes = octets(entry.data)
        self._length_now = length = Signal(_LENGTH)

        m.d.comb += [
            self._has_due.eq(self._due.any() & ~self._due.all()),
            is_last_due.eq(self._due == 1),
            lasts.eq(Cat(at == lane + _PREFIX_SIZE for lane in range(LANES))),
            self._is_item.eq(Cat(at >= lane + _PREFIX_SIZE for lane in range(LANES))),
            ends.eq(self.is_next & self._is_open & (lasts & entry.mask).any()
                    & (self._is_header | self._has_due)),
            length.eq(Cat(entry.data.word_select(offset, 8),
                          Cat(before, *lanes[:-1]).word_select(offset, 8))),
            # While the header ends its count is not known yet: what follows it is taken for a
            # block, which will not count if there is none.
            starts.eq(self.is_next & (at < LANES) & entry.mask.bit_select(offset, 1)
                      & (self._is_header | (self._has_due & ~(self._is_open & is_last_due)))),
            self.is_again.eq(starts & ~length[3:].any() & (length[:3] + offset < LANES))]
        with m.If(self.may_be_first):
            m.d.sync += [self._is_open.eq(self.is_first), self._is_header.eq(1),
                         at.eq(1 + entry.start + _HEADER.size - LANES)]
        with m.Elif(self.is_next):
            m.d.sync += [before.eq(lanes[-1]), at.eq(at - LANES)]
            with m.If(starts):
                m.d.sync += at.eq(Mux(self.is_again, length[:3] + offset + _PREFIX_SIZE,
                                      length + offset - (LANES - _PREFIX_SIZE)))
            with m.If(ends):
                m.d.sync += self._is_header.eq(0)
            with m.If(ends | starts):
                m.d.sync += self._is_open.eq(starts)

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
        is_fresh = Signal()

        m.d.comb += head.eq(Mux(self.may_be_first, entry.start, self._offset + 1))
        for place in range(LANES):
            from_first = [(lane + place) % LANES for lane in range(LANES)]
            shifted = Cat(lanes[lane] for lane in from_first)
            is_ours = Cat(self._is_item[lane] for lane in from_first)
            m.d.comb += [
                turned[place].eq(shifted.word_select(first, 8)),
                is_valid[place].eq(is_ours.bit_select(first, 1)),
                begun[place].eq(Mux(head + place < LANES, shifted.word_select(head[:3], 8), 0))]
        is_written = Signal(MESSAGE_SIZE_MAX)
        for octet in range(MESSAGE_SIZE_MAX):
            number, place = divmod(octet, LANES)
            before = fresh[octet] if octet < LANES else 0
            m.d.comb += [
                is_written[octet].eq(Mux(first + place < LANES, group[number], group[number + 1])),
                grown[octet].eq(Mux(is_written[octet],
                                    turned[place] & is_valid[place].replicate(8),
                                    Mux(is_fresh, before, held[octet])))]

        m.d.sync += held.eq(grown)
        with m.If(self.may_be_first | self.is_next):
            m.d.sync += [fresh.eq(begun), is_fresh.eq(self.may_be_first | self._starts),
                         group.eq(group << 1)]
        with m.If(self.may_be_first | self._starts):
            m.d.sync += first.eq(head)
            # A word that comes again is the item's own, unless its last lane ends the length.
            is_split = head == LANES
            m.d.sync += group.eq(Mux(self.is_again, Mux(is_split, 0, 1), Mux(is_split, 1, 2)))

        number, place = divmod(EARLY_SIZE - 1, LANES)
        self._octets, self._grown = Signal.like(held), grown
        self._is_early = (is_written[EARLY_SIZE - 1] & is_valid[place]
                          & entry.mask.bit_select((first + place)[:3], 1))
        m.d.sync += self._octets.eq(grown)

    def _count(self, m):
        """Count blocks, and see whether they end where the datagram does."""
        entry, ends, is_header = self.entry, self._ends, self._is_header
        self._index = index = Signal(_COUNT)
        self._is_exact = is_exact = Signal()     # no octet has come behind the last end
        count_at = offset_of(_HEADER, "message_count")
        self._count_now = count = big_endian(Cat(self._grown[count_at + place]
                                                 for place in range(_COUNT // 8)))
        is_beyond = (self._lasts[:-1] & entry.mask[1:]).any()

        with m.If(self.may_be_first):
            m.d.sync += [index.eq(0), self._due.eq(0)]
        with m.If(ends):
            m.d.sync += self._due.eq(Mux(is_header, count, self._due - 1))
            with m.If(~is_header):
                m.d.sync += index.eq(index + 1)
        with m.If(self.is_next & entry.mask.any()):
            m.d.sync += is_exact.eq(ends & ~is_beyond)
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
            packet.end.valid.eq(self.is_cut | (entry.last & (
                self.is_first | (self.is_next & ~self.is_again)))),
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
