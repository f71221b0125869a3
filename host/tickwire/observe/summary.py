"""Summary of a run: the same facts as plain values for JSON and as lines for a terminal."""

from collections.abc import Callable, Mapping
from typing import Any

from tickwire import __version__
from tickwire.observe.observer import DOLLAR, Observer, by_symbol
from tickwire.spec.registers import KillCause

SYMBOLS_SHOWN = 64                         # beyond so many only those that were traded are told
SYMBOLS_IN_LINE = 8                        # in the text; the values have all
REASONS_IN_LINE = 5
_QUANTILES = ("p50", "p90", "p99", "p999", "max", "count")


def summary(observer: Observer) -> dict[str, Any]:
    """Return everything that a run came to, as plain values.

    ``pnl`` and ``pnl_by_symbol`` are ten-thousandths of a dollar, positions valued as
    :attr:`Holding.mark` says. ``rejects_by_reason`` has the first check that failed, or ``venue``;
    ``latency_ns`` has a row for each stage, and so has ``latency_cycles`` where the card's time is
    simulated. ``docs/files.md`` has every key.
    """
    counters = observer.counters()
    every = list(observer.holdings())
    holdings = [held for held in every
                if len(every) <= SYMBOLS_SHOWN or held.orders or held.position]
    return {
        "version": __version__,
        "device": observer.kind,
        "strategy": observer.strategy,
        "seconds": round(observer.seconds, 3),
        "messages": counters["messages"],
        "lost": counters["messages_lost"],
        "gaps": counters["gaps"],
        "recovered": counters["messages_recovered"],
        "records": counters["records"],
        "records_lost": counters["records_lost"],
        "orders_sent": counters["orders_sent"],
        "cancels_sent": counters["cancels_sent"],
        "replaces_sent": counters["replaces_sent"],
        "accepted": counters["orders_accepted"],
        "fills": counters["fills"],
        "rejects": counters["risk_rejects"] + counters["orders_rejected"],
        "rejects_by_reason": observer.rejects(),
        "intent_errors": counters["intent_errors"],
        "position": by_symbol(holdings, lambda holding: holding.position),
        "pnl": sum(holding.profit for holding in holdings),
        "pnl_by_symbol": by_symbol(holdings, lambda holding: holding.profit),
        "latency_ns": {stage: {name: values[name] for name in _QUANTILES}
                       for stage, values in observer.stages().items()},
        **_cycles(observer),
        "kill_cause": cause_text(observer.killed),
        "digest": observer.digest,
        "counters": counters,
    }


def lines(found: dict[str, Any]) -> list[str]:
    """Return the summary as lines of text."""
    live = found["messages"] - found["recovered"]      # the rest was asked for, faster than it came
    rate = live / found["seconds"] if found["seconds"] else 0.0
    shown = [
        f"{found['device']} device, {found['strategy']}, {found['seconds']:.1f} s",
        f"feed    {found['messages']:,} messages ({rate:,.0f}/s"
        f"{' live' if found['recovered'] else ''}), {found['lost']:,} lost, "
        f"{found['gaps']:,} gaps, {found['recovered']:,} recovered",
        f"orders  {found['orders_sent']:,} sent, {found['cancels_sent']:,} cancels, "
        f"{found['fills']:,} fills, "
        f"{rejects_text(found['rejects'], found['rejects_by_reason'])}",
        f"shares  {_by_symbol(found['position'], '{:+,}'.format)}",
        f"P&L     {dollars(found['pnl'])} dollars ({_by_symbol(found['pnl_by_symbol'], dollars)})",
        *(_latencies(found["latency_cycles"], "cycles") if "latency_cycles" in found
          else _latencies(found["latency_ns"], "ns"))]
    return shown


def _cycles(observer: Observer) -> dict[str, Any]:
    """Latencies in cycles of a card whose time is simulated; nothing for others."""
    if observer.unit != "cycles":
        return {}
    return {"latency_cycles": {stage: {name: values[name] for name in _QUANTILES}
                               for stage, values in observer.latencies().items()}}


def rejects_text(total: int, reasons: Mapping[str, int], most: int = REASONS_IN_LINE) -> str:
    """Return the refused orders with up to ``most`` of their reasons, which come greatest first."""
    shown = [f"{name.replace('_', ' ')} {count:,}" for name, count in [*reasons.items()][:most]]
    if shown and len(reasons) > most:
        shown.append(f"other {sum([*reasons.values()][most:]):,}")
    return f"{total:,} rejects" + (f" ({', '.join(shown)})" if shown else "")


def _by_symbol(values: dict[str, int], text: Callable[[int], str]) -> str:
    """Values with their symbols; of many the greatest, in the directory's order."""
    greatest = sorted(values, key=lambda symbol: -abs(values[symbol]))[:SYMBOLS_IN_LINE]
    shown = [f"{symbol} {text(values[symbol])}" for symbol in values if symbol in greatest]
    rest = len(values) - len(shown)
    return ", ".join(shown) + (f", and {rest} more" if rest else "")


def _latencies(stages: dict[str, dict[str, int]], unit: str) -> list[str]:
    """Table of the stages that were measured."""
    rows = [[f"latency, {unit}", "p50", "p90", "p99", "p99.9", "max", "count"]]
    rows += [[f"  {stage}", *(f"{row[name]:,}" for name in _QUANTILES)]
             for stage, row in stages.items() if row["count"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [first.ljust(widths[0]) + "".join(
        f"  {cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
        for first, *rest in rows]


def dollars(amount: int) -> str:
    """Ten-thousandths of a dollar with sign and two decimals, rounded towards zero."""
    whole = abs(amount) // DOLLAR
    return f"{'-' if amount < 0 else '+'}{whole:,}.{abs(amount) % DOLLAR // 100:02}"


def price(amount: int) -> str:
    """A price with the decimals that it needs, at least two; blank for none."""
    if not amount:
        return ""
    text = f"{amount // DOLLAR}.{amount % DOLLAR:04}"
    return text[:-2] if text.endswith("00") else text


def cause_text(cause: KillCause) -> str:
    """Names of the causes of a kill, empty when there is none."""
    return ", ".join(member.name.lower().replace("_", " ") for member in KillCause
                     if member in cause and member.name)
