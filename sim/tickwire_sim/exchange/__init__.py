"""The venue: a matching engine that speaks ITCH 5.0, MoldUDP64, OUCH 5.0 and SoupBinTCP.

``Venue(config).start()`` opens real sockets on the loopback interface; ``run_virtual`` makes the
same market without any. Names are loaded when they are first used: the configuration alone costs
no compiler.
"""

from typing import Any

_HOMES = {
    "AccountConfig": "config", "LineConfig": "config", "SymbolConfig": "config",
    "VenueConfig": "config", "symbols": "config", "Engine": "engine", "Venue": "venue",
    "run_venue": "venue",
}
__all__ = ["AccountConfig", "Engine", "LineConfig", "SymbolConfig", "Venue", "VenueConfig",
           "run_venue", "symbols"]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"tickwire_sim.exchange has no {name!r}")
    from importlib import import_module
    return getattr(import_module(f"tickwire_sim.exchange.{_HOMES[name]}"), name)
