"""Market data and orders, composed: frames in, records and frames out."""

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect

from tickwire.spec.geometry import Geometry
from tickwire_hw.counters import SOFT, HostCounts
from tickwire_hw.join import join
from tickwire_hw.markets import Markets
from tickwire_hw.order_path import ROWS_LOG2, OrderPath
from tickwire_hw.pipeline import Pipeline

_INSIDE = ("ready", "i_taught", "watch_all", "i_seen", "phase", "feed_state", "now", "i_market",
           "i_early", "i_glimpse", "entered", "settled", "triggered", "kill_counted")
_TO_INSIDE = ("ready", "other_counts", "sights", "glimpses")
_RENAMED = {"record": "order_record", "o": "o_order"}


class Core(wiring.Component):
    """Two lines in, one line out, and what passes between card and host.

    ``Pipeline`` tells ``Markets`` what it tells the host; ``OrderPath`` holds orders against that,
    and its triggers look at the same records. So an order sees the market of the newest record, 47
    cycles behind the wire; what is armed sees it 8 or 3 cycles behind it while the book is idle
    (``EarlySight``). Throughput, backpressure and losses are those of the two.

    Members
    -------
    ready : ``Out(1)``
        Whether all tables are clear, of orders too; frames and intents come only then.
    order_record : ``Out(stream.Signature(RECORD))``
        Records of the order ring.
    o_order : ``Out(stream.Signature(Word))``
        Frames of order sessions.
    host_counts : ``In(HostCounts)``
        What this cycle adds to counters of the host's side.

    All others are of ``Pipeline`` and of ``OrderPath``, by their names.
    """

    def __init__(self, geometry: Geometry, rows_log2: int = ROWS_LOG2) -> None:
        self._pipeline, self._orders = Pipeline(geometry), OrderPath(geometry, rows_log2)
        self._markets = Markets(geometry)
        self._through = {}
        for part in (self._pipeline, self._orders):
            for name, member in part.signature.members.items():
                if name not in (_TO_INSIDE if part is self._pipeline else _INSIDE):
                    self._through[_RENAMED.get(name, name) if part is self._orders else name] = (
                        part, name, member)
        super().__init__({"ready": Out(1), "host_counts": In(HostCounts), **{
            name: member for name, (_, _, member) in self._through.items()}})

    def elaborate(self, platform):
        """Return the three, connected."""
        m = Module()

        pipeline, orders, markets = self._pipeline, self._orders, self._markets
        m.submodules.pipeline, m.submodules.orders, m.submodules.markets = (
            pipeline, orders, markets)
        for ours, (part, name, member) in self._through.items():
            join(m, member, getattr(self, ours), getattr(part, name))
        connect(m, markets.o, orders.i_seen)
        connect(m, markets.o_taught, orders.i_taught)
        for ours, theirs in ((markets.records, pipeline.records),
                             (orders.i_market, pipeline.records),
                             (orders.i_early, pipeline.sights),
                             (orders.i_glimpse, pipeline.glimpses),
                             (markets.lines, pipeline.lines_out),
                             (markets.i_symbol, self.i_symbol)):
            m.d.comb += [ours.valid.eq(theirs.valid), ours.p.eq(theirs.p)]
        m.d.comb += [self.ready.eq(pipeline.ready & orders.ready & markets.ready),
                     orders.phase.eq(markets.phase), orders.feed_state.eq(pipeline.state),
                     orders.watch_all.eq(self.watch_all), orders.now.eq(self.now)]

        counts = pipeline.other_counts
        for told in (self.host_counts, orders.entered, orders.settled, orders.triggered,
                     orders.kill_counted, orders.configured):
            m.d.comb += [counts[name].eq(told[name])
                         for name, _ in data.Layout.cast(told.shape()) if name != "soft"]
        m.d.comb += [counts[counter.name.lower()].eq(orders.entered.soft[check])
                     for counter, check in SOFT.items()]

        return m
