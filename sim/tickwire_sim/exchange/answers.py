"""OUCH 5.0 messages of the venue to its clients, stored as SoupBinTCP sequenced packets.

Each account has a store of its own; a client that connects again reads on where it was.
"""

from tickwire.kernels import _ouch50 as ouch50
from tickwire.kernels._soupbintcp import SEQUENCED_DATA_TYPE
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import store8
from tickwire.kernels.ring import count
from tickwire_sim.exchange.codes import Liquidity
from tickwire_sim.exchange.counters import CounterIndex
from tickwire_sim.exchange.layout import (
    ACCOUNT_SIZE,
    EVENT_SIZE,
    HOUSE,
    ORDER_SIZE,
    SYMBOL_SIZE,
    EventKind,
    account_at,
    engine_at,
    event_at,
    order_at,
    symbol_at,
)
from tickwire_sim.exchange.store import commit, reserve

SIZE_MAX = 128
_LIVE = ord("L")
_ADDED, _REMOVED = Liquidity.ADDED, Liquidity.REMOVED
_EXECUTION = int(EventKind.EXECUTION)
_ACCEPTED, _REJECTED, _REPLACED, _CANCELED, _FILLS = (
    int(CounterIndex[name]) for name in
    ("ORDERS_ACCEPTED", "ORDERS_REJECTED", "ORDERS_REPLACED", "ORDERS_CANCELED", "FILLS"))


@kernel(inline=True)
def _open(engine, account):
    """Address for the next message to an account; :func:`_close` sends it on its way."""
    store = account_at(engine_at(engine)["accounts"] + ACCOUNT_SIZE * account)["store"]
    target = reserve(store, SIZE_MAX)
    store8(target, SEQUENCED_DATA_TYPE)
    return target + 1


@kernel(inline=True)
def _close(engine, account, octets):
    """Number the message that was written."""
    commit(account_at(engine_at(engine)["accounts"] + ACCOUNT_SIZE * account)["store"], 1 + octets)


@kernel
def accepted(engine, account, slot, price, client_text):
    """Order Accepted for the order in ``slot``, ``price`` as the client wrote it."""
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    name = symbol_at(e["symbols"] + SYMBOL_SIZE * o["symbol"])["name"]
    _close(engine, account, ouch50.encode_order_accepted(
        _open(engine, account), e["clock"], o["number"], o["side_code"], o["quantity"], name,
        price, o["time_in_force"], o["display"], o["reference"], o["capacity"], o["iso_eligible"],
        o["cross_type"], _LIVE, client_text, client_text, 0))
    count(e["counters"], _ACCEPTED)


@kernel
def replaced(engine, account, slot, original, price, client_text):
    """Order Replaced for the new order in ``slot``, which was ``original`` before."""
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    name = symbol_at(e["symbols"] + SYMBOL_SIZE * o["symbol"])["name"]
    _close(engine, account, ouch50.encode_order_replaced(
        _open(engine, account), e["clock"], original, o["number"], o["side_code"], o["quantity"],
        name, price, o["time_in_force"], o["display"], o["reference"], o["capacity"],
        o["iso_eligible"], o["cross_type"], _LIVE, client_text, client_text, 0))
    count(e["counters"], _REPLACED)


@kernel
def rejected(engine, account, number, reason, client_text):
    """Rejected; the text is that of the message which is refused."""
    e = engine_at(engine)
    _close(engine, account, ouch50.encode_rejected(
        _open(engine, account), e["clock"], number, reason, client_text, client_text, 0))
    count(e["counters"], _REJECTED)


@kernel
def canceled(engine, account, number, quantity, reason):
    """Order Canceled."""
    e = engine_at(engine)
    target = _open(engine, account)
    _close(engine, account, ouch50.encode_order_canceled(
        target, e["clock"], number, quantity, reason, target, 0))
    count(e["counters"], _CANCELED)


@kernel
def executed(engine, account, number, quantity, price, liquidity, match_number):
    """Order Executed."""
    e = engine_at(engine)
    target = _open(engine, account)
    _close(engine, account, ouch50.encode_order_executed(
        target, e["clock"], number, quantity, price, liquidity, match_number, target, 0))
    count(e["counters"], _FILLS)


@kernel
def modified(engine, account, slot):
    """Order Modified."""
    e = engine_at(engine)
    o = order_at(e["orders"] + ORDER_SIZE * slot)
    target = _open(engine, account)
    _close(engine, account, ouch50.encode_order_modified(
        target, e["clock"], o["number"], o["side_code"], o["quantity"], target, 0))


@kernel
def mass_canceled(engine, account, number, firm, symbol):
    """Mass Cancel Response."""
    target = _open(engine, account)
    _close(engine, account, ouch50.encode_mass_cancel_response(
        target, engine_at(engine)["clock"], number, firm, symbol, target, 0))


@kernel
def switched(engine, account, number, firm, is_disabled):
    """Disable or Enable Order Entry Response."""
    clock = engine_at(engine)["clock"]
    target = _open(engine, account)
    if is_disabled:
        octets = ouch50.encode_disable_order_entry_response(target, clock, number, firm, target, 0)
    else:
        octets = ouch50.encode_enable_order_entry_response(target, clock, number, firm, target, 0)
    _close(engine, account, octets)


@kernel
def next_number(engine, account):
    """Account Query Response."""
    e = engine_at(engine)
    number = account_at(e["accounts"] + ACCOUNT_SIZE * account)["number"] + 1
    target = _open(engine, account)
    _close(engine, account, ouch50.encode_account_query_response(
        target, e["clock"], number, target, 0))


@kernel
def system_event(engine, account, event_code):
    """System Event of order entry."""
    _close(engine, account, ouch50.encode_system_event(
        _open(engine, account), engine_at(engine)["clock"], event_code))


@kernel
def report(engine):
    """Tell the clients about the events of the last command, in order, and forget them."""
    e = engine_at(engine)
    for index in range(e["event_count"]):
        event = event_at(e["events"] + EVENT_SIZE * index)
        if event["kind"] == _EXECUTION:
            if event["owner"] != HOUSE:
                executed(engine, event["owner"], event["number"], event["quantity"],
                         event["price"], _ADDED, event["match_number"])
            if event["taker_owner"] != HOUSE:
                executed(engine, event["taker_owner"], event["taker_number"], event["quantity"],
                         event["price"], _REMOVED, event["match_number"])
        elif event["owner"] != HOUSE:
            canceled(engine, event["owner"], event["number"], event["quantity"], event["reason"])
    e["event_count"] = 0
