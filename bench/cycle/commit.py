"""From an operation on an order to the level that it names, and to its result."""

from collections.abc import Iterator

import numpy as np

from bench.cycle import Row
from tickwire.spec.geometry import CARD_SMALL
from tickwire_hw.commit import BookOperation, Commit
from tickwire_sim.verilate import verilate

ORDERS = 400
GAPS = (2, 4, 6)                           # cycles from one operation to the next
SEQUENCE = (BookOperation.ADD, BookOperation.TAKE, BookOperation.REMOVE, BookOperation.REPLACE)
_DRAIN = 32
_CONTEXT = 16


def rows() -> Iterator[Row]:
    """Yield the latency of each operation, over every distance from one to the next."""
    model = verilate(Commit(CARD_SMALL, context=_CONTEXT))
    # Every order is added, reduced, removed and, under another reference, added again.
    kinds = np.tile([operation.value for operation in SEQUENCE], ORDERS)
    references = 1 + np.repeat(np.arange(ORDERS), len(SEQUENCE))
    references[3::4] += ORDERS
    results: dict[BookOperation, list[int]] = {operation: [] for operation in SEQUENCE}
    for gap in GAPS:
        model.restart()
        start = 2 << CARD_SMALL.orders_log2              # it is clear by then
        at = start + gap * np.arange(len(kinds))
        given = model.rows(int(at[-1]) + _DRAIN)
        given["i__valid"][at] = 1
        columns = given[at]
        model.put(columns, "i__payload", operation=kinds, reference=references,
                  shares=np.where(kinds == BookOperation.TAKE.value, 10, 100), price=10_000,
                  instrument=1, context=np.arange(len(kinds)))
        given[at] = columns
        found = model.run(given, when="o__valid")
        assert (model.get(found, "o__payload", "context") == np.arange(len(kinds))).all()
        cycles = found["cycle"].astype(int) - at
        for operation in SEQUENCE:
            results[operation] += cycles[kinds == operation.value].tolist()
    for operation, counted in results.items():
        yield Row.of("order and level table: operation to result", counted,
                     "i valid to o valid", message=operation.name)
