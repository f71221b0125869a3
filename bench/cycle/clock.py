"""From a write to the clock to the first time that shows it."""

from collections.abc import Iterator

import numpy as np

from bench.cycle import Row
from tickwire.spec.registers import CLOCK_FRACTION_BITS
from tickwire_hw.clock import Clock
from tickwire_sim.verilate import verilate

CYCLES = 64
WRITES = {"i_increment": 200 << CLOCK_FRACTION_BITS, "i_set": 1 << 40, "i_slew": 1_000}


def rows() -> Iterator[Row]:
    """Yield the cycles of each kind of write, at several cycles."""
    model = verilate(Clock())

    def times(name: str = "", at: int = 0) -> np.ndarray:
        given = model.rows(CYCLES, rate=(1 << 32) - 1)
        if name:
            given[f"{name}__valid"][at], given[f"{name}__payload"][at] = 1, WRITES[name]
        model.restart()
        return model.run(given)["now"]

    plain = times()
    for name in WRITES:
        counted = [int(np.flatnonzero(times(name, at) != plain)[0]) - at for at in range(8, 40)]
        yield Row.of("clock: write to time", counted, f"{name} valid to now", message=name[2:])
