"""Memory of one software book: tables, contexts and ring, laid out from a geometry."""

import numpy as np

from tickwire.kernels import layout
from tickwire.kernels.arena import Arena
from tickwire.kernels.level_table import BUCKET
from tickwire.kernels.ring import RING
from tickwire.kernels.status import WATCHED, watch
from tickwire.kernels.window import set_grid
from tickwire.spec import itch50
from tickwire.spec.counters import COUNTER_SLOTS, CounterIndex
from tickwire.spec.geometry import SWEEP_DELAY, WAYS, Geometry
from tickwire.spec.records import RECORD_SIZE

LOCATES = 1 << 16
TYPES = 256


def _table_size(buckets_log2: int, stash_lines: int) -> int:
    """Octets of two hashed tables and their stash."""
    return BUCKET * ((2 << buckets_log2) + stash_lines)


class BookMemory:
    """A book and everything that its kernels touch.

    ``ring``, ``state`` and ``counters`` may be addresses in shared memory; without them they are
    private. ``watch`` maps symbols to tick sizes (1e-4 dollars, 0 taken from the first order);
    without it every locate below ``geometry.instruments`` is its own instrument number.
    """

    def __init__(self, geometry: Geometry, *, watch_symbols: dict[str, int] | None = None,
                 ring_log2: int = 12, ring: int = 0, state: int = 0, counters: int = 0,
                 epoch: int = 1, huge: bool = True, count_types: bool = False) -> None:
        """Allocate; memory is resident only where the book has been touched."""
        self.geometry = geometry
        self.arena = Arena()
        take = self.arena.take
        instruments = geometry.instruments
        words = geometry.window_words
        self.counters = counters or take("counters", 8 * COUNTER_SLOTS)
        self.state = state or take("state", 64 * instruments, huge=huge)
        self.ring = self.arena.take_rows("ring", RING)
        r = self.arena.view("ring", RING)[0]
        r["base"] = ring or take("records", RECORD_SIZE << ring_log2, huge=huge)
        r["mask"] = (1 << ring_log2) - 1
        r["epoch"] = epoch
        r["counters"] = self.counters
        r["counter"] = CounterIndex.RECORDS
        self.address = self.arena.take_rows("book", layout.BOOK)
        b = self.context = self.arena.view("book", layout.BOOK)[0]
        order_lines = -(-geometry.order_stash // WAYS)
        level_lines = -(-geometry.level_stash // WAYS)
        b["orders"] = take("orders", _table_size(geometry.orders_log2, order_lines), huge=huge)
        b["orders_log2"] = geometry.orders_log2
        b["orders_mask"] = (1 << geometry.orders_log2) - 1
        b["orders_right"] = b["orders"] + (BUCKET << geometry.orders_log2)
        b["orders_stash"] = b["orders"] + (2 * BUCKET << geometry.orders_log2)
        b["order_stash_lines"] = order_lines
        b["levels"] = take("levels", _table_size(geometry.levels_log2, level_lines), huge=huge)
        b["levels_shift"] = 32 - geometry.levels_log2
        b["levels_right"] = b["levels"] + (BUCKET << geometry.levels_log2)
        b["levels_stash"] = b["levels"] + (2 * BUCKET << geometry.levels_log2)
        b["level_stash_lines"] = level_lines
        b["sides"] = take("sides", 128 * instruments, huge=huge)
        b["bitmaps"] = take("bitmaps", 16 * words * instruments, huge=huge)
        b["window_words"] = words
        b["lookups"] = geometry.lookups
        b["depth"] = geometry.depth
        b["asked"] = take("asked", layout.ASKED_SIZE * SWEEP_DELAY)
        b["queue"] = take("queue", 8 * geometry.sweep_queue)
        b["queue_mask"] = geometry.sweep_queue - 1
        b["sweep"] = -1
        b["filter"] = take("filter", 4 * LOCATES)
        b["instruments"] = instruments
        b["symbols"] = take("symbols", 8 * instruments)
        slots = 1 << max(1, 2 * len(watch_symbols or ())).bit_length()
        b["watched"] = take("watched", 16 * slots)
        b["watched_mask"] = slots - 1
        b["status"] = take("status", 64 * (instruments + 1))
        b["state"] = self.state
        b["ring"] = self.ring
        b["counters"] = self.counters
        b["sizes"] = take("sizes", TYPES)
        self.arena.view("sizes")[:TYPES] = itch50.SIZES
        b["first_faults"] = take("first_faults", 8 * COUNTER_SLOTS)
        if count_types:
            b["by_type"] = take("by_type", 8 * TYPES)
        self._fill_sides()
        if watch_symbols is None:
            self._watch_all()
        else:
            self._watch(watch_symbols)

    def _fill_sides(self) -> None:
        sides = self.arena.view("sides", layout.SIDE)
        for name in ("best", "unseen_high", "unseen_low", "off_grid_high"):
            sides[name] = layout.EMPTY

    def _watch_all(self) -> None:
        count = self.geometry.instruments
        self.context["watch_all"] = 1
        filter_ = self.arena.view("filter", np.uint32)
        filter_[1:count] = np.arange(1, count, dtype=np.uint32) | np.uint32(WATCHED)
        self.arena.view("sides", layout.HEADER)["locate"] = np.arange(count)

    def _watch(self, symbols: dict[str, int]) -> None:
        if len(symbols) > self.geometry.instruments:
            raise ValueError(f"{len(symbols)} symbols do not fit the geometry's "
                             f"{self.geometry.instruments} instruments")
        for instrument, (symbol, tick) in enumerate(symbols.items()):
            octets = symbol.encode("ascii").ljust(8)
            watch(self.address, int.from_bytes(octets, "big"), instrument, tick)

    def set_tick(self, tick: int) -> None:
        """Give every instrument the same tick size, in 1e-4 dollars."""
        for instrument in range(self.geometry.instruments):
            set_grid(int(self.context["sides"]) + 128 * instrument, tick)

    def counter(self, index: CounterIndex) -> int:
        """Value of a counter."""
        import ctypes
        return ctypes.c_uint64.from_address(self.counters + 8 * int(index)).value

    @property
    def records_written(self) -> int:
        """Records written to the market ring so far."""
        return int(self.arena.view("ring", RING)[0]["written"])

    @property
    def records(self) -> np.ndarray:
        """The market ring's slots, 64 octets each; private rings only."""
        return self.arena.view("records").reshape(-1, RECORD_SIZE)

    def live_orders(self) -> int:
        """Number of orders in the order table, stash included."""
        lines = self.arena.view("orders", np.int64).reshape(-1, 8)
        return int(np.count_nonzero(lines[:, :4]))
