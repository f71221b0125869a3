"""Risk gate and order path: what an order costs from the intent to the encoded packet.

Orders are drawn at random over 64 instruments, both sides, and are prepared before the clock
runs: in blocks of 64, the size of the intent window. A run's figure is the median of its blocks,
so that what else the machine does counts little. Every order passes all checks unless the row
says otherwise. Answers that free the exposures come between the blocks, with a clock of their own.
"""

import numpy as np

from bench.report import Contender, Report, measure
from tickwire.device.order_memory import BookSide, OrderMemory
from tickwire.kernels import exposures, order_path, risk
from tickwire.kernels.arena import Arena
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import HEADER, STATUS_LINE
from tickwire.kernels.memory import CLOCK_MONOTONIC, nanoseconds, store8, store32, store64
from tickwire.kernels.order_layout import REQUEST
from tickwire.spec.intents import INTENT, SETTLE, Operation
from tickwire.spec.limits import OrderPermit
from tickwire.spec.records import STATE_LINE, FeedState
from tickwire.spec.render import dtype

INSTRUMENTS = 64
BLOCK = 64
BLOCKS = 4_000
MID = 1_000_000                            # 100 dollars
SHARES_MAX = 1_000
_INTENT_SIZE = INTENT.size
_REQUEST_SIZE = REQUEST.itemsize
_OPERATION = SETTLE.field("operation")[1]
_TOKEN = SETTLE.field("token")[1]
_REJECTED = Operation.SETTLE_REJECTED.value


class World:
    """An order path with live books and orders for them."""

    def __init__(self, seed: int = 1) -> None:
        """Build it, armed, with limits that nothing here reaches."""
        random = np.random.default_rng(seed)
        arena = self.arena = Arena()
        side = BookSide(
            instruments=INSTRUMENTS, state=arena.take("state", 64 * INSTRUMENTS),
            feed_state=arena.take("feed", 8), filter=arena.take("filter", 4 << 16),
            sides=arena.take("sides", 128 * INSTRUMENTS),
            status=arena.take("status", 64 * (INSTRUMENTS + 1)),
            symbols=arena.take("symbols", 8 * INSTRUMENTS))
        arena.view("status", STATUS_LINE)["market_phase"] = ord("Q")
        arena.view("filter", np.uint32)[1:1 + INSTRUMENTS] = (
            np.arange(INSTRUMENTS, dtype=np.uint32) | np.uint32(1 << 31))
        arena.view("sides", HEADER)[:INSTRUMENTS]["locate"] = np.arange(1, 1 + INSTRUMENTS)
        arena.view("symbols", np.int64)[:INSTRUMENTS] = int.from_bytes(b"TICKER  ", "big")
        arena.view("feed", np.int64)[0] = FeedState.LIVE
        state = arena.view("state", dtype(STATE_LINE))[:INSTRUMENTS]
        state["bid_price"], state["ask_price"], state["last_price"] = MID, MID + 100, MID
        state["trading_state"] = ord("T")
        path = self.path = OrderMemory(side)
        path.ring["consumed"] = 0              # nobody reads the records here
        path.arena.view("sessions", np.int64)[0] = 1
        path.table.permit(collar_price=500, collar_bps=50, quantity_max=SHARES_MAX,
                          last_collar_bps=100, permits=sum(OrderPermit) ^ OrderPermit.ANY_PHASE)
        path.commit(0)
        path.arm(0)
        intents = self.intents = np.zeros(BLOCK, dtype(INTENT))
        intents["operation"] = Operation.NEW
        intents["locate"] = random.integers(1, 1 + INSTRUMENTS, BLOCK)
        intents["price"] = MID + 100 * random.integers(-2, 3, BLOCK)
        intents["quantity"] = random.integers(1, 1 + SHARES_MAX, BLOCK)
        intents["flags"] = random.integers(0, 2, BLOCK)
        requests = self.requests = np.zeros(BLOCK, REQUEST)
        requests["instrument"] = intents["locate"] - 1
        requests["is_sell"] = intents["flags"]
        requests["kinds"] = OrderPermit.DAY
        for name in ("price", "quantity"):
            requests[name] = intents[name]
        requests["notional"] = requests["price"] * requests["quantity"]
        requests["added_notional"], requests["added_orders"] = requests["notional"], 1
        requests["added_quantity"], requests["has_place"] = requests["quantity"], 1
        self.settle = np.zeros(64, np.uint8)


@kernel
def checks(gate, requests, blocks, times):
    """Check blocks of requests; writes nanoseconds of each, returns all masks together."""
    masks = 0
    for block in range(blocks):
        start = nanoseconds(CLOCK_MONOTONIC)
        for index in range(BLOCK):
            masks |= risk.check(gate, requests + index * _REQUEST_SIZE, block)
        store64(times + 8 * block, nanoseconds(CLOCK_MONOTONIC) - start)
    return masks


@kernel
def gates(gate, requests, blocks, times):
    """Check and reserve; writes nanoseconds of each block, returns all masks together."""
    masks = 0
    for block in range(blocks):
        start = nanoseconds(CLOCK_MONOTONIC)
        for index in range(BLOCK):
            request = requests + index * _REQUEST_SIZE
            mask = risk.check(gate, request, block)
            if mask == 0:
                exposures.reserve(gate, request, block)
            masks |= mask
        store64(times + 8 * block, nanoseconds(CLOCK_MONOTONIC) - start)
    return masks


@kernel
def paths(orders, intents, settle, blocks, epoch, sequence, times):
    """Execute blocks of intents and reject every order; writes nanoseconds of both by block."""
    now = 0
    for block in range(blocks):
        first = sequence
        for index in range(BLOCK):
            order_path.seal(intents + index * _INTENT_SIZE, epoch, sequence + index)
        start = nanoseconds(CLOCK_MONOTONIC)
        for index in range(BLOCK):
            now += 1_000
            order_path.execute(orders, intents + index * _INTENT_SIZE, now)
        store64(times + 16 * block, nanoseconds(CLOCK_MONOTONIC) - start)
        sequence += BLOCK
        start = nanoseconds(CLOCK_MONOTONIC)
        for index in range(BLOCK):
            store32(settle + _TOKEN, first + index)
            store8(settle + _OPERATION, _REJECTED)
            order_path.settle(orders, settle, now)
        store64(times + 16 * block + 8, nanoseconds(CLOCK_MONOTONIC) - start)


def main(report: Report) -> None:
    """Measure the gate alone, then the whole path, passing and refusing."""
    gate(report)
    path(report)


def gate(report: Report) -> None:
    """Measure checks without and with their effects."""
    def contender(function) -> Contender:
        world = World()
        times = np.zeros(BLOCKS, np.int64)

        def run() -> float:
            masks = function(world.path.risk, world.requests.ctypes.data, BLOCKS,
                             times.ctypes.data)
            assert masks == 0, masks
            # Without fills and rejects the exposures would grow for ever.
            world.path.exposures[:] = 0
            for name in ("open_notional", "open_buy_notional", "open_orders", "position_value",
                         "net_value", "rate_time"):
                world.path.gate[name] = 0
            return float(np.median(times)) / BLOCK
        return run
    found = measure(contender(checks), contender(gates), report.repeats)
    report.add("all checks", "ns/order", found.first, note="verdict only")
    report.add("all checks, exposures taken up", "ns/order", found.second, note="goal 60, then 30")


def path(report: Report) -> None:
    """Measure intents that pass and intents that are refused, and the answers of the venue."""
    backs: list[float] = []

    def contender(quantity: int | None) -> Contender:
        world = World()
        times = np.zeros((BLOCKS, 2), np.int64)
        if quantity is not None:
            world.intents["quantity"] = quantity
        context = world.path.context

        def run() -> float:
            context["next_token"] = context["expected"]
            paths(world.path.address, world.intents.ctypes.data, world.settle.ctypes.data, BLOCKS,
                  int(context["epoch"]), int(context["expected"]), times.ctypes.data)
            assert not world.path.killed, world.path.killed
            if quantity is None:
                assert int(world.path.gate["open_orders"]) == 0
                backs.append(float(np.median(times[:, 1])) / BLOCK)
            return float(np.median(times[:, 0])) / BLOCK
        return run
    found = measure(contender(None), contender(SHARES_MAX + 1), report.repeats)
    report.add("intent to packet", "ns/order", found.first,
               note="copy, CRC-32C, epoch, sequence, checks, order table, OUCH in SoupBinTCP, "
                    "ORDER_SENT record of the order before")
    report.add("intent to RISK_REJECT record", "ns/order", found.second)
    report.add("venue's answer", "ns/order", backs[-report.repeats:],
               note="order table, exposures, record")
