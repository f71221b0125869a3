"""What the order path knows of the market, from the records that the host gets."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import Geometry
from tickwire.spec.records import DIRECTORY, STATE_LINE, STATUS, RecordType
from tickwire_hw.entry_port import Seen
from tickwire_hw.instrument_filter import taught_layout
from tickwire_hw.order_port import Symbol
from tickwire_hw.record_writer import RECORD
from tickwire_hw.records import body_layout, line_layout
from tickwire_hw.wipe import Wipe

_STATUS = data.StructLayout({"reg_sho": 8, "operational": 8})


class Markets(wiring.Component):
    """Turn records and state lines into what an instrument is like for gate and host session.

    A cycle behind a record. So orders are held against the very market that the host was told, and
    not before it. Takes a record in every cycle, nothing is lost. A symbol must be written before
    its instrument's first line.

    Members
    -------
    ready : ``Out(1)``
        Whether nothing of an earlier run is left, see ``Wipe``; the rest comes only then.
    records, lines : ``In(stream.Signature(..., always_ready=True))``
        Records and state lines of ``Publish``; a line comes with the first record of its version.
    i_symbol : ``In(stream.Signature(Symbol, always_ready=True))``
        Symbols of instruments.
    o : ``Out(stream.Signature({instrument, seen}, always_ready=True))``
        What an instrument is like from now on.
    o_taught : ``Out(stream.Signature(taught_layout(geometry), always_ready=True))``
        What the directory taught: as of ``InstrumentFilter``.
    phase : ``Out(8)``
        Event code of the newest system event.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._instruments = geometry.instruments
        self._bits = max(1, ceil_log2(geometry.instruments))
        super().__init__({
            "ready": Out(1), "records": In(stream.Signature(RECORD, always_ready=True)),
            "lines": In(stream.Signature(data.StructLayout(
                {"instrument": self._bits, "line": line_layout(STATE_LINE)}), always_ready=True)),
            "i_symbol": In(stream.Signature(Symbol, always_ready=True)),
            "o": Out(stream.Signature(data.StructLayout(
                {"instrument": self._bits, "seen": Seen}), always_ready=True)),
            "o_taught": Out(stream.Signature(taught_layout(geometry), always_ready=True)),
            "phase": Out(8)})

    def elaborate(self, platform):
        """Return status and symbol of each instrument, and one register."""
        m = Module()

        depth, symbol = 1 << self._bits, self.i_symbol
        m.submodules.statuses = statuses = memory.Memory(shape=_STATUS, depth=depth, init=[])
        m.submodules.symbols = symbols = memory.Memory(shape=64, depth=depth, init=[])
        kept, write = statuses.read_port(domain="comb"), statuses.write_port()
        named, name = symbols.read_port(domain="comb"), symbols.write_port()
        record, line = self.records.p, self.lines.p.line
        status, directory = (data.View(body_layout(body), record.octets)
                             for body in (STATUS, DIRECTORY))
        is_status = self.records.valid & (record.kind == RecordType.STATUS)
        is_directory = self.records.valid & (record.kind == RecordType.DIRECTORY)
        instrument, now = self.lines.p.instrument, Signal(_STATUS)
        m.submodules.wipe = wipe = Wipe(depth)
        m.d.comb += [
            self.ready.eq(wipe.ready), kept.addr.eq(instrument), named.addr.eq(instrument),
            now.eq(kept.data), *wipe.write(write, self.lines.valid & is_status, instrument, now),
            *wipe.write(name, symbol.valid, symbol.p.instrument, symbol.p.symbol)]
        with m.If(is_status):
            m.d.comb += [now.reg_sho.eq(status.reg_sho), now.operational.eq(status.operational)]
            m.d.sync += self.phase.eq(status.market_phase)
        seen, market = self.o.p.seen, self.o.p.seen.market
        m.d.sync += [
            self.o.valid.eq(self.lines.valid | symbol.valid),
            self.o.p.instrument.eq(Mux(symbol.valid, symbol.p.instrument, instrument)),
            seen.version.eq(line.version),
            seen.symbol.eq(Mux(symbol.valid, symbol.p.symbol, named.data)),
            market.bid.eq(line.bid_price), market.ask.eq(line.ask_price),
            market.last.eq(line.last_price), market.trading_state.eq(line.trading_state),
            market.flags.eq(line.flags), market.operational.eq(now.operational),
            market.reg_sho.eq(now.reg_sho),
            self.o_taught.valid.eq(is_directory),
            self.o_taught.p.is_watched.eq(directory.instrument < self._instruments),
            self.o_taught.p.locate.eq(directory.locate),
            self.o_taught.p.instrument.eq(directory.instrument)]
        with m.If(symbol.valid):
            m.d.sync += [seen.version.eq(0), market.eq(0)]

        return m
