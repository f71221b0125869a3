"""Limits table on its way to the bank that is not in force (kernel ``limits``)."""

from functools import reduce
from operator import or_

from amaranth.hdl import C, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.checks import ALWAYS_HARD
from tickwire.spec.geometry import Geometry
from tickwire.spec.limits import (
    FIRM_LIMITS,
    INSTRUMENT_LIMITS,
    LIMITS_ROW,
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

ROW_WORDS = LIMITS_ROW // 8
_RATE = ("rate_interval_ns", "rate_burst")
_NEEDED = ("tick", "tick_below_dollar", "lot", *_RATE)     # of an enabled instrument


class Answer(data.Struct):
    """What became of a commit; ``reason`` is a LimitsError, 0 when the table is in force."""

    version: 32
    crc: 32
    reason: 8


class TableLoader(wiring.Component):
    """Take a table word by word, check it as it comes, and put it in force at once or not at all.

    Takes a word in any cycle. A table is all rows, in order, begun at index 0; whatever is loaded
    out of order spoils it until the next begin. A commit is answered two cycles later, at a time
    when ``is_idle`` is set: between two intents. A refused commit changes nothing that is in force.

    Members
    -------
    begin, index, word : ``In(stream)``, ``Out(32)``, ``In(stream)``
        The host sets the index; loads the word there, which goes on by one.
    commit : ``In(stream.Signature({version, crc}, always_ready=True))``
        One at a time; another that comes before the answer is ignored.
    is_idle : ``In(1)``
        No intent is being checked.
    write : ``Out(stream.Signature({bank, index, word}, always_ready=True))``
        Words for the bank that is not in force.
    bank : ``Out(1)``
        The bank in force.
    version, crc, running_crc : ``Out(32)``
        Of the table in force; of the words so far.
    answer : ``Out(stream.Signature(Answer, always_ready=True))``
        One for each commit.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._instruments = geometry.instruments
        self._words = ROW_WORDS * limits_rows(geometry.instruments)
        super().__init__({
            "begin": In(stream.Signature(32, always_ready=True)), "index": Out(32),
            "word": In(stream.Signature(64, always_ready=True)),
            "commit": In(stream.Signature(data.StructLayout({"version": 32, "crc": 32}),
                                          always_ready=True)),
            "is_idle": In(1),
            "write": Out(stream.Signature(data.StructLayout(
                {"bank": 1, "index": 32, "word": 64}), always_ready=True)),
            "bank": Out(1), "version": Out(32), "crc": Out(32), "running_crc": Out(32),
            "answer": Out(stream.Signature(Answer, always_ready=True))})

    def elaborate(self, platform):
        """Return the checks and the answer."""
        m = Module()

        crc, loaded, is_wrong = Signal(32, init=0xFFFF_FFFF), Signal(32), Signal()
        is_enabled = Signal()                      # of the row in hand
        word, place = self.word.p, self.index[:4]
        m.d.comb += [
            self.write.valid.eq(self.word.valid & (self.index < self._words)),
            self.write.p.bank.eq(~self.bank), self.write.p.index.eq(self.index),
            self.write.p.word.eq(word), self.running_crc.eq(~crc)]
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
            m.d.sync += loaded.eq(Mux(self.index == loaded, loaded + 1, 0xFFFF_FFFF))
            m.d.sync += [crc.eq(crc32c_word(crc, word)),
                         is_wrong.eq(is_wrong | is_bad)]

        asked, is_asked = Signal(self.commit.p.shape()), Signal()
        with m.If(self.commit.valid & ~is_asked):
            m.d.sync += [asked.eq(self.commit.p), is_asked.eq(1)]
        m.d.sync += self.answer.valid.eq(0)
        reason = Signal(LimitsError)
        m.d.comb += reason.eq(Mux(
            (asked.version != self.version + 1) | (asked.version == 0), LimitsError.VERSION, Mux(
                (loaded != self._words) | (asked.crc != self.running_crc), LimitsError.CRC,
                Mux(is_wrong, LimitsError.VALUE, LimitsError.NONE))))
        with m.If(is_asked & self.is_idle):
            m.d.sync += [is_asked.eq(0), self.answer.valid.eq(1),
                         self.answer.p.version.eq(asked.version), self.answer.p.crc.eq(asked.crc),
                         self.answer.p.reason.eq(reason)]
            with m.If(reason == LimitsError.NONE):
                # What was loaded is in force; the other bank holds an older table.
                m.d.sync += [self.bank.eq(~self.bank), self.version.eq(asked.version),
                             self.crc.eq(asked.crc), loaded.eq(0xFFFF_FFFF)]

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

