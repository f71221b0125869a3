"""An order path under test with a faked book, and what a test needs to drive it octet by octet.

Intents are packed with ``struct`` and a bitwise CRC-32C, records are read by the table decoder:
neither shares code with the kernels.
"""

import struct
from functools import cache

import numpy as np

from tickwire.device.limits_table import fill
from tickwire.device.order_memory import BookSide, OrderMemory
from tickwire.kernels import order_path
from tickwire.kernels.arena import Arena
from tickwire.kernels.layout import HEADER, STATUS_LINE
from tickwire.spec import wire
from tickwire.spec.checks import CHECKS, failing
from tickwire.spec.counters import CounterIndex
from tickwire.spec.intents import WINDOW_SLOTS, IntentFlag, Operation
from tickwire.spec.limits import (
    FIRM_LIMITS,
    INSTRUMENT_LIMITS,
    UNLIMITED,
    permissive,
)
from tickwire.spec.records import RECORDS, STATE_LINE, FeedState, RecordType
from tickwire.spec.render import dtype

SYMBOLS = (b"AAPL    ", b"BRK.B   ", b"C       ", b"ZVZZT   ")
LOCATES = (7, 4_000, 65_535, 1)             # stock locate of each instrument
UNWATCHED = 8
INTENT = struct.Struct("<QIHBBIIIIIIHHIIIII")
SETTLE = struct.Struct("<QIHBBIIHHIQQIIII")
assert INTENT.size == SETTLE.size == 64

BUY, SELL, SHORT = 0, IntentFlag.SELL, IntentFlag.SELL | IntentFlag.SHORT
DOLLAR = 10_000


@cache
def _crc_table():
    table = []
    for octet in range(256):
        for _ in range(8):
            octet = octet >> 1 ^ (0x82F63B78 if octet & 1 else 0)
        table.append(octet)
    return table


def crc32c(octets: bytes) -> int:
    """CRC-32C of ``octets``, after RFC 3720 appendix B.4."""
    crc = 0xFFFFFFFF
    for octet in octets:
        crc = crc >> 8 ^ _crc_table()[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF


assert crc32c(bytes(32)) == 0x8A9136AA      # RFC 3720, B.4: 32 octets of zeros
assert crc32c(bytes(range(32))) == 0x46DD794E


def sealed(octets: bytes, epoch: int, sequence: int) -> bytes:
    """Give an intent its epoch, sequence and CRC."""
    last = struct.pack("<II", epoch & 0xFFFFFFFF, sequence & 0xFFFFFFFF)
    return octets[:52] + struct.pack("<I", crc32c(octets[:52] + last)) + last


def pack_intent(*, timestamp=0, intent_id=0, locate=LOCATES[0], operation=Operation.NEW, flags=0,
                price=0, quantity=0, token=0, book_version=0, max_version_lag=0, ttl_ns=0,
                session=0, strategy=0) -> bytes:
    """Pack an order intent that is not sealed."""
    return INTENT.pack(timestamp, intent_id, locate, operation, flags, price, quantity, token,
                       book_version, max_version_lag, ttl_ns, session, strategy, 0, 0, 0, 0, 0)


def pack_settle(*, operation, token, exchange_timestamp=0, flags=0, price=0, quantity=0, reason=0,
                previous_token=0, order_reference=0, match_number=0) -> bytes:
    """Pack a settle intent that is not sealed."""
    return SETTLE.pack(exchange_timestamp, token, 0, operation, flags, price, quantity, reason, 0,
                       previous_token, order_reference, match_number, 0, 0, 0, 0)


GENEROUS = permissive(
    INSTRUMENT_LIMITS, quantity_max=1_000_000, notional_max=1 << 50, gross_notional_max=1 << 55,
    collar_price=UNLIMITED, collar_bps=UNLIMITED, position_long_max=1_000_000,
    position_short_max=1_000_000, open_orders_max=1_000, rate_burst=1_000_000)
GENEROUS_FIRM = permissive(
    FIRM_LIMITS, gross_notional_max=1 << 60, open_orders_max=10_000, rate_burst=1_000_000,
    intent_errors_max=1_000_000)


class Rig:
    """An order path, its book and its host."""

    def __init__(self, *, sessions=2, is_ready=True, **options):
        """Build it; ``is_ready``: generous limits, armed, sessions up, a live book."""
        arena = self.arena = Arena()
        count = len(SYMBOLS)
        self.book_side = BookSide(
            instruments=count, state=arena.take("state", 64 * count),
            feed_state=arena.take("feed", 8), filter=arena.take("filter", 4 << 16),
            sides=arena.take("sides", 128 * count), status=arena.take("status", 64 * (count + 1)),
            symbols=arena.take("symbols", 8 * count))
        self.status = arena.view("status", STATUS_LINE)[:count + 1]
        self.state = arena.view("state", dtype(STATE_LINE))
        self.feed_word = arena.view("feed", np.int64)
        arena.view("symbols", np.int64)[:count] = [int.from_bytes(name, "big") for name in SYMBOLS]
        for instrument, locate in enumerate(LOCATES):
            self.name(locate, instrument)
        self.path = OrderMemory(self.book_side, sessions=sessions, **options)
        self.address = self.path.address
        self.slot = np.zeros(64, np.uint8)
        self.read = 0
        self.consumed = self.path.arena.view("consumed", np.int64)
        self.up = self.path.arena.view("sessions", np.int64)[:sessions]
        self.tx = self.path.arena.view("tx")
        self.counters = self.path.arena.view("counters", np.int64)
        if is_ready:
            self.make_ready()

    def name(self, locate, instrument):
        """Give a locate to an instrument, or to nobody, as the book does for the directory."""
        is_watched = instrument is not None
        self.arena.view("filter", np.uint32)[locate] = 1 << 31 | instrument if is_watched else 0
        if is_watched:
            self.arena.view("sides", HEADER)[instrument]["locate"] = locate

    def make_ready(self, now=0):
        """Permit everything."""
        self.path.table.permit(GENEROUS_FIRM, **GENEROUS)
        self.path.commit(now)
        self.path.arm(now)
        self.up[:] = 1
        self.feed_word[0] = FeedState.LIVE
        self.status["market_phase"] = ord("Q")
        self.status["reg_sho"] = ord("0")
        for instrument in range(len(SYMBOLS)):
            self.book(instrument)
        self.records()

    def set_limits(self, instrument=None, **values):
        """Stage limits of one instrument or of all."""
        rows = self.path.limits if instrument is None else self.path.limits[instrument:][:1]
        for name, value in values.items():
            rows[name] = value

    def set_firm(self, **values):
        """Stage limits of the firm."""
        for name, value in values.items():
            self.path.firm[name] = value

    def set_strategy(self, strategy=None, **values):
        """Stage limits of one strategy or of all."""
        rows = self.path.table.strategies
        fill(rows if strategy is None else rows[strategy:][:1], values)

    def set_session(self, session=None, **values):
        """Stage limits of one order session or of all."""
        rows = self.path.table.sessions
        fill(rows if session is None else rows[session:][:1], values)

    def book(self, instrument=0, *, bid=100 * DOLLAR, ask=100 * DOLLAR + 100, trading_state=b"T",
             flags=0, last=0, version=1):
        """Write the state line of an instrument."""
        line = self.state[instrument]
        line["bid_price"], line["ask_price"], line["last_price"] = bid, ask, last
        line["trading_state"], line["flags"] = trading_state[0], flags
        line["version"] = line["version_head"] = version

    def put(self, octets: bytes) -> int:
        """Put one intent where the device looks at it; return the address."""
        self.slot[:] = list(octets)
        return self.slot.ctypes.data

    def execute(self, octets: bytes, now=0, *, seal=True) -> bytes:
        """Execute an intent as the engine does; return what it sends."""
        if seal:
            octets = sealed(octets, int(self.path.context["epoch"]),
                            int(self.path.context["expected"]))
        size = order_path.execute(self.address, self.put(octets), now)
        return self.leave(size, now)

    def leave(self, size: int, now=0) -> bytes:
        """Send ``size`` octets: return them, and tell the device."""
        assert size >= 0
        packet = self.tx[:size].tobytes()
        order_path.sent(self.address, now)
        return packet

    def new(self, now=0, **fields) -> bytes:
        """Execute a NEW intent; return what it sends."""
        return self.execute(pack_intent(**{"price": 100 * DOLLAR, "quantity": 100} | fields), now)

    def settle(self, now=0, **fields) -> int:
        """Execute an answer of the venue; return whether its order was known."""
        return order_path.settle(self.address, self.put(pack_settle(**fields)), now)

    def records(self) -> list[tuple[RecordType, dict]]:
        """Read the records that came since the last call, as the host does."""
        ring = self.path.ring
        slots = self.path.arena.view("records")
        found = []
        while self.read < int(ring["written"]):
            start = 64 * (self.read & int(ring["mask"]))
            octets = slots[start:start + 64].tobytes()
            self.read += 1
            assert int.from_bytes(octets[56:60], "little") == self.read & 0xFFFFFFFF
            kind = RecordType(octets[60])
            found.append((kind, wire.decode(RECORDS[kind], octets)))
        self.consumed[0] = self.read
        return found

    def last(self) -> tuple[RecordType, dict]:
        """Return the only record that came since the last call."""
        record, = self.records()
        return record

    def rejected(self, now=0, **fields) -> dict:
        """Execute a NEW intent that must be refused by the gate; return the record."""
        before = self.snapshot()
        assert self.new(now, **fields) == b""
        kind, record = self.last()
        assert kind == RecordType.RISK_REJECT, kind.name
        assert self.snapshot() == before, "a reject changed the gate's state"
        return record

    def send(self, now=0, **fields) -> int:
        """Execute an intent that sends one order or replace; return its token."""
        assert self.new(now, **fields)
        return self.last()[1]["token"]

    def answer(self, operation, token, now=0, **fields) -> list[tuple[RecordType, dict]]:
        """Settle one answer of the venue; return the records."""
        self.settle(now, operation=operation, token=token, **fields)
        return self.records()

    def refused(self, error, expected, received, **fields):
        """Execute an intent that must be refused before the gate, with that INTENT_ERROR."""
        before, errors = self.snapshot(), self.count("INTENT_ERRORS")
        assert self.new(**fields) == b""
        kind, record = self.last()
        assert kind == RecordType.INTENT_ERROR
        assert (record["error"], record["expected"], record["received"], record["intent_id"]) == (
            error, expected, received, fields.get("intent_id", 0))
        assert self.snapshot() == before and self.count("INTENT_ERRORS") == errors + 1

    def count(self, name: str) -> int:
        """Value of a counter."""
        return int(self.counters[CounterIndex[name]])

    def exposure(self, instrument=0) -> tuple[int, int, int]:
        """Shares of open buys, value and number of open orders."""
        row = self.path.exposures[instrument]
        return int(row["open_buy"]), int(row["open_notional"]), int(row["open_orders"])

    def snapshot(self) -> bytes:
        """Every octet of exposures, order table and gate."""
        path = self.path
        return (path.exposures.tobytes() + path.orders.tobytes() + path.gate.tobytes()
                + path.arena.view("strategies").tobytes()
                + path.arena.view("session_uses").tobytes()
                + path.context["next_token"].tobytes())


assert WINDOW_SLOTS == 64


def passes(rig, now=0, **fields):
    """Enter an order that goes; return its ORDER_SENT."""
    packet = rig.new(now, **fields)
    kind, record = rig.last()
    assert kind == RecordType.ORDER_SENT and packet
    return record


def fails(rig, check, limit, value, now=0, **fields):
    """Enter an order that this check alone refuses, with this limit and value."""
    record = rig.rejected(now, **fields)
    assert [row.name for row in failing(record["checks"])] == [check]
    assert CHECKS[record["check"]].name == check
    assert (record["limit"], record["value"]) == (limit, value)
