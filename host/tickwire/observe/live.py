"""Live view of a device in a terminal: books, positions, orders, latencies, counters, kill."""

from collections import deque
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tickwire.device.base import RecordReader, RingLayout
from tickwire.observe.observer import Observer
from tickwire.observe.summary import cause_text, dollars, price
from tickwire.spec.checks import failing
from tickwire.spec.intents import IntentError, Operation
from tickwire.spec.records import BookFlag, RecordType
from tickwire.spec.registers import Status

EVENTS = 8                                 # order events that are shown
INSTRUMENTS = 12                           # instruments that are shown
_QUANTILES = ("p50", "p90", "p99", "p999", "max")
_QUIET = frozenset({                       # counters that say nothing of trouble
    "frames_a", "frames_b", "messages", "messages_duplicate", "heartbeats", "sessions", "filtered",
    "records", "order_records", "intents", "orders_sent", "cancels_sent", "replaces_sent",
    "orders_accepted", "orders_canceled", "orders_replaced", "fills", "order_octets",
    "watchdog_kicks", "loops", "loops_idle", "arms", "limits_committed", "session_messages",
    "heartbeats_sent", "strategy_calls", "strategy_ticks", "order_stash_max", "level_stash_max"})


class LiveView:
    """A screenful that is drawn again at every :meth:`show`."""

    def __init__(self, observer: Observer, console: Console | None = None) -> None:
        """Show ``observer``'s device."""
        self._observer = observer
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._orders = _order_reader(observer)
        self._events: deque[str] = deque(maxlen=EVENTS)
        self._before = (0.0, 0)

    def show(self) -> None:
        """Draw the present state."""
        symbols = {int(row["locate"]): bytes(row["symbol"]).decode().strip()
                   for row in self._observer.positions_table() if row["locate"]}
        for row in self._orders.read()[-EVENTS:]:
            self._events.append(event_text(row, symbols))
        self._live.update(screen(self._observer, self._rate(), list(self._events)), refresh=True)

    def _rate(self) -> float:
        """Messages a second since the last drawing."""
        seconds, messages = self._observer.seconds, self._observer.counters()["messages"]
        before, self._before = self._before, (seconds, messages)
        passed = seconds - before[0]
        return (messages - before[1]) / passed if passed > 0 else 0.0

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self._live.stop()


def print_state(observer: Observer) -> None:
    """Print the present state once."""
    symbols = {int(row["locate"]): bytes(row["symbol"]).decode().strip()
               for row in observer.positions_table() if row["locate"]}
    events = [event_text(row, symbols) for row in _order_reader(observer).read()[-EVENTS:]]
    seconds = observer.seconds
    rate = observer.counters()["messages"] / seconds if seconds else 0.0
    Console().print(screen(observer, rate, events))


def screen(observer: Observer, rate: float, events: list[str]) -> RenderableType:
    """Return everything that is shown."""
    return Group(_head(observer, rate), _books(observer), _latencies(observer),
                 _counters(observer), *([Text("\n".join(events), style="dim")] if events else []))


def _head(observer: Observer, rate: float) -> Text:
    c, status = observer.counters(), observer.status
    killed = cause_text(observer.killed)
    text = Text()
    text.append(f"{observer.name} ", style="bold")
    text.append(f"{observer.kind}  {observer.seconds:.0f} s  ")
    if killed:
        text.append(f"KILLED: {killed}", style="bold red")
    else:
        text.append("armed", style="bold green")
    text.append(f"  feed {observer.feed_state.name.lower()}",
                style="green" if Status.FEED_LIVE in status else "yellow")
    text.append(f"  session {'up' if Status.SESSION_UP in status else 'down'}",
                style="green" if Status.SESSION_UP in status else "red")
    text.append(f"\nfeed    {c['messages']:,} messages, {rate:,.0f}/s, "
                f"{c['messages_lost']:,} lost, {c['gaps']:,} gaps, "
                f"{c['messages_recovered']:,} recovered"
                f"\norders  {c['orders_sent']:,} sent, {c['cancels_sent']:,} cancels, "
                f"{c['fills']:,} fills, {c['risk_rejects'] + c['orders_rejected']:,} rejects, "
                f"by {observer.strategy}")
    return text


def _books(observer: Observer) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("symbol")
    for name in ("bid size", "bid", "ask", "ask size", "last", "position", "open", "fills", "P&L"):
        table.add_column(name, justify="right")
    table.add_column("state")
    holdings = list(observer.holdings())
    if len(holdings) > INSTRUMENTS:        # those that are traded first, in their order
        holdings.sort(key=lambda held: -held.orders)
    for holding in holdings[:INSTRUMENTS]:
        flags = ", ".join(flag.name.lower() for flag in BookFlag
                          if flag.name and flag in BookFlag(holding.flags))
        table.add_row(
            holding.symbol, f"{holding.bid_quantity:,}", price(holding.bid_price),
            price(holding.ask_price), f"{holding.ask_quantity:,}", price(holding.last_price),
            f"{holding.position:+,}", f"{holding.open_orders}", f"{holding.fills:,}",
            Text(dollars(holding.profit), style="red" if holding.profit < 0 else "green"),
            f"{holding.trading_state} {flags}")
    total = sum(holding.profit for holding in holdings)
    rest = f"{len(holdings) - INSTRUMENTS} more" if len(holdings) > INSTRUMENTS else ""
    table.add_row(rest, *[""] * 8, Text(dollars(total), style="bold"), "")
    return table


def _latencies(observer: Observer) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("latency, ns")
    for name in ("p50", "p90", "p99", "p99.9", "max", "count"):
        table.add_column(name, justify="right")
    for stage, row in observer.stages().items():
        if row["count"]:
            table.add_row(stage, *(f"{row[name]:,}" for name in _QUANTILES), f"{row['count']:,}")
    return table


def _counters(observer: Observer) -> Text:
    """Counters that are not 0 and may mean trouble."""
    found = [f"{name} {value:,}" for name, value in observer.counters().items()
             if value and name not in _QUIET]
    return Text("  ".join(found), style="yellow")


def _order_reader(observer: Observer) -> RecordReader:
    memory = observer.memory
    layout = RingLayout(memory.address("order_ring"), memory.sizes.order_log2)
    newest = observer.register("RING_ORDER_SEQUENCE")
    return RecordReader(layout, observer.register("RING_EPOCH"), max(newest - EVENTS + 1, 1))


def event_text(row: object, symbols: dict[int, str]) -> str:
    """Return one record of the order ring as a line."""
    kind = RecordType(int(row["record_type"]))         # type: ignore[index]

    def value(name: str) -> int:
        return int(row[name])                          # type: ignore[index]
    name = kind.name.lower().replace("_", " ")
    if kind == RecordType.ORDER_SENT:
        operation = Operation(value("operation")).name.lower()
        return (f"sent {operation} #{value('token')} {symbols.get(value('locate'), '')} "
                f"{chr(value('side'))} {value('quantity'):,} @ {price(value('price'))}")
    if kind == RecordType.RISK_REJECT:
        checks = ", ".join(check.name for check in failing(value("checks")))
        return f"risk reject {symbols.get(value('locate'), '')}: {checks}"
    if kind == RecordType.INTENT_ERROR:
        return f"intent error: {IntentError(value('error')).name.lower()}"
    if RecordType.ORDER_ACCEPTED <= kind <= RecordType.ORDER_REPLACED:
        return (f"{name} #{value('token')} {symbols.get(value('locate'), '')} "
                f"{value('quantity'):,} @ {price(value('price'))}, {value('leaves'):,} left")
    return name
