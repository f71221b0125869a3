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
from tickwire_hw.logic import sum_of
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

        self._has = Signal(len(TAGS), init=1)    # one-hot: the number of tags
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
        self._place = place = Signal(WORDS + 1, init=1)    # one-hot: the word that comes next
        self._is_word = Signal(WORDS)
        self._held = Signal(WORD_BITS)           # the word before this one
        self._stamp = Signal.like(self.now)
        self._octets_before = before = Signal(_SIZE_BITS + 1)
        is_payload_next = Signal()               # the word in which the UDP header ends
        self._is_first = Signal()

        m.d.comb += [self._is_word.eq(Mux(words.valid, place[:WORDS], 0)),
                     self._is_first.eq(words.valid & is_payload_next)]
        with m.If(words.valid):
            m.d.sync += [
                self._held.eq(words.p.data), is_payload_next.eq(~words.p.last & self._any_tags(
                    place[at // LANES - 1] for at in PAYLOAD_AT))]
            with m.If(words.p.last):
                m.d.sync += [place.eq(1), before.eq(0)]
            with m.Else():
                m.d.sync += [place.eq(Cat(0, place[:-2], place[-2:].any())),
                             before.eq(Mux(before[-1], before, before + LANES))]
        with m.If(self._is_word[0]):
            m.d.sync += self._stamp.eq(self.now)

    def _read_tags(self, m):
        """Count the tags: known after the third word; in it, 1 means one or two."""
        has, self._is_ipv4 = self._has, Signal()
        is_ipv4 = self._is_ipv4
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
        is_wrong, has_options, is_plain = Signal(), Signal(), Signal()
        self._can_be_let_in = Signal()
        self._udp_size_max = Signal(16)
        self._ip_end = Signal(_SIZE_BITS)
        is_wrong_now = ((version != IPV4_VERSION) | (header_words < IPV4_HEADER_WORDS)
                        | (total < Cat(0, 0, header_words)))
        has_options_now = header_words != IPV4_HEADER_WORDS
        m.d.sync += [
            is_wrong.eq(is_wrong_now), has_options.eq(has_options_now),
            is_plain.eq(self._is_ipv4 & (total >= IPV4.size + UDP.size)
                        & ~is_wrong_now & ~has_options_now),
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
                        (half == key.group.word_select(1 - part, 16)) & key.is_set
                        for key in self.keys))
        self._is_group = Signal(len(Line))

        is_sum_right, is_ours = is_right(self._sum_ipv4(m)), is_udp & self._is_group.any()
        self._is_ip_foreign, self._is_ip_good = Signal(), Signal()
        m.d.comb += [
            self._is_group.eq(is_group[0] & is_group[1]),
            self._can_be_let_in.eq(is_plain & is_udp & ~is_fragment & is_sum_right),
            self._is_ip_foreign.eq(~is_wrong & (has_options | is_sum_right) & ~is_ours),
            self._is_ip_good.eq(self._can_be_let_in & self._is_group.any())]

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
                m.d.sync += total.eq(sum_of(total, parts[0], parts[3]))
        with m.If(self._is_word[WORD_AFTER]):
            m.d.sync += [waiting.eq(parts[2] + parts[3]), total.eq(
                sum_of(total, parts[0], parts[1], Mux(self._has[2], 0, waiting)))]
        # Two tags have one word more; in what is the last one for one tag, there are three halves.
        with m.If(self._is_word[WORD_AFTER + 1]):
            m.d.sync += [
                total.eq(sum_of(total, waiting, parts[0], Mux(self._has[0], 0, parts[1]),
                                Mux(self._has[1], parts[2], 0))),
                waiting.eq(parts[2] + parts[3])]
        with m.If(self._is_word[WORD_AFTER + 2] & self._has[2]):
            m.d.sync += total.eq(sum_of(total, waiting, parts[0]))
        return total

    def _read_udp(self, m):
        """Read the UDP header in the word in which it ends, the first that can have payload."""
        words, is_first = self.words, self._is_first
        length = self._read_by_tags("length")
        checksum = self._read_by_tags("checksum")

        # Port and length of both kinds of frame are judged in the word that they come in, which
        # for one tag is this one, for others the one before. Only the results are selected.
        is_port, is_size = Signal(len(Line)), Signal()
        was_port, was_size = Signal(len(Line)), Signal()
        self._first_lanes, was_lanes = Signal(LANES), Signal(LANES)
        self._is_first_end, was_end = Signal(), Signal()   # the datagram ends in its first word
        port_at, length_at = (UDP_AT[0] + offset_of(UDP, name)
                              for name in ("destination_port", "length"))
        with m.If(words.valid):
            m.d.sync += [was_port.eq(self._match_ports(port_at)),
                         was_size.eq(self._match_size(length_at, self._ip_total - IPV4.size)),
                         was_lanes.eq(self._match_lanes(length_at, START[0])),
                         was_end.eq(self._match_end(length_at, START[0]))]
        port_at, length_at = (UDP_AT[1] + offset_of(UDP, name)
                              for name in ("destination_port", "length"))
        m.d.comb += [
            is_port.eq(Mux(self._has[1], self._match_ports(port_at), was_port)),
            is_size.eq(Mux(self._has[1], self._match_size(length_at, self._udp_size_max),
                           was_size)),
            self._first_lanes.eq(Mux(self._has[1], self._match_lanes(length_at, START[1]),
                                     was_lanes)),
            self._is_first_end.eq(Mux(self._has[1], self._match_end(length_at, START[1]),
                                      was_end))]

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
            self._can_be_let_in & is_whole & is_key.any() & is_size)

    def _match_ports(self, octet):
        """Lines whose port is the field at an octet of this word."""
        return Cat(key.port == field_at(self.words.p.data, octet) for key in self.keys)

    def _match_size(self, octet, size_max):
        """Whether the field at an octet of this word can be a UDP datagram's size."""
        size = field_at(self.words.p.data, octet)
        return (size >= UDP.size) & (size <= size_max)

    def _match_lanes(self, octet, start):
        """Payload's lanes of the first word, of a datagram of the size at an octet of this one."""
        size = field_at(self.words.p.data, octet)
        return Cat(start <= lane and size > UDP.size + lane - start for lane in range(LANES))

    def _match_end(self, octet, start):
        """Whether a datagram of the size at an octet of this word ends in its first word."""
        return field_at(self.words.p.data, octet) <= UDP.size + LANES - start

    def _read_by_tags(self, name):
        """Field of the UDP header, in this word or the one before; two tags are like none."""
        none, one = (
            field_at(self.words.p.data if at // LANES == end // LANES else self._held, at)
            for at, end in zip((at + offset_of(UDP, name) for at in UDP_AT[:2]), PAYLOAD_AT[:2],
                               strict=True))
        return Mux(self._has[1], one, none)

    def _give_payload(self, m):
        """Let payload pass as far as UDP's length and the frame go."""
        words, payload, is_first = self.words, self.payload, self._is_first
        is_open = Signal()                       # the datagram goes on in the coming word
        lanes, is_end = Signal(LANES), Signal()  # those of it in the coming word; whether its last
        self._is_passed = Signal()
        start = Mux(self._has[1], START[1], START[0])
        is_first_end, goes_on = self._is_first_end, words.valid & is_open
        self._payload_lanes = Mux(is_first, self._first_lanes, lanes & is_open.replicate(LANES))

        m.d.comb += [
            payload.valid.eq((is_first & self._is_let_in) | goes_on),
            payload.p.data.eq(words.p.data), payload.p.mask.eq(words.p.keep & lanes),
            payload.p.first.eq(is_first), payload.p.goes_on.eq(goes_on),
            payload.p.last.eq(words.p.last | Mux(is_first, is_first_end, is_end)),
            payload.p.start.eq(start),
            payload.p.line.eq(Mux(is_first, self._line_now, self._line)),
            payload.p.stamp.eq(self._stamp)]
        # Counted from lane 0 of a word, the datagram's last octet is in this lane or beyond.
        last_lane, last_now = Signal(16), Signal(16)
        m.d.comb += last_now.eq(Mux(
            is_first, self._length + start - UDP.size - 1, last_lane))
        is_far = last_now[4:].any()              # not in this word nor in the next one
        with m.If(words.valid):
            m.d.sync += [
                is_open.eq(Mux(is_first, self._is_let_in & ~is_first_end, is_open & ~is_end)
                           & ~words.p.last),
                last_lane.eq(last_now - LANES), is_end.eq(~is_far), lanes.eq(Cat(
                    is_far | last_now[3] & (last_now[:3] >= lane) for lane in range(LANES)))]
        with m.If(is_first):
            m.d.sync += self._is_passed.eq(self._is_let_in)
        with m.If(self._is_word[0]):
            m.d.sync += self._is_passed.eq(0)

    def _sum_udp(self, m):
        """Sum pseudo header, UDP header and payload: right three cycles after the last word."""
        words = self.words
        is_summed, octets = Signal(LANES), Signal(WORD_BITS)
        is_valid, is_begin = Signal(), Signal()
        pseudo_length = Signal(16)
        self._udp_sum = total = Signal(SUM)

        is_header = Cat(reduce(or_, (
            here & self._is_within(number * LANES + lane, SUMMED_AT, PAYLOAD_AT)
            for number, here in enumerate(self._place[:WORDS]))) for lane in range(LANES))
        m.d.sync += [
            is_valid.eq(words.valid), is_begin.eq(self._is_word[0]), octets.eq(words.p.data),
            is_summed.eq(is_header | words.p.keep & self._payload_lanes),
            pseudo_length.eq(Mux(self._is_first, self._length, 0))]

        parts = halves(octets & Cat(lane.replicate(8) for lane in is_summed))
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

        was_over, was_passed = Signal(), Signal()
        was_late, is_late = Signal(), Signal()   # what the frame's size and the MAC show
        has_type, has_ip, has_udp = reached = [Signal(name=f"has_{name}")
                                               for name in ("type", "ip", "udp")]
        m.d.sync += [reach.eq(self._any_tags(size >= end for end in ends))
                     for reach, ends in zip(reached, (IP_AT, UDP_AT, PAYLOAD_AT), strict=True)]
        # Two cycles after its last word the frame's headers are still in hand: tags and type of
        # the next one are known a cycle later.
        is_other = has_type & (~self._is_ipv4 | (has_ip & (
            self._is_ip_foreign | (self._is_ip_good & has_udp & ~self._has_line))))
        m.d.sync += [
            was_over.eq(is_over), was_passed.eq(self._is_passed),
            was_late.eq(has_error | (size > self.size_max) | (size < self._ip_end)),
            self.verdict.valid.eq(was_over), self.verdict.p.is_for_line.eq(was_passed),
            self.is_other.eq(was_over & ~was_passed & is_other),
            self.is_malformed.eq(was_over & ~was_passed & ~is_other), is_late.eq(was_late)]
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
