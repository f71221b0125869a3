"""Limits table, from the host's words to the risk gate's rows (kernel ``limits``)."""

from functools import reduce
from operator import or_

from amaranth.hdl import C, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tickwire.spec.checks import ALWAYS_HARD
from tickwire.spec.geometry import Geometry
from tickwire.spec.limits import (
    FIRM_LIMITS,
    INSTRUMENT_LIMITS,
    NOTIONAL_LIMIT_MAX,
    SESSION_LIMITS,
    STRATEGIES,
    STRATEGY_LIMITS,
    UNLIMITED,
    LimitFlag,
    LimitsError,
    limits_rows,
)
from tickwire.spec.wire import Message
from tickwire_hw.crc32c import crc32c_word
from tickwire_hw.limit_rows import ROW_WORDS, LimitRows

_RATE = ("rate_interval_ns", "rate_burst")
_NEEDED = ("tick", "tick_below_dollar", "lot", *_RATE)     # of an enabled instrument
_SPOILT = 0xFFFF_FFFF                      # words loaded in sequence, when they are no table


class Answer(data.Struct):
    """What became of a commit; ``reason`` is a LimitsError, 0 when the table is in force."""

    version: 32
    crc: 32
    reason: 8


class TableLoader(wiring.Component):
    """Take a table word by word, check it as it comes, and work out its rows when it is committed.

    Takes a word in any cycle. A table is all rows, in order, begun at index 0; whatever is loaded
    out of order spoils it until the next begin, and so does what is loaded between a commit and
    its answer. A commit that is refused is answered two cycles later, another one 99 cycles for
    each row later: the rows are in the gate's spare bank then, and are put in force by whoever
    takes the answer. A refused commit changes nothing that is in force.

    Members
    -------
    begin, index, word : ``In(stream)``, ``Out(32)``, ``In(stream)``
        The host sets the index; loads the word there, which goes on by one.
    commit : ``In(stream.Signature({version, crc}, always_ready=True))``
        One at a time; another that comes before the answer is ignored.
    o : ``Out(stream.Signature(LimitsWrite, always_ready=True))``
        Rows for the bank that is not in force.
    version, crc, running_crc : ``Out(32)``
        Of the table in force; of the words so far.
    answer : ``Out(stream.Signature(Answer))``
        One for each commit.
    is_asked : ``Out(1)``
        A commit waits for its answer.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._instruments, self._rows = geometry.instruments, LimitRows(geometry)
        self._words = ROW_WORDS * limits_rows(geometry.instruments)
        super().__init__({
            "begin": In(stream.Signature(32, always_ready=True)), "index": Out(32),
            "word": In(stream.Signature(64, always_ready=True)),
            "commit": In(stream.Signature(data.StructLayout({"version": 32, "crc": 32}),
                                          always_ready=True)),
            "o": self._rows.signature.members["o"],
            "version": Out(32), "crc": Out(32), "running_crc": Out(32),
            "answer": Out(stream.Signature(Answer)), "is_asked": Out(1)})

    def elaborate(self, platform):
        """Return the checks, the rows and the answer."""
        m = Module()

        m.submodules.rows = rows = self._rows
        asked, is_asked = Signal(self.commit.p.shape()), self.is_asked
        crc, loaded, is_wrong = Signal(32, init=0xFFFF_FFFF), Signal(32), Signal()
        is_enabled = Signal()                      # of the row in hand
        word, place = self.word.p, self.index[:4]
        m.d.comb += [
            rows.write.valid.eq(self.word.valid & (self.index < self._words) & ~is_asked),
            rows.write.p.index.eq(self.index), rows.write.p.word.eq(word),
            self.running_crc.eq(~crc)]
        connect(m, rows.o, flipped(self.o))
        flags = word[:32] & LimitFlag.ENABLED
        enabled_now = Mux(place == 0, flags.any(), is_enabled)
        others = ROW_WORDS * (1 + self._instruments)
        interval, burst = word[:32], word[32:]
        is_bad = Signal()
        with m.If(self.index < ROW_WORDS):
            m.d.comb += is_bad.eq(_checks(FIRM_LIMITS, _RATE, word, place, C(1)))
        with m.Elif(self.index < others):
            m.d.comb += is_bad.eq(_checks(INSTRUMENT_LIMITS, _NEEDED, word, place, enabled_now))
        with m.Elif(self.index < others + ROW_WORDS * STRATEGIES):
            m.d.comb += is_bad.eq(_checks(STRATEGY_LIMITS, _RATE, word, place, enabled_now))
        with m.Else():
            m.d.comb += is_bad.eq(_checks(SESSION_LIMITS, (), word, place, C(0))
                                  | (place == 0) & burst.any() & ~interval.any())
        with m.If(self.begin.valid):
            m.d.sync += self.index.eq(self.begin.p)
            with m.If(self.begin.p == 0):
                m.d.sync += [crc.eq(0xFFFF_FFFF), loaded.eq(0), is_wrong.eq(0)]
        with m.Elif(self.word.valid):
            m.d.sync += [self.index.eq(self.index + 1), is_enabled.eq(enabled_now)]
            # Only the words that follow each other from 0 on make a table.
            m.d.sync += loaded.eq(Mux(self.index == loaded, loaded + 1, _SPOILT))
            m.d.sync += [crc.eq(crc32c_word(crc, word)),
                         is_wrong.eq(is_wrong | is_bad)]

        reason, answer = Signal(LimitsError), self.answer.p
        m.d.comb += reason.eq(Mux(
            (asked.version != self.version + 1) | (asked.version == 0), LimitsError.VERSION, Mux(
                (loaded != self._words) | (asked.crc != self.running_crc), LimitsError.CRC,
                Mux(is_wrong, LimitsError.VALUE, LimitsError.NONE))))
        is_judged = Signal()
        with m.If(self.commit.valid & ~is_asked):
            m.d.sync += [asked.eq(self.commit.p), is_asked.eq(1), is_judged.eq(0)]
        with m.Elif(is_asked & ~is_judged):
            m.d.comb += rows.start.eq(reason == LimitsError.NONE)
            m.d.sync += [
                is_judged.eq(1), answer.version.eq(asked.version), answer.crc.eq(asked.crc),
                answer.reason.eq(reason), self.answer.valid.eq(reason != LimitsError.NONE)]
        with m.If(rows.is_done):
            m.d.sync += self.answer.valid.eq(1)
        with m.If(self.answer.valid & self.answer.ready):
            m.d.sync += [self.answer.valid.eq(0), is_asked.eq(0)]
            with m.If(answer.reason == LimitsError.NONE):
                m.d.sync += [self.version.eq(answer.version), self.crc.eq(answer.crc),
                             loaded.eq(_SPOILT)]
        with m.If(is_asked & (self.word.valid | self.begin.valid)):
            m.d.sync += loaded.eq(_SPOILT)

        return m


def _checks(row: Message, needed: tuple[str, ...], word: Value, place: Value,
            is_enabled: Value) -> Value:
    """Return whether a word of a row has a value out of range, or lacks one that it needs."""
    wrong = []
    for field, offset in row.placed():
        if field.name.startswith("reserved"):
            continue
        value = word[8 * (offset % 8):8 * (offset % 8 + field.size)]
        most = UNLIMITED if field.size == 4 else NOTIONAL_LIMIT_MAX
        is_bad = value[most.bit_length():].any()
        if field.name == "soft_checks":            # any mask that leaves the hard ones hard
            is_bad = (value & ALWAYS_HARD).any()
        if field.name in needed:
            is_bad = is_bad | is_enabled & ~value.any()
        wrong.append((place == offset // 8) & is_bad)
    return reduce(or_, wrong)

