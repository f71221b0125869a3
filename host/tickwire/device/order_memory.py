"""Memory of one software order path: contexts, tables and ring, and the hands of control on it.

What changes here changes between two calls of the engine's loop: the thread that runs the loop
makes these calls, or the loop does not run.
"""

from dataclasses import dataclass

from tickwire.device.limits_table import REFUSALS, limits_table
from tickwire.errors import TickwireError
from tickwire.kernels import encoder, order_layout, order_path
from tickwire.kernels.arena import Arena
from tickwire.kernels.checksum import crc32c
from tickwire.kernels.ring import RING
from tickwire.spec.counters import COUNTER_SLOTS, CounterIndex
from tickwire.spec.intents import INTENT, WINDOW_SLOTS
from tickwire.spec.limits import LIMITS_ROW, NO_ROOM, STRATEGIES, limits_rows
from tickwire.spec.ouch50 import CAPACITIES, USER_REF_NUM_FIRST
from tickwire.spec.records import RECORD_SIZE
from tickwire.spec.registers import ARM_KEY, KillCause
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire.spec.stages import HISTOGRAM_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSide:
    """Addresses of what the order path reads of the book; the same thread writes it."""

    instruments: int
    state: int               # STATE_LINE of each instrument
    feed_state: int          # one word: FeedState
    filter: int              # 4 octets by locate: watched << 31 | instrument
    sides: int               # 128 octets of each instrument: the book's two sides, and its locate
    status: int              # STATUS_LINE of each instrument and of the market
    symbols: int             # by instrument: the symbol's 8 octets as a big-endian integer


class OrderMemory:
    """An order path and everything that its kernels touch; killed until it is armed.

    ``counters``, ``window``, ``ring`` (the order ring's slots) and ``consumed`` (the host's
    position in it) may be addresses in shared memory; what is 0 is private. ``address`` is the
    ORDERS context that kernels take, ``risk`` the RISK context, ``ring_context`` the RING.
    """

    def __init__(self, book: BookSide, *, orders_log2: int = 12, ring_log2: int = 12,
                 counters: int = 0, window: int = 0, ring: int = 0, consumed: int = 0,
                 market_ring: int = 0, sessions: int = 1, epoch: int = 1, ring_epoch: int = 1,
                 first_token: int = USER_REF_NUM_FIRST, capacity: str = "P") -> None:
        """Allocate; nothing may be sent before limits are committed, armed and a session is up."""
        if not 4 <= orders_log2 <= 24:
            raise ValueError(f"orders_log2 must be 4 to 24, not {orders_log2}")
        if not 6 <= ring_log2 <= 20:
            raise ValueError(f"ring_log2 must be 6 to 20, not {ring_log2}")
        if capacity not in CAPACITIES:
            raise ValueError(f"capacity must be one of {' '.join(CAPACITIES)}, not {capacity!r}")
        if not 1 <= sessions <= SESSIONS_MAX:
            raise ValueError(f"sessions must be 1 to {SESSIONS_MAX}, not {sessions}")
        self.book = book
        self.arena = Arena()
        take, rows = self.arena.take, self.arena.take_rows
        count = limits_rows(book.instruments)
        bank = LIMITS_ROW * count
        self.counters = counters or take("counters", 8 * COUNTER_SLOTS)
        self.window = window or take("window", INTENT.size * WINDOW_SLOTS)
        self.consumed = consumed or take("consumed", 8)
        self.sessions = take("sessions", 8 * sessions)
        self.acknowledge_stage = take("acknowledge_stage", 8 * HISTOGRAM_WORDS)

        self.ring_context = rows("ring", RING)
        r = self.arena.view("ring", RING)[0]
        r["base"] = ring or take("records", RECORD_SIZE << ring_log2)
        r["mask"] = (1 << ring_log2) - 1
        r["epoch"] = ring_epoch
        r["counters"] = self.counters
        r["counter"] = CounterIndex.ORDER_RECORDS
        r["consumed"] = self.consumed
        self.ring = r

        self.risk = rows("risk", order_layout.RISK)
        g = self.gate = self.arena.view("risk", order_layout.RISK)[0]
        g["killed"] = KillCause.POWER_ON
        g["limits"] = take("limits_a", bank)
        g["spare"] = take("limits_b", bank)
        g["derived"] = rows("derived_a", order_layout.DERIVED, count)
        g["spare_derived"] = rows("derived_b", order_layout.DERIVED, count)
        for name in ("derived_a", "derived_b"):
            self.arena.view(name, order_layout.DERIVED)["rate_room"] = NO_ROOM
        g["staging"] = take("staging", bank)
        g["instruments"] = book.instruments
        g["exposures"] = rows("exposures", order_layout.EXPOSURE, book.instruments)
        g["strategies"] = rows("strategies", order_layout.STRATEGY, STRATEGIES)
        g["session_uses"] = rows("session_uses", order_layout.SESSION_USE, SESSIONS_MAX)
        g["state"] = book.state
        g["status"] = book.status
        g["feed_state"] = book.feed_state
        g["sessions"] = self.sessions

        self.address = rows("orders", order_layout.ORDERS)
        o = self.context = self.arena.view("orders", order_layout.ORDERS)[0]
        o["risk"] = self.risk
        o["request"] = rows("request", order_layout.REQUEST)
        o["table"] = rows("table", order_layout.ORDER, 1 << orders_log2)
        o["mask"] = (1 << orders_log2) - 1
        o["next_token"] = first_token
        o["filter"], o["sides"] = book.filter, book.sides
        o["symbols"] = book.symbols
        o["capacity"] = ord(capacity)
        o["appendage"] = take("appendage", 8)
        self.arena.view("appendage")[:len(encoder.APPENDAGE)] = list(encoder.APPENDAGE)
        o["tx"] = take("tx", order_layout.TX_SIZE)
        o["staged"] = rows("staged", order_layout.STAGED, order_layout.BATCH)
        o["triggers"] = take("triggers", order_layout.TRIGGER_BLOCK * book.instruments)
        o["window"] = self.window
        o["intent"] = take("intent", INTENT.size)
        o["expected"] = 1
        o["epoch"] = epoch
        o["session_count"] = sessions
        o["ring"] = self.ring_context
        o["market_ring"] = market_ring
        o["counters"] = self.counters
        o["acknowledge_stage"] = self.acknowledge_stage

        self.table = limits_table(self.arena.view("staging")[:bank], book.instruments)
        self.firm, self.limits = self.table.firm, self.table.instruments
        self.exposures = self.arena.view("exposures", order_layout.EXPOSURE)[:book.instruments]
        self.orders = self.arena.view("table", order_layout.ORDER)[:1 << orders_log2]

    @property
    def killed(self) -> KillCause:
        """Causes of the kill; none when the device is armed."""
        return KillCause(int(self.gate["killed"]))

    def limits_crc(self) -> int:
        """Return the CRC-32C of the staged limits."""
        return int(crc32c(int(self.gate["staging"]),
                          LIMITS_ROW * limits_rows(self.book.instruments)))

    def commit(self, now: int) -> None:
        """Put the staged ``table`` in force.

        Raises :class:`TickwireError` when the device refuses them; what was in force stays so.
        """
        version = int(self.gate["version"]) + 1
        error = order_path.commit(self.address, version, self.limits_crc(), now)
        if error:
            raise TickwireError(f"Limits version {version} were refused: {REFUSALS[error]}.")

    def arm(self, now: int) -> None:
        """Arm the device with both keys; what killed it before no longer counts."""
        first = (int(self.context["epoch"]) ^ ARM_KEY) & 0xFFFF_FFFF
        for key in (first, first ^ 0xFFFF_FFFF):
            result = order_path.arm(self.address, key, now)
        if result != 1:
            raise TickwireError("The device is armed already; only a killed one can be armed.")

    def profit(self, instrument: int, price: int) -> int:
        """Return cash plus position at ``price`` of ``instrument``, 1e-4 dollars."""
        row = self.exposures[instrument]
        return int(row["cash"]) + int(row["position"]) * price
