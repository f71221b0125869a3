"""Orders to whole frames: Ethernet, IPv4, TCP, SoupBinTCP and OUCH, a word a cycle."""

from functools import reduce
from operator import add

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.intents import Operation
from tickwire.spec.network import ETHERNET, IPV4, TCP
from tickwire.spec.sessions import HEADERS_SIZE, SESSIONS_MAX, TEMPLATE, SessionOperation
from tickwire_hw.encoder import SIZE_MAX, Encoder
from tickwire_hw.internet_sum import halves
from tickwire_hw.logic import encode, lowest, select
from tickwire_hw.order_port import Order, Sent, SessionUpdate, Symbol, TemplateWord
from tickwire_hw.ram import RAM
from tickwire_hw.stream import LANES, WORD_BITS, Word, big_endian, octets, offset_of

_IPV4_AT = ETHERNET.size
_TCP_AT = _IPV4_AT + IPV4.size
_WORDS = -(-(HEADERS_SIZE + SIZE_MAX) // LANES)
_TEMPLATE_WORDS = TEMPLATE.size // LANES
_HEADING = -(-HEADERS_SIZE // LANES)      # words that have octets of the template
_READING = _HEADING - 1                    # words at the output while these are put together
_HALF = 16
_ARITY = 4                                 # addends of one stage of the sum


class Frame(wiring.Component):
    """Send an order as a frame of its session's TCP connection.

    Kernel: :func:`tickwire.kernels.frame.frame`, with :mod:`tickwire.kernels.encoder`. The first
    word is at ``o`` one cycle after the order was taken, in the cycle of its verdict, and the
    others follow one a cycle: headers leave while the sum over the last field is still being made.
    A cancel has 9 words, a replace 13, a new order 13 or, when post-only, 14; the next order can be
    taken with the last one, so a MAC never waits for it.

    Backpressure: an order is taken when the one before has been refused, has left or was blocked.
    ``o`` may hold back the first word as long as it likes; a frame that has begun must be taken a
    word a cycle where a MAC sends it, and always is offered so. Nothing is cut short.

    A heartbeat of a leased session, for which HEARTBEAT asked, leaves when nothing else does and no
    order is on its way here (``is_quiet``): 8 words, the first one three cycles later, and no order
    is taken from the cycle after that one until its last word, nine cycles where nothing holds it
    back. Each session has at most one that waits; it is forgotten when the session is leased anew
    or taken back, and is not told. It leaves when killed too.

    Blocked, so never begun, and told: a new order or replace whose first word was not taken when
    ``is_killed`` rises (its ``valid`` falls in that cycle), and any order of a session that is
    not leased. A template word for a leased session is lost. A symbol that is written while an
    order of its instrument is under way spoils that frame: write it before the first one.

    Members
    -------
    order : ``In(stream.Signature(Order))``
        Orders in front of their verdict.
    next_session : ``In(range(SESSIONS_MAX))``
        Session of the order, when it is taken and in the cycle before: its headers are read.
    is_quiet : ``In(1)``
        Nobody relies on ``order.ready`` to stay: a heartbeat may begin.
    passes : ``In(1)``
        In the cycle after an order was taken: it may leave. Else it is forgotten.
    is_killed : ``In(1)``
        No new order or replace may begin.
    now : ``In(64)``
        Time, ns.
    i_symbol, i_template : ``In(stream.Signature(..., always_ready=True))``
        Symbols and templates, from the host.
    i_session : ``In(stream.Signature(SessionUpdate))``
        Leases, positions and heartbeats; not taken while an order waits for its first word, so a
        session whose RELEASE was taken begins no frame.
    o : ``Out(stream.Signature(Word))``
        Frames without check.
    sent : ``Out(stream.Signature(Sent, always_ready=True))``
        What began or was blocked, one cycle later.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._instruments, self._is_cancel = geometry.instruments, Signal()
        self._due_taken = Signal(SESSIONS_MAX)     # the session whose heartbeat begins
        super().__init__({
            "order": In(stream.Signature(Order)), "next_session": In(range(SESSIONS_MAX)),
            "is_quiet": In(1), "passes": In(1), "is_killed": In(1), "now": In(64),
            "i_symbol": In(stream.Signature(Symbol, always_ready=True)),
            "i_template": In(stream.Signature(TemplateWord, always_ready=True)),
            "i_session": In(stream.Signature(SessionUpdate)),
            "o": Out(stream.Signature(Word)),
            "sent": Out(stream.Signature(Sent, always_ready=True))})

    def elaborate(self, platform):
        """Return encoder, tables, sums and the row of words."""
        m = Module()

        m.submodules.encoder = self._encoder = Encoder()
        self._take = Signal()                # an order at the end of this cycle
        self._beats = Signal()               # a heartbeat at the end of this cycle
        self._is_heartbeat = Signal()        # it is one that is under way
        self._is_fresh = Signal()            # the tables show its rows since this cycle
        self._is_heading = Signal()          # headers are sent: the template is needed
        self._has_begun = Signal()           # its first word was taken in the cycle before
        self._token, self._session = Signal(32), Signal(range(SESSIONS_MAX))
        with m.If(self._take):
            order = self.order.p
            m.d.sync += [self._token.eq(order.token), self._session.eq(order.session),
                         self._is_cancel.eq(order.operation == Operation.CANCEL)]
        m.d.comb += [self._encoder.order.eq(self.order.p),
                     self._encoder.take.eq(self._take | self._beats),
                     self._encoder.is_heartbeat.eq(self._beats)]

        self._keep_tables(m)
        self._sum(m)
        self._send(m)

        return m

    def _keep_tables(self, m):
        """Look the order's session and symbol up; take what the host writes."""
        address = Mux(self._take, self.order.p.session, self._session)
        written, update = self.i_template, self.i_session
        self._is_leased = leased = Signal(SESSIONS_MAX)

        template = []
        for number in range(_TEMPLATE_WORDS):
            m.submodules[f"template_{number}"] = row = RAM(WORD_BITS, SESSIONS_MAX)
            m.d.comb += [
                row.read_address.eq(Mux(self._is_heading, self._session, self.next_session)),
                row.write_address.eq(written.p.session), row.write_data.eq(written.p.data),
                row.write_enable.eq(written.valid & (written.p.word == number)
                                    & ~leased.bit_select(written.p.session, 1))]
            template.append(row.read_data)
        self._template = octets(Cat(template))

        m.submodules.symbols = symbols = RAM(WORD_BITS, self._instruments)
        bits = max(1, ceil_log2(self._instruments))
        instrument, kept = Signal(bits), Signal(8)
        capacity = self._template[offset_of(TEMPLATE, "capacity")]
        with m.If(self._take):
            m.d.sync += instrument.eq(self.order.p.instrument)
        m.d.comb += [
            symbols.read_address.eq(Mux(self._take, self.order.p.instrument[:bits], instrument)),
            symbols.write_address.eq(self.i_symbol.p.instrument),
            symbols.write_data.eq(self.i_symbol.p.symbol),
            symbols.write_enable.eq(self.i_symbol.valid),
            self._encoder.symbol.eq(symbols.read_data),
            self._encoder.capacity.eq(Mux(self._is_fresh, capacity, kept))]
        with m.If(self._is_fresh):
            m.d.sync += kept.eq(capacity)

        m.submodules.sequences = sequences = RAM(32, SESSIONS_MAX)
        m.submodules.peers = peers = RAM(32 + _HALF, SESSIONS_MAX)
        is_taken, operation = update.valid & update.ready, update.p.operation
        is_lease = is_taken & (operation == SessionOperation.LEASE)
        is_release = is_taken & (operation == SessionOperation.RELEASE)
        is_move = is_taken & (operation == SessionOperation.MOVE)
        self._sequence, self._acknowledgment = Signal(32), Signal(32)
        self._window, self._first = Signal(_HALF), Signal(32)
        # What the host writes later is for the next frame: a row is believed in one cycle alone.
        with m.If(self._is_fresh):
            m.d.sync += [self._sequence.eq(sequences.read_data),
                         Cat(self._acknowledgment, self._window).eq(peers.read_data)]
        m.d.comb += [
            self._first.eq(Mux(self._is_fresh, sequences.read_data, self._sequence)),
            sequences.read_address.eq(address), peers.read_address.eq(address),
            sequences.write_enable.eq(is_lease | self._has_begun),
            sequences.write_address.eq(Mux(self._has_begun, self._session, update.p.session)),
            sequences.write_data.eq(Mux(self._has_begun, self._first + self._encoder.size,
                                        update.p.sequence)),
            peers.write_enable.eq(is_lease | is_move),
            peers.write_address.eq(update.p.session),
            peers.write_data.eq(Cat(update.p.acknowledgment, update.p.window))]
        with m.If(is_lease | is_release):
            m.d.sync += leased.bit_select(update.p.session, 1).eq(is_lease)
        self._position = Cat(sequences.read_data, peers.read_data)

        # Heartbeats that wait, a bit a session.
        self._due = due = Signal(SESSIONS_MAX)
        asked, of_session = Signal(SESSIONS_MAX), Signal(SESSIONS_MAX)
        m.d.comb += [
            of_session.eq(1 << update.p.session),
            asked.eq(Mux(is_taken & (operation == SessionOperation.HEARTBEAT),
                         of_session & leased, 0))]
        forgotten = self._due_taken | Mux(is_lease | is_release, of_session, 0)
        m.d.sync += due.eq((due & ~forgotten) | asked)

    def _sum(self, m):
        """Sum headers and payload, four addends a cycle and stage; ready for the words in time.

        Cycles after the order: 2 the rows, 3 to 5 the stages, 6 carries added once; the last
        carry is added where the word with the sum is put together, which is in that cycle.
        """
        encoder = self._encoder
        sums = {name: big_endian(Cat(self._template[at:at + 2])) for name in ("sum_ipv4", "sum_tcp")
                for at in (offset_of(TEMPLATE, name),)}
        self._ipv4_size, tcp_size = Signal(_HALF), Signal(_HALF)
        m.d.comb += [self._ipv4_size.eq(encoder.size + (IPV4.size + TCP.size)),
                     tcp_size.eq(encoder.size + TCP.size)]

        total = Signal(range(2 << _HALF))
        self._ipv4_sum, self._tcp_sum = Signal(_HALF), Signal(_HALF)
        m.d.sync += [total.eq(sums["sum_ipv4"] + self._ipv4_size),
                     self._ipv4_sum.eq(~_carried(total))]

        payload = Cat(encoder.payload, C(0, 8 * (SIZE_MAX % 2)))
        level = _stage(m, [*halves(payload), sums["sum_tcp"], tcp_size], "payload")
        position = [self._position[at:at + _HALF]
                    for at in range(0, len(self._position), _HALF)]
        with m.If(self._is_fresh):
            level += _stage(m, position, "position")
        while len(level) > 1:
            level = _stage(m, level, f"of_{len(level)}")
        once = Signal(_HALF + 1)
        m.d.sync += once.eq(level[0][:_HALF] + level[0][_HALF:])
        m.d.comb += self._tcp_sum.eq(~_carried(once))

    def _words(self):
        """Return the frame's words."""
        frame = [*self._template[:HEADERS_SIZE], *octets(self._encoder.payload)]
        for at, message, name, value in (
                (_IPV4_AT, IPV4, "total_length", self._ipv4_size),
                (_IPV4_AT, IPV4, "header_checksum", self._ipv4_sum),
                (_TCP_AT, TCP, "sequence_number", self._sequence),
                (_TCP_AT, TCP, "acknowledgment_number", self._acknowledgment),
                (_TCP_AT, TCP, "window", self._window), (_TCP_AT, TCP, "checksum", self._tcp_sum)):
            start = at + offset_of(message, name)
            frame[start:start + len(value) // 8] = octets(big_endian(value))
        frame += [C(0, 8)] * (_WORDS * LANES - len(frame))
        return [Cat(frame[at:at + LANES]) for at in range(0, len(frame), LANES)]

    def _send(self, m):
        """Wait for the verdict, then give word after word."""
        words = self._words()
        place = Signal(_WORDS)               # one-hot: the word at the output
        following, word = Signal(WORD_BITS), Signal(WORD_BITS)
        is_begin = place[0]
        is_blocked, is_last, can_take = Signal(), Signal(), Signal()
        is_sending = Signal()
        size = self._encoder.size
        ends = range(HEADERS_SIZE + 1, HEADERS_SIZE + SIZE_MAX + 1)
        last, keep = Signal(_WORDS), Signal(LANES)
        m.d.sync += [                        # from the cycle of the second word on
            last.eq(select(*((size == end - HEADERS_SIZE, 1 << (end - 1) // LANES)
                             for end in ends))),
            keep.eq(select(*((size == end - HEADERS_SIZE, (1 << (end - 1) % LANES + 1) - 1)
                             for end in ends)))]

        advance = self.o.valid & self.o.ready
        ends_here = (is_sending & is_begin & is_blocked) | (advance & is_last)
        m.d.comb += [
            is_last.eq((place & last).any()),
            is_blocked.eq((self.is_killed & ~self._is_cancel)
                          | ~self._is_leased.bit_select(self._session, 1)),
            following.eq(select(*((place[number], words[number + 1])
                                  for number in range(_WORDS - 1)))),
            self.o.valid.eq(is_sending & ~(is_begin & is_blocked)),
            self.o.p.data.eq(Mux(is_begin, words[0], word)), self.o.p.first.eq(is_begin),
            self.o.p.last.eq(is_last), self.o.p.keep.eq(Mux(is_last, keep, (1 << LANES) - 1)),
            self.order.ready.eq(can_take), self._take.eq(self.order.valid & can_take),
            self.i_session.ready.eq(~self._take & ~self._has_begun
                                    & (can_take | (is_sending & ~is_begin)))]
        with m.If(self._take | self._beats):
            m.d.sync += place.eq(1)
        with m.Elif(advance):
            m.d.sync += [place.eq(place << 1), word.eq(following)]
        with m.FSM():
            with m.State("Wait"):
                m.d.comb += can_take.eq(1)
                m.d.sync += self._is_heartbeat.eq(0)
                with m.If(self._take):
                    m.next = "Judge"
                with m.Elif(self.is_quiet & self._due.any()):
                    chosen = lowest(self._due)
                    m.d.comb += self._due_taken.eq(chosen)
                    m.d.sync += [self._is_heartbeat.eq(1), self._is_cancel.eq(1),
                                 self._session.eq(encode(chosen))]
                    m.next = "Template"
            with m.State("Template"):            # of a heartbeat; that of an order is read before
                m.d.comb += self._is_heading.eq(1)
                m.next = "Heartbeat"
            with m.State("Heartbeat"):
                m.d.comb += [self._is_heading.eq(1), self._beats.eq(1)]
                m.next = "Judge"
            with m.State("Judge"):
                passes = self.passes | self._is_heartbeat
                m.d.comb += [is_sending.eq(passes), self._is_heading.eq(1)]
                m.d.sync += self._is_fresh.eq(passes)
                m.next = "Send"
                with m.If(~passes | is_blocked):
                    m.next = "Wait"
            with m.State("Send"):
                m.d.comb += [is_sending.eq(1), can_take.eq(advance & is_last),
                             self._is_heading.eq(place[:_READING].any())]
                m.d.sync += self._is_fresh.eq(0)
                with m.If(self._take):
                    m.d.sync += self._is_heartbeat.eq(0)
                    m.next = "Judge"
                with m.Elif(ends_here):
                    m.next = "Wait"
        self._report(m, is_sending & is_begin, advance, is_blocked)

    def _report(self, m, is_begin, advance, is_blocked):
        """Tell of a frame's first word, or that it never comes."""
        report = self.sent
        m.d.sync += [
            self._has_begun.eq(is_begin & advance),
            report.valid.eq(is_begin & (advance | is_blocked) & ~self._is_heartbeat),
            report.p.token.eq(self._token), report.p.session.eq(self._session),
            report.p.size.eq(self._encoder.size), report.p.stamp.eq(self.now),
            report.p.is_blocked.eq(is_blocked)]
        m.d.comb += report.p.sequence.eq(self._first)


def _carried(total):
    """Sum of 16 bits with the carries that ``total`` has above them, which make no further one."""
    return (total[:_HALF] + total[_HALF:])[:_HALF]


def _stage(m, addends, name):
    """Registers with the sums of four addends each."""
    found = []
    for number, at in enumerate(range(0, len(addends), _ARITY)):
        total = reduce(add, addends[at:at + _ARITY])
        found.append(Signal(len(total), name=f"{name}_{number}"))
        m.d.sync += found[-1].eq(total)
    return found
