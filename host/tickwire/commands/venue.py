"""``tickwire venue``: the simulated venue alone, until Ctrl-C."""

import ipaddress
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tickwire.commands.children import Parent
from tickwire.config import Config, ImpairmentSettings, demo, load, parse_override
from tickwire.errors import TickwireError
from tickwire.rules import MILLION

if TYPE_CHECKING:
    from tickwire.orders.fix.settings import FIXSessionSettings
    from tickwire_sim.exchange.config import LineConfig, VenueConfig
    from tickwire_sim.exchange.fix_gateway import FIXGateway


LINGER_SECONDS = 0.2                       # after the end of its day, for requests


def venue(
    *,
    config: Annotated[Path | None, Parameter(help="Configuration; the demo without one.")] = None,
    seconds: Annotated[float, Parameter(help="How long; 0 until Ctrl-C.")] = 0.0,
    set: Annotated[tuple[str, ...], Parameter(
        name="--set", negative="",
        help="KEY=VALUE that overrides the configuration; again for more.")] = (),
) -> int:
    """Run the simulated venue of a configuration alone.

    It prints where it listens, and at the end what happened. Start a device beside it with
    `tickwire run --no-venue`.
    """
    from dataclasses import replace

    from tickwire_sim.exchange.venue import run_venue
    found = (load(config) if config else demo()).with_overrides(dict(map(parse_override, set)))
    return run_venue(replace(venue_config(found), seconds=seconds),
                     lambda port: fix_gateway(found, port))


def venue_config(config: Config) -> "VenueConfig":
    """Return the venue that ``config`` asks for, on the ports that its device looks at."""
    from tickwire_sim.exchange.config import AccountConfig, LineConfig, SymbolConfig, VenueConfig
    from tickwire_sim.exchange.config import symbols as make_symbols

    def line(group: str, port: int, impairments: ImpairmentSettings) -> "LineConfig":
        return LineConfig(group, port, impairments.loss / MILLION,
                          impairments.duplicate / MILLION, impairments.reorder / MILLION,
                          impairments.delay_us)
    feed, venue, orders = config.feed, config.venue, config.orders
    if not ipaddress.IPv4Address(feed.interface).is_loopback:
        raise TickwireError("feed.interface must be an address of the loopback interface where the "
                            f"simulated venue sends, not {feed.interface}.")
    ticks = {entry.symbol: entry.tick for entry in config.symbols}
    made = make_symbols(max(venue.symbols, len(ticks), 1), venue.seed)
    names = [*ticks, *(entry.name for entry in made if entry.name not in ticks)]
    traded = []
    for name, entry in zip(names, made, strict=False):
        tick = ticks.get(name, entry.tick)
        traded.append(SymbolConfig(name, max(entry.price // tick, 16) * tick, tick))
    return VenueConfig(
        symbols=tuple(traded), seed=venue.seed, agents=venue.agents,
        messages_per_second=venue.messages_per_second,
        line_a=line(feed.group_a, feed.port_a, venue.line_a),
        line_b=line(feed.group_b, feed.port_b, venue.line_b),
        interface=feed.interface, request_port=feed.request_port, order_port=orders.port,
        accounts=(AccountConfig(orders.username, orders.password),),
        linger_seconds=LINGER_SECONDS, cancel_on_disconnect=True)


def child(parent: Parent, config: Config) -> None:
    """Run the venue as a child of ``parent``: open, wait for ``go``, trade until ``stop``."""
    from tickwire.kernels.compiling import when_compiling
    from tickwire_sim.exchange.venue import Venue
    when_compiling(lambda name, number: parent.say(compiling=name, number=number))
    venue = Venue(venue_config(config))
    ports = venue.open()
    with fix_gateway(config, ports.orders) as gateway:
        parent.say(state="open")
        if not parent.wait_here("go"):
            return
        gateway.begin()
        watcher = threading.Thread(
            target=lambda: (parent.wait_here("stop"), venue.request_stop()), daemon=True)
        watcher.start()
        venue.run()
    parent.say(state="ended", statistics=venue.statistics())


def check_stand_in(session: "FIXSessionSettings") -> None:
    """Refuse a session whose other side the simulated venue cannot be."""
    if session.tls:
        raise TickwireError("The simulated venue has no TLS, and fix.sessions."
                            f"{session.name}.tls asks for it; run with --no-venue to reach "
                            f"your own broker at {session.host}:{session.port}.")


def fix_gateway(config: Config, port: int) -> "FIXGateway":
    """Return the gateway that takes orders over FIX, if that is the route of ``config``.

    ``port`` is the order port of the venue that it stands on. Where the device's side of the
    session has a store, the venue's has one too: else their numbers would not fit the next time.
    """
    from tickwire.device.fix_link import counterpart, order_session
    from tickwire_sim.exchange.fix_gateway import FIXGateway
    orders, sessions, is_stored = config.orders, [], False
    if orders.route == "fix":
        session, is_stored = order_session(orders, config.fix)
        check_stand_in(session)
        sessions.append(counterpart(session))
    return FIXGateway(sessions, orders.host, port, orders.username, orders.password,
                      config.fix if is_stored else None)
