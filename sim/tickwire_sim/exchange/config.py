"""Configuration of the venue: checked whole, with one sentence for whatever is wrong."""

import ipaddress
import math
from dataclasses import dataclass, field
from random import Random

from tickwire.errors import TickwireError
from tickwire.spec import itch50
from tickwire.spec.moldudp64 import DATAGRAM_SIZE

SYMBOLS_MAX = 16_384
ACCOUNTS = 32
ORDERS_MAX = 1 << 24


def _fail(name: str, rule: str, value: object) -> None:
    raise TickwireError(f"venue.{name} must be {rule}, not {value!r}.")


def _integer(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        _fail(name, f"an integer from {least:,} to {most:,}", value)


def _number(name: str, value: object, least: float, most: float) -> None:
    if (isinstance(value, bool) or not isinstance(value, int | float)
            or not math.isfinite(value) or not least <= value <= most):
        _fail(name, f"a number from {least:g} to {most:g}", value)


def _text(name: str, value: object, most: int, *, least: int = 1) -> None:
    if (not isinstance(value, str) or not least <= len(value) <= most
            or any(not 0x21 <= ord(letter) <= 0x7E for letter in value)):
        _fail(name, f"{least} to {most} printable ASCII characters without blanks", value)


@dataclass(frozen=True, slots=True)
class SymbolConfig:
    """One symbol: ``price`` where it starts and ``tick``, both in ten-thousandths of a dollar."""

    name: str
    price: int = 500_000
    tick: int = 100

    def __post_init__(self) -> None:
        """Check the symbol."""
        _text("symbols.name", self.name, 8)
        _integer(f"symbols.{self.name}.tick", self.tick, 1, 1_000_000)
        _integer(f"symbols.{self.name}.price", self.price, 1, itch50.PRICE_MAX // 2)
        if self.price % self.tick or self.price < 16 * self.tick:
            _fail(f"symbols.{self.name}.price",
                  f"a multiple of the tick {self.tick} and at least 16 ticks", self.price)


@dataclass(frozen=True, slots=True)
class LineConfig:
    """One multicast line and what goes wrong on it.

    ``loss``, ``duplicate`` and ``reorder`` are probabilities of a packet; ``delay_us`` delays the
    whole line. ``port`` 0 picks a free one.
    """

    group: str = "239.192.64.1"
    port: int = 26_401
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay_us: int = 0

    def __post_init__(self) -> None:
        """Check the line."""
        try:
            is_multicast = ipaddress.IPv4Address(self.group).is_multicast
        except ValueError:
            is_multicast = False
        if not is_multicast:
            _fail("line.group", "an IPv4 multicast address", self.group)
        _integer("line.port", self.port, 0, 65_535)
        for name in ("loss", "duplicate", "reorder"):
            _number(f"line.{name}", getattr(self, name), 0, 1)
        _integer("line.delay_us", self.delay_us, 0, 1_000_000)


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """Someone who may log in to the order port. Neither name nor password looks at case."""

    username: str
    password: str = field(default="", repr=False)
    firm: str = ""

    def __post_init__(self) -> None:
        """Check the account."""
        _text("accounts.username", self.username, 6)
        _text(f"accounts.{self.username}.password", self.password, 10, least=0)
        _text(f"accounts.{self.username}.firm", self.firm, 4, least=0)


def symbols(count: int, seed: int = 1) -> tuple[SymbolConfig, ...]:
    """Make ``count`` symbols of four letters with prices as on a real market.

    Prices are spread over 5 to 500 dollars, most of them near 40.
    """
    if not 1 <= count <= SYMBOLS_MAX:
        _fail("symbols", f"1 to {SYMBOLS_MAX:,}", count)
    draw = Random(seed)
    made = []
    for number in range(count):
        rest, name = number, ""
        for _ in range(4):
            rest, letter = divmod(rest, 26)
            name = chr(65 + letter) + name
        # The sum of uniform draws is a bell; its exponential is the spread of prices.
        bell = sum(draw.random() for _ in range(4)) - 2
        cents = round(4_000 * math.exp(1.5 * bell))
        made.append(SymbolConfig(name, min(max(cents, 500), 50_000) * 100))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class VenueConfig:
    """Everything that a venue needs to know.

    ``symbols`` trade; ``messages_per_second`` is what the agents aim at on average, 0 without
    agents; ``live_orders`` is how many orders they keep in all books together, 0 for 60 a symbol.
    Ports 0 pick free ones. ``seconds`` 0 runs until stopped. ``session`` names the market data
    and the order session. The store keeps the newest ``store_octets`` of market data for the
    request port. ``request_loss`` is the probability that a request goes unanswered.
    """

    symbols: tuple[SymbolConfig, ...] = field(default_factory=lambda: symbols(8))
    seed: int = 1
    messages_per_second: int = 20_000
    live_orders: int = 0
    agents: int = 8
    line_a: LineConfig = LineConfig()
    line_b: LineConfig = LineConfig("239.192.64.2", 26_402)
    interface: str = "127.0.0.1"
    request_port: int = 26_403
    request_loss: float = 0.0
    order_port: int = 26_404
    accounts: tuple[AccountConfig, ...] = (AccountConfig("trader"),)
    session: str = "TICKWIRE01"
    seconds: float = 0.0
    linger_seconds: float = 1.0
    cancel_on_disconnect: bool = False
    order_slots: int = 1 << 20
    depth: int = 1024
    packet_octets: int = DATAGRAM_SIZE
    store_octets: int = 1 << 28
    heartbeat_seconds: float = 1.0
    timeout_seconds: float = 15.0

    def __post_init__(self) -> None:
        """Check every field; raises :class:`TickwireError` for the first that is wrong."""
        if not 1 <= len(self.symbols) <= SYMBOLS_MAX:
            _fail("symbols", f"1 to {SYMBOLS_MAX:,} symbols", len(self.symbols))
        names = [symbol.name for symbol in self.symbols]
        if len(set(names)) < len(names):
            _fail("symbols", "different", next(name for name in names if names.count(name) > 1))
        _integer("seed", self.seed, 0, (1 << 63) - 1)
        _integer("messages_per_second", self.messages_per_second, 0, 5_000_000)
        _integer("order_slots", self.order_slots, 1, ORDERS_MAX)
        _integer("live_orders", self.live_orders, 0, self.order_slots)
        _integer("agents", self.agents, 1, 4_096)
        try:
            address = ipaddress.IPv4Address(self.interface)
        except ValueError:
            address = ipaddress.IPv4Address("0.0.0.0")
        if not address.is_loopback:
            _fail("interface", "an IPv4 address of the loopback interface", self.interface)
        _integer("request_port", self.request_port, 0, 65_535)
        _number("request_loss", self.request_loss, 0, 1)
        _integer("order_port", self.order_port, 0, 65_535)
        users = [account.username.lower() for account in self.accounts]
        if len(users) > ACCOUNTS or len(set(users)) < len(users):
            _fail("accounts", f"up to {ACCOUNTS} with different user names", users)
        if not self.session.isalnum():
            _fail("session", "1 to 10 letters or digits", self.session)
        _text("session", self.session, 10)
        for name, most in (("seconds", 604_800), ("linger_seconds", 60)):
            _number(name, getattr(self, name), 0, most)
        for name in ("heartbeat_seconds", "timeout_seconds"):
            _number(name, getattr(self, name), 0.01, 3_600)
        _integer("depth", self.depth, 1, 65_536)
        _integer("packet_octets", self.packet_octets, 128, 1_472)
        _integer("store_octets", self.store_octets, 1 << 18, 1 << 36)
        if self.store_octets & self.store_octets - 1:
            _fail("store_octets", "a power of two", self.store_octets)

    @property
    def live_target(self) -> int:
        """Resting orders that the agents aim at."""
        return min(self.live_orders or 60 * len(self.symbols), self.order_slots)


__all__ = ["AccountConfig", "LineConfig", "SymbolConfig", "VenueConfig", "symbols"]
