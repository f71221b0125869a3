"""A long seeded flow of messages, all types, mostly legal, from Python's own generator.

The generator is the Mersenne twister, whose integers are the same in every Python: equal seeds
give equal octets for ever, which is what golden files need.
"""

import random

from tests.reference import itch

SYMBOLS = ("AAA", "BBB", "CCCC", "DDDDDDDD")
TICK = 100
_LIVE = 120                                # orders of all books together, at most
_BROKEN_PART = 200                         # one message in so many breaks a rule


def flow(count: int, seed: int) -> list[bytes]:
    """Return ``count`` messages of one session of four instruments, locates 1 to 4."""
    draw = random.Random(seed)
    mid = dict.fromkeys(range(1, 5), 20_000)
    live: list[tuple[int, int, bytes, int]] = []       # locate, reference, side, shares
    stamp, reference, match = 34_200_000_000_000, 1_000, 1
    messages = [itch.system(b"O", stamp=stamp)]
    messages += [itch.directory(locate, symbol, stamp=stamp)
                 for locate, symbol in enumerate(SYMBOLS, 1)]
    while len(messages) < count:
        stamp += draw.randrange(1, 1_000_000)
        locate = draw.randrange(1, 5)
        kind = draw.randrange(100)
        if draw.randrange(_BROKEN_PART) == 0:
            messages.append(_broken(draw, locate, stamp))
        elif (kind < 45 and len(live) < _LIVE) or not live:
            # A jump leaves the books far behind; they follow as their orders go.
            mid[locate] += draw.randrange(-6, 7) if draw.randrange(200) else draw.choice(
                (-300, 300))
            side, away = draw.choice((b"B", b"S")), draw.randrange(0, 60)
            price = TICK * max(mid[locate] + (away if side == b"S" else -away - 1), 101)
            shares = draw.randrange(1, 1_000)
            reference += draw.randrange(1, 9)
            live.append((locate, reference, side, shares))
            messages.append(itch.add(locate, reference, side, shares, price, stamp,
                                     mpid=draw.choice((None, None, None, "MPID"))))
        elif kind < 96:
            index = draw.randrange(len(live))
            where, which, side, shares = live.pop(index)
            part = draw.randrange(1, shares + 1)
            left = (where, which, side, shares - part)
            if kind < 75:
                messages.append(itch.delete(where, which, stamp))
            elif kind < 82:
                reference += draw.randrange(1, 9)
                price = TICK * max(mid[where] + draw.randrange(-30, 30), 101)
                live.append((where, reference, side, part))
                messages.append(itch.replace(where, which, reference, part, price, stamp))
            else:
                match += 1
                if left[3]:
                    live.append(left)
                messages.append(itch.executed(where, which, part, match, stamp) if kind < 90
                                else itch.executed_with_price(
                                    where, which, part, match, draw.choice((b"Y", b"N")),
                                    TICK * mid[where], stamp) if kind < 92
                                else itch.cancel(where, which, part, stamp))
        else:
            messages.append(_other(draw, locate, stamp, match, TICK * mid[locate]))
    return messages


def _broken(draw: random.Random, locate: int, stamp: int) -> bytes:
    return draw.choice((
        itch.delete(locate, 5, stamp), itch.executed(locate, 6, 10, 1, stamp),
        itch.add(locate, 7, b"B", 0, 10_000, stamp), itch.add(locate, 8, b"S", 1, 0, stamp),
        itch.add(locate, 9, b"?", 1, 10_000, stamp), itch.add(9, 9, b"B", 1, 10_000, stamp)))


def _other(draw: random.Random, locate: int, stamp: int, match: int, price: int) -> bytes:
    return draw.choice((
        itch.trade(locate, 0, b"B", 100, price, match, stamp),
        itch.cross(locate, 1 << draw.randrange(40), price, match, b"O", stamp),
        itch.broken(locate, match, stamp), itch.reg_sho(locate, draw.choice((b"0", b"1")), stamp),
        itch.action(locate, draw.choice((b"T", b"H", b"P")), b"T1  ", stamp),
        itch.collar(locate, price, price + 500, price - 500, stamp), itch.ipo(locate, price, stamp),
        itch.operational(locate, b"Q", draw.choice((b"H", b"T")), stamp),
        itch.imbalance(locate, 1_000, 5, b"B", price, price, price, b"O", stamp),
        itch.system(b"Q", stamp=stamp), itch.breach(b"1", stamp), itch.decline(stamp),
        itch.position(locate, stamp), itch.retail(locate, b"B", stamp),
        itch.listing(locate, stamp)))
