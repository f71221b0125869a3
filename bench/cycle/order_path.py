"""From an intent, what the market shows, or a kill at the order path to a frame's first word."""

from collections.abc import Iterator

import numpy as np

from bench.cycle import Row
from tickwire.device.limits_table import limits_table
from tickwire.kernels.checksum import crc32c
from tickwire.spec.checks import ALWAYS_HARD
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.intents import TRIGGER, TRIGGERS, Operation, TriggerKind
from tickwire.spec.limits import LIMITS_ROW, limits_rows
from tickwire.spec.records import BBO, FeedState, RecordType
from tickwire.spec.registers import ARM_KEY, KillCause
from tickwire.spec.render import dtype
from tickwire.spec.sessions import SessionOperation
from tickwire.spec.wire import Message
from tickwire_hw.kill import ARM_LATENCY
from tickwire_hw.limit_rows import ROW_CYCLES
from tickwire_hw.order_path import OrderPath
from tickwire_sim.model import Model
from tickwire_sim.verilate import verilate

ORDERS = 12
_LOCATE = 7
_U32 = 0xFFFF_FFFF
_CYCLES = 64
_SHOWN = {"i_early": "armed order: what its record will show to first word",
          "i_market": "armed order: market record to first word"}
_FIXED = {"sessions": 1, "has_room": 1, "sessions_up": 1, "record__ready": 1, "o__ready": 1,
          "feed_state": int(FeedState.LIVE)}


def rows() -> Iterator[Row]:
    """Yield the cycles of each kind of order message, when nothing else is being executed."""
    model = verilate(OrderPath(CARD_SMALL))
    for name, operation in (("new", Operation.NEW), ("replace", Operation.REPLACE),
                            ("cancel", Operation.CANCEL)):
        _ready(model)
        began, following = [], []
        for number in range(ORDERS):
            if operation != Operation.NEW:
                _execute(model, Operation.NEW, 0)
            found = _execute(model, operation, 2 * number + 1 if operation == Operation.REPLACE
                             else number + 1)
            began.append(int(found["o__valid"].argmax()))
            following.append(int(found["is_idle"][1:].argmax()) + 1)
        yield Row.of("order path: intent to first word", began, "i valid to o valid", message=name)
        yield Row.of("order path: intent to next intent", following, "i valid to idle",
                     message=name)
    for port, figure in _SHOWN.items():
        for name, kind in (("new", TriggerKind.TAKE), ("cancel", TriggerKind.CANCEL_ON_MOVE)):
            for slot in (0, TRIGGERS - 1):
                _ready(model)
                _execute(model, Operation.NEW, 0)
                began = [_fire(model, port, kind, slot, generation)
                         for generation in range(1, ORDERS)]
                yield Row.of(figure, began, f"{port} valid to o valid",
                             message=f"{name}, slot {slot}")
    yield Row.of("kill: cause to no further first word", _killed(model), "causes to o valid",
                 message="new")


def arm_trigger(model: Model, fixed: dict, **fields: int) -> None:
    """Arm a slot; ``fixed`` are the columns that stay."""
    given = model.rows(_CYCLES, **fixed)
    epoch = int(model.run(given)["epoch"][0])
    given["i__valid"][0] = 1
    model.put(given[:1], "i__payload", intent=_words(
        TRIGGER, operation=int(Operation.PRE_ARM), quantity=100, epoch=epoch, **fields))
    model.run(given)


def _fire(model: Model, port: str, kind: TriggerKind, slot: int, generation: int) -> int:
    """Arm a slot and show it what it waits for; return the cycles to the first word."""
    arm_trigger(model, _FIXED, locate=_LOCATE, price=1_000_000, token=1, kind=int(kind),
                slot=slot, generation=generation, trigger_price=1_000_000)
    given = model.rows(_CYCLES, **_FIXED)
    given[f"{port}__valid"][0] = 1
    if port == "i_early":
        model.put(given[:1], f"{port}__payload", is_early=1, sequence=generation,
                  ask=1_000_000, ask_quantity=100)
    else:
        model.put(given[:1], f"{port}__payload", kind=[int(RecordType.BBO)], octets=_words(
            BBO, locate=_LOCATE, ask_price=1_000_000, ask_quantity=100)[:, :-1])
    began = model.run(given)["o__valid"]
    assert began.any(), f"{kind.name} in slot {slot} has not fired"
    return int(began.argmax())


def _killed(model: Model) -> list[int]:
    """Return the cycles from a cause to the last one in which a first word is offered.

    The cause shows in each cycle around the one in which an order that nothing holds would begin,
    and while its first word waits for the line.
    """
    counted = []
    for cycle, is_free in ((cycle, is_free) for cycle in range(_CYCLES // 2)
                           for is_free in (0, 1)):
        _ready(model)
        given = _given(model, Operation.NEW, 0)
        given["o__ready"] = is_free
        given["causes"][cycle] = KillCause.EXTERNAL.value
        found = model.run(given)
        is_first = found["o__valid"] & model.get(found, "o__payload", "first")
        if is_first[cycle:].any():
            counted.append(int(np.flatnonzero(is_first[cycle:])[-1]) + 1)
    return counted


def _words(message: Message, **values: int) -> np.ndarray:
    row = np.zeros(1, dtype(message))
    for name, value in values.items():
        row[name] = value
    return row.view(np.uint64).reshape(1, -1)


def _ready(model: Model) -> None:
    model.restart()
    given = model.rows(1, **_FIXED)
    given["i_taught__valid"] = 1
    model.put(given, "i_taught__payload", is_watched=1, locate=_LOCATE)
    model.run(given)
    arm_device(model, _FIXED)


def arm_device(model: Model, fixed: dict) -> None:
    """Arm, with limits that permit what they can, and are soft where they may be."""
    instruments = CARD_SMALL.instruments
    octets = np.zeros(LIMITS_ROW * limits_rows(instruments), np.uint8)
    limits_table(octets, instruments).permit({"soft_checks": _U32 & ~ALWAYS_HARD})
    loaded = octets.view("<u8")
    given = model.rows(len(loaded) + ROW_CYCLES * limits_rows(instruments) + 16, **fixed)
    given["i_session__valid"][1] = given["table_begin__valid"][0] = 1
    model.put(given, "i_session__payload", operation=int(SessionOperation.LEASE))
    last = len(loaded) + 1
    given["table_word__valid"][1:last], given["table_word__payload"][1:last] = 1, loaded
    given["limits_commit__valid"][last] = 1
    model.put(given, "limits_commit__payload", version=1, crc=int(crc32c(
        octets.ctypes.data, len(octets))))
    assert model.run(given)["limits_version"][-1] == 1
    first = 1 ^ ARM_KEY
    for key in (first, first ^ _U32):
        given = model.rows(ARM_LATENCY, **fixed)
        given["i_arm__valid"][0], given["i_arm__payload"][0] = 1, key
        model.run(given)
    model.run(model.rows(_CYCLES, **fixed))


def _execute(model: Model, operation: Operation, token: int) -> np.ndarray:
    return model.run(_given(model, operation, token))


def _given(model: Model, operation: Operation, token: int) -> np.ndarray:
    given = model.rows(_CYCLES, **_FIXED)
    given["i__valid"][0] = 1
    model.put(given, "i__payload", intent__operation=int(operation), intent__token=token,
              intent__locate=_LOCATE, intent__price=1_000_000, intent__quantity=100)
    return given
