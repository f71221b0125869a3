"""Hypothesis strategies: short sequences of messages that crowd few orders and few prices."""

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.drawing import weighted
from tests.reference import itch

QUANTITIES = (1, 2, 100, 300, (1 << 32) - 1, (1 << 31), 0)
MOVED = ("SYM1", "SYM2", "OTHER", "\0" * 8)    # symbols that the directory gives any locate
SHARES = 1_000                             # of an order of a flow; taken one by one, never all
PRINTS = (0, 1, 100, (1 << 32) - 1)
STAMPS = (0, 34_200_000_000_000, (1 << 48) - 1)


@dataclass(frozen=True)
class Space:
    """What values a sequence may take."""

    locates: tuple[int, ...] = (1, 2)
    references: tuple[int, ...] = (1, 2, 3, 4, 5)
    prices: tuple[int, ...] = (10_000, 10_100, 10_200)
    quantities: tuple[int, ...] = (1, 2, 100, 300)
    sides: tuple[bytes, ...] = (b"B", b"S")


def order_messages(space: Space) -> st.SearchStrategy[bytes]:
    """Return a strategy of order messages over ``space``."""
    locate, reference = st.sampled_from(space.locates), st.sampled_from(space.references)
    price, quantity = st.sampled_from(space.prices), st.sampled_from(space.quantities)
    side, stamp = st.sampled_from(space.sides), st.sampled_from(STAMPS)
    match = st.integers(0, 3)
    return st.one_of(
        st.builds(itch.add, locate, reference, side, quantity, price, stamp),
        st.builds(itch.add, locate, reference, side, quantity, price, stamp, mpid=st.just("MPID")),
        st.builds(itch.delete, locate, reference, stamp),
        st.builds(itch.executed, locate, reference, quantity, match, stamp),
        st.builds(itch.executed_with_price, locate, reference, quantity, match,
                  st.sampled_from((b"Y", b"N", b" ")), price, stamp),
        st.builds(itch.cancel, locate, reference, quantity, stamp),
        st.builds(itch.replace, locate, reference, reference, quantity, price, stamp))


def other_messages(space: Space) -> st.SearchStrategy[bytes]:
    """Return a strategy of every message that is not an order's over ``space``."""
    locate, price = st.sampled_from((0, *space.locates)), st.sampled_from((0, *space.prices))
    stamp, letter = st.sampled_from(STAMPS), st.sampled_from((b"A", b"Q", b"T", b" ", b"\0"))
    number = st.sampled_from(PRINTS)
    large = st.sampled_from((0, 1, (1 << 32) - 1, 1 << 32, 1 << 63, (1 << 64) - 1))
    return st.one_of(
        st.builds(itch.trade, locate, large, letter, number, price, large, stamp),
        st.builds(itch.cross, locate, large, price, large, letter, stamp),
        st.builds(itch.broken, locate, large, stamp),
        st.builds(itch.system, letter, locate, stamp),
        # A locate means one stock for the whole day, and another one the next day.
        locate.flatmap(lambda one: st.builds(
            itch.directory, st.just(one), st.sampled_from((f"SYM{one}", *MOVED)), number, letter,
            letter, stamp)),
        st.builds(itch.action, locate, st.sampled_from((b"H", b"P", b"Q", b"T")),
                  st.sampled_from((b"T1  ", b"LUDP", b"    ")), stamp),
        st.builds(itch.reg_sho, locate, letter, stamp),
        st.builds(itch.position, locate, stamp),
        st.builds(itch.decline, stamp, locate),
        st.builds(itch.breach, letter, stamp, locate),
        st.builds(itch.ipo, locate, price, stamp),
        st.builds(itch.collar, locate, price, price, price, stamp),
        st.builds(itch.operational, locate, st.sampled_from((b"Q", b"B", b"X")), letter, stamp),
        st.builds(itch.imbalance, locate, large, large, letter, price, price, price, letter, stamp),
        st.builds(itch.retail, locate, letter, stamp),
        st.builds(itch.listing, locate, stamp))


def sequences(space: Space, *, others: bool = False, length: int = 60
              ) -> st.SearchStrategy[list[bytes]]:
    """Return a strategy of lists of messages; with ``others`` every type may come."""
    one = order_messages(space)
    if others:
        one = weighted(one, one, other_messages(space))
    return st.lists(one, min_size=1, max_size=length)


def flows(space: Space, *, length: int = 60, faults: bool = False
          ) -> st.SearchStrategy[list[bytes]]:
    """Return a strategy of flows in which what leaves is open, and often the best.

    Few drawn numbers decide much, so that a window moves far and comes back within one flow. With
    ``faults`` some messages about open orders break a rule.
    """
    letters = "aaadbbbxeurn" + ("aaadbbzopqiw" if faults else "")
    step = st.tuples(st.sampled_from(letters), st.sampled_from(space.locates),
                     st.sampled_from(space.sides), st.integers(0, 3),
                     st.sampled_from(space.prices))
    return st.lists(step, min_size=1, max_size=length).map(_flow)


def _flow(steps: list[tuple[str, int, bytes, int, int]]) -> list[bytes]:
    """Messages of drawn steps.

    a add, d delete, b delete the best, x cancel, e execute, u replace, r replace the best, n
    nothing; faults: z replace by no shares, o execute too many, p replace by no price, q replace
    by an order that is there, i add an order that is there, w delete under another locate.
    """
    live: dict[tuple[int, bytes], list[tuple[int, int]]] = {}     # (price, reference), oldest first
    messages, reference = [], 0
    for letter, locate, side, choice, price in steps:
        orders = live.setdefault((locate, side), [])
        reference += 1
        if letter == "n":
            messages.append(itch.position(locate))
            continue
        if letter == "a" or not orders:
            orders.append((price, reference))
            messages.append(itch.add(locate, reference, side, SHARES, price))
            continue
        at = choice % len(orders)
        if letter in "br":
            at = orders.index((max if side == b"B" else min)(orders))
        _, which = orders[at]
        if letter in "dbzopq":
            del orders[at]
        if letter in "ur":
            orders[at] = price, reference
        another = orders[0][1] if orders else which
        messages.append({
            "d": itch.delete(locate, which), "b": itch.delete(locate, which),
            "x": itch.cancel(locate, which, 1),
            "e": itch.executed(locate, which, 1),
            "u": itch.replace(locate, which, reference, SHARES, price),
            "r": itch.replace(locate, which, reference, SHARES, price),
            "z": itch.replace(locate, which, reference, 0, price),
            "o": itch.executed(locate, which, SHARES + 1),
            "p": itch.replace(locate, which, reference, SHARES, 0),
            "q": itch.replace(locate, which, another, SHARES, price),
            "i": itch.add(locate, which, side, SHARES, price),
            "w": itch.delete(locate % 3 + 1, which),
        }[letter])
    return messages
