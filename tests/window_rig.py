"""The price window twice, as compiled gateware and as kernels, for sequences of messages.

A message is one event or, for a replace, two. The kernels book them and say what every event and
every step left behind; dictionaries of orders and levels say which of them are new or lost levels,
and whether the level is there that a step asks for. The card is given that and no more.
"""

from collections import Counter

import numpy as np

from tests.table_rig import clear, noisy_rows
from tickwire.device.book_memory import BookMemory
from tickwire.kernels import book as kernels
from tickwire.kernels import order_table, window
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import ASKED_SIZE, EMPTY, book_at, header_at, side_at
from tickwire.kernels.memory import load64, view
from tickwire.spec.counters import CounterIndex
from tickwire.spec.geometry import SWEEP_DELAY, SWEEP_PERIOD, Geometry
from tickwire.spec.records import BookFlag
from tickwire_hw.window import RESULT_AGE, ROW_AGE, Window, WindowOperation
from tickwire_sim.verilate import verilate

CONTEXT = 20                                # bits that are carried along: the operation's number
NONE, CHANGE, NEW, LOST, STEP = (operation.value for operation in WindowOperation)
NOTHING, ADD, REMOVE = range(3)
SHARES = 100                                # of every order
DOLLAR = 10_000
TICKS = (100, 1, 100, 250)                  # of the instruments, in turns
PENDING_AGE = 8                             # cycles from an operation to what it did to the queue
ASK_AGE = 11                                # cycles from a step to its question, as promised
COUNTERS = ("off_grid", "hidden", "window_shifts", "window_sweeps")
# `last` says that a message ends here; an order that is removed is known by its reference.
EVENT = np.dtype([(name, "i8") for name in (
    "action", "instrument", "side", "price", "reference", "last")], align=True)
ROW = ("floor", "unseen_high", "unseen_low", "off_grid_high", "summary", "levels")
SIGNED = ("floor", "unseen_high", "unseen_low", "off_grid_high", "best", "key")
# What an operation left: the side, flags, how often it was counted; `was` and `now` are what a step
# answered and asked.
LOG = np.dtype([(name, "i8") for name in (
    "is_step", "instrument", "side", "price", "best", *ROW, "is_hidden", "is_desync", *COUNTERS,
    "pending", "was_asked", "was_key", "now_asked", "now_side", "now_key")], align=True)
_EVENT_SIZE, _LOG_SIZE = EVENT.itemsize, LOG.itemsize
_event_at, _log_at = view(EVENT), view(LOG)
_OFF_GRID, _HIDDEN, _SHIFTS, _SWEEPS = (CounterIndex[name.upper()].value for name in COUNTERS)
_DESYNCED, _BID_HIDDEN = BookFlag.DESYNCED.value, BookFlag.BID_HIDDEN.value


@kernel
def _note(book, o, book_side, sign):
    """Add counters to a log entry, with ``sign``, and note the rest as it is now."""
    b = book_at(book)
    s = side_at(b["sides"] + book_side * 64)
    h = header_at(b["sides"] + (book_side >> 1) * 128)
    counters = b["counters"]
    o["off_grid"] += sign * load64(counters + 8 * _OFF_GRID)
    o["hidden"] += sign * load64(counters + 8 * _HIDDEN)
    o["window_shifts"] += sign * load64(counters + 8 * _SHIFTS)
    o["window_sweeps"] += sign * load64(counters + 8 * _SWEEPS)
    o["instrument"], o["side"] = book_side >> 1, book_side & 1
    o["best"], o["floor"], o["summary"], o["levels"] = (
        s["best"], s["floor"], s["summary"], s["levels"])
    o["unseen_high"], o["unseen_low"], o["off_grid_high"] = (
        s["unseen_high"], s["unseen_low"], s["off_grid_high"])
    o["is_hidden"] = h["flags"] & (_BID_HIDDEN << (book_side & 1)) != 0
    o["is_desync"] = h["flags"] & _DESYNCED != 0
    o["pending"] = b["pending"]
    if sign < 0:
        h["flags"] &= ~_DESYNCED            # so that the next mark shows


@kernel
def _step(book, o):
    b = book_at(book)
    place = b["asked"] + (b["steps"] & (SWEEP_DELAY - 1)) * ASKED_SIZE
    o["is_step"] = 1
    side = b["sweep"]
    o["was_asked"] = side >= 0 and load64(place) == b["round"]
    o["was_key"] = load64(place + 16)
    side = max(side, 0)
    _note(book, o, side, -1)
    kernels.background(book)
    _note(book, o, side, 1)
    o["now_asked"] = b["sweep"] >= 0 and load64(place) == b["round"]
    o["now_side"], o["now_key"] = b["sweep"], load64(place + 16)


@kernel
def _run(book, events, count, log):
    """Book events as messages from number 1 on; return the end of what was logged."""
    b = book_at(book)
    sequence = 1
    for number in range(count):
        e = _event_at(events + number * _EVENT_SIZE)
        o = _log_at(log)
        log += _LOG_SIZE
        book_side = e["instrument"] * 2 + e["side"]
        _note(book, o, book_side, -1)
        reference = e["reference"]
        if e["action"] == ADD:
            kernels.add(book, e["instrument"], e["side"], reference, SHARES, e["price"])
        elif e["action"] == REMOVE:
            bucket = order_table.left_bucket(book, reference)
            entry = order_table.find(book, bucket, reference)
            kernels.reduce(book, e["instrument"], entry, reference, SHARES)
        _note(book, o, book_side, 1)
        if e["last"]:
            b["sequence"] = sequence
            if sequence % SWEEP_PERIOD == 0:
                _step(book, _log_at(log))
                log += _LOG_SIZE
            sequence += 1
    return log


def kernel_log(geometry: Geometry, events: np.ndarray) -> np.ndarray:
    """What each event and each step left in a book of the kernels."""
    memory = BookMemory(geometry, huge=False)
    headers = int(memory.context["sides"])
    for instrument in range(geometry.instruments):
        window.set_grid(headers + 128 * instrument, tick_of(instrument))
    log = np.zeros(2 * len(events) + 1, LOG)
    end = _run(memory.address, events.ctypes.data, len(events), log.ctypes.data)
    for name in ("order_overflow", "level_overflow", "duplicate_order", "bad_price"):
        assert memory.counter(CounterIndex[name.upper()]) == 0, name
    return log[:(end - log.ctypes.data) // _LOG_SIZE]


def operations(geometry: Geometry, events: np.ndarray, log: np.ndarray,
               seed: int) -> dict[str, np.ndarray]:
    """What the card is told, by columns: from the events, dictionaries, and questions."""
    rng = np.random.default_rng(seed)
    noise = {"kind": (CHANGE, CHANGE + 1), "instrument": (0, geometry.instruments), "side": (0, 2),
             "key": (-1 << 31, 1 << 31), "on_grid": (0, 2), "is_found": (0, 2)}
    columns = {name: rng.integers(*ends, len(log)).tolist() for name, ends in noise.items()}
    orders: dict[int, tuple[int, int, int]] = {}
    levels: Counter[tuple[int, int, int]] = Counter()
    event = iter(events.tolist())
    in_hand = 0
    for number, (is_step, was_asked, was_key, now_side) in enumerate(
            log[["is_step", "was_asked", "was_key", "now_side"]].tolist()):
        told = {"kind": STEP if is_step else NONE}
        if is_step and was_asked:
            instrument, side = divmod(in_hand, 2)
            price = (~was_key if side else was_key) * tick_of(instrument)
            told |= {"instrument": instrument, "side": side, "key": was_key,
                     "is_found": levels[instrument, side, price] > 0}
        if is_step:
            in_hand = now_side
        else:
            action, instrument, side, price, reference, _ = next(event)
            told |= {"instrument": instrument, "side": side}
            if action != NOTHING:
                level = orders.setdefault(reference, (instrument, side, price))
                before = levels[level]
                levels[level] += 1 if action == ADD else -1
                told["kind"] = {(0, 1): NEW, (1, 0): LOST}.get((before, levels[level]), CHANGE)
                number_of_tick, off = divmod(level[2], tick_of(instrument))
                told |= {"key": ~number_of_tick if side else number_of_tick, "on_grid": off == 0}
        for name, value in told.items():
            columns[name][number] = value
    columns["least_floor"] = [least_floor(side, tick_of(instrument)) for instrument, side
                              in zip(columns["instrument"], columns["side"], strict=True)]
    return {name: np.array(values, np.int64) for name, values in columns.items()}


def tick_of(instrument: int) -> int:
    """Tick size of an instrument."""
    return TICKS[instrument % len(TICKS)]


def least_floor(side: int, tick: int) -> int:
    """Lowest floor: of asks, any; of bids, a dollar's, on the finest grid any."""
    if side:
        return EMPTY + 1
    return 0 if tick == 1 else -(-DOLLAR // tick)


class Card:
    """The compiled component."""

    def __init__(self, geometry: Geometry, name: str = "") -> None:
        self.geometry = geometry
        self.model = verilate(Window(geometry, context=CONTEXT),
                              name or f"window_{geometry.window_words}_{geometry.sweep_queue}",
                              has_reset=True)

    def restart(self) -> None:
        """Begin as after configuration, and clear the sides."""
        self.model.restart()
        self.clear()

    def clear(self) -> None:
        """Wait until the sides are clear: two cycles an instrument."""
        sides = 2 << (self.geometry.instruments - 1).bit_length()
        clear(self.model, sides)

    def run(self, told: dict[str, np.ndarray], cycles: np.ndarray) -> np.ndarray:
        """Outputs of all cycles, with operations given at ``cycles``."""
        rows = noisy_rows(self.model, int(cycles[-1]) + ASK_AGE + 1)
        rows["i__valid"][cycles] = 1
        taken = rows[cycles]
        unsigned = {name: values & (1 << 32) - 1 for name, values in told.items()}
        self.model.put(taken, "i__payload", context=np.arange(len(cycles)) % (1 << CONTEXT),
                       **unsigned)
        rows[cycles] = taken
        return self.model.run(rows)

    def column(self, rows: np.ndarray, port: str, field: str) -> np.ndarray:
        """A field of a port as signed numbers of 64 bits."""
        values = self.model.get(rows, port, field).astype(np.int64)
        is_signed = field.rpartition(".")[2] in SIGNED
        return values.astype(np.int32).astype(np.int64) if is_signed else values


def best_key(log: np.ndarray) -> np.ndarray:
    """Tick keys of the best levels of a log."""
    tick = np.array([tick_of(instrument) for instrument in log["instrument"].tolist()])
    is_ask = log["side"] == 1
    number = np.where(is_ask, -log["best"], log["best"]) // tick
    return np.where(is_ask, ~number, number)


def compare(card: Card, events: np.ndarray, gaps: tuple[int, ...] = (2,), *,
            seed: int = 1) -> Counter:
    """Compare both, from an empty card on; return how often what happened."""
    log = kernel_log(card.geometry, events)
    told = operations(card.geometry, events, log, seed)
    cycles = np.cumsum(np.random.default_rng(seed).choice(gaps, len(log)))
    outputs = card.run(told, cycles)
    found = outputs[cycles + RESULT_AGE]
    assert (np.flatnonzero(outputs["o__valid"]) == cycles + RESULT_AGE).all()
    is_step, was_asked = log["is_step"] == 1, log["was_asked"] == 1
    known = ~is_step | was_asked            # a step that answers nothing may name any side

    def check(what: str, expected: np.ndarray, actual: np.ndarray,
              where: np.ndarray = known) -> None:
        wrong = np.flatnonzero((expected != actual) & where)
        if len(wrong):
            number = int(wrong[0])
            lines = [f"{at}: {({name: int(values[at]) for name, values in told.items()})}\n"
                     f"   {dict(zip(LOG.names, log[at].tolist(), strict=True))}"
                     for at in range(max(0, number - 3), number + 1)]
            raise AssertionError(f"operation {number}, {what}: {actual[number]}, not "
                                 f"{expected[number]}\n" + "\n".join(lines))

    def result(field: str) -> np.ndarray:
        return card.column(found, "o__payload", field)
    every = np.ones(len(log), bool)
    check("context", np.arange(len(log)) % (1 << CONTEXT), result("context"), every)
    for name in ("kind", "instrument", "side"):
        check(name, told[name], result(name), every)
    rows = outputs[cycles + ROW_AGE]
    for name in ROW:
        check(name, log[name], card.column(rows, "o_row", name))
    has_best = log["best"] != EMPTY
    check("has_best", has_best, result("has_best"))
    check("best", best_key(log), result("best"), known & has_best)
    check("is_empty", log["levels"] == 0, result("is_empty"))
    check("is_hidden", log["is_hidden"], result("is_hidden"))
    for name in ("is_desync", *COUNTERS):
        check(name, log[name], result(name), every)
    check("pending", log["pending"], outputs["pending"][cycles + PENDING_AGE], every)
    _check_questions(card, outputs, cycles, log, told)
    is_full = log["pending"] == card.geometry.sweep_queue + 1
    happened = {"new": told["kind"] == NEW, "lost": told["kind"] == LOST, "answered": was_asked,
                "change": told["kind"] == CHANGE, "taken": was_asked & (told["is_found"] == 1),
                "full": is_full, **{name: log[name] for name in (*COUNTERS, "is_desync")}}
    return Counter({name: int(times.sum()) for name, times in happened.items()})


def _check_questions(card: Card, outputs: np.ndarray, cycles: np.ndarray, log: np.ndarray,
                     told: dict[str, np.ndarray]) -> None:
    """Compare what a step asked for, once it must be told and when the answer is due."""
    steps = np.flatnonzero(log["is_step"])
    for place in range(SWEEP_DELAY):
        here = steps[place::SWEEP_DELAY]
        if not len(here):
            continue
        for age, which, expected in ((ASK_AGE, "now", None), (0, "was", told)):
            at = outputs[cycles[here] + age]
            is_asked = log[f"{which}_asked"][here] == 1
            def ask(field: str, at: np.ndarray = at, place: int = place) -> np.ndarray:
                return card.column(at, "ask", f"{place}.{field}")
            assert (ask("is_asked") == is_asked).all(), (place, which)
            key = log[f"{which}_key"][here]
            is_real = is_asked & (key > EMPTY)         # what lies below is never looked at
            assert (ask("key") == key)[is_real].all(), (place, which)
            number = ask("instrument") * 2 + ask("side")
            side = (log["now_side"][here] if expected is None
                    else expected["instrument"][here] * 2 + expected["side"][here])
            assert (number == side)[is_asked].all(), (place, which)
