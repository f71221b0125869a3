"""View of a running device: live in a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import Protocol

from tickwire.observe.observer import Observer
from tickwire.observe.summary import cause_text, dollars

LINE_SECONDS = 5.0


class View(Protocol):
    """Something that shows an observer's device again and again."""

    def show(self) -> None:
        """Show the present state."""

    def __enter__(self) -> "View": ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None: ...


class LineView:
    """One line every few seconds."""

    def __init__(self, observer: Observer, seconds: float = LINE_SECONDS) -> None:
        """Show ``observer`` every so many ``seconds``."""
        self._observer, self._seconds = observer, seconds
        self._due = time.monotonic() + seconds

    def show(self) -> None:
        """Write a line when one is due."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + self._seconds
        sys.stdout.write(line(self._observer) + "\n")
        sys.stdout.flush()

    def __enter__(self) -> "LineView":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        return


def line(observer: Observer) -> str:
    """Return the present state as one line."""
    c, stages = observer.counters(), observer.latencies()
    profit = sum(holding.profit for holding in observer.holdings())
    killed = cause_text(observer.killed)
    return (f"{observer.seconds:7.1f} s  {c['messages']:,} messages, {c['messages_lost']:,} lost, "
            f"{c['orders_sent']:,} orders, {c['fills']:,} fills, P&L {dollars(profit)}, "
            f"tick to order p50 {stages['tick_to_order']['p50']:,} {observer.unit}"
            + (f", killed: {killed}" if killed else ""))


def make_view(observer: Observer, *, is_live: bool) -> View:
    """Return the live view when standard output is a terminal and it is wanted."""
    if is_live and sys.stdout.isatty():
        from tickwire.observe.live import LiveView
        return LiveView(observer)
    return LineView(observer)
