"""From an operation on an order to the order that it finds, and to its result."""

from collections.abc import Iterator

import numpy as np

from bench.cycle import Row
from tickwire.spec.geometry import CARD_SMALL
from tickwire_hw.order_table import OrderOperation, OrderTable
from tickwire_sim.verilate import verilate

ORDERS = 400
GAPS = (2, 3, 5)                           # cycles from one operation to the next
SEQUENCE = (OrderOperation.ADD, OrderOperation.TAKE, OrderOperation.REMOVE,
            OrderOperation.REPLACE)
FINDS = (OrderOperation.TAKE, OrderOperation.REMOVE)
_DRAIN = 16


def rows() -> Iterator[Row]:
    """Yield the latency of each operation, over every distance from one to the next."""
    model = verilate(OrderTable(CARD_SMALL))
    # Every order is added, reduced, removed and, under another reference, added again.
    kinds = np.tile([operation.value for operation in SEQUENCE], ORDERS)
    references = 1 + np.repeat(np.arange(ORDERS), len(SEQUENCE))
    references[3::4] += ORDERS
    results: dict[OrderOperation, list[int]] = {operation: [] for operation in SEQUENCE}
    orders: dict[OrderOperation, list[int]] = {operation: [] for operation in FINDS}
    for gap in GAPS:
        model.restart()
        start = 2 << CARD_SMALL.orders_log2              # it is clear by then
        at = start + gap * np.arange(len(kinds))
        given = model.rows(int(at[-1]) + _DRAIN)
        given["i__valid"][at] = 1
        columns = given[at]
        model.put(columns, "i__payload", operation=kinds, reference=references,
                  order__shares=np.where(kinds == OrderOperation.TAKE.value, 10, 100),
                  order__price=10_000, order__instrument=1)
        given[at] = columns
        found = model.run(given, when=["o__valid", "o_found__valid"])
        cycles = found["cycle"][found["o__valid"] == 1].astype(int) - at
        for operation in SEQUENCE:
            results[operation] += cycles[kinds == operation.value].tolist()
        finding = np.isin(kinds, [operation.value for operation in FINDS])
        cycles = found["cycle"][found["o_found__valid"] == 1].astype(int) - at[finding]
        for operation in FINDS:
            orders[operation] += cycles[kinds[finding] == operation.value].tolist()
    for operation, counted in orders.items():
        yield Row.of("order table: operation to order found", counted,
                     "i valid to o_found valid", message=operation.name)
    for operation, counted in results.items():
        yield Row.of("order table: operation to result", counted,
                     "i valid to o valid", message=operation.name)
