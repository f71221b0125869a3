"""From an order, from its verdict and from the kill to the words of a frame."""

from collections.abc import Iterator

import numpy as np

from bench.cycle import Row
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.intents import IntentFlag, Operation
from tickwire.spec.sessions import SESSIONS_MAX, SessionOperation
from tickwire_hw.frame import Frame
from tickwire_sim.model import Model
from tickwire_sim.verilate import verilate

ORDERS = 40
KINDS = {"new": (Operation.NEW, 0), "new, post-only": (Operation.NEW, IntentFlag.POST_ONLY),
         "replace": (Operation.REPLACE, 0), "cancel": (Operation.CANCEL, 0)}
_DRAIN = 20


def rows() -> Iterator[Row]:
    """Yield the cycles of each kind of order, one right after the other on all sessions."""
    model = verilate(Frame(CARD_SMALL))
    for name, (operation, flags) in KINDS.items():
        taken, first, apart = _run(model, operation, flags)
        yield Row.of("frame: verdict to first word", first - taken - 1, "passes to o valid",
                     message=name)
        yield Row.of("frame: from order to order at full rate", apart, "order taken",
                     message=name)
    yield Row.of("frame: kill to no further first word", _killed(model), "is_killed to o valid",
                 message="new")


def _leased(model: Model) -> None:
    model.restart()
    given = model.rows(2 * SESSIONS_MAX)
    given["i_session__valid"] = 1
    model.put(given, "i_session__payload", session=np.repeat(np.arange(SESSIONS_MAX), 2),
              operation=int(SessionOperation.LEASE))
    model.run(given)


def _run(model: Model, operation: Operation, flags: int) -> tuple[np.ndarray, ...]:
    """Return the cycles in which orders were taken and begun, and those between two of them."""
    _leased(model)
    row, taken, first = model.rows(1, o__ready=1, passes=1), [], []
    while len(taken) < ORDERS:
        row["order__valid"], row["next_session"] = 1, len(taken) % SESSIONS_MAX
        model.put(row, "order__payload", operation=int(operation), flags=int(flags),
                  session=len(taken) % SESSIONS_MAX, token=1)
        found = model.run(row)
        if found["order__ready"][0]:
            taken.append(int(found["cycle"][0]))
        if found["o__valid"][0] and model.get(found, "o__payload", "first")[0]:
            first.append(int(found["cycle"][0]))
    began = np.array(first)
    return np.array(taken)[:len(began)], began, np.diff(taken)


def _killed(model: Model) -> list[int]:
    """Return the cycles from the kill to the last cycle in which a waiting word is offered."""
    counted = []
    for wait in range(1, _DRAIN):
        _leased(model)
        given = model.rows(2 * _DRAIN, passes=1)       # the line is busy: nothing is taken
        given["order__valid"][0] = 1
        given["is_killed"][1 + wait:] = 1
        model.put(given, "order__payload", operation=int(Operation.NEW), token=1)
        start = SESSIONS_MAX * 2
        found = model.run(given, when="o__valid")["cycle"].astype(int) - start
        counted.append(int(found.max()) + 1 - (1 + wait))
    return counted
