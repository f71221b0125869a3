"""From an order in front of the risk gate to its verdict, and what answers and kills take."""

from collections.abc import Iterator

import numpy as np

from bench.cycle import Row
from tickwire.spec.geometry import CARD_SMALL
from tickwire_hw.risk import AHEAD, Risk
from tickwire_sim.verilate import verilate

ORDERS = 1_000
GAPS = (1, 2, 5)                           # cycles from one order to the next
_DRAIN = 16


def rows() -> Iterator[Row]:
    """Yield latencies; orders come as densely as one a cycle."""
    model = verilate(Risk(CARD_SMALL))
    fields, instruments = [], []
    for gap in GAPS:
        model.restart()
        at = gap * np.arange(ORDERS)
        given = model.rows(int(at[-1]) + _DRAIN)
        given["ahead__valid"][at] = 1
        cycles = model.run(given, when="o__valid")["cycle"].astype(int)
        instruments += (cycles - at).tolist()
        fields += (cycles - at - AHEAD).tolist()
    yield Row.of("risk: order to verdict, all checks", fields, "i to o valid")
    yield Row.of("risk: order to verdict, all checks", instruments,
                 "ahead valid to o valid", message="from its instrument")

    model.restart()
    given = model.rows(64)
    given["answer__valid"][0] = given["ahead__valid"][:] = 1
    found = model.run(given)
    taken = found["cycle"][found["answer__ready"] == 1][:1]
    ready = found["cycle"][(found["ahead__ready"] == 1) & (found["cycle"] > taken[0])][:1]
    yield Row.of("risk: answer to the next order", (ready - taken).astype(int),
                 "answer taken to ahead ready")
