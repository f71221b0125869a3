"""Ethernet frames to the payload of the datagrams that are for a line, cut through."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.network import (
    ETHER_TYPE_IPV4,
    ETHER_TYPE_SERVICE_VLAN,
    ETHER_TYPE_VLAN,
    FRAGMENT_OFFSET_MASK,
    IPV4,
    IPV4_HEADER_WORDS,
    IPV4_VERSION,
    MORE_FRAGMENTS,
    PROTOCOL_UDP,
    UDP,
)
from tickwire.spec.records import Line
from tickwire_hw.frame_layout import (
    IP_AT,
    PAYLOAD_AT,
    START,
    SUMMED_AT,
    TAGS,
    TYPE_AT,
    UDP_AT,
    WORD_AFTER,
    WORD_OF_LATER_TYPES,
    WORD_OF_TYPE,
    WORDS,
    field_at,
)
from tickwire_hw.internet_sum import SUM, add_to, halves, is_right
from tickwire_hw.stream import LANES, WORD_BITS, FrameVerdict, Payload, Word, offset_of

_FRAGMENT = MORE_FRAGMENTS | FRAGMENT_OFFSET_MASK
_SIZE_BITS = 17                            # holds more than any size limit or IPv4 length


class Key(data.Struct):
    """Destination of a line's datagrams, as :func:`tickwire.kernels.receive.key_of` makes it."""

    port: 16
    group: 32
    is_set: 1


class Receive(wiring.Component):
    """Give the UDP payload of frames that are for a line, and judge every frame.

    Kernel: :func:`tickwire.kernels.receive.frame` with ``cut_through``. The payload passes in the
    cycle of its word, latency 0: whether a frame is for a line is known in the word in which its
    UDP header ends. One word a cycle, no backpressure, nothing is lost. The configuration is to
    change between frames; one during which it changes is judged by either.

    Members
    -------
    words : ``In(stream.Signature(Word, always_ready=True))``
        Frames.
    now : ``In(64)``
        Time, ns.
    keys : ``In(data.ArrayLayout(Key, len(Line)))``
        Destination of each line.
    size_max : ``In(16)``
        Octets of the longest frame, without FCS.
    check_udp : ``In(1)``
        Whether UDP checksums are verified, where they are not 0.
    payload : ``Out(stream.Signature(Payload, always_ready=True))``
        Payload of frames that are for a line; an empty one is one word without lanes.
    verdict : ``Out(stream.Signature(FrameVerdict, always_ready=True))``
        Verdict on each frame, 3 cycles after its last word.
    is_other, is_malformed : ``Out(1)``
        With the verdict: the frame counts in ``frames_other`` or ``frames_malformed``.
    """

    words: In(stream.Signature(Word, always_ready=True))
    now: In(64)
    keys: In(data.ArrayLayout(Key, len(Line)))
    size_max: In(16)
    check_udp: In(1)
    payload: Out(stream.Signature(Payload, always_ready=True))
    verdict: Out(stream.Signature(FrameVerdict, always_ready=True))
    is_other: Out(1)
    is_malformed: Out(1)

    def elaborate(self, platform):
        """Return the parser, both checksums and the judgement after the frame's end."""
        m = Module()

        self._follow(m)
        self._read_tags(m)
        self._read_ipv4(m)
        self._read_udp(m)
        self._give_payload(m)
        self._sum_udp(m)
        self._judge(m)

        return m

    def _follow(self, m):
        """Follow the frame word by word."""
        words = self.words
        place = Signal(WORDS + 1, init=1)        # one-hot: the word that comes next
        self._is_word = Signal(WORDS)
        self._held = Signal(WORD_BITS)           # the word before this one
        self._stamp = Signal.like(self.now)
        self._octets_before = before = Signal(_SIZE_BITS + 1)

        m.d.comb += self._is_word.eq(Mux(words.valid, place[:WORDS], 0))
        with m.If(words.valid):
            m.d.sync += self._held.eq(words.p.data)
            with m.If(words.p.last):
                m.d.sync += [place.eq(1), before.eq(0)]
            with m.Else():
                m.d.sync += [place.eq(Cat(0, place[:-2], place[-2:].any())),
                             before.eq(Mux(before[-1], before, before + LANES))]
        with m.If(self._is_word[0]):
            m.d.sync += self._stamp.eq(self.now)

    def _read_tags(self, m):
        """Count the tags: known after the third word; in it, 1 means one or two."""
        self._has = has = Signal(len(TAGS), init=1)          # one-hot: the number of tags
        self._is_ipv4 = is_ipv4 = Signal()
        types = [field_at(self.words.p.data, at) for at in TYPE_AT]
        is_tag = [(kind == ETHER_TYPE_VLAN) | (kind == ETHER_TYPE_SERVICE_VLAN) for kind in types]
        is_ip = [kind == ETHER_TYPE_IPV4 for kind in types]

        with m.If(self._is_word[WORD_OF_TYPE]):
            m.d.sync += [has.eq(Cat(~is_tag[0], is_tag[0], 0)), is_ipv4.eq(is_ip[0])]
        with m.If(self._is_word[WORD_OF_LATER_TYPES] & has[1]):
            m.d.sync += [has.eq(Cat(0, ~is_tag[1], is_tag[1])),
                         is_ipv4.eq(Mux(is_tag[1], is_ip[2], is_ip[1]))]

    def _read_ipv4(self, m):
        """Read the IPv4 header; verdicts stand when the word after its last one is here."""
        version, header_words = Signal(4), Signal(4)
        self._ip_total = total = Signal(16)
        is_fragment, is_udp = Signal(), Signal()
        # A word late: by then the number of tags is known.
        for name, read in (
                ("version_length", lambda half: Cat(header_words, version).eq(half[8:])),
                ("total_length", total.eq),
                ("flags_fragment", lambda half: is_fragment.eq((half & _FRAGMENT).any())),
                ("protocol", lambda half: is_udp.eq(half[:8] == PROTOCOL_UDP))):
            for tags, ip in enumerate(IP_AT):
                at = ip + offset_of(IPV4, name)
                with m.If(self._is_word[at // LANES + 1] & self._has[tags]):
                    m.d.sync += read(field_at(self._held, at))

        # A cycle later: at the latest when the first word with payload is here.
        is_wrong, has_options = Signal(), Signal()
        self._can_have_udp = Signal()
        self._udp_size_max = Signal(16)
        self._ip_end = Signal(_SIZE_BITS)
        m.d.sync += [
            is_wrong.eq((version != IPV4_VERSION) | (header_words < IPV4_HEADER_WORDS)
                        | (total < Cat(0, 0, header_words))),
            has_options.eq(header_words != IPV4_HEADER_WORDS),
            self._can_have_udp.eq(total >= IPV4.size + UDP.size),
            self._udp_size_max.eq(total - IPV4.size),
            self._ip_end.eq(total + self._by_tags(IP_AT))]

        # In time: halves of a line's address may come in different words.
        is_group = [Signal(len(Line), name=f"is_group_{part}") for part in ("high", "low")]
        for part, matches in enumerate(is_group):
            for tags, ip in enumerate(IP_AT):
                at = ip + offset_of(IPV4, "destination") + 2 * part
                half = field_at(self.words.p.data, at)
                with m.If(self._is_word[at // LANES] & self._has[tags]):
                    m.d.sync += matches.eq(Cat(
                        half == key.group.word_select(1 - part, 16) for key in self.keys))
        self._is_group = Signal(len(Line))

        is_credible, is_ours = Signal(), Signal()
        self._is_ip_foreign, self._is_ip_good = Signal(), Signal()
        m.d.comb += [
            self._is_group.eq(is_group[0] & is_group[1] & Cat(key.is_set for key in self.keys)),
            is_credible.eq(~is_wrong & (has_options | is_right(self._sum_ipv4(m)))),
            is_ours.eq(is_udp & self._is_group.any()),
            self._is_ip_foreign.eq(is_credible & ~is_ours),
            self._is_ip_good.eq(is_credible & is_ours & ~has_options & ~is_fragment)]

    def _sum_ipv4(self, m):
        """Sum the IPv4 header without options as its words come.

        Which halves of the third word belong to it is known only a word later, so two of them
        wait until then; of the words after it the upper halves do too, to keep each sum short.
        """
        total = Signal(range(IPV4.size // 2 << 16))
        waiting = Signal(range(2 << 16))
        parts = halves(self.words.p.data)

        with m.If(self._is_word[WORD_OF_TYPE]):
            m.d.sync += total.eq(parts[3])
        with m.If(self._is_word[WORD_OF_LATER_TYPES]):
            m.d.sync += [waiting.eq(parts[1] + parts[2]), total.eq(parts[3])]
            with m.If(self._has[0]):
                m.d.sync += total.eq(total + (parts[0] + parts[3]))
        with m.If(self._is_word[WORD_AFTER]):
            m.d.sync += [total.eq((total + Mux(self._has[2], 0, waiting)) + (parts[0] + parts[1])),
                         waiting.eq(parts[2] + parts[3])]
        # Two tags have one word more; in what is the last one for one tag, there are three halves.
        with m.If(self._is_word[WORD_AFTER + 1]):
            m.d.sync += [
                total.eq((total + waiting) + (parts[0] + Mux(self._has[0], 0, parts[1]))
                         + Mux(self._has[1], parts[2], 0)),
                waiting.eq(parts[2] + parts[3])]
        with m.If(self._is_word[WORD_AFTER + 2] & self._has[2]):
            m.d.sync += total.eq((total + waiting) + parts[0])
        return total

    def _read_udp(self, m):
        """Read the UDP header in the word in which it ends, the first that can have payload."""
        self._is_first = is_first = Signal()
        m.d.comb += is_first.eq(self._any_tags(self._is_word[at // LANES] for at in PAYLOAD_AT))
        words = self.words
        length = self._read_by_tags("length")
        checksum = self._read_by_tags("checksum")

        # Port and length of both kinds of frame are judged in the word that they come in, which
        # for one tag is this one, for others the one before. Only the results are selected.
        is_port, is_size, is_end = Signal(len(Line)), Signal(), Signal()
        was_port, was_size, was_end = Signal(len(Line)), Signal(), Signal()
        port_at, length_at = (UDP_AT[0] + offset_of(UDP, name)
                              for name in ("destination_port", "length"))
        with m.If(words.valid):
            m.d.sync += [was_port.eq(self._match_ports(port_at)),
                         was_size.eq(self._match_size(length_at, self._ip_total - IPV4.size)),
                         was_end.eq(self._match_end(length_at, START[0]))]
        port_at, length_at = (UDP_AT[1] + offset_of(UDP, name)
                              for name in ("destination_port", "length"))
        m.d.comb += [
            is_port.eq(Mux(self._has[1], self._match_ports(port_at), was_port)),
            is_size.eq(Mux(self._has[1], self._match_size(length_at, self._udp_size_max),
                           was_size)),
            is_end.eq(Mux(self._has[1], self._match_end(length_at, START[1]), was_end))]
        self._is_first_end = is_end              # the datagram ends in its first word

        is_key = Signal(len(Line))
        self._length = Signal(16)
        self._line_now, self._line = Signal(range(len(Line))), Signal(range(len(Line)))
        self._has_line, self._has_checksum = Signal(), Signal()
        m.d.comb += [
            self._length.eq(length), is_key.eq(is_port & self._is_group),
            self._line_now.eq(Mux(is_key[0], 0, Mux(is_key[1], 1, 2)))]
        with m.If(is_first):
            m.d.sync += [self._line.eq(self._line_now), self._has_line.eq(is_key.any()),
                         self._has_checksum.eq(checksum != 0)]

        is_whole = self._by_tags(words.p.keep[start - 1] for start in START)
        self._is_let_in = Signal()
        m.d.comb += self._is_let_in.eq(
            self._is_ipv4 & self._is_ip_good & self._can_have_udp & is_whole & is_key.any()
            & is_size)

    def _match_ports(self, octet):
        """Lines whose port is the field at an octet of this word."""
        return Cat(key.port == field_at(self.words.p.data, octet) for key in self.keys)

    def _match_size(self, octet, size_max):
        """Whether the field at an octet of this word can be a UDP datagram's size."""
        size = field_at(self.words.p.data, octet)
        return (size >= UDP.size) & (size <= size_max)

    def _match_end(self, octet, start):
        """Whether a datagram of the size at an octet of this word ends in its first word."""
        return field_at(self.words.p.data, octet) <= UDP.size + LANES - start

    def _read_by_tags(self, name):
        """Field of the UDP header, in this word or the one before."""
        places = [at + offset_of(UDP, name) for at in UDP_AT]
        return self._by_tags(
            field_at(self.words.p.data if at // LANES == end // LANES else self._held, at)
            for at, end in zip(places, PAYLOAD_AT, strict=True))

    def _give_payload(self, m):
        """Let payload pass as far as UDP's length and the frame go."""
        words, payload, is_first = self.words, self.payload, self._is_first
        is_open = Signal()                       # the datagram goes on in the coming word
        left = Signal(16)                        # octets of it from the coming word on
        lanes, is_end = Signal(LANES), Signal()  # those of it in the coming word; whether its last
        self._is_passed = Signal()
        start = self._by_tags(START)
        length = self._length

        is_behind_start = Cat(self._any_tags(number >= start for start in START)
                              for number in range(LANES))
        self._is_first_payload = Cat(
            self._any_tags(start <= number and length > UDP.size + number - start
                           for start in START) for number in range(LANES))
        is_first_end = self._is_first_end
        m.d.comb += [
            payload.valid.eq((is_first & self._is_let_in) | (words.valid & is_open)),
            payload.p.data.eq(words.p.data),
            payload.p.mask.eq(words.p.keep & Mux(is_first, is_behind_start, lanes)),
            payload.p.first.eq(is_first),
            payload.p.last.eq(words.p.last | Mux(is_first, is_first_end, is_end)),
            payload.p.start.eq(start),
            payload.p.line.eq(Mux(is_first, self._line_now, self._line)),
            payload.p.stamp.eq(self._stamp)]
        with m.If(words.valid):
            m.d.sync += [
                is_open.eq(Mux(is_first, self._is_let_in & ~is_first_end, is_open & ~is_end)
                           & ~words.p.last),
                left.eq(left - LANES), is_end.eq(left <= 2 * LANES),
                lanes.eq(Cat(left > LANES + number for number in range(LANES)))]
        for here, start in zip(self._has, START, strict=True):
            before = UDP.size + LANES - start
            with m.If(is_first & here):
                m.d.sync += [
                    left.eq(length - before), is_end.eq(length <= before + LANES),
                    lanes.eq(Cat(length > before + number for number in range(LANES)))]
        with m.If(is_first):
            m.d.sync += self._is_passed.eq(self._is_let_in)
        with m.If(self._is_word[0]):
            m.d.sync += self._is_passed.eq(0)

    def _sum_udp(self, m):
        """Sum pseudo header, UDP header and payload: right three cycles after the last word."""
        words = self.words
        is_summed = Signal(LANES)
        is_valid, is_begin = Signal(), Signal()
        summed, pseudo_length = Signal(WORD_BITS), Signal(16)
        self._udp_sum = total = Signal(SUM)

        is_payload = words.p.keep & Mux(self._is_first, self._is_first_payload, Mux(
            self.payload.valid, self.payload.p.mask, 0))
        m.d.comb += is_summed.eq(is_payload | Cat(reduce(or_, (
            here & self._is_within(number * LANES + place, SUMMED_AT, PAYLOAD_AT)
            for number, here in enumerate(self._is_word))) for place in range(LANES)))
        m.d.sync += [
            is_valid.eq(words.valid), is_begin.eq(self._is_word[0]),
            summed.eq(words.p.data & Cat(lane.replicate(8) for lane in is_summed)),
            pseudo_length.eq(Mux(self._is_first, self._length, 0))]

        parts = halves(summed)
        was_valid, was_begin = Signal(), Signal()
        pairs = Signal(range(3 << 16)), Signal(range(2 << 16))
        m.d.sync += [
            was_valid.eq(is_valid), was_begin.eq(is_begin),
            pairs[0].eq(parts[0] + parts[1] + pseudo_length), pairs[1].eq(parts[2] + parts[3])]
        with m.If(was_begin):
            m.d.sync += total.eq(PROTOCOL_UDP)
        with m.Elif(was_valid):
            m.d.sync += total.eq(add_to(total, pairs))

    def _judge(self, m):
        """Judge a frame by what was read, in the cycles after its last word."""
        words = self.words
        is_over, has_error = Signal(), Signal()
        size = Signal(_SIZE_BITS + 1)
        m.d.sync += [
            is_over.eq(words.valid & words.p.last), has_error.eq(words.p.error),
            size.eq(self._octets_before + sum(words.p.keep))]

        has_type, has_ip, has_udp = (
            self._any_tags(size >= end for end in ends)
            for ends in (IP_AT, UDP_AT, PAYLOAD_AT))
        is_other = Signal()
        m.d.comb += is_other.eq(has_type & (~self._is_ipv4 | (has_ip & (
            self._is_ip_foreign
            | (self._is_ip_good & has_udp & self._can_have_udp & ~self._has_line)))))
        was_over, was_passed, was_other = Signal(), Signal(), Signal()
        was_late, is_late = Signal(), Signal()   # what the frame's size and the MAC show
        m.d.sync += [
            was_over.eq(is_over), was_passed.eq(self._is_passed), was_other.eq(is_other),
            was_late.eq(has_error | (size > self.size_max) | (size < self._ip_end)),
            self.verdict.valid.eq(was_over), self.verdict.p.is_for_line.eq(was_passed),
            self.is_other.eq(was_over & ~was_passed & was_other),
            self.is_malformed.eq(was_over & ~was_passed & ~was_other), is_late.eq(was_late)]
        m.d.comb += self.verdict.p.is_damaged.eq(self.verdict.p.is_for_line & (
            is_late | (self.check_udp & self._has_checksum & ~is_right(self._udp_sum))))

    def _any_tags(self, values):
        """Whether the condition of the number of tags in hand, of one for each, holds."""
        return reduce(or_, (is_here & value
                            for is_here, value in zip(self._has, values, strict=True)))

    def _by_tags(self, values):
        """Value of the number of tags in hand, of one for each."""
        none, one, two = values
        return Mux(self._has[2], two, Mux(self._has[1], one, none))

    def _is_within(self, octet, starts, ends):
        """Whether an octet of the frame lies between two places that tags move."""
        return self._any_tags(start <= octet < end
                              for start, end in zip(starts, ends, strict=True))
