"""The risk gate of the card gives the kernels' mask for every order, one cycle after its fields.

Method: orders, answers of a venue, messages, kills and commits go through the compiled component,
as densely as it takes them, and through the kernels. Limits are few and tight, so that every check
fails and passes often; instruments, strategies and sessions are few, so that orders meet what the
order one cycle before them took up. What is not due at an input is noise.
"""

import functools
import os
import random
from collections import Counter

import pytest

from tests.risk_rig import Card, Kernels, bits_of, operations_of_kernels, static_row
from tickwire.spec.checks import ALWAYS_HARD, CHECKS
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.limits import (
    FIRM_LIMITS,
    INSTRUMENT_LIMITS,
    NOTIONAL_LIMIT_MAX,
    SESSION_LIMITS,
    STRATEGIES,
    STRATEGY_LIMITS,
    UNLIMITED,
    OrderPermit,
    permissive,
)
from tickwire.spec.records import BookFlag
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire_hw.risk import Table
from tickwire_hw.risk_port import StaticRow
from tickwire_hw.risk_static import AGE, RiskStatic
from tickwire_sim.bits import words
from tickwire_sim.verilate import verilate

INSTRUMENTS = CARD_SMALL.instruments
CENTS = 1_000_000                           # 100 dollars
EVERY = sum(OrderPermit)
M31 = UNLIMITED


@functools.cache
def card() -> Card:
    return Card(CARD_SMALL)


def chosen(rng, table, message):
    """A row of a limits table with a field or two tight, if any."""
    names = rng.sample(list(table), rng.choice((0, 0, 1, 1, 2)))
    return permissive(message, **{name: rng.choice(table[name]) for name in names})


FIRM = {"gross_notional_max": (400 * CENTS, 1 << 60), "open_orders_max": (2, 6),
        "rate_interval_ns": (1, 7), "rate_burst": (1, 3), "net_notional_max": (0, 200 * CENTS),
        "soft_checks": (0, 0, 0xFFFF_FFFF ^ ALWAYS_HARD), "credit_max": (0, 300 * CENTS),
        "loss_max": (0, 10_000), "open_notional_max": (300 * CENTS,)}
ROW = {"flags": (0,), "notional_max": (CENTS,), "gross_notional_max": (300 * CENTS,),
       "open_notional_max": (200 * CENTS,),
       "day_quantity_max": (300, 1_000), "day_notional_max": (400 * CENTS,),
       "collar_price": (0, 150), "collar_bps": (0, 1, 3, 33, 10_000), "position_long_max": (0, 200),
       "last_collar_price": (0, 100), "last_collar_bps": (0, 2, 10_000),
       "position_short_max": (0, 200), "open_orders_max": (1, 3), "duplicate_ns": (1, 5, M31),
       "rate_interval_ns": (1, 9), "rate_burst": (1, 2),
       "permits": (0, *(EVERY ^ permit for permit in OrderPermit))}
STRATEGY = {"flags": (0, 1), "repetitions_max": (0, 5), "rate_interval_ns": (1, 8),
            "rate_burst": (1, 2), "age_max_ns": (0, 3, NOTIONAL_LIMIT_MAX)}
SESSION = {"message_interval_ns": (1, 6), "message_burst": (0, 1, 2), "orders_free": (0, 4),
           "orders_per_trade": (0, 2)}


class Day:
    """Operations that a host could cause, drawn one after the other."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = 1 << 40
        self.version = 0
        self.last = [0] * INSTRUMENTS
        self.newest = (0, CENTS, 1)
        self.operations: list[tuple] = []

    def limits(self, *, is_open=False):
        rng = self.rng
        self.version += 1

        def row(table, message):
            return permissive(message) if is_open else chosen(rng, table, message)
        self.operations.append(("limits", self.version, (
            row(FIRM, FIRM_LIMITS), [row(ROW, INSTRUMENT_LIMITS) for _ in range(INSTRUMENTS)],
            [row(STRATEGY, STRATEGY_LIMITS) for _ in range(STRATEGIES)],
            [row(SESSION, SESSION_LIMITS) for _ in range(SESSIONS_MAX)])))

    def gates(self):
        rng = self.rng
        self.now += rng.choice((0, 1, 1, 1, 5, 50))
        return {"now": self.now, "is_killed": rng.random() < .02,
                "feed_live": rng.random() < .98, "phase": ord("Q" if rng.random() < .9 else "M"),
                "sessions_up": 0xFF ^ (rng.random() < .1) << rng.randrange(SESSIONS_MAX)}

    def market(self, instrument):
        rng = self.rng
        if rng.random() < .3:
            self.last[instrument] = rng.choice((CENTS, CENTS + 100, CENTS * 2, M31))
        flags = rng.choice((*[0] * 50, *BookFlag))
        odd = rng.random() < .1
        return {"bid": rng.choice((0, 0xFFFF_FFFF)) if odd else CENTS - rng.choice((0, 0, 100)),
                "ask": rng.choice((0, 0xFFFF_FFFF)) if odd else CENTS + rng.choice((100, 100, 200)),
                "last": self.last[instrument], "flags": int(flags),
                "trading_state": ord("T" if rng.random() < .96 else rng.choice("HPQ\0")),
                "operational": ord("T" if rng.random() < .96 else rng.choice("H\0")),
                "reg_sho": ord(rng.choice("00001\0"))}

    def order(self):
        rng = self.rng
        price = rng.choice((CENTS, CENTS + 100, CENTS - 100, CENTS + 200))
        if rng.random() < .05:
            price = rng.choice((9_999, 1, 0, 1_999_999_900, CENTS + 50, 0x8000_0000))
        quantity = rng.choice((1, 50, 100, 100, 200) if rng.random() < .95 else (0, M31))
        is_sell, is_new = rng.randrange(2), int(rng.random() < .8)
        if rng.random() < .2:
            is_sell, price, quantity = self.newest
        self.newest = is_sell, price, quantity
        share = rng.choice((0, 0, 1)) if not is_new else 1
        instrument = rng.choice((0, 0, 0, *range(INSTRUMENTS)))
        kinds = rng.choice((1, 1, 2, 5)) | (8 if is_sell and rng.random() < .4 else 0)
        value = NOTIONAL_LIMIT_MAX if price > M31 else min(price * quantity, NOTIONAL_LIMIT_MAX)
        request = {
            "instrument": instrument, "is_sell": is_sell, "is_new": is_new, "added_orders": is_new,
            "kinds": kinds, "has_place": int(rng.random() < .98), "price": price,
            "quantity": quantity, "notional": value, "added_quantity": quantity * share,
            "added_notional": value * share, "session": rng.choice((0, 0, 0, 7)),
            "strategy": rng.choice((0, 0, 0, 15)), "static": 0,
            "decided": self.now + rng.choice((0, 0, 0, -3, -4, 4, -(1 << 62)))}
        gates = self.gates()
        self.operations.append(("order", rng.choice((1, 1, 1, 1, 2, 7)), request,
                                self.market(instrument), gates))

    def answer(self):
        rng = self.rng
        instrument = rng.randrange(INSTRUMENTS)
        is_sell, is_fill = rng.randrange(2), int(rng.random() < .6)
        # More than was taken up is never given back: the order table sees to that.
        share = rng.choice((1, 1, 2))
        self.operations.append(("answer", {
            "instrument": instrument, "session": rng.choice((0, 7)), "is_sell": is_sell,
            "share": share, "is_fill": is_fill, "executed": rng.choice((1, 50, 100)) * is_fill,
            "price": rng.choice((CENTS, CENTS + 100)),
            "buy_key": rng.choice((0, CENTS - 100)), "sell_key": rng.choice((0, M31 - CENTS - 200)),
            "last": self.last[instrument]}))

    def other(self):
        rng = self.rng
        kind = rng.randrange(6)
        if kind == 0:
            self.now += 1
            self.operations.append(("message", rng.choice((0, 7)), self.now))
        elif kind == 1:
            table = rng.choice((Table.INSTRUMENT, Table.STRATEGY, Table.SESSION))
            number = rng.choice((0, INSTRUMENTS - 1 if table == Table.INSTRUMENT else 7))
            self.operations.append(("kill", table, number, 1))
            self.order()
            self.operations.append(("kill", table, number, 0))
        else:
            self.answer()

    def trade(self, steps: int):
        """Draw operations, most of them orders in bursts."""
        for _ in range(steps):
            if self.rng.random() < .75:
                for _ in range(self.rng.choice((1, 2, 6))):
                    self.order()
            else:
                self.other()


def compare(day: Day) -> Counter:
    """Compare both; return how often each check failed, and how many orders passed."""
    expected = operations_of_kernels(Kernels(INSTRUMENTS), with_static(day.operations))
    found = card().verdicts(day.operations)
    seen: Counter = Counter()
    for number, (wanted, given) in enumerate(zip(expected, found, strict=True)):
        if wanted != given:
            orders = [row for row in day.operations if row[0] == "order"]
            names = [check.name for bit, check in enumerate(CHECKS)
                     if (wanted[0] ^ given[0]) >> bit & 1]
            raise AssertionError(f"order {number}: {given}, not {wanted}: {names}, "
                                 f"{orders[number]}")
        seen.update(check.name for bit, check in enumerate(CHECKS) if wanted[0] >> bit & 1)
        seen["passes"] += wanted[1]
        seen["soft"] += bool(wanted[0]) and wanted[1]
    return seen


def with_static(operations):
    """The same; what ``RiskStatic`` finds is told to the gate, by the meaning of each check."""
    limits = None
    for kind, *rest in operations:
        if kind == "limits":
            limits = rest[1][1]
        elif kind == "order":
            request = rest[1]
            request["static"] = static_mask(limits[request["instrument"]] if limits else None,
                                            request)
    return operations


def static_mask(limits, request) -> int:
    """Static checks of an order by their rows in ``spec.checks``, without any product."""
    names = [check.name for check in CHECKS]
    price, quantity = request["price"], request["quantity"]
    if limits is None:
        limits = dict.fromkeys(permissive(INSTRUMENT_LIMITS), 0)
    tick = limits["tick"] if price >= 10_000 else limits["tick_below_dollar"]
    fails = {
        "instrument_disabled": not limits["flags"] & 1,
        "quantity": not limits["quantity_min"] <= quantity <= limits["quantity_max"]
        or not quantity or not limits["lot"] or quantity % limits["lot"],
        "notional": request["notional"] > limits["notional_max"],
        "tick_size": not price or price > 1_999_999_900 or not tick or price % tick,
        "order_type": request["kinds"] & 7 & ~limits["permits"],
        "price_band": not limits["band_lower"] <= price <= limits["band_upper"]}
    return sum(1 << names.index(name) for name, failed in fails.items() if failed)


@functools.cache
def day_of(seed: int) -> Counter:
    """Compare one day; what was seen."""
    day = Day(seed)
    day.trade(10)                           # before any limits
    day.limits(is_open=True)
    day.trade(40)
    for _ in range(30):
        day.limits()
        day.trade(12)
    return compare(day)


SEEDS = range(int(os.environ.get("TICKWIRE_RISK_DAYS", "6")))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_of_orders_answers_kills_and_commits_gives_the_kernels_masks(seed):
    assert day_of(seed)["passes"] > 150


def test_every_check_fails_in_these_days_and_orders_pass_with_soft_ones():
    total = sum((day_of(seed) for seed in SEEDS), Counter())
    assert all(total[check.name] >= 3 for check in CHECKS), total
    assert total["soft"] > 20, total


def test_static_rows_are_those_of_a_commit():
    row = static_row(permissive(INSTRUMENT_LIMITS, lot=100, tick=5))
    assert row["lot"] == {"number": 100, "inverse": pow(25, -1, 1 << 32), "shift": 2,
                          "room": 27}
    assert row["tick"]["inverse"] * 5 % (1 << 32) == 1


def test_static_checks_and_value_of_every_order_are_the_kernels():
    rng = random.Random(1)
    model = verilate(RiskStatic())
    prices = (0, 1, 9_999, 10_000, CENTS, CENTS + 50, 1_999_999_900, 1_999_999_901, M31, 1 << 31,
              (1 << 32) - 1)
    quantities = (0, 1, 7, 99, 100, 101, 4_096, M31, 1 << 31, (1 << 32) - 1)
    orders = []
    for _ in range(1_000):
        limits = permissive(INSTRUMENT_LIMITS, **{
            "flags": rng.choice((0, 1, 1)), "permits": rng.choice((0, EVERY, 5)),
            "quantity_min": rng.choice((0, 100)), "quantity_max": rng.choice((100, M31)),
            "notional_max": rng.choice((CENTS, 1 << 60, NOTIONAL_LIMIT_MAX)),
            "band_lower": rng.choice((0, CENTS)), "band_upper": rng.choice((CENTS, M31)),
            "tick": rng.choice((0, 1, 50, 100, 3, 1 << 20, M31)),
            "tick_below_dollar": rng.choice((0, 1, 7)),
            "lot": rng.choice((0, 1, 7, 100, 64, 99_991, M31))})
        price = rng.choice(prices) if rng.random() < .6 else limits["tick"] * rng.randrange(99)
        quantity = rng.choice(quantities) if rng.random() < .6 else limits["lot"] * rng.randrange(9)
        price, quantity = price & 0xFFFF_FFFF, quantity & 0xFFFF_FFFF
        whole = price * quantity
        orders.append((limits, {
            "price": price, "quantity": quantity, "kinds": rng.choice((1, 2, 5, 13)),
            "notional": NOTIONAL_LIMIT_MAX if max(price, quantity) > M31
            else min(whole, NOTIONAL_LIMIT_MAX)}))
    rows = model.rows(len(orders) + AGE)
    for name in ("price", "quantity", "kinds"):
        rows[name][:len(orders)] = [order[name] for _, order in orders]
    rows["row"][:len(orders)] = words(
        [bits_of(StaticRow, static_row(limits)) for limits, _ in orders],
        model.ports["row"].width)
    found = model.run(rows)[AGE:]
    for number, (limits, order) in enumerate(orders):
        assert int(found["mask"][number]) == static_mask(limits, order), (limits, order)
        assert int(found["notional"][number]) == order["notional"], order
