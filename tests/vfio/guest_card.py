"""Inside the virtual machine: a device trades through a card that is another process.

The card has the network, this machine has none. What comes here are records that the card writes
to this machine's memory, what leaves are intents stored to its BAR. Every line is a result, the
last is PASS; the one before tells all that was seen, for the other side to compare.
"""

import ctypes
import json
import time
from collections.abc import Callable

import numpy as np

from tests.vfio.guest import find, main, say
from tests.vfio.guest_engine import engine_on
from tests.vfio.ivshmem import IVSHMEM, Ivshmem
from tests.vfio.market import KINDS, WATCHDOG_US, market
from tickwire.config import Config
from tickwire.device.base import register, word_at
from tickwire.device.card_device import CardDevice
from tickwire.device.pcie import PCIeDevice
from tickwire.engine import Engine
from tickwire.errors import TickwireError
from tickwire.kernels.compiling import when_compiling
from tickwire.spec.checks import CheckIndex
from tickwire.spec.intents import Operation
from tickwire.spec.records import STATE_LINE, FeedState, RecordType
from tickwire.spec.registers import BAR_REGISTERS, KillAction, KillCause, Status
from tickwire.spec.render import dtype

LOOK_SECONDS = 0.002
FILLS, TRADE_SECONDS = 20, 10.0            # with both the strategy has traded enough
SECONDS = 60.0                             # for anything that is waited for
_SHARES = 10
_STATE = dtype(STATE_LINE)
_AWAY = 100                                # ticks below the best bid, where nobody sells


def refusal(address: str, name: str, value: int) -> str:
    """Return what the driver says of a card whose register has another value."""
    beside = Ivshmem(address)
    offset, size = register(name, to_write=False)
    word = word_at(beside.bars[BAR_REGISTERS].address + offset, size)
    right, word.value = word.value, value
    try:
        PCIeDevice(Ivshmem(address)).close()
        return ""
    except TickwireError as error:
        return str(error)
    finally:
        word.value = right
        beside.close()


class Trader:
    """The run: every record of an order as it comes."""

    def __init__(self, card: CardDevice, engine: Engine) -> None:
        """Read from the first record on."""
        self.card, self.engine = card, engine
        self.answers = list[tuple[str, int, int, int]]()
        self.counts = dict.fromkeys((kind.name for kind in RecordType), 0)
        self.rejected = list[int]()            # checks that refused
        self._reader = card.order_reader()

    def until(self, is_done: Callable[[], bool], seconds: float = SECONDS) -> bool:
        """Read until ``is_done()``; returns whether it was, in time."""
        deadline = time.monotonic() + seconds
        while not is_done():
            if time.monotonic() > deadline:
                return False
            self._read()
            time.sleep(LOOK_SECONDS)
        return True

    def _read(self) -> None:
        for row in self._reader.read():
            name = RecordType(int(row["record_type"])).name
            self.counts[name] += 1
            if name in KINDS:
                self.answers.append((name, *(int(row[field]) for field in
                                             ("token", "quantity", "price"))))
            elif name == "RISK_REJECT":
                self.rejected.append(int(row["check"]))

    @property
    def lost(self) -> int:
        """Order records that were overwritten unread."""
        return self._reader.lost

    def buy_low(self) -> None:
        """Ask for an order that rests far below the market."""
        octets = (ctypes.c_char * STATE_LINE.size).from_address(self.card.layout.state)
        bid = int(np.frombuffer(octets, _STATE)[0]["bid_price"])
        position = self.engine.positions[0]
        self.engine.submit({
            "operation": Operation.NEW, "locate": int(position["locate"]), "strategy": 1,
            "intent_id": 1 << 30, "quantity": _SHARES,
            "price": bid - _AWAY * int(position["tick"])})


def run() -> None:
    """Open the card, trade, kill, and tell what came of it."""
    compiled: list[str] = []
    when_compiling(lambda name, number: compiled.append(name))
    address, config = find(IVSHMEM), market()
    for name, value, words in (("DIGEST", 1, "tables with digest 0000000000000001"),
                               ("MAGIC", 0, "it is not a tickwire device"),
                               ("ABI", 0xFFFF_0000, "has ABI 65535.0"),
                               ("MAGIC", 0xFFFF_FFFF, "every register reads as ones")):
        said = refusal(address, name, value)
        say(f"refused: {said}", words in said)
    with engine_on(Ivshmem(address), config) as (card, engine):
        trade(card, engine, config)
        say(f"compiled here: {', '.join(compiled) or 'nothing'}", not compiled)


def trade(card: CardDevice, engine: Engine, config: Config) -> None:
    """Arm, trade, rest an order, kill, and be refused."""
    trader, positions = Trader(card, engine), engine.positions
    say(f"card {card.name}: rings in huge pages, {card.geometry.instruments} instruments",
        not card.remark)
    say("a register is written and read", _echoes(card))
    say(f"limits version {card.commit_limits()} in force")
    card.write_register("KILL_ACTION", KillAction.MASS_CANCEL)
    card.write_register("WATCHDOG_PERIOD", WATCHDOG_US)
    say("market data is live and the order session up", trader.until(
        lambda: Status.SESSION_UP in card.status
        and card.read_register("FEED_STATE") == FeedState.LIVE
        and all(positions["locate"][:len(card.symbols)])))
    _arm(card)
    say("armed by two keys", not card.killed and Status.ARMED in card.status)
    begin = time.monotonic()
    has_traded = trader.until(lambda: time.monotonic() - begin > TRADE_SECONDS
                              and int(positions["fills"].sum()) >= FILLS)
    say(f"{config.strategy.path} traded for {time.monotonic() - begin:.1f} s: "
        f"{int(positions['fills'].sum())} fills", has_traded)
    trader.buy_low()
    say("an order rests at the venue", trader.until(lambda: positions["open_buy"][0] > 0))
    card.kill()
    say("killed, and every open order cancelled", trader.until(
        lambda: KillCause.REGISTER in card.killed and not positions["open_orders"].any()))
    refused = len(trader.rejected)
    trader.buy_low()
    say("an order after the kill is refused for it", trader.until(
        lambda: CheckIndex.GLOBAL_KILL in trader.rejected[refused:]))
    _tell(trader)


def _arm(card: CardDevice) -> None:
    """Arm, as often as it takes an emulated processor to give both keys within 1 ms."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return card.arm()
        except TickwireError:
            if time.monotonic() > deadline:
                raise


def _echoes(card: CardDevice) -> bool:
    card.write_register("ECHO", 0x1234_5678)
    card.wait(lambda: card.read_register("ECHO") != 0x1234_5678, 2.0, "answer")
    return card.read_register("ECHO") == 0x1234_5678 ^ 0xFFFF_FFFF


def _tell(trader: Trader) -> None:
    """Tell all that was seen, for the other side to compare."""
    card, engine = trader.card, trader.engine
    engine.stop()                              # all that it has left is shown
    counters = card.counters()
    names = ("messages", "messages_lost", "gaps", "records_dropped", "orders_sent", "cancels_sent",
             "orders_accepted", "fills", "intents", "intent_errors", "risk_rejects")
    own = engine.host
    say(f"{int(own['market_next']) - 1:,} market and {int(own['orders_next']) - 1:,} order records "
        "read, none lost", not trader.lost and not counters["records_lost"])
    print(json.dumps({
        "counters": {name: counters[name] for name in names},
        "sent": trader.counts["ORDER_SENT"], "answers": trader.answers,
        "positions": {symbol: [int(engine.positions[place][field])
                               for field in ("position", "cash", "fills")]
                      for place, symbol in enumerate(card.symbols)}}), flush=True)


if __name__ == "__main__":
    main(run)
