"""Configuration: one TOML file, typed and checked whole before anything starts.

Every key has a default, a rule and a line of help in the dataclasses below; an unknown key is an
error. Amounts are written in dollars and stored in ten-thousandths, fractions are stored in parts
per million. ``docs/configuration.md`` is this module's own account of itself.
"""

import dataclasses
import sys
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from tickwire.errors import TickwireError
from tickwire.orders.fix.settings import FIXSettings
from tickwire.risk_settings import RiskSettings
from tickwire.rules import (
    address,
    boolean,
    choice,
    dollars,
    fraction,
    host,
    integer,
    scalar,
    text,
)
from tickwire.sections import (
    Place,
    Setting,
    array,
    describe,
    named,
    read_section,
    section,
    setting,
    settings,
)
from tickwire.spec.geometry import Geometry

FILE_LIMIT = 1 << 20                       # octets of a configuration file
PORT = integer(1, 65_535)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """The device and the thread that drives it."""

    kind: str = setting("auto", choice("auto", "software", "verilated", "pcie"),
                        "What runs behind the contract; auto is the first that can trade.")
    name: str = setting("tickwire", text(r"[A-Za-z0-9_.-]{1,32}", "1 to 32 of A-Z a-z 0-9 _ . -"),
                        "Name of its shared memory; `tickwire stat` attaches by it.")
    core: int = setting(-1, integer(-1, 1_023), "Core of the engine thread; -1 leaves it unpinned.")
    priority: int = setting(0, integer(0, 99), "SCHED_FIFO priority; 0 keeps the usual scheduler.")
    busy_poll: bool = setting(False, boolean(), "Never back off when idle; needs `core`.")
    lock_memory: bool = setting(False, boolean(), "Lock memory: no page is fetched late.")
    watchdog_ms: int = setting(1_000, integer(0, 3_600_000),
                               "Silence of the strategy's loop until the kill; 0 never.")

    def __post_init__(self) -> None:
        """Check that a thread which never sleeps has a core of its own."""
        if self.busy_poll and self.core < 0:
            raise ValueError("device.busy_poll needs device.core to be 0 or more, not -1")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """The two market data lines and the request server behind them."""

    group_a: str = setting("239.192.64.1", address(is_multicast=True), "Group of line A.")
    port_a: int = setting(26_401, PORT, "UDP port of line A.")
    group_b: str = setting("239.192.64.2", address(is_multicast=True), "Group of line B.")
    port_b: int = setting(26_402, PORT, "UDP port of line B.")
    interface: str = setting("127.0.0.1", address(is_multicast=False),
                             "Address of the interface that joins the groups.")
    request_host: str = setting("127.0.0.1", host(), "Server that repeats lost messages.")
    request_port: int = setting(26_403, PORT, "Its UDP port.")
    stale_ms: int = setting(1_000, integer(0, 3_600_000),
                            "Silence on both lines until books count as stale; 0 never.")

    def __post_init__(self) -> None:
        """Check that the lines can be told apart."""
        if (self.group_a, self.port_a) == (self.group_b, self.port_b):
            raise ValueError("feed.group_b and port_b must differ from line A, "
                             f"not {self.group_b}:{self.port_b} again")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSettings:
    """The order session."""

    route: str = setting("ouch", choice("ouch", "fix"), "Protocol: ouch is OUCH 5.0 over "
                         "SoupBinTCP, fix the first FIX session of `fix` that connects.")
    host: str = setting("127.0.0.1", host(), "Host of the venue's order port.")
    port: int = setting(26_404, PORT, "TCP port of the venue's order port.")
    username: str = setting("trader", text(r"[A-Za-z0-9]{1,6}", "1 to 6 letters or digits"),
                            "SoupBinTCP user name.")
    password: str = setting("", text(r"[A-Za-z0-9]{0,10}", "up to 10 letters or digits"),
                            "SoupBinTCP password; never printed.", is_secret=True)
    session: str = setting("", text(r"[A-Za-z0-9]{0,10}", "up to 10 letters or digits"),
                           "Session to continue; empty takes the current one.")
    card_address: str = setting("", text(r"|(\d{1,3}\.){3}\d{1,3}/\d{1,2}", "an IPv4 address and "
                                         "its prefix, as 10.0.0.2/24"),
                                "Address of a card's order line, where orders go by ouch.")
    card_mac: str = setting("02:74:77:00:00:01", text(r"([0-9a-f]{2}:){5}[0-9a-f]{2}",
                                                      "six octets as 02:74:77:00:00:01"),
                            "Its Ethernet address, unlike any other there.")
    card_interface: str = setting("tickwire0", text(r"[A-Za-z0-9_.-]{1,15}", "1 to 15 of "
                                                    "A-Z a-z 0-9 _ . -"),
                                  "Name of the interface that it is to Linux.")
    fix_port: int = setting(26_405, PORT, "TCP port of the venue for route fix, where `fix` has no "
                            "session.")


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategySettings:
    """The strategy and what it is told. Its parameters are checked by the strategy itself."""

    path: str = setting("tickwire.strategy.spread:Spread",
                        text(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*",
                             'a path such as "package.module:Class"'), "Module and class.")
    parameters: Mapping[str, int | bool | str | Decimal] = named(Setting(scalar()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSettings:
    """One instrument to watch."""

    symbol: str = setting("", text(r"[!-~]{1,8}", "1 to 8 printable characters without blanks"),
                          "Its symbol.")
    tick: int = setting(100, dollars("0.0001", "100"), "Its price step, stored in 1e-4 dollars.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpairmentSettings:
    """What one line does to its packets, drawn from the venue's seed."""

    loss: int = setting(0, fraction(), "Share of packets that vanish.")
    duplicate: int = setting(0, fraction(), "Share of packets that come twice.")
    reorder: int = setting(0, fraction(), "Share of packets that the next one overtakes.")
    delay_us: int = setting(0, integer(0, 1_000_000), "Delay of the whole line, microseconds.")


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSettings:
    """The simulated venue that `tickwire run` starts."""

    symbols: int = setting(0, integer(0, 16_384),
                           "Instruments that trade; 0 those of `symbols` and no other.")
    messages_per_second: int = setting(20_000, integer(1, 5_000_000), "Market data, on average.")
    seed: int = setting(1, integer(0, (1 << 63) - 1), "Same seed, same market.")
    agents: int = setting(8, integer(1, 4_096), "Agents that trade with each other.")
    line_a: ImpairmentSettings = section(ImpairmentSettings)
    line_b: ImpairmentSettings = section(ImpairmentSettings)


METRICS_HOST = "127.0.0.1"                 # metrics are for this machine alone


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveSettings:
    """What is shown while it runs."""

    prometheus_port: int = setting(0, integer(0, 65_535), "Port of the Prometheus endpoint, "
                                   "http://127.0.0.1:PORT/metrics; 0 none.")
    view: bool = setting(True, boolean(), "Live terminal view, where there is a terminal.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """The run itself."""

    seconds: int = setting(20, integer(0, 604_800), "How long to trade; 0 until interrupted.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration, checked.

    ``symbols`` empty means all that the venue's directory names, as far as the geometry has room.
    ``source`` is the name that messages use, ``document`` what was written.
    """

    device: DeviceSettings = section(DeviceSettings)
    geometry: Geometry = section(Geometry)
    feed: FeedSettings = section(FeedSettings)
    orders: OrderSettings = section(OrderSettings)
    risk: RiskSettings = section(RiskSettings)
    strategy: StrategySettings = section(StrategySettings)
    symbols: tuple[SymbolSettings, ...] = array(SymbolSettings, identity="symbol")
    venue: VenueSettings = section(VenueSettings)
    observe: ObserveSettings = section(ObserveSettings)
    run: RunSettings = section(RunSettings)
    fix: FIXSettings = section(FIXSettings)
    source: str = "defaults"
    document: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check what concerns more than one section; each sentence begins with the key."""
        names = [entry.symbol for entry in self.symbols]
        if len(names) > self.geometry.instruments:
            raise ValueError(f"symbols must be at most geometry.instruments = "
                             f"{self.geometry.instruments}, not {len(names)}")
        if 0 < self.venue.symbols < len(names):
            raise ValueError(f"venue.symbols must be 0 or at least the {len(names)} of symbols, "
                             f"not {self.venue.symbols}")
        for symbol in self.risk.symbols:
            if names and symbol not in names:
                raise ValueError(f"risk.symbols.{symbol} is not one of symbols")

    def with_overrides(self, overrides: Mapping[str, object]) -> "Config":
        """Return this configuration with dotted keys set anew, and checked whole again.

        Keys and values are as in the file: ``{"run.seconds": 5}``,
        ``{'risk.symbols."BRK.B".max_notional': "2500.50"}``. The rest is taken from ``document``.
        Raises :class:`TickwireError` as :func:`load` does.
        """
        document = deepcopy(dict(self.document))
        paths = {key: _path(key) for key in overrides}
        for key, (*parents, last) in paths.items():
            table = document
            for parent in parents:
                table = table.setdefault(parent, {})
                if not isinstance(table, dict):
                    raise TickwireError(f"override: {key} is not a key; {parent} is not a section")
            table[last] = overrides[key]
        return _read(document, self.source, frozenset(map(".".join, paths.values())))


def load(path: str | Path) -> Config:
    """Read and check the file at ``path``.

    Raises :class:`TickwireError` with one sentence: file, line and column for TOML that cannot be
    read; file, key, rule and value for everything else.
    """
    try:
        with open(path, "rb") as file:
            octets = file.read(FILE_LIMIT + 1)
    except OSError as error:
        raise TickwireError(f"{path}: cannot be read: {error.strerror}") from None
    return _parse(octets, str(path))


def demo() -> Config:
    """Return the configuration of the demo: four symbols, 20 seconds, everything on loopback."""
    return _parse(resources.files("tickwire").joinpath("demo.toml").read_bytes(), "demo.toml")


def parse_override(assignment: str) -> tuple[str, object]:
    """Split ``KEY=VALUE`` from a command line; a value that is not TOML is taken as text."""
    key, equals, value = assignment.partition("=")
    if not equals or not key.strip():
        raise TickwireError(f"An override is written KEY=VALUE, not {assignment!r}")
    try:
        document = tomllib.loads(f"value = {value}", parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        document = {}
    return key.strip(), document["value"] if list(document) == ["value"] else value


def page() -> str:
    """Return ``docs/configuration.md``: every section, key, default and rule."""
    return "\n".join([
        "# Configuration", "",
        "One TOML file, checked whole before anything starts; an unknown key is an error. What is",
        "left out has its default. Amounts of money are exact, as an integer, a decimal number or",
        "text. `make docs` writes this page from `tickwire.config`.",
        *describe(Config)]) + "\n"


def _path(key: str) -> list[str]:
    """Split a dotted key as TOML does, quoted parts included."""
    try:
        table: Any = tomllib.loads(f"{key} = 0")
    except (ValueError, RecursionError):
        table = {}
    path = []
    while isinstance(table, dict) and len(table) == 1:
        [(name, table)] = table.items()
        path.append(name)
    if table != 0 or not key.isprintable():
        raise TickwireError(f"override: {key!r} is not a key")
    return path


def _parse(octets: bytes, source: str) -> Config:
    if len(octets) > FILE_LIMIT:
        raise TickwireError(f"{source}: a configuration has at most {FILE_LIMIT:,} octets")
    try:
        written = octets.decode()
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        column = error.start - octets.rfind(b"\n", 0, error.start)
        raise TickwireError(f"{source}: octet 0x{octets[error.start]:02x} is not UTF-8 "
                            f"(at line {line}, column {column})") from None
    try:
        document = tomllib.loads(written, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        line, column = written.count("\n") + 1, len(written) - written.rfind("\n")
        sentence = str(error).replace("at end of document", f"at line {line}, column {column}")
        raise TickwireError(f"{source}: {sentence}") from None
    except (ValueError, ArithmeticError):
        raise TickwireError(f"{source}: a number has more digits than can be read") from None
    except RecursionError:
        raise TickwireError(f"{source}: tables or arrays are nested too deep") from None
    return _read(document, source)


def _read(document: dict[str, Any], source: str,
          overridden: frozenset[str] = frozenset()) -> Config:
    place = Place(source, overridden, tuple(key for key, _ in settings(Config)))
    return dataclasses.replace(read_section(Config, document, place),
                               source=source, document=document)


if __name__ == "__main__":
    sys.stdout.write(page())
