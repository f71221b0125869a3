"""The newest state line of each instrument, to write them all again when a reader may lack some."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire_hw.record_queue import LINE

VERSION = LINE["version"].width


class StateMirror(wiring.Component):
    """Keep the newest line of each instrument; offer all that are known, once, when that is due.

    Due when the table was enabled, and for an entry that asks for it. A line takes two cycles or
    more, an instrument that has none yet takes one. A line that came meanwhile may be offered
    although its entry still waits: ``is_old`` says which entries must not write theirs any more,
    so that a table never goes back.

    Members
    -------
    valid, given, given_instrument : ``In``
        A new line, at any time.
    is_enabled : ``In(1)``
        Whether the state table is; nothing is due without it.
    is_held : ``In(1)``
        A burst of the market ring waits, which nothing may replace.
    is_asked, is_asked_done : ``In(1)``
        The entry in hand wants the lines before itself; it is done.
    is_due, is_read : ``Out(1)``
        Lines are to be written first; ``line`` of ``instrument`` is there.
    step : ``In(1)``
        The line was written.
    is_idle, has_old : ``In(1)``, ``Out(1)``
        No entry waits any more. Some that wait may be older than the table.
    entry, entry_version, is_old : ``In``, ``In``, ``Out(1)``
        Instrument and version of the entry in hand; one cycle later, whether it is older.
    """

    def __init__(self, instruments: int) -> None:
        self._instruments = instruments
        bits = max(1, ceil_log2(instruments))
        super().__init__({
            "valid": In(1), "given": In(LINE), "given_instrument": In(bits), "is_enabled": In(1),
            "is_held": In(1), "is_asked": In(1), "is_asked_done": In(1), "step": In(1),
            "is_due": Out(1), "is_read": Out(1), "instrument": Out(bits), "line": Out(LINE),
            "is_idle": In(1), "has_old": Out(1), "entry": In(bits), "entry_version": In(VERSION),
            "is_old": Out(1)})

    def elaborate(self, platform):
        """Return the lines and the place in them."""
        m = Module()

        m.submodules.lines = lines = memory.Memory(shape=LINE, depth=self._instruments, init=[])
        write, read = lines.write_port(), lines.read_port()
        known = Signal(self._instruments)
        is_running, is_for_entry, is_served, was_enabled, is_new = (
            Signal(name=name) for name in ("is_running", "is_for_entry", "is_served",
                                           "was_enabled", "is_new"))
        is_last, is_known = self.instrument == self._instruments - 1, known.bit_select(
            self.instrument, 1)
        asks = self.is_asked & ~is_served
        begins = ~is_running & (asks | is_new & ~self.is_held)
        m.d.comb += [
            write.en.eq(self.valid), write.addr.eq(self.given_instrument),
            write.data.eq(self.given), read.addr.eq(self.instrument), read.en.eq(~self.is_read),
            self.line.eq(read.data), self.is_due.eq(self.is_enabled & (is_running | begins))]
        m.d.sync += was_enabled.eq(self.is_enabled)
        with m.If(self.valid):
            m.d.sync += known.bit_select(self.given_instrument, 1).eq(1)
        with m.If(self.is_enabled & ~was_enabled):
            m.d.sync += is_new.eq(1)
        with m.If(begins & self.is_enabled):
            m.d.sync += [is_running.eq(1), is_for_entry.eq(asks), is_new.eq(0)]
        with m.Elif(is_running & (self.step | ~self.is_read & ~is_known)):
            m.d.sync += [self.is_read.eq(0), self.instrument.eq(self.instrument + 1)]
            with m.If(is_last):
                m.d.sync += [is_running.eq(0), is_served.eq(is_for_entry), self.instrument.eq(0)]
        with m.Elif(is_running):
            m.d.sync += self.is_read.eq(1)
        with m.If(self.is_asked_done):
            m.d.sync += is_served.eq(0)

        m.submodules.versions = versions = memory.Memory(
            shape=VERSION, depth=self._instruments, init=[])
        written, known_version = versions.write_port(), versions.read_port(domain="comb")
        m.d.comb += [
            written.en.eq(is_running & (self.step | ~self.is_read & ~is_known)),
            written.addr.eq(self.instrument),
            written.data.eq(Mux(self.is_read, self.line.version, 0)),
            known_version.addr.eq(self.entry)]
        ahead = Signal(VERSION)
        m.d.comb += ahead.eq(self.entry_version - known_version.data)
        m.d.sync += self.is_old.eq(ahead[-1] | ~ahead.any())
        with m.If(begins & self.is_enabled):
            m.d.sync += self.has_old.eq(1)
        with m.Elif(self.is_idle & ~is_running):
            m.d.sync += self.has_old.eq(0)
        with m.If(~self.is_enabled):
            m.d.sync += [is_running.eq(0), self.is_read.eq(0), self.instrument.eq(0),
                         is_new.eq(0)]

        return m
