"""The level table twice, as compiled gateware and as kernels, for columns of operations."""

from collections import Counter

import numpy as np

from tests.table_rig import clear, noisy_rows
from tickwire.device.book_memory import BookMemory
from tickwire.kernels import level_table
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at
from tickwire.kernels.memory import load64, store64, view
from tickwire.spec.geometry import ONE_ORDER, SHARE_LIMIT, Geometry
from tickwire_hw.level_table import RESULT_AGE, LevelOperation, LevelTable
from tickwire_sim.verilate import verilate

CONTEXT = 20                                # bits that are carried along: the operation's number
FLAGS = ("found", "new", "lost", "overflow")
FOUND, NEW, LOST, OVERFLOW = (1 << bit for bit in range(len(FLAGS)))
LOOK_UP, ADD, SUBTRACT = (operation.value for operation in LevelOperation)
KEY = ("instrument", "side", "price")
# `cycle` is when the operation is at the input, `refuse` what the card's input says to it.
OPERATION = np.dtype([(name, "i8") for name in (
    "operation", *KEY, "shares", "is_gone", "refuse", "cycle")], align=True)
RESULT = np.dtype([(name, "i8") for name in ("flags", "orders", "shares", "stash")], align=True)
_OPERATION_SIZE, _RESULT_SIZE = OPERATION.itemsize, RESULT.itemsize
_operation_at, _result_at = view(OPERATION), view(RESULT)
_LARGEST = (1 << 32) - 1


@kernel
def _add(book, key, entry, o):
    is_new = entry == level_table.NONE
    if o["refuse"]:
        return 0 if is_new else FOUND
    if is_new:
        entry = level_table.place(book, level_table.left_bucket(book, key), key)
        if entry == level_table.NONE:
            return OVERFLOW
    before = load64(entry + level_table.VALUES)
    if (before & SHARE_LIMIT) + o["shares"] > SHARE_LIMIT:
        return FOUND | OVERFLOW
    store64(entry + level_table.VALUES, before + ONE_ORDER + o["shares"])
    return NEW if is_new else FOUND


@kernel
def _make_legal(o, value):
    """Let ``o`` take no more than there is: the last order goes with all shares, none without."""
    shares, orders = value & SHARE_LIMIT, value >> 40
    if orders == 1:
        o["is_gone"] = 1 if o["shares"] >= shares else 0
        o["shares"] = min(o["shares"], shares)
    elif shares - o["shares"] < orders - o["is_gone"]:
        o["shares"] = o["is_gone"] = 1


@kernel
def _subtract(book, entry, o):
    _make_legal(o, load64(entry + level_table.VALUES))
    value = load64(entry + level_table.VALUES) - o["shares"] - o["is_gone"] * ONE_ORDER
    store64(entry + level_table.VALUES, value)
    if value == 0:
        level_table.remove(book, entry)
        return FOUND | LOST
    return FOUND


@kernel
def _apply(book, operations, results, order, count):
    """Apply operations in the order that 8-octet numbers at ``order`` say."""
    for place in range(count):
        number = load64(order + 8 * place)
        o = _operation_at(operations + number * _OPERATION_SIZE)
        r = _result_at(results + number * _RESULT_SIZE)
        key = level_table.key_of(o["instrument"], o["side"], o["price"])
        entry = level_table.search(book, key)
        flags = 0 if entry == level_table.NONE else FOUND
        if o["operation"] == ADD:
            flags = _add(book, key, entry, o)
        elif o["operation"] == SUBTRACT and flags and o["refuse"] == 0:
            flags = _subtract(book, entry, o)
        r["flags"] = flags
        if flags & (FOUND | NEW) and flags & LOST == 0:
            value = load64(level_table.search(book, key) + level_table.VALUES)
            r["orders"], r["shares"] = value >> 40, value & SHARE_LIMIT
        r["stash"] = book_at(book)["level_stash_used"]


def kernel_results(geometry: Geometry, operations: np.ndarray) -> np.ndarray:
    """Results of the kernels, from an empty table on.

    What a ``SUBTRACT`` takes is made to fit its level, in ``operations``. A look-up comes before a
    change of the cycle before it.
    """
    memory = BookMemory(geometry, huge=False)
    results = np.zeros(len(operations), RESULT)
    times = 2 * operations["cycle"] + 3 * (operations["operation"] != LOOK_UP)
    order = np.argsort(times, kind="stable").astype(np.int64)
    _apply(memory.address, operations.ctypes.data, results.ctypes.data, order.ctypes.data,
           len(operations))
    return results


class Card:
    """The compiled component, empty and ready."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.model = verilate(LevelTable(geometry, context=CONTEXT),
                              f"level_table_{geometry.levels_log2}",
                              has_reset=True)
        self.clear()

    def restart(self) -> None:
        """Begin as after configuration, and clear the table."""
        self.model.restart()
        self.clear()

    def clear(self) -> None:
        """Wait until the table is clear: one cycle for each bucket."""
        clear(self.model, 1 << self.geometry.levels_log2)

    def results(self, operations: np.ndarray) -> np.ndarray:
        """Results of the component; each comes exactly when it should."""
        cycles = operations["cycle"]
        rows = noisy_rows(self.model, int(cycles[-1]) + RESULT_AGE + 1)
        rows["i_refuse"] = np.random.default_rng(1).integers(0, 2, len(rows))
        rows["i_refuse"][cycles + RESULT_AGE - 1] = operations["refuse"]
        rows["i__valid"][cycles] = 1
        taken = rows[cycles]
        number = np.arange(len(cycles)) % (1 << CONTEXT)
        self.model.put(taken, "i__payload", context=number,
                       **{name: operations[name] for name in ("operation", "shares", "is_gone")},
                       **{f"key__{name}": operations[name] for name in KEY})
        rows[cycles] = taken
        found = self.model.run(rows, when="o__valid")
        assert (found["cycle"] - found["cycle"][0] == cycles - cycles[0]).all()

        def get(name):
            return self.model.get(found, "o__payload", name)
        assert (get("context") == number).all()
        for name in ("operation", *KEY):
            assert (get(name if name == "operation" else f"key.{name}") == operations[name]).all()
        results = np.zeros(len(found), RESULT)
        for bit, flag in enumerate(FLAGS):
            results["flags"] |= get(f"is_{flag}").astype(np.int64) << bit
        results["orders"], results["shares"] = get("level.orders"), get("level.shares")
        results["stash"] = found["stash"]
        return results


def compare(card: Card, operations: np.ndarray) -> Counter:
    """Compare both from an empty table on; return how often each flag was set, and the stash.

    A level is compared where there is one, the stash where it may change.
    """
    card.restart()
    expected = kernel_results(card.geometry, operations)
    found = card.results(operations)
    has_level = ((expected["flags"] & (FOUND | NEW)) != 0) & (expected["flags"] & LOST == 0)
    is_change = operations["operation"] != LOOK_UP
    for name, where in (("flags", ...), ("orders", has_level), ("shares", has_level),
                        ("stash", is_change)):
        wrong = np.flatnonzero(expected[name][where] != found[name][where])
        if len(wrong):
            number = np.arange(len(operations))[where][wrong[0]]
            raise AssertionError(f"operation {number}, {name}: {found[number]}, not "
                                 f"{expected[number]}, after\n"
                                 f"{operations[max(0, number - 6):number + 1]}")
    seen = Counter({flag: int((expected["flags"] >> bit & 1).sum())
                    for bit, flag in enumerate(FLAGS)})
    seen["stash"] = int(expected["stash"].max())
    seen["looked up"] = int(np.count_nonzero(~is_change & has_level))
    return seen
