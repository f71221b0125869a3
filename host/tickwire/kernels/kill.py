"""Kill switch: one latch with many causes, a watchdog, and two keys to arm it again.

The device begins killed. Every cause is sticky until both keys came; arming makes a new epoch, so
that an intent of before the kill can never be taken. Cancels pass all the while.
"""

from tickwire.kernels.jit import kernel
from tickwire.kernels.mass_cancel import ALL, begin_sweep
from tickwire.kernels.memory import below
from tickwire.kernels.order_layout import orders_at, risk_at
from tickwire.kernels.order_records import record_kill
from tickwire.kernels.ring import count
from tickwire.kernels.risk_rules import exposure_of, session_use_of, strategy_of
from tickwire.spec.counters import CounterIndex
from tickwire.spec.registers import ARM_KEY, ARM_WINDOW_NS, KillAction, KillCause

_KILLS = CounterIndex.KILLS.value
_ARMS = CounterIndex.ARMS.value
_ARMS_REFUSED = CounterIndex.ARMS_REFUSED.value
_KICKS = CounterIndex.WATCHDOG_KICKS.value
_KICKS_REFUSED = CounterIndex.WATCHDOG_REFUSED.value
_WATCHDOG = KillCause.WATCHDOG.value
_MASS_CANCEL = KillAction.MASS_CANCEL.value
_U32 = 0xFFFF_FFFF


@kernel
def kill(orders, cause, now):
    """Latch the kill for ``cause``; a cause that is latched already changes nothing.

    Writes a KILL record for each new cause. From the return on no order passes the gate.
    """
    o = orders_at(orders)
    r = risk_at(o["risk"])
    before = r["killed"]
    if before | cause == before:
        return
    r["killed"] = before | cause
    o["keys"] = 0
    if before == 0:
        count(o["counters"], _KILLS)
        o["kill_time"] = now
        if o["kill_action"] & _MASS_CANCEL != 0:
            begin_sweep(orders, ALL, 0, now)
    record_kill(orders, now)


@kernel
def arm(orders, key, now):
    """Take one of the two arming keys, both below 2^32.

    Returns 1 when the device is armed now, 0 when the second key may follow within 1 ms, and -1
    when the key is refused: wrong, late, or the device is armed already. A refused key forgets
    the first one.
    """
    o = orders_at(orders)
    r = risk_at(o["risk"])
    first = (o["epoch"] ^ ARM_KEY) & _U32
    in_time = o["keys"] == 1 and not below(ARM_WINDOW_NS, now - o["key_time"])
    if r["killed"] != 0 and key == first:
        o["keys"] = 1
        o["key_time"] = now
        return 0
    if r["killed"] == 0 or key != first ^ _U32 or not in_time:
        o["keys"] = 0
        count(o["counters"], _ARMS_REFUSED)
        return -1
    o["keys"] = 0
    o["epoch"] = o["epoch"] % _U32 + 1
    o["errors"] = 0
    o["kick_time"] = now
    o["is_kicked"] = 0
    r["killed"] = 0
    count(o["counters"], _ARMS)
    return 1


@kernel(inline=True)
def kicked(orders, now):
    """Restart the watchdog's period, for a kick that proved itself.

    One that comes too soon after the one before kills: a loop that runs wild must not look alive.
    """
    o = orders_at(orders)
    is_early = (o["watchdog_closed_ns"] != 0 and o["is_kicked"] != 0
                and risk_at(o["risk"])["killed"] == 0
                and now - o["kick_time"] < o["watchdog_closed_ns"])
    o["kick_time"] = now
    o["is_kicked"] = 1
    count(o["counters"], _KICKS)
    if is_early:
        kill(orders, _WATCHDOG, now)


@kernel(inline=True)
def kick(orders, value, now):
    """Kick the watchdog; returns 1, or 0 when ``value`` did not rise and nothing happened."""
    o = orders_at(orders)
    if value <= o["kick_value"]:
        count(o["counters"], _KICKS_REFUSED)
        return 0
    o["kick_value"] = value
    kicked(orders, now)
    return 1


@kernel(inline=True)
def watch(orders, now):
    """Kill when the watchdog's period passed without a kick since arming; returns 1 then."""
    o = orders_at(orders)
    if (o["watchdog_ns"] != 0 and risk_at(o["risk"])["killed"] == 0
            and now - o["kick_time"] > o["watchdog_ns"]):
        kill(orders, _WATCHDOG, now)
        return 1
    return 0


@kernel
def kill_instrument(orders, instrument, is_killed):
    """Block orders for one instrument, or let them pass again."""
    exposure_of(orders_at(orders)["risk"], instrument)["killed"] = is_killed


@kernel
def kill_strategy(orders, strategy, is_killed):
    """Block orders of one strategy, or release it: its orders pass and are counted from 0."""
    s = strategy_of(orders_at(orders)["risk"], strategy)
    s["killed"] = is_killed
    if not is_killed:
        s["orders"] = 0


@kernel
def kill_session(orders, session, is_killed):
    """Block orders of one session, or let them pass again; its cancels always pass."""
    session_use_of(orders_at(orders)["risk"], session)["killed"] = is_killed
