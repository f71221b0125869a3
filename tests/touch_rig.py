"""A side as a book has it, what is asked of ``touch`` about it, and both touches' answers.

The book here knows every level; its window moves, or not, wherever it may. So what is listed can be
compared with what there is.
"""

import random
from dataclasses import dataclass, field

import numpy as np

from tickwire.kernels import touch
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load64, view
from tickwire.kernels.touch import TOUCH, TOUCH_OPERATION
from tickwire.spec.geometry import ONE_ORDER, SHARE_LIMIT, Geometry
from tickwire_hw.order_table import SHARES
from tickwire_hw.touch import RESULT_AGE, SIDES, Touch, TouchKind
from tickwire_sim.verilate import verilate

MESSAGE, SHOW, APPEND = (kind.value for kind in TouchKind)
INSTRUMENTS = 4
SPAN = 40                                   # keys that the window reaches below a new best level
_WORD = 8                                   # how much further down it may reach
NAMES = tuple(name for name in TOUCH_OPERATION.names)
STEP = np.dtype([("kind", "i8"), ("instrument", "i8"), ("side", "i8"), ("is_all", "i8"),
                 ("cycle", "i8"), *((name, "i8") for name in NAMES),
                 ("has_level", "i8"), ("value", "i8"), ("best_key", "i8"), ("best_value", "i8")],
                align=True)
ANSWER = np.dtype([("is_shaken", "i8"), ("count", "i8"), ("more", "i8"), ("floor", "i8"),
                   ("is_known", "i8"), ("best_key", "i8"), ("best_value", "i8")], align=True)
_step_at, _answer_at = view(STEP), view(ANSWER)
_STEP_SIZE, _ANSWER_SIZE, _ROW_SIZE = STEP.itemsize, ANSWER.itemsize, TOUCH.itemsize
_OPERATION = STEP.fields["takes"][1]
_KEYS, _VALUES = TOUCH.fields["keys"][1], TOUCH.fields["values"][1]


@dataclass
class Side:
    """A side's levels by key, and its window."""

    draw: random.Random
    keys: int
    levels: dict[int, list[int]] = field(default_factory=dict)   # orders, shares
    floor: int = 0

    def visible(self) -> list[int]:
        """Keys of the levels that the book can show, best first."""
        return sorted((key for key in self.levels if is_on_grid(key) and key >= self.floor),
                      reverse=True)

    def step(self) -> dict[str, int]:
        """Draw a message, apply it, and return it as an operation of the touch."""
        draw, given = self.draw, dict.fromkeys(NAMES, 0)
        orders = [key for key, (count, _) in self.levels.items() for _ in range(count)]
        kind = draw.randrange(10)
        if orders and kind > 3:
            best = max(orders)
            self._take(given, best if draw.random() < .5 else draw.choice(orders))
        if kind < 5:
            self._add(given)
        return given

    def _take(self, given: dict[str, int], key: int) -> None:
        count, shares = self.levels[key]
        is_gone = (count == 1 and shares < 2) or self.draw.random() < .7
        taken = 1 if not is_gone else shares if count == 1 else shares // count
        given |= {"takes": 1, "take_key": key, "taken": taken, "is_gone": int(is_gone)}
        left = [count - is_gone, shares - taken]
        if left[0]:
            self.levels[key] = left
        else:
            del self.levels[key]
            if self.levels and not self.visible():         # hidden: the window lies lower
                self.floor = min(self.floor, max(self.levels) + self.draw.randrange(2))

    def _add(self, given: dict[str, int]) -> None:
        draw = self.draw
        near = max(self.levels, default=self.keys // 2) + draw.randrange(-12, 6)
        key = draw.choice((near, near, draw.randrange(self.keys)))
        key = given["take_key"] if given["takes"] and draw.random() < .3 else key
        key, shares = min(max(key, SPAN), self.keys - 1), draw.randrange(1, 100)
        given |= {"adds": 1, "key": key, "shares": shares, "on_grid": int(is_on_grid(key)),
                  "is_unsure": int(draw.random() < .04), "is_doubtful": int(draw.random() < .02),
                  "reach": key - SPAN}
        is_shown = is_on_grid(key) and (not self.levels or key > max(self.visible(), default=-1))
        if not self.levels:
            self.floor = key - SPAN - draw.randrange(_WORD) if is_on_grid(key) else key + 1
        elif is_shown and draw.random() < .5 and key - SPAN > self.floor:
            self.floor = key - SPAN - draw.randrange(_WORD)
        before = self.levels.get(key, [0, 0])
        self.levels[key] = [before[0] + 1, before[1] + shares]

    def appended(self, listed: list[int]) -> dict[str, int]:
        """Return what appends the level after those that are listed."""
        rest = self.visible()[len(listed):]
        assert self.visible()[:len(listed)] == listed, "the touch lists what the book has not"
        orders, shares = self.levels[rest[0]] if rest else (0, 0)
        return {"has_level": int(bool(rest)), "key": rest[0] if rest else 0,
                "value": orders * ONE_ORDER + shares, "reach": max(self.floor, 0),
                "is_all": int(len(self.levels) == len(listed) + bool(rest))}


def is_on_grid(key: int) -> bool:
    """Whether a key is a tick of the sides here."""
    return key % 7 != 3


@kernel
def _apply(rows, steps, answers, count):
    for number in range(count):
        s, a = _step_at(steps + number * _STEP_SIZE), _answer_at(answers + number * _ANSWER_SIZE)
        row = rows + (s["instrument"] * 2 + s["side"]) * _ROW_SIZE
        t = touch.touch_at(row)
        if s["kind"] == APPEND:
            touch.append(row, s["has_level"], s["key"], s["value"], s["is_all"], s["reach"])
        elif s["kind"] == MESSAGE:
            a["is_shaken"] = touch.apply(row, steps + number * _STEP_SIZE + _OPERATION)
        a["count"], a["more"], a["floor"] = t["count"], t["more"], t["floor"]
        a["is_known"] = touch.is_known(row)
        if t["count"]:
            a["best_key"], a["best_value"] = load64(row + _KEYS), load64(row + _VALUES)


class Rows:
    """Rows of the kernel, one a side, each of up to ``cached`` levels."""

    def __init__(self, cached: int) -> None:
        self.rows = np.zeros(2 * INSTRUMENTS, TOUCH)
        self.rows["limit"] = cached

    def apply(self, steps: np.ndarray) -> np.ndarray:
        """Apply steps; return the answers."""
        answers = np.zeros(len(steps), ANSWER)
        _apply(self.rows.ctypes.data, steps.ctypes.data, answers.ctypes.data, len(steps))
        return answers

    def listed(self, side: int) -> list[int]:
        """Keys that a side lists."""
        row = self.rows[side]
        return row["keys"][:row["count"]].tolist()


def play(seed: int, count: int, keys: int, appends: float,
         cached: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw steps and let the kernel answer; every answer that is known is the book's."""
    draw = random.Random(seed)
    sides = [Side(draw, keys) for _ in range(2 * INSTRUMENTS)]
    kernel_rows, steps, answers, cycle, last = Rows(cached), [], [], 0, -1
    for _ in range(count):
        number = draw.choice((0, 1, 0, 1, draw.randrange(2 * INSTRUMENTS)))
        side, step = sides[number], np.zeros(1, STEP)
        row = kernel_rows.rows[number]
        cycle += draw.choice((2, 2, 3, 5)) if number >> 1 == last else draw.choice((1, 1, 2))
        last = number >> 1
        step["instrument"], step["side"], step["cycle"] = number >> 1, number & 1, cycle
        if row["count"] < cached and row["more"] and draw.random() < appends:
            given = {"kind": APPEND, **side.appended(kernel_rows.listed(number))}
        else:
            given = {"kind": MESSAGE, **side.step()} if draw.random() < .95 else {"kind": SHOW}
        for name, value in given.items():
            step[name] = value
        visible = side.visible()
        if visible:
            orders, shares = side.levels[visible[0]]
            step["best_key"], step["best_value"] = visible[0], orders * ONE_ORDER + shares
        steps.append(step)
        answers.append(kernel_rows.apply(step))
        answer = answers[-1][0]
        if answer["is_known"]:
            assert (answer["best_key"], answer["best_value"]) == (
                step["best_key"][0], step["best_value"][0]), (len(steps), step, answer)
            assert bool(visible) or not side.levels
        if answer["count"]:
            assert side.floor <= answer["floor"]
    return np.concatenate(steps), np.concatenate(answers)


class Card:
    """The compiled component."""

    def __init__(self, geometry: Geometry) -> None:
        self.model = verilate(Touch(geometry), f"touch_{geometry.cached}")

    def answers(self, steps: np.ndarray) -> np.ndarray:
        """Answers of the component, from empty rows on; each comes exactly when it should."""
        model = self.model
        model.restart()
        ready = model.run(model.rows(SIDES * INSTRUMENTS + 1))["ready"]
        assert not ready[:-1].any() and ready[-1]
        cycles = steps["cycle"] + 1
        rows = model.rows(int(cycles[-1]) + 4)
        soon = rows[cycles - 1]
        model.put(soon, "soon", side=steps["side"], instrument=steps["instrument"])
        rows[cycles - 1] = soon
        rows["is_accepted"][cycles + 1] = steps["adds"] & (steps["kind"] == MESSAGE)
        rows["is_doubtful"][cycles + 1] = steps["is_doubtful"]
        given = rows[cycles]
        given["i__valid"] = 1
        is_append = steps["kind"] == APPEND
        model.put(given, "i__payload", **{name: steps[name] for name in (
            "kind", "instrument", "side", "takes", "take_key", "taken", "is_gone", "key",
            "on_grid", "is_unsure", "is_low", "reach", "is_all")}, **{
                "gain": steps["shares"] - steps["taken"] & (1 << SHARES + 1) - 1,
                "adds": np.where(is_append, steps["has_level"], steps["adds"]),
                "value.shares": np.where(is_append, steps["value"] & SHARE_LIMIT,
                                         steps["shares"]),
                "value.orders": np.where(is_append, steps["value"] >> 40, 1)})
        rows[cycles] = given
        every = model.run(rows)
        found, shaken = every[cycles + RESULT_AGE], every["shaken__valid"][cycles + 1]
        assert found["o__valid"].all() and every["o__valid"].sum() == len(steps)
        answers = np.zeros(len(steps), ANSWER)
        answers["is_shaken"] = shaken

        def best(name: str) -> np.ndarray:
            both = [model.get(found, "o__payload", f"bests.{side}.{name}").astype(np.int64)
                    for side in range(2)]
            return np.where(steps["side"] == 1, both[1], both[0])
        answers["is_known"], has_best, price = best("is_known"), best("has_best"), best("price")
        answers["best_key"] = np.where(has_best, np.where(
            steps["side"] == 1, touch.PRICE_MAX - price, price), 0)
        answers["best_value"] = np.where(
            has_best, best("value.orders") << 40 | best("value.shares"), 0)
        after = every[np.minimum(cycles + 3, len(every) - 1)]["wants"]
        side = steps["instrument"] * 2 + steps["side"]
        answers["more"] = after >> side.astype(after.dtype) & 1
        return answers
