"""From the word with a message's last octet to the first word of an order that was armed for it.

Market data and order path as one, as in a card, between the MACs.
"""

from collections.abc import Iterator

from bench.cycle import Row
from bench.cycle.order_path import arm_device, arm_trigger
from bench.cycle.pipeline import (
    BOOK,
    LANES,
    MESSAGES,
    TICK,
    begin,
    configured,
    feed,
    fillers,
    put_frame,
)
from bench.far import LOCATE, PRICE
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.intents import IntentFlag, TriggerKind
from tickwire_hw.core import Core
from tickwire_sim.model import Model
from tickwire_sim.verilate import verilate

_FIXED = {"sessions": 1, "has_room": 1, "sessions_up": 1, "order_record__ready": 1,
          "o_order__ready": 1}
_FEED = ("keys", "size_max", "lines", "start", "accept_session", "watch_all")
_QUIET = 700                               # cycles: what came before is long done
_WAITING = 128
_SALE = int(IntentFlag.SELL)
_FEWER = {"kind": TriggerKind.SIZE, "trigger_price": PRICE, "trigger_quantity": 90, "flags": _SALE}
TRIGGERS = {                               # what waits for a message, which makes it hold
    "A": {"kind": TriggerKind.JOIN, "trigger_price": PRICE + TICK},
    "D, best lost": {"kind": TriggerKind.CROSS, "trigger_price": PRICE - TICK, "flags": _SALE},
    "E": _FEWER, "C": _FEWER, "X": _FEWER,
    "E, best lost": {"kind": TriggerKind.CROSS, "trigger_price": PRICE - TICK, "flags": _SALE},
    "U": {"kind": TriggerKind.JOIN, "trigger_price": PRICE + TICK}}


def _cycles(model: Model, name: str, octets: int) -> int:
    """Cycles to the first word, where ``octets`` come before the message, modulo the word."""
    begin(model)
    one = configured(model, 1)
    fixed = _FIXED | {name: one[name][0] for name in _FEED}
    arm_device(model, fixed)
    rows = model.rows(_QUIET, **fixed)
    put_frame(model, rows, 0, feed(1, BOOK))
    model.run(rows)
    arm_trigger(model, fixed, locate=LOCATE, price=PRICE, slot=0, generation=1, **TRIGGERS[name])
    rows = model.rows(_WAITING, **fixed)
    last = put_frame(model, rows, 0, feed(1 + len(BOOK), [*fillers(octets), MESSAGES[name]]))
    began = model.run(rows)["o_order__valid"]
    assert began.any(), f"nothing was sent for {name}"
    return int(began.argmax()) - last


def rows() -> Iterator[Row]:
    """Yield the cycles of each type of order message, over all eight alignments of its end."""
    model = verilate(Core(CARD_SMALL), "core_small")
    for name in TRIGGERS:
        yield Row.of("armed order: last octet to first word, book idle", (
            _cycles(model, name, octets) for octets in range(LANES)),
            "words valid to o_order valid", message=name)
