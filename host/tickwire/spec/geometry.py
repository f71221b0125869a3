"""Geometry: the sizes that decide what a device can hold, equal on all devices of one run.

The same kernels and gateware serve a 64-instrument card and a whole market. Two devices agree
record for record only when their geometry agrees, overflow included.
"""

from dataclasses import dataclass, field, fields, replace

HASH_MULTIPLIER = 0x9E3779B97F4A7C15       # 2^64 / golden ratio, odd (Knuth, TAOCP 3, 6.4)
LEVEL_LEFT_MULTIPLIER = 0x9E3779B1         # hash of a level's left bucket, prime near 2^32 / golden ratio
LEVEL_RIGHT_MULTIPLIER = 0x85EBCA77        # hash of its right bucket, prime near 2^31
DOLLAR = 10_000                            # below it a finer grid holds (Rule 612 of Regulation NMS)
CENT_TICK = 100                            # grid by a first order of a dollar or more
FINE_TICK = 1                              # grid by a first order below a dollar
GRID_SHIFT = 31                            # of a price's product with a grid's multiplier, beside its bits
WAYS = 4                                   # entries of one bucket: one cache line of 16 octets each
LEFT_FILL = 3                              # the left bucket is taken while it holds fewer than this
WINDOW_WORD = 64                           # ticks of one bitmap word
SWEEP_PERIOD = 4                           # messages from one step of a sweep to the next
SWEEP_DELAY = 4                            # steps from asking for a tick to its answer
MAX_DEPTH = 8
MAX_CACHED = 8
SHARE_LIMIT = (1 << 40) - 1                # shares that one level can hold
LEVEL_FULL = (1 << 40) - (1 << 32)         # with so many it takes no order: any that joins fits
ONE_ORDER = 1 << 40                        # a level is orders << 40 | shares


def _size(default: int, least: int, most: int, doc: str) -> int:
    """Declare a size with its inclusive bounds and a line of help."""
    size: int = field(default=default, metadata={"bounds": (least, most), "doc": doc})
    return size


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of the book: what it can hold, and how far it sees at once."""

    instruments:  int = _size(64, 1, 65_536, "Instruments that have a book.")
    orders_log2:  int = _size(14, 4, 26, "Buckets of four orders in each of the two order tables, as a power of two.")
    order_stash:  int = _size(64, 1, 4_096, "Orders that find no place there.")
    levels_log2:  int = _size(12, 4, 24, "Buckets of four price levels in each of the two level tables, as a power of two.")
    level_stash:  int = _size(32, 1, 4_096, "Levels that find no place there.")
    window_words: int = _size(64, 4, 64, "Price window of a side, in words of 64 ticks; a power of two.")
    lookups:      int = _size(16, 1, 64, "Ticks that one step looks up while a window goes down.")
    sweep_queue:  int = _size(64, 2, 4_096, "Sides that wait for that at most; a power of two.")
    depth:        int = _size(0, 0, MAX_DEPTH, "Levels a side that readers keep; LEVEL records are written when it is not 0.")
    cached:       int = _size(MAX_CACHED, 0, MAX_CACHED, "Best levels a side that a card keeps for early answers; 0 without them, never 1.")

    def __post_init__(self) -> None:
        """Check every size; the sentence names the field, the rule and the value."""
        for size in fields(self):
            value, (least, most) = getattr(self, size.name), size.metadata["bounds"]
            if not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"geometry.{size.name} must be {least} to {most}, not {value!r}")
        if self.cached == 1:
            raise ValueError("geometry.cached must be 0 or 2 to 8, not 1")
        for name in ("window_words", "sweep_queue"):
            value = getattr(self, name)
            if value & value - 1:
                raise ValueError(f"geometry.{name} must be a power of two, not {value}")

    @property
    def order_places(self) -> int:
        """Places for orders in both tables, stash excluded."""
        return 2 * WAYS << self.orders_log2

    @property
    def level_places(self) -> int:
        """Places for price levels in both tables, stash excluded."""
        return 2 * WAYS << self.levels_log2

    @property
    def window_ticks(self) -> int:
        """Ticks of one side's price window."""
        return self.window_words * WINDOW_WORD

    def registers(self, token_log2: int) -> tuple[int, int]:
        """Return registers GEOMETRY_BOOK and GEOMETRY_QUEUES of a device of this geometry."""
        book = (self.orders_log2, self.levels_log2, self.window_words, self.lookups, self.depth,
                token_log2)
        return ((self.instruments - 1) | sum(value << 16 + 8 * place
                                             for place, value in enumerate(book)),
                self.order_stash | self.level_stash << 16 | self.sweep_queue << 32
                | self.cached << 48)

    @classmethod
    def of(cls, book: int, queues: int) -> tuple["Geometry", int]:
        """Return the geometry that the two registers tell, and the order table's logarithm.

        Raises ``ValueError`` as the constructor does.
        """
        octets = [book >> 16 + 8 * place & 0xFF for place in range(6)]
        stashes = [queues >> 16 * place & 0xFFFF for place in range(4)]
        return cls(instruments=(book & 0xFFFF) + 1, orders_log2=octets[0], levels_log2=octets[1],
                   window_words=octets[2], lookups=octets[3], depth=octets[4],
                   order_stash=stashes[0], level_stash=stashes[1],
                   sweep_queue=stashes[2], cached=stashes[3]), octets[5]


CARD_SMALL = Geometry(instruments=4, orders_log2=9, order_stash=8, levels_log2=8, level_stash=8,
                      window_words=16, lookups=1, cached=6)
CARD_PLAIN = replace(CARD_SMALL, cached=0)
CARD_LARGE = Geometry(instruments=64, orders_log2=14, order_stash=64, levels_log2=12,
                      level_stash=32, window_words=64, lookups=1)
DEMO = Geometry(instruments=64, orders_log2=14, levels_log2=12, depth=8)
MARKET = Geometry(instruments=16_384, orders_log2=19, order_stash=1_024, levels_log2=18,
                  level_stash=1_024, window_words=64, lookups=16)


def tick_grid(tick: int) -> dict[str, int]:
    """Return the numbers of a tick size, 1 to 2^20 in 1e-4 dollars; 0 is that of the first order.

    A price has ``price x multiplier >> GRID_SHIFT + bits`` whole ticks; see
    :func:`tickwire.kernels.window.set_grid`. ``least`` is the lowest floor of a window of bids:
    below a dollar they are off the grid of ticks above 0.0001.
    """
    if not tick:
        return dict.fromkeys(("tick", "bits", "multiplier", "least"), 0)
    bits = (tick - 1).bit_length()
    return {"tick": tick, "bits": bits, "multiplier": -(-(1 << GRID_SHIFT + bits) // tick),
            "least": 0 if tick <= FINE_TICK else -(-DOLLAR // tick)}
