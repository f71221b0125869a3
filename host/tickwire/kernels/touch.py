"""Touch: the best levels of a side as they are known early, and what each message makes of them.

A row lists the best levels that the window of the side can show, best first, as many as the
geometry says (``cached``), or the best few of them while the rest is not known. It is never wrong:
what a message would make of it and cannot be decided at once makes it shorter, and :func:`append`
makes it longer again, from the book itself. Three facts hold after every message:

- the listed levels are on the grid, not below the floor of the window, and no other such level is
  better than the last of them;
- without ``more`` the side has no other level at all;
- the floor of the window is not above ``floor``.

So the best level is known when a level is listed or ``more`` is not set, and it is the one that
the book shows: a side that the book hides has levels and none that is listed.

Prices are keys that grow towards better prices on both sides, see :func:`key_of`. No software
device needs this, because its book is done before anybody could ask; it is what gateware does
(``tickwire_hw.touch``), and what its triggers may believe.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load64, store64, view
from tickwire.spec.geometry import LEVEL_FULL, MAX_CACHED, ONE_ORDER, SHARE_LIMIT

PRICE_MAX = (1 << 31) - 1

TOUCH = np.dtype([
    ("limit", "i8"),             # levels that it lists at most, 2 or more
    ("count", "i8"),             # levels that are listed
    ("more", "i8"),              # the side may have others
    ("floor", "i8"),             # key; the window's floor is not above it, while any is listed
    ("keys", "i8", MAX_CACHED),
    ("values", "i8", MAX_CACHED),  # orders << 40 | shares
], align=True)

TOUCH_OPERATION = np.dtype([
    ("takes", "i8"),             # shares leave an order at `take_key`:
    ("take_key", "i8"),
    ("taken", "i8"),             # so many, 1 or more,
    ("is_gone", "i8"),           # and the order with them
    ("adds", "i8"),              # an order joins the level at `key`, after that:
    ("key", "i8"),
    ("shares", "i8"),
    ("on_grid", "i8"),           # the key is a tick
    ("is_unsure", "i8"),         # it is not known whether it is
    ("is_low", "i8"),            # below any window, see `window.least_floor`
    ("is_doubtful", "i8"),       # it is not known whether the book took the order
    ("reach", "i8"),             # if the key is the best: where the window's floor then may be
], align=True)

touch_at = view(TOUCH)
operation_at = view(TOUCH_OPERATION)
_KEYS, _VALUES = TOUCH.fields["keys"][1], TOUCH.fields["values"][1]


@kernel(inline=True)
def key_of(price, side):
    """Key of a price, and the price of a key: bids as they are, asks from above."""
    return PRICE_MAX - price if side else price


@kernel(inline=True)
def is_known(row):
    """Whether the best level is known, be it that there is none."""
    t = touch_at(row)
    return t["count"] != 0 or t["more"] == 0


@kernel
def _better(row, key):
    """How many listed levels are better than ``key``."""
    count = np.int64(touch_at(row)["count"])
    place = 0
    while place < count and load64(row + _KEYS + 8 * place) > key:
        place += 1
    return place


@kernel
def _is_listed(row, key, place):
    """Whether the level of a key is listed, at the place that it would have (:func:`_better`)."""
    return place < touch_at(row)["count"] and load64(row + _KEYS + 8 * place) == key


@kernel
def _take_out(row, place):
    """Strike a level off the list."""
    t = touch_at(row)
    t["count"] -= 1
    for index in range(place, np.int64(t["count"])):
        store64(row + _KEYS + 8 * index, load64(row + _KEYS + 8 * index + 8))
        store64(row + _VALUES + 8 * index, load64(row + _VALUES + 8 * index + 8))


@kernel
def _put_in(row, place, key, value):
    """List a level; the last one falls off a full list."""
    t = touch_at(row)
    if t["count"] == t["limit"]:
        t["more"] = 1
    if place == t["limit"]:
        return
    t["count"] = min(np.int64(t["count"]) + 1, np.int64(t["limit"]))
    for index in range(np.int64(t["count"]) - 1, place, -1):
        store64(row + _KEYS + 8 * index, load64(row + _KEYS + 8 * index - 8))
        store64(row + _VALUES + 8 * index, load64(row + _VALUES + 8 * index - 8))
    store64(row + _KEYS + 8 * place, key)
    store64(row + _VALUES + 8 * place, value)


@kernel
def _forget(row):
    """Nothing is known any more. Returns as :func:`_take`."""
    t = touch_at(row)
    t["count"] = 0
    t["more"] = 1
    return 1


@kernel
def _is_full(row, key):
    """Whether the level of a key is listed and takes no more orders."""
    place = _better(row, key)
    return (_is_listed(row, key, place)
            and (load64(row + _VALUES + 8 * place) & SHARE_LIMIT) >= LEVEL_FULL)


@kernel
def _take(row, o):
    """Take shares from a level. Returns whether other levels are concerned than listed ones."""
    place = _better(row, o["take_key"])
    if not _is_listed(row, np.int64(o["take_key"]), place):
        return 1
    value = load64(row + _VALUES + 8 * place) - o["taken"]
    if o["is_gone"]:
        value -= ONE_ORDER
    store64(row + _VALUES + 8 * place, value)
    if value >= ONE_ORDER:
        return 0
    if o["adds"] == 0 or o["key"] != o["take_key"]:
        _take_out(row, place)
    return 1


@kernel
def _add(row, o):
    """Put an order into its level, or a level into the list. Returns as :func:`_take`."""
    t = touch_at(row)
    key = np.int64(o["key"])
    count, more = np.int64(t["count"]), np.int64(t["more"])
    is_first = count == 0 and more == 0
    place = _better(row, key)
    is_listed = _is_listed(row, key, place)
    if is_listed:
        address = row + _VALUES + 8 * place
        store64(address, load64(address) + o["shares"] + ONE_ORDER)
    elif count == 0 and more:
        return 1
    elif o["is_unsure"]:
        t["count"] = place
        t["more"] = 1
        return 1
    else:
        is_above = is_first or place < count or (more == 0 and key >= t["floor"])
        if o["on_grid"] == 0 or o["is_low"] or not is_above:
            t["more"] = 1
            return 1
        _put_in(row, place, key, o["shares"] + ONE_ORDER)
    if place == 0:                          # the window follows, and may leave others behind
        t["floor"] = o["reach"] if is_first else max(np.int64(t["floor"]), np.int64(o["reach"]))
        while t["count"] and load64(row + _KEYS + 8 * (np.int64(t["count"]) - 1)) < o["reach"]:
            t["count"] -= 1
            t["more"] = 1
    return 0 if is_listed else 1


@kernel
def apply(row, operation):
    """Apply what one message does to a side: its removal, its addition, or both, in this order.

    Returns whether levels came, went, or changed that are not listed: then a level that is being
    looked for (:func:`append`) may not be what was asked for any more.
    """
    o = operation_at(operation)
    if o["adds"] and (o["is_doubtful"] or _is_full(row, np.int64(o["key"]))):
        return _forget(row)
    is_shaken = 0
    if o["takes"]:
        is_shaken |= _take(row, o)
    if o["adds"]:
        is_shaken |= _add(row, o)
    return is_shaken


@kernel
def append(row, has_level, key, value, is_all, floor):
    """List the next level, if there is one, after fewer than ``limit``.

    ``is_all``: the side has no further one; ``floor`` is the window's.
    """
    t = touch_at(row)
    t["floor"] = floor
    t["more"] = 0 if is_all else 1
    if has_level:
        place = np.int64(t["count"])
        store64(row + _KEYS + 8 * place, key)
        store64(row + _VALUES + 8 * place, value)
        t["count"] = place + 1
