"""Live view of a device in a terminal: books, positions, orders, latencies, counters, kill."""

from collections import deque
from collections.abc import Sequence
from itertools import product
from types import TracebackType

from rich.console import (
    Console,
    ConsoleDimensions,
    ConsoleOptions,
    Group,
    RenderableType,
    RenderResult,
)
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tickwire.device.base import RecordReader, RingLayout
from tickwire.observe.observer import Holding, Observer
from tickwire.observe.summary import REASONS_IN_LINE, cause_text, dollars, price, rejects_text
from tickwire.spec.checks import failing
from tickwire.spec.intents import IntentError, Operation
from tickwire.spec.records import BookFlag, RecordType
from tickwire.spec.registers import Status

EVENTS = 8                                 # order events that are shown, where there is room
EVENTS_LEAST = 2
INSTRUMENTS = 12                           # instruments that are shown outside of a terminal
INSTRUMENTS_LEAST = 3
_ROOMY = 30                                # lines of a terminal that has some for blanks
_WIDTH_MAX = 1_000
_COLUMNS = ("bid size", "bid", "ask", "ask size", "last", "position", "open", "fills", "P&L, $")
_SPARED = ("last", "open", "fills", "ask size", "bid size")    # columns by how soon they are
_SIDES = {"B": "buy", "S": "sell", "T": "short", "E": "short exempt"}
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
        symbols = _symbols(self._observer)
        for row in self._orders.read()[-EVENTS:]:
            self._events.append(event_text(row, symbols))
        shown = screen(self._observer, self._rate(), list(self._events), self._live.console.size)
        self._live.update(shown, refresh=True)

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
    symbols = _symbols(observer)
    events = [event_text(row, symbols) for row in _order_reader(observer).read()[-EVENTS:]]
    seconds = observer.seconds
    counters = observer.counters()
    live = counters["messages"] - counters["messages_recovered"]
    rate = live / seconds if seconds else 0.0
    Console().print(screen(observer, rate, events))


def screen(observer: Observer, rate: float, events: list[str],
           size: ConsoleDimensions | None = None) -> RenderableType:
    """Return everything that is shown; books and events as far as ``size`` has room for them."""
    head = _head(observer, rate, size.width if size else Console().width)
    latencies, counters = _latencies(observer), _counters(observer)
    holdings = list(observer.holdings())
    instruments, blank = INSTRUMENTS, [Text("")]
    if size is not None:
        if size.height < _ROOMY:
            blank = []
        lines = (len(head.plain.splitlines()) + 2 + latencies.row_count + 1 + 3 * len(blank)
                 + -(-len(counters) // size.width) + 1)
        room = size.height - lines
        instruments = min(len(holdings), max(room - EVENTS_LEAST, INSTRUMENTS_LEAST))
        events = events[-min(room - instruments, EVENTS):] if room > instruments else []
    return Group(head, *blank, _Books(holdings, instruments), *blank, latencies, counters, *blank,
                 Text("\n".join(events), style="dim"))


def _head(observer: Observer, rate: float, width: int) -> Text:
    """Three lines; of the reasons of rejects as many as ``width`` has room for."""
    c, status = observer.counters(), observer.status
    killed = cause_text(observer.killed)
    text = Text()
    text.append(f"{observer.name} ", style="bold")
    text.append(f"{observer.kind}  {observer.strategy.rpartition(':')[2]}  "
                f"{observer.seconds:.0f} s  ")
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
                f"{c['messages_recovered']:,} recovered\n")
    orders = (f"orders  {c['orders_sent']:,} sent, {c['cancels_sent']:,} cancels, "
              f"{c['fills']:,} fills, ")
    total, reasons = c["risk_rejects"] + c["orders_rejected"], observer.rejects()
    shown = [orders + rejects_text(total, reasons, most)
             for most in range(REASONS_IN_LINE, -1, -1)]
    text.append(next((line for line in shown if len(line) <= width), shown[-1]))
    return text


class _Books:
    """Table of books and positions with as many columns as the width has room for, none cut."""

    def __init__(self, holdings: Sequence[Holding], instruments: int) -> None:
        self._total = sum(held.profit for held in holdings)
        rest = len(holdings) - instruments
        if rest > 0:                       # those that are traded most, in the directory's order
            most = sorted(holdings, key=lambda held: -held.orders)[:instruments]
            holdings = [held for held in holdings if held in most]
        self._shown = holdings
        self._foot = f"{rest} more, total" if rest > 0 else "total"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        boundless = options.update_width(_WIDTH_MAX)
        table = Table()
        for spared, gap in product(range(len(_SPARED) + 1), (2, 1)):
            table = self._table(_SPARED[:spared], gap)
            if Measurement.get(console, boundless, table).maximum <= options.max_width:
                break
        yield table

    def _table(self, spared: Sequence[str], gap: int) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
        names = [name for name in _COLUMNS if name not in spared]
        table.add_column("symbol", no_wrap=True)
        for name in names:
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("state", no_wrap=True)
        for held in self._shown:
            cells = _cells(held)
            table.add_row(held.symbol, *(cells[name] for name in names), _state(held))
        table.add_row(self._foot, *[""] * (len(names) - 1), Text(dollars(self._total), "bold"), "")
        return table


def _cells(held: Holding) -> dict[str, str | Text]:
    """Texts of an instrument by column."""
    return {
        "bid size": f"{held.bid_quantity:,}", "bid": price(held.bid_price),
        "ask": price(held.ask_price), "ask size": f"{held.ask_quantity:,}",
        "last": price(held.last_price), "position": f"{held.position:+,}",
        "open": f"{held.open_orders}", "fills": f"{held.fills:,}",
        "P&L, $": Text(dollars(held.profit), "red" if held.profit < 0 else "green")}


def _state(held: Holding) -> str:
    """Trading state and whatever keeps the book from being exact."""
    flags = [flag.name.lower() for flag in BookFlag
             if flag.name and flag in BookFlag(held.flags)]
    return " ".join([held.trading_state, ", ".join(flags)]).strip()


def _latencies(observer: Observer) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"latency, {observer.unit}")
    for name in ("p50", "p90", "p99", "p99.9", "max", "count"):
        table.add_column(name, justify="right")
    for stage, row in observer.latencies().items():
        if row["count"]:
            table.add_row(stage, *(f"{row[name]:,}" for name in _QUANTILES), f"{row['count']:,}")
    return table


def _counters(observer: Observer) -> Text:
    """Counters that are not 0 and may mean trouble."""
    found = [f"{name} {value:,}" for name, value in observer.counters().items()
             if value and name not in _QUIET]
    return Text("  ".join(found), style="yellow")


def _symbols(observer: Observer) -> dict[int, str]:
    """Symbols by stock locate; a feed may have any octets in them."""
    return {int(row["locate"]): bytes(row["symbol"]).decode("latin-1").strip()
            for row in observer.positions_table() if row["locate"]}


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
    name = kind.name.lower().replace("_", " ").removeprefix("order ")

    def order(what: str, side: str = "") -> str:
        return (f"{what:<12}#{value('token'):<6} {symbols.get(value('locate'), ''):<8} "
                f"{_SIDES.get(side, side):<5} {value('quantity'):>6,} @ {price(value('price'))}")
    if kind == RecordType.ORDER_SENT:
        operation = Operation(value("operation")).name.lower()
        return order(f"sent {operation}", chr(value("side")))
    if kind == RecordType.RISK_REJECT:
        checks = ", ".join(check.name for check in failing(value("checks")))
        return f"{name} {symbols.get(value('locate'), '')}: {checks}"
    if kind == RecordType.INTENT_ERROR:
        return f"{name}: {IntentError(value('error')).name.lower()}"
    if RecordType.ORDER_ACCEPTED <= kind <= RecordType.ORDER_REPLACED:
        return f"{order(name)}, {value('leaves'):,} left"
    return name
