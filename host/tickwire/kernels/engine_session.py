"""Order session as the loop sees it: a connected socket, octets in, octets out.

Control logs in and hands the socket over; from then on the loop alone reads and writes it, until
it gives the socket back (``socket`` is -1). A session is up when the venue has told its next order
number and everything before that answer was read: only then is it known which orders were lost
with an earlier connection.
"""

import numpy as np

from tickwire.kernels import _ouch50 as ouch
from tickwire.kernels import _soupbintcp as soup
from tickwire.kernels.jit import kernel
from tickwire.kernels.kill import kill
from tickwire.kernels.memory import (
    CLOCK_REALTIME,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    copy,
    load8,
    load64_acquire,
    load_be16,
    load_be32,
    nanoseconds,
    recv,
    send,
    store8,
    store64_release,
    store_be16,
    view,
)
from tickwire.kernels.order_layout import orders_at
from tickwire.kernels.ring import count
from tickwire.kernels.settle import has_room, reconcile, settle
from tickwire.kernels.staging import is_released, sent
from tickwire.kernels.translate import MALFORMED, ORDER_EVENT, translate
from tickwire.kernels.triggers import hedge
from tickwire.spec import ouch50, soupbintcp
from tickwire.spec.counters import CounterIndex
from tickwire.spec.registers import KillCause

INPUT = 1 << 18                            # octets of the input buffer
OUTPUT = 1 << 16                           # octets that may wait for a full socket

SESSION = np.dtype([
    ("socket", "i8"),            # descriptor while the loop has it, -1 while control has it
    ("up", "i8"),                # address of the word that the risk gate reads
    ("number", "i8"),            # number of the session
    ("input", "i8"),
    ("input_octets", "i8"),
    ("output", "i8"),            # what the socket did not take yet
    ("output_octets", "i8"),
    ("settle", "i8"),            # settle intent in hand
    ("sequence", "i8"),          # next sequenced message
    ("awaited", "i8"),           # 1 while the venue's next order number is awaited
    ("next_token", "i8"),        # what it told; 0 not yet
    ("ended", "i8"),             # the venue ended the session
    ("sent_at", "i8"),
    ("received_at", "i8"),
    ("heartbeat_ns", "i8"),
    ("timeout_ns", "i8"),
    ("counters", "i8"),
], align=True)

session_at = view(SESSION)

_DROPS = CounterIndex.SESSION_DROPS.value
_MESSAGES = CounterIndex.SESSION_MESSAGES.value
_BAD = CounterIndex.SESSION_MALFORMED.value
_HEARTBEATS = CounterIndex.HEARTBEATS_SENT.value
_OCTETS = CounterIndex.ORDER_OCTETS.value
_BACKLOG = CounterIndex.SEND_BACKLOG.value
_BROKEN = CounterIndex.BROKEN_TRADES.value
_SETTLEMENT = KillCause.SETTLEMENT.value
_TYPE = soupbintcp.TYPE_OFFSET
_LENGTH = soupbintcp.LENGTH_SIZE
_HEADER = soupbintcp.HEADER_SIZE
_NEXT = ouch50.ACCOUNT_QUERY_RESPONSE.field("next_user_ref_num")[1]
_PACKET_MAX = 0xFFFF + _LENGTH
assert INPUT > 2 * _PACKET_MAX


@kernel
def drop(session):
    """Give the socket back to control; no order passes the gate until it is up again.

    No kill is latched, because nothing opens by itself: the session comes up only when every answer
    that was missed has been settled and what was lost with the connection is buried
    (:func:`_come_up`), and what nobody can explain latches SETTLEMENT. A host that wants a person
    to look first writes ``KillCause.SESSION_DOWN`` to the register KILL.
    """
    s = session_at(session)
    store64_release(s["up"], 0)
    s["output_octets"] = 0
    count(s["counters"], _DROPS)
    store64_release(session, -1)


@kernel
def transmit(session, address, octets, now):
    """Send ``octets`` from ``address``, behind what still waits for the socket."""
    s = session_at(session)
    sent = 0
    if s["output_octets"] == 0:
        sent = max(send(s["socket"], address, octets, MSG_DONTWAIT | MSG_NOSIGNAL), 0)
    count(s["counters"], _OCTETS, octets)
    s["sent_at"] = now
    left = octets - sent
    if left == 0:
        return
    count(s["counters"], _BACKLOG, left)
    if s["output_octets"] + left > OUTPUT:
        drop(session)
        return
    copy(s["output"] + s["output_octets"], address + sent, left)
    s["output_octets"] += left


@kernel
def depart(session, orders, octets, now):
    """Send what the order path encoded, unless the host runs the session; then write its records.

    Returns the egress stamp.
    """
    o = orders_at(orders)
    if not is_released(orders, o["tx_session"]):
        transmit(session, o["tx"], octets, now)
    egress = nanoseconds(CLOCK_REALTIME)
    sent(orders, egress)
    return egress


@kernel
def hedges(session, orders, now):
    """Fire what the fill that was settled last sets off."""
    slot = 0
    while slot >= 0:
        octets, slot = hedge(orders, slot, now)
        if octets > 0:
            depart(session, orders, octets, now)


@kernel
def _flush(session):
    s = session_at(session)
    sent = max(send(s["socket"], s["output"], s["output_octets"], MSG_DONTWAIT | MSG_NOSIGNAL), 0)
    left = s["output_octets"] - sent
    for index in range(left if sent else 0):
        store8(s["output"] + index, load8(s["output"] + sent + index))
    s["output_octets"] = left


@kernel
def _message(session, orders, message, octets, now):
    """One sequenced OUCH message."""
    s = session_at(session)
    s["sequence"] += 1
    count(s["counters"], _MESSAGES)
    found = translate(message, octets, s["settle"])
    if found == ORDER_EVENT:
        settle(orders, s["settle"], now)
        hedges(session, orders, now)
    elif found == MALFORMED:
        # Something happened to an order, and nobody can say what.
        count(s["counters"], _BAD)
        kill(orders, _SETTLEMENT, now)
    elif load8(message) == ouch.BROKEN_TRADE_TYPE:
        count(s["counters"], _BROKEN)
    elif load8(message) == ouch.ACCOUNT_QUERY_RESPONSE_TYPE and octets >= _NEXT + 4:
        s["next_token"] = load_be32(message + _NEXT)


@kernel
def _consume(session, orders, now):
    """Carry out the whole packets of the input; returns how many, -1 when the stream is broken.

    Stops while the order ring has no room for what a packet may cause.
    """
    s = session_at(session)
    place, done = 0, 0
    while s["input_octets"] - place >= _HEADER and has_room(orders):
        packet = s["input"] + place
        length = load_be16(packet)
        if length == 0:
            count(s["counters"], _BAD)
            return -1
        if s["input_octets"] - place < _LENGTH + length:
            break
        kind = load8(packet + _TYPE)
        if kind == soup.SEQUENCED_DATA_TYPE:
            _message(session, orders, packet + _HEADER, length - 1, now)
        elif kind == soup.END_OF_SESSION_TYPE:
            s["ended"] = 1
            return -1
        elif (kind != soup.SERVER_HEARTBEAT_TYPE and kind != soup.DEBUG_TYPE
              and kind != soup.UNSEQUENCED_DATA_TYPE):
            count(s["counters"], _BAD)
            return -1
        place += _LENGTH + length
        done += 1
    if place:
        s["input_octets"] -= place
        for index in range(s["input_octets"]):
            store8(s["input"] + index, load8(s["input"] + place + index))
    return done


@kernel
def _come_up(session, orders, now):
    """The stream is drained and the venue's next order number is known."""
    s = session_at(session)
    o = orders_at(orders)
    if reconcile(orders, s["number"], s["next_token"], now) == 0:
        return
    o["next_token"] = max(o["next_token"], s["next_token"])
    s["awaited"] = 0
    store64_release(s["up"], 1)


@kernel
def receive(session, orders, now):
    """Read what has come and settle it; returns packets carried out."""
    s = session_at(session)
    if load64_acquire(session) < 0:
        return 0
    if s["output_octets"] != 0:
        _flush(session)
    octets = recv(s["socket"], s["input"] + s["input_octets"], INPUT - s["input_octets"],
                  MSG_DONTWAIT) if s["input_octets"] < INPUT else -1
    if octets > 0:
        s["input_octets"] += octets
        s["received_at"] = now
    done = _consume(session, orders, now) if s["input_octets"] >= _HEADER else 0
    if octets == 0 or done < 0:
        drop(session)
        return 1
    if s["awaited"] and octets < 0 and s["next_token"] != 0 and s["input_octets"] == 0:
        _come_up(session, orders, now)
    return done


@kernel
def pulse(session, now):
    """Send a heartbeat when one is due; drop a peer that is silent for too long."""
    s = session_at(session)
    if load64_acquire(session) < 0:
        return
    # Periods begin anew when the clock was set back.
    s["received_at"] = min(s["received_at"], now)
    s["sent_at"] = min(s["sent_at"], now)
    if now - s["received_at"] > s["timeout_ns"]:
        drop(session)
    elif now - s["sent_at"] > s["heartbeat_ns"] and s["output_octets"] == 0:
        packet = s["output"]
        store_be16(packet, 1)
        store8(packet + _TYPE, soup.CLIENT_HEARTBEAT_TYPE)
        s["sent_at"] = now
        count(s["counters"], _HEARTBEATS)
        if send(s["socket"], packet, _HEADER, MSG_DONTWAIT | MSG_NOSIGNAL) < _HEADER:
            drop(session)
