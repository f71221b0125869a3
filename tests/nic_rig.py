"""The card's network side twice: as the software device's kernels and as compiled gateware."""

import numpy as np

from tests.feed_rig import FeedRig
from tests.mac_rig import IDLE as IDLE_OCTET
from tests.mac_rig import TERMINATE, checked, frames, sent, words
from tests.mac_rig import octets as octets_of
from tests.order_card import Card as OrderCard
from tests.order_card import records_from
from tests.order_rig import GENEROUS, GENEROUS_FIRM
from tests.pipeline_rig import GROUPS, PORT, feed_columns
from tickwire.device.limits_table import limits_table
from tickwire.device.order_memory import BookSide, OrderMemory
from tickwire.kernels import order_path
from tickwire.kernels.arena import Arena
from tickwire.kernels.triggers import observe
from tickwire.spec.geometry import CARD_SMALL, tick_grid
from tickwire.spec.limits import LIMITS_ROW, limits_rows
from tickwire.spec.records import Line, RecordType
from tickwire.spec.sessions import HEADERS_SIZE
from tickwire_hw.nic import Nic
from tickwire_sim.verilate import verilate

TICK = 100
ROWS_LOG2 = 4
SESSIONS = 2
LIMITS = GENEROUS | {"collar_price": TICK}  # so that some orders are refused
DRAIN = 256                                # cycles in which a frame's records come out
IDLE = 0x0707_0707_0707_0707


def model_of():
    """Compile MACs and core, or load them."""
    return verilate(Nic(CARD_SMALL, ROWS_LOG2), "nic", parameters=f"{CARD_SMALL} {ROWS_LOG2}")


class Kernels:
    """Feed, books and order path, as :class:`SoftwareDevice` composes them."""

    def __init__(self, symbols):
        arena = self._arena = Arena()
        feed_state = arena.take("feed_state", 8)
        self.feed = FeedRig(CARD_SMALL, cut_through=True, watch_symbols=dict.fromkeys(symbols, 0),
                            feed_state=feed_state)
        self.feed.book.set_tick(TICK)
        for line in Line:
            self.feed.memory.listen(line, GROUPS[line], PORT)
        context = self.feed.book.context
        self.path = OrderMemory(BookSide(
            instruments=CARD_SMALL.instruments, state=int(context["state"]),
            feed_state=feed_state, filter=int(context["filter"]), sides=int(context["sides"]),
            status=int(context["status"]), symbols=int(context["symbols"])),
            orders_log2=ROWS_LOG2, ring_log2=10, sessions=SESSIONS)
        self.consumed = self.path.arena.view("consumed", np.int64)
        self.tx = self.path.arena.view("tx")
        self.path.arena.view("sessions", np.int64)[:SESSIONS] = 1
        self.path.table.permit(GENEROUS_FIRM, **LIMITS)
        self.path.commit(1)
        self.path.arm(1)
        self._read = int(self.path.ring["written"])

    def records(self):
        """Records of orders since the last call."""
        found = records_from(self.path, self._read)
        self._read = self.consumed[0] = int(self.path.ring["written"])
        return found

    def execute(self, octets, now):
        """Execute an intent; return the octets that leave."""
        held = np.frombuffer(octets, np.uint8).copy()
        size = order_path.execute(self.path.address, held.ctypes.data, now)
        packet = self.tx[:size].tobytes()
        order_path.sent(self.path.address, now)
        return packet

    def observe(self, record, now):
        """Show a market record to the triggers; return the octets that leave."""
        sent, slot, kind = b"", 0, int(record[60])
        held = np.ascontiguousarray(record)
        while slot >= 0 and kind in (RecordType.BBO, RecordType.TRADE):
            size, slot = observe(self.path.address, held.ctypes.data, kind, slot, now)
            sent += self.tx[:size].tobytes()
            order_path.sent(self.path.address, now)
        return sent

    def settle(self, octets, now):
        """Execute an answer."""
        held = np.frombuffer(octets, np.uint8).copy()
        order_path.settle(self.path.address, held.ctypes.data, now)


class Card(OrderCard):
    """The compiled card between XGMII and host."""

    RECORD, LINE = "order_record", "order"

    def __init__(self, model, symbols):
        self.SYMBOLS = [symbol.encode().ljust(8) for symbol in symbols]
        self.market_records, self.line = [], []
        super().__init__(model)
        octets = np.zeros(LIMITS_ROW * limits_rows(len(symbols)), np.uint8)
        limits_table(octets, len(symbols)).permit(GENEROUS_FIRM, **LIMITS)
        self.commit(octets.tobytes())
        self.arm()
        self.fixed["sessions_up"] = (1 << SESSIONS) - 1

    def begin(self):
        """Configure, and wait until the tables are clear."""
        self.fixed |= feed_columns(self.model) | {"now": 1, "has_room": 1}
        self.cycles(1, restart=1)
        for number, symbol in enumerate(self.SYMBOLS):
            self.cycles(1, i_watch=dict(instrument=number, symbol=int.from_bytes(
                symbol, "big")), i_grid=dict(
                    instrument=number, **{f"row__{name}": value
                                          for name, value in tick_grid(TICK).items()}))
        while not self.cycles(64)["ready"]:
            pass

    def columns(self, count, **columns):
        """Input rows of some cycles: idle lines, and what stays."""
        return self.model.rows(count, line_control__0=0xFF, line_control__1=0xFF,
                               line_data__0=IDLE, line_data__1=IDLE,
                               **{f"{self.RECORD}__ready": 1} | self.fixed | columns)

    def keep(self, rows, found):
        """Keep records of the market and of orders, and what frames on the order line carry."""
        self.market_records += self.records_of(found, "records")
        self.records += self.records_of(found, self.RECORD)
        self.line += octets_of(zip(found["order_data"].tolist(), found["order_control"].tolist(),
                                   strict=True))
        at = len(self.line)
        while at and self.line[at - 1] == IDLE_OCTET:
            at -= 1
        if not at or self.line[at - 1] == TERMINATE:
            for frame in frames(self.line):
                assert frame.is_whole
                self.sent += frame.octets[HEADERS_SIZE:-4]
            self.line = []
        self.frame = self.line                 # something is on its way
        return found[-1]

    def execute(self, octets, **judgment):
        """Execute an intent that the window judged."""
        self.give(i={"intent": np.frombuffer(octets, np.uint64).reshape(1, 8), **judgment})

    def give_frame(self, octets):
        """Send a frame on line A, and wait for its records."""
        found = words(sent(checked(octets)))
        rows = self.columns(len(found) + DRAIN)
        rows["line_data__0"][:len(found)], rows["line_control__0"][:len(found)] = zip(
            *found, strict=True)
        self.keep(rows, self.model.run(rows))
