"""``tickwire stat``: what a running device does, read from its shared memory."""

import json as json_format
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tickwire.errors import TickwireError

if TYPE_CHECKING:
    from tickwire.observe.observer import Observer

WATCH_SECONDS = 0.25


def stat(
    name: Annotated[str, Parameter(
        help="Name of the device; not needed while only one runs.")] = "",
    /,
    *,
    json: Annotated[bool, Parameter(help="Everything as one JSON object.", negative="")] = False,
    watch: Annotated[bool, Parameter(help="Live view until Ctrl-C.", negative="")] = False,
) -> int:
    """Show registers, counters, latencies, books and positions of a running device.

    It attaches read-only and disturbs nothing.
    """
    from tickwire.observe.observer import Observer
    observer = Observer(name or _only_one())
    try:
        if json:
            sys.stdout.write(json_format.dumps(document(observer), indent=1) + "\n")
        elif watch:
            _watch(observer)
        else:
            from tickwire.observe.live import print_state
            print_state(observer)
    finally:
        observer.close()
    return 0


def document(observer: "Observer") -> dict[str, object]:
    """Return everything that can be seen of a device, as plain values."""
    from dataclasses import asdict

    from tickwire.observe.summary import summary
    return {"name": observer.name, "age_seconds": round(observer.age, 6),
            "status": observer.status.name or str(int(observer.status)),
            "feed_state": observer.feed_state.name,
            **summary(observer), "registers": observer.registers(),
            "instruments": [asdict(holding) for holding in observer.holdings()]}


def _only_one() -> str:
    """Name of the only device that runs."""
    from tickwire.device import shared
    found = shared.running()
    if not found:
        raise TickwireError("No device runs on this machine.")
    if len(found) > 1:
        raise TickwireError(f"Several devices run: {', '.join(found)}; say which one.")
    return found[0]


def _watch(observer: "Observer") -> None:
    """Show the device until it ends or Ctrl-C comes."""
    from tickwire.observe.view import make_view
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _: stopped.append(got))
    with make_view(observer, is_live=True) as view:
        while not stopped and observer.memory.is_alive():
            view.show()
            time.sleep(WATCH_SECONDS)
    if not stopped:
        sys.stdout.write(f"Device {observer.name!r} ended.\n")
