"""Order table: greatest stash fill by load, for its placing rule and for others in the same memory.

Orders come and go at a steady number of live ones; a place is a way of a bucket, and which way is
all the same, so only the fill of each bucket is kept. References are hashed by the kernels.
"""

import numpy as np

from bench.report import Report
from tickwire.device.book_memory import BookMemory
from tickwire.kernels.jit import kernel
from tickwire.kernels.order_table import BUCKET, left_bucket, right_bucket
from tickwire.spec.geometry import CARD_LARGE, CARD_SMALL, LEFT_FILL, MARKET, Geometry

LOADS = (0.15, 0.25, 0.375, 0.5, 0.5625, 0.625, 0.75)
SIZES_LOG2 = (12, 17, 22)                  # places of a small card, a large one, a market
REFERENCES = ("random", "rising", "rising by 16", "rising with gaps", "two partitions")
RULES = ("as declared", "emptier bucket", "one hash, 4 ways", "one hash, 8 ways")
CHURN, CHURN_MAX = 20, 20_000_000          # orders replaced: times the live ones, and at most
SEED = 88_172_645_463_325_252


@kernel
def _next(state):
    """The next number of a xorshift generator (Marsaglia 2003)."""
    state ^= state << 13
    state ^= (state >> 7) & 0x1FFFFFFFFFFFFFF
    return state ^ state << 17


@kernel
def _reference(pattern, number, state):
    """Reference of the order ``number`` in one of the patterns."""
    if pattern == 0:
        return state & 0x7FFFFFFFFFFFFFFF | 1
    if pattern == 1:
        return 1_000_000 + number
    if pattern == 2:
        return 1_000_000 + 16 * number
    if pattern == 3:
        return 1_000_000 + 7 * number + (state & 3)
    return (number & 1) << 40 | (1_000_000 + number)


@kernel
def peak(book, orders, fills, homes, recent, rule, pattern, live, churn, seed):
    """Greatest number of orders without a bucket while ``churn`` orders replace others.

    ``fills`` holds the fill of every bucket, ``homes`` the bucket of every live order. Half of
    the orders that leave came lately, as in a real book: among the last ``len(recent)``.
    """
    ways = 8 if rule == 3 else 4
    state, stash, most = seed, 0, 0
    for number in range(live + churn):
        state = _next(state)
        place = number
        if number >= live:
            choice = (state >> 8) & 0x7FFFFFFF
            place = recent[choice % len(recent)] if state & 1 else choice % live
            if homes[place] < 0:
                stash -= 1
            else:
                fills[homes[place]] -= 1
            state = _next(state)
        recent[number % len(recent)] = place
        reference = _reference(pattern, number, state)
        left = (left_bucket(book, reference) - orders) // BUCKET
        right = (right_bucket(book, reference) - orders) // BUCKET
        home = -1
        if rule >= 2:
            if fills[left] < ways:
                home = left
        elif fills[left] < ways and (fills[left] <= fills[right]
                                     or (rule == 0 and fills[left] < LEFT_FILL)):
            home = left
        elif fills[right] < ways:
            home = right
        homes[place] = home
        if home < 0:
            stash += 1
            most = max(most, stash)
        else:
            fills[home] += 1
    return most


def simulate(places_log2: int, rule: int, pattern: int, load: float, seed: int) -> int:
    """Greatest stash fill of one run in a memory of ``2^places_log2`` orders."""
    # The same memory is two tables of four ways, one of them with twice the buckets, or one of
    # eight ways.
    bits = places_log2 - 3 + (rule == 2)
    memory = BookMemory(Geometry(instruments=2, orders_log2=bits, levels_log2=4), huge=False)
    live = int(load * (1 << places_log2))
    return peak(memory.address, int(memory.context["orders"]), np.zeros(2 << bits, np.uint8),
                np.zeros(live, np.int64), np.zeros(max(live // 8, 1), np.int64), rule, pattern,
                live, min(CHURN * live, CHURN_MAX), SEED + seed)


def capacity(geometry: Geometry, pattern: int, seed: int) -> int:
    """Greatest load in percent at which the geometry's stash holds what finds no bucket."""
    log2 = geometry.orders_log2 + 3
    enough, too_much = 30, 80
    while too_much - enough > 1:
        load = (enough + too_much) // 2
        if simulate(log2, 0, pattern, load / 100, seed) <= geometry.order_stash:
            enough = load
        else:
            too_much = load
    return enough


def main(report: Report) -> None:
    for name, geometry in (("small card", CARD_SMALL), ("large card", CARD_LARGE),
                           ("market", MARKET)):
        for pattern, pattern_name in enumerate(REFERENCES[:2]):
            report.add(f"{name}: {geometry.order_places:,} places and a stash of "
                       f"{geometry.order_stash:,} hold, {pattern_name}", "% live",
                       [capacity(geometry, pattern, seed) for seed in
                        range(1 if geometry is MARKET else report.repeats)])
    for log2 in SIZES_LOG2:
        for rule, rule_name in enumerate(RULES):
            for pattern, pattern_name in enumerate(REFERENCES if rule == 0 else REFERENCES[:2]):
                for load in LOADS:
                    figures = [simulate(log2, rule, pattern, load, seed)
                               for seed in range(1 if log2 > 20 else report.repeats)]
                    report.add(f"{rule_name}, {pattern_name}, {1 << log2:,} places, "
                               f"{load:.2%} live", "orders", figures)
