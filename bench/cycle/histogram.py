"""From a sample to the word that shows it, and from the address of a word to the word."""

from collections.abc import Iterator

import numpy as np

from bench.cycle import Row
from tickwire_hw.histogram import Histogram
from tickwire_sim.verilate import verilate

CLEARED = 9_000                            # cycles in which both banks are clear
SAMPLES = 64
WAIT = 40


def rows() -> Iterator[Row]:
    """Yield the cycles of a sample that a swap follows at once, and of a read."""
    model = verilate(Histogram())
    model.restart()
    model.run(model.rows(CLEARED))
    given = model.rows(SAMPLES + WAIT)         # a sample a cycle; the count is word 0 of stage 0
    given["i__valid"][:SAMPLES] = 1
    given["swap"][SAMPLES - 1] = 1
    shown = model.run(given)["read_data"]
    yield Row.of("histogram: last sample before a swap to its count",
                 [int(np.flatnonzero(shown == SAMPLES)[0]) - (SAMPLES - 1)],
                 "i valid to read_data")
    given = model.rows(WAIT, read_word=2)
    given["read_word"][WAIT // 2] = 0
    found = model.run(given)["read_data"][WAIT // 2:]
    yield Row.of("histogram: address to word", [int(np.flatnonzero(found == SAMPLES)[0])],
                 "read_word to read_data")
