"""Market data from the MACs' words to records, composed."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tickwire.spec.geometry import Geometry
from tickwire.spec.records import Line
from tickwire_hw.arbiter import Arbiter
from tickwire_hw.arbiter_machine import PORTS
from tickwire_hw.book import Book
from tickwire_hw.counters import Counters, OtherCounts, PageSignature
from tickwire_hw.early_sight import EarlySight
from tickwire_hw.levels import Levels
from tickwire_hw.line_port import LinePort
from tickwire_hw.publish import Publish
from tickwire_hw.receive import Key
from tickwire_hw.stream import Word
from tickwire_hw.triggers_port import Sight

_CONFIGURATION = ("lines", "policy", "accept_session", "line_timeout_ns", "patience_ns",
                  "stale_ns", "restart", "start", "has_session", "session", "tick", "tick_stamp",
                  "give_up", "give_up_number", "give_up_stamp")
_REGISTERS = ("state", "expected", "highest")


class Pipeline(wiring.Component):
    """Frames in, records and state lines out, at line rate; books are exact or say so.

    A port for each line's MAC and one for frames of the host, all alike: the destination of a
    frame says whose it is. Nothing is held back at the ports. From the word with a message's last
    octet: message 1 (2 in a geometry without early answers), arbitration 1, operation 5 or 6,
    books 38, first record 6 cycles, in order; more when messages before it wait. Each operation
    takes two cycles, a replace is two, and every fourth message gives one to the sweep: messages
    of 21 octets and more never wait for long at line rate. Shorter ones, system events alone, wait
    in the ports' queues of 1,024 words.

    Members
    -------
    ready : ``Out(1)``
        Whether all tables are clear; frames come only then.
    words : ``In(stream.Signature(Word, always_ready=True)).array(PORTS)``
        Frames without preamble and FCS.
    now : ``In(64)``
        Time, ns.
    keys, size_max, check_udp : ``In``
        As of ``Receive``.
    watch_all, i_watch, i_grid : ``In``
        As of ``Book``.
    records : ``Out(stream.Signature({kind, octets}, always_ready=True))``
        At most one a cycle: RecordType, and all octets but the trailer.
    lines_out : ``Out(stream.Signature({instrument, line}, always_ready=True))``
        State lines, each with the first record of its version.
    applied : ``Out(stream.Signature(32, always_ready=True))``
        Latency of each order message of a watched instrument, ns; see ``Publish``.
    early, early_add : ``Out(stream.Signature(early_layout(geometry), always_ready=True))``
        Best levels after each order message of a watched instrument, 8 cycles after its last
        octet, and after most added orders already 4 cycles after it; see ``Early``.
    sights : ``Out(stream.Signature(Sight, always_ready=True))``
        With these, when nothing else is under way: what the message's BBO record will show; see
        ``EarlySight``.
    glimpses : ``Out(stream.Signature(Sight, always_ready=True))``
        Of an added order a cycle before, whether it comes or not. A geometry that keeps no best
        levels (``cached`` is 0) has none of these four: who waits for them waits for the record.
    is_overflow, is_lost : ``Out(PORTS)``
        Strobes: a port lost octets of a datagram, see ``Blocks``, or an event, see ``Arbiter``.
    other_counts : ``In(OtherCounts)``
        What this cycle adds to counters of the order path and the host's side.
    counters : ``Out(PageSignature())``
        All counters, see ``Counters``.

    What else goes in and out is the arbiter's configuration, strobes and registers.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._arbiter, self._book, self._publish = Arbiter(), Book(geometry), Publish(geometry)
        self._counters = Counters(geometry)
        self._sight = EarlySight(geometry) if geometry.cached else None
        self._has_hop = not geometry.cached
        self._levels = Levels(geometry) if geometry.depth else None
        arbiter, book, publish = (part.signature.members for part in (
            self._arbiter, self._book, self._publish))
        super().__init__({
            "ready": Out(1), "words": In(stream.Signature(Word, always_ready=True)).array(PORTS),
            "now": In(64), "keys": In(data.ArrayLayout(Key, len(Line))), "size_max": In(16),
            "check_udp": In(1), "counters": Out(PageSignature()), "other_counts": In(OtherCounts),
            **{name: book[name] for name in ("watch_all", "i_watch", "i_grid")},
            "records": publish["o"], "lines_out": publish["state"], "applied": publish["applied"],
            "early": book["early"], "early_add": book["early_add"],
            "sights": Out(stream.Signature(Sight, always_ready=True)),
            "glimpses": Out(stream.Signature(Sight, always_ready=True)),
            "is_overflow": Out(PORTS), "is_lost": Out(PORTS),
            **{name: arbiter[name] for name in (*_CONFIGURATION, *_REGISTERS)}})

    def elaborate(self, platform):
        """Return the components, connected."""
        m = Module()

        m.submodules.arbiter, m.submodules.book = arbiter, book = self._arbiter, self._book
        m.submodules.publish = publish = self._publish
        m.submodules.counters = counters = self._counters
        told, hold = publish, book.hold         # records come from here, messages wait for this
        if self._levels is not None:
            m.submodules.levels = told = levels = self._levels
            connect(m, publish.o, levels.i)
            connect(m, publish.state, levels.i_state)
            connect(m, book.o_level, levels.i_level)
            m.d.comb += levels.i_found.eq(publish.o_found)
            hold = book.hold | levels.hold
        line_ports = [LinePort(has_hop=self._has_hop) for _ in range(PORTS)]
        for number in range(PORTS):
            m.submodules[f"port_{number}"] = port = line_ports[number]
            connect(m, flipped(self.words[number]), port.words)
            connect(m, port.packet, arbiter.i[number])
            m.d.comb += [
                port.now.eq(self.now), port.keys.eq(self.keys), port.size_max.eq(self.size_max),
                port.check_udp.eq(self.check_udp), port.hold.eq(arbiter.holds[number]),
                self.is_overflow[number].eq(port.is_overflow)]
        m.d.comb += [getattr(arbiter, name).eq(getattr(self, name)) for name in _CONFIGURATION]
        m.d.comb += [getattr(self, name).eq(getattr(arbiter, name)) for name in _REGISTERS]
        connect(m, arbiter.o, book.i)
        connect(m, flipped(self.i_watch), book.i_watch)
        connect(m, flipped(self.i_grid), book.i_grid)
        m.d.comb += [
            book.watch_all.eq(self.watch_all), publish.watch_all.eq(self.watch_all),
            arbiter.hold.eq(hold), self.is_lost.eq(arbiter.is_lost), publish.now.eq(self.now),
            self.ready.eq(book.ready & publish.ready)]
        connect(m, book.o_ahead, publish.i_ahead)
        connect(m, book.o, publish.i)
        connect(m, publish.applied, flipped(self.applied))
        connect(m, told.o, flipped(self.records))
        connect(m, book.early, flipped(self.early))
        connect(m, book.early_add, flipped(self.early_add))
        connect(m, told.state, flipped(self.lines_out))
        if self._sight is not None:
            m.submodules.sight = sight = self._sight
            connect(m, sight.o, flipped(self.sights))
            connect(m, sight.o_glimpse, flipped(self.glimpses))
            for ours, theirs in ((sight.early, book.early), (sight.early_add, book.early_add),
                                 (sight.early_glimpse, book.early_glimpse),
                                 (sight.lines, told.state), (sight.i, arbiter.o),
                                 (sight.i_taught, book.o_taught)):
                m.d.comb += [ours.valid.eq(theirs.valid), ours.p.eq(theirs.p)]
            m.d.comb += sight.watch_all.eq(self.watch_all)
        connect(m, counters.page, flipped(self.counters))
        for source, names in ((arbiter.counts, dict(arbiter.counts.shape())),
                              (book.counts, dict(book.counts.shape())),
                              (self.other_counts, dict(OtherCounts))):
            m.d.comb += [counters.i[name].eq(source[name]) for name in names]
        m.d.comb += [
            counters.i_peak.eq(book.peaks), counters.i.records.eq(told.o.valid),
            counters.i.frames_other.eq(sum(port.is_other for port in line_ports)),
            counters.i.frames_malformed.eq(sum(port.is_malformed for port in line_ports)),
            counters.i.port_overflows.eq(sum(self.is_overflow)),
            counters.i.port_losses.eq(sum(self.is_lost))]
        return m
