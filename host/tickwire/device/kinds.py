"""Devices and geometries by the names that a command line has."""

import importlib
from dataclasses import replace
from typing import Any

from tickwire.config import Config
from tickwire.device.discovery import Candidate
from tickwire.device.owned import OwnedDevice
from tickwire.errors import TickwireError
from tickwire.spec.geometry import CARD_LARGE, CARD_PLAIN, CARD_SMALL, MARKET, Geometry

GEOMETRIES = {"plain": CARD_PLAIN, "small": CARD_SMALL, "large": CARD_LARGE, "market": MARKET}
_REPLAYS = {"software": "tickwire.device.replay:Replay",
            "verilated": "tickwire_sim.replay:VerilatedReplay"}
_TRADING = {"pcie": "tickwire.device.card_device:CardDevice",
            "software": "tickwire.device.software:SoftwareDevice",
            "verilated": "tickwire_sim.trading:TradingCard"}
_MILLISECOND = 1_000_000                   # ns
WAITING = {
    "software": "Loading kernels; the first time they are compiled, half a minute",
    "verilated": "Loading the card's gateware; the first time it is compiled, minutes"}
"""What takes so long the first time, by device."""


def geometry_of(name: str, device: str) -> Geometry | None:
    """Return the geometry of ``name``; empty is the small card's, or None for the software's own.

    Raises :class:`TickwireError` for a name that is none, or that a card does not have.
    """
    if name and name not in GEOMETRIES:
        raise TickwireError(f"--geometry must be one of {', '.join(GEOMETRIES)}, not {name!r}.")
    if device == "verilated" and name == "market":
        raise TickwireError("A whole market does not fit a card: --device verilated takes "
                            "--geometry plain, small or large.")
    if not name:
        return CARD_SMALL if device == "verilated" else None
    return GEOMETRIES[name]


def replay_of(device: str) -> Any:
    """Return the class that replays a recording on ``device``, a :class:`Pass`.

    Raises :class:`TickwireError` for a name that is none, or a device that is not installed.
    """
    if device not in _REPLAYS:
        raise TickwireError(f"A recording is replayed on {' or '.join(_REPLAYS)}, "
                            f"not on {device!r}.")
    return _load(_REPLAYS[device], device)


def trading_device(device: str) -> Any:
    """Return the class of a device that trades, an :class:`OwnedDevice`.

    Raises :class:`TickwireError` for a device that is not installed.
    """
    return _load(_TRADING[device], device)


def make_device(config: Config, chosen: Candidate) -> OwnedDevice:
    """Return the device that a configuration describes, of the kind that was chosen.

    Raises :class:`TickwireError` for one that is not installed, and what making it raises.
    """
    settings, feed, kind = config.device, config.feed, chosen.kind
    symbols = {entry.symbol: entry.tick for entry in config.symbols}
    lines = ((feed.group_a, feed.port_a), (feed.group_b, feed.port_b))
    options: dict[str, Any] = {"stale_ns": feed.stale_ms * _MILLISECOND,
                               "is_released": config.orders.route == "fix"}
    make = trading_device(kind)
    found: OwnedDevice
    if kind == "pcie":
        from tickwire.device.card_device import LineSettings
        from tickwire.device.vfio import VFIO
        orders = config.orders
        line = (LineSettings(orders.card_interface, orders.card_mac, orders.card_address)
                if orders.route == "ouch" else None)
        found = make(settings.name, VFIO(chosen.name), symbols, lines=lines, order_line=line,
                     busy=settings.busy_poll, **options)
    elif kind == "verilated":
        found = make(settings.name, smallest(len(symbols), config.geometry.depth), symbols,
                     lines=lines, **options)
    else:
        # A stray packet of another session must not end the books.
        found = make(settings.name, config.geometry, symbols, busy=settings.busy_poll,
                     accept_session=False, **options)
    return found


def smallest(symbols: int, depth: int = 0) -> Geometry:
    """Return the geometry of the smallest card that has room for so many symbols.

    It tells ``depth`` levels a side, 0 none.

    Raises :class:`TickwireError` when none has.
    """
    for geometry in (CARD_SMALL, CARD_LARGE):
        if symbols <= geometry.instruments:
            return replace(geometry, depth=depth)
    raise TickwireError(f"A card keeps books of {CARD_LARGE.instruments} symbols at most, "
                        f"not of {symbols}.")


def _load(place: str, device: str) -> Any:
    module, name = place.split(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise TickwireError(f"Device {device} needs the extras hw and sim of tickwire; "
                            f"{error.name} is not installed.") from None
