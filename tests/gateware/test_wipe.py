"""After a reset nothing is left of what was before, though memories keep what they hold.

Method: a component gets random inputs, a reset, the cycles in which it clears its memories, and
random inputs again. From there on its outputs are those of one that was configured then.
"""

import functools

import numpy as np
import pytest

from tickwire_hw.catalogue import component
from tickwire_hw.order_rows import OrderRows
from tickwire_hw.wipe import Wipe
from tickwire_sim.model import CYCLE, Model
from tickwire_sim.verilate import verilate

ROWS = 4_000                                # of random inputs
ROWS_LOG2 = 4                               # orders of the table, so that rows are met again
IDLE = 5_000                                # cycles that the largest memory takes, and some
PARTS = ("exposures", "locates", "markets", "own_orders", "order_rows", "triggers")
OTHERS = ("arbiter", "capture", "clock", "commit", "early", "early_sight", "entry",
          "histogram_page", "host_frame", "intent_window", "interrupts", "kill", "levels",
          "line_port", "mass_cancel", "order_line", "publish", "record_writer", "sample_merge",
          "settle", "table_loader")
"""That clear their memories in another way, or heed nothing in them that was not written since.

Not those whose contract is to be given rows first: grid, frame, risk.
"""


@functools.cache
def model(name: str) -> Model:
    """The component, compiled with a reset."""
    part = OrderRows(ROWS_LOG2) if name == "order_rows" else component(name)
    return verilate(part, f"{name}_with_reset", has_reset=True)


def random_rows(card: Model, seed: int) -> np.ndarray:
    """Input rows in which every bit is 0 or 1 by chance."""
    random, rows = np.random.default_rng(seed), card.rows(ROWS)
    for name, port in card.ports.items():
        if port.is_input:
            column = rows[name]
            octets = np.frombuffer(random.bytes(column.nbytes), column.dtype).reshape(column.shape)
            left = port.width - (column.shape[1] - 1) * 64 if column.ndim == 2 else port.width
            rows[name] = octets
            last = rows[name][:, -1] if column.ndim == 2 else rows[name]
            last &= column.dtype.type((1 << left) - 1)
    return rows


def differences(found: np.ndarray, fresh: np.ndarray) -> list[str]:
    """Outputs that differ; what a stream shows while it is not valid does not count."""
    names = found.dtype.names
    wrong = []
    for name in names:
        valid = f"{name.removesuffix('payload')}valid"
        shown = found[valid] != 0 if name.endswith("__payload") and valid in names else slice(None)
        if name != CYCLE and (found[name][shown] != fresh[name][shown]).any():
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", [
    *PARTS, *(pytest.param(name, marks=pytest.mark.long) for name in OTHERS)])
def test_a_reset_leaves_nothing(name, seed):
    card = model(name)
    before, after = random_rows(card, 2 * seed), random_rows(card, 2 * seed + 1)
    idle = card.rows(IDLE)
    card.restart()
    card.run(idle)
    fresh = card.run(after)

    card.restart()
    card.run(idle)
    card.run(before)
    card.reset()
    card.run(idle)
    found = card.run(after)
    if "ready" in found.dtype.names:
        assert found["ready"].all()
    assert not differences(found, fresh)


def test_rows_are_named_after_a_reset_but_the_first():
    """Ready at once after configuration; after a reset every row is named once, then it is."""
    card = verilate(Wipe(5), "wipe_with_reset", has_reset=True)
    card.restart()
    assert card.run(card.rows(20))["ready"].all()
    for _ in range(2):
        card.reset()
        found = card.run(card.rows(20))
        assert list(found["ready"]) == [0] * 8 + [1] * 12
        assert list(found["row"][:8]) == list(range(8))


def test_a_reset_in_the_middle_begins_anew():
    card = verilate(Wipe(5), "wipe_with_reset", has_reset=True)
    card.restart()
    card.run(card.rows(3))
    card.reset()
    card.run(card.rows(5))
    card.reset()
    found = card.run(card.rows(9))
    assert list(found["ready"]) == [0] * 8 + [1] and list(found["row"][:8]) == list(range(8))


def test_a_reset_right_after_configuration_clears_nothing():
    """A card's reset is on while it is configured."""
    card = verilate(Wipe(5), "wipe_with_reset", has_reset=True)
    card.restart()
    card.reset()
    assert card.run(card.rows(9))["ready"].all()
