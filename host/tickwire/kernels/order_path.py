"""Order path: from an intent in the window to the octets that leave, and back from the answers.

The engine's loop, one thread, calls in this order::

    intent = ready(orders, now)
    if intent:
        octets = execute(orders, intent, now)
        if octets > 0:
            ... send ``octets`` from ``tx`` on session ``tx_session`` ...
            sent(orders, after)
    if sweeping(orders):
        octets = sweep(orders, now)         # a mass cancel goes on, a few orders a call
        ... as above ...
    watch(orders, now)

Of a session that the host runs (``released``) nothing lies in ``tx``: it leaves as the
ORDER_RELEASED records that :func:`sent` writes, and a message counts ``RECORD_SIZE`` octets.

ORDER_SENT records are written by :func:`sent`, after the send, with the egress stamp: they cost
nothing between the decision and the wire. Exposures and counters change at the decision.

Orders are refused in this order: sequence, CRC, epoch, operation, then unknown session, instrument
or order, flags, age, book version (INTENT_ERROR with the first that applies); then the risk gate
(RISK_REJECT with all checks that fail). Age and book version are not looked at for cancels.
"""

import numpy as np

from tickwire.kernels import encoder
from tickwire.kernels.checksum import CRC_OFFSET, crc32c_intent
from tickwire.kernels.entry import cancel, enter, enter_new, gate
from tickwire.kernels.intent_window import consume, fault, ready, seal
from tickwire.kernels.jit import kernel
from tickwire.kernels.kill import (
    arm,
    kick,
    kicked,
    kill,
    kill_instrument,
    kill_session,
    kill_strategy,
    watch,
)
from tickwire.kernels.limits import commit_limits
from tickwire.kernels.mass_cancel import ALL, begin_sweep, sweep, sweeping
from tickwire.kernels.memory import (
    below,
    copy64,
    load8,
    load16,
    load32,
    load64,
    unlikely,
)
from tickwire.kernels.order_layout import order_at, orders_at, risk_at
from tickwire.kernels.order_records import (
    record_error,
    record_limits,
)
from tickwire.kernels.orders import (
    REPLACING,
    find,
    free_token,
    instrument_of,
    request_replace,
)
from tickwire.kernels.ring import count
from tickwire.kernels.settle import has_room, reconcile, settle
from tickwire.kernels.staging import is_released, sent, stage
from tickwire.kernels.translate import translate
from tickwire.kernels.triggers import disarm, pre_arm
from tickwire.spec.counters import CounterIndex
from tickwire.spec.intents import INTENT, IntentError, IntentFlag, Operation
from tickwire.spec.limits import STRATEGIES
from tickwire.spec.records import RECORD_SIZE, STATE_LINE

__all__ = [
    "NO_ROOM", "arm", "commit", "execute", "is_released", "kick", "kill", "kill_instrument",
    "kill_session", "kill_strategy", "ready", "reconcile", "seal", "sent", "settle", "sweep",
    "sweeping", "translate", "watch",
]

NO_ROOM = -1                               # the intent was left where it is

_TIMESTAMP, _ID, _LOCATE, _OPERATION, _FLAGS, _PRICE, _QUANTITY, _TOKEN = (
    INTENT.field(name)[1] for name in ("timestamp", "intent_id", "locate", "operation", "flags",
                                       "price", "quantity", "token"))
_VERSION, _LAG, _TTL, _SESSION, _STRATEGY, _EPOCH, _SEQUENCE = (
    INTENT.field(name)[1] for name in ("book_version", "max_version_lag", "ttl_ns", "session",
                                       "strategy", "epoch", "sequence"))
_STATE_VERSION = STATE_LINE.field("version")[1]
assert INTENT.field("crc")[1] == CRC_OFFSET and _SEQUENCE == _EPOCH + 4

_NOP = Operation.NOP.value
_NEW = Operation.NEW.value
_CANCEL = Operation.CANCEL.value
_REPLACE = Operation.REPLACE.value
_MASS_CANCEL = Operation.MASS_CANCEL.value
_PRE_ARM = Operation.PRE_ARM.value
_DISARM = Operation.DISARM.value
_SETTLE_FIRST = Operation.SETTLE_ACCEPTED.value
_SETTLE_LAST = Operation.SETTLE_REPLACED.value
_SELL = IntentFlag.SELL.value
_SHORT = IntentFlag.SHORT.value
_SIDE_FLAGS = _SELL | _SHORT
_ALL_FLAGS = sum(IntentFlag)
_CRC = IntentError.CRC.value
_WRONG_EPOCH = IntentError.EPOCH.value
_WRONG_SEQUENCE = IntentError.SEQUENCE.value
_STALE = IntentError.STALE.value
_UNKNOWN_OPERATION = IntentError.OPERATION.value
_UNKNOWN_ORDER = IntentError.UNKNOWN_ORDER.value
_UNKNOWN_SESSION = IntentError.UNKNOWN_SESSION.value
_BOOK_VERSION = IntentError.BOOK_VERSION.value
_UNKNOWN_INSTRUMENT = IntentError.UNKNOWN_INSTRUMENT.value
_REPLACE_PENDING = IntentError.REPLACE_PENDING.value
_WRONG_FLAGS = IntentError.FLAGS.value
_UNKNOWN_STRATEGY = IntentError.UNKNOWN_STRATEGY.value
_SESSION_DOWN = IntentError.SESSION_DOWN.value
_ORDERS_SENT = CounterIndex.ORDERS_SENT.value
_CANCELS_SENT = CounterIndex.CANCELS_SENT.value
_REPLACES_SENT = CounterIndex.REPLACES_SENT.value
_LIMITS_COMMITTED = CounterIndex.LIMITS_COMMITTED.value
_LIMITS_REFUSED = CounterIndex.LIMITS_REFUSED.value
_U32 = 0xFFFF_FFFF


@kernel(inline=True)
def _is_old(intent, now):
    """Whether the decision is further from ``now`` than its time to live, either way."""
    ttl = load32(intent + _TTL)
    return ttl != 0 and below(ttl, abs(now - load64(intent + _TIMESTAMP)))


@kernel(inline=True)
def _line(orders, instrument):
    return risk_at(orders_at(orders)["risk"])["state"] + instrument * RECORD_SIZE


@kernel(inline=True)
def _is_behind(orders, intent, instrument):
    """Whether the book moved on by more versions than the intent permits."""
    most = load32(intent + _LAG)
    now = load32(_line(orders, instrument) + _STATE_VERSION)
    return most != 0 and (now - load32(intent + _VERSION)) & _U32 > most


@kernel(inline=True)
def _refuse_age(orders, intent, now):
    """Report a decision that is too old; returns whether it is."""
    if unlikely(_is_old(intent, now)):
        age = abs(now - load64(intent + _TIMESTAMP))
        record_error(orders, intent, _STALE, load32(intent + _TTL),
                     age if below(age, _U32) else _U32, now)
        return True
    return False


@kernel(inline=True)
def _refuse_timing(orders, intent, instrument, now):
    """Report a decision that is too old, by time or by book; returns whether it is."""
    if _refuse_age(orders, intent, now):
        return True
    if unlikely(_is_behind(orders, intent, instrument)):
        record_error(orders, intent, _BOOK_VERSION,
                     load32(_line(orders, instrument) + _STATE_VERSION),
                     load32(intent + _VERSION), now)
        return True
    return False


@kernel(inline=True)
def _refuse_form(orders, intent, now):
    """Report what a new order can not be; returns its instrument, -1 when it was refused."""
    session, strategy = load16(intent + _SESSION), load16(intent + _STRATEGY)
    locate, flags = load16(intent + _LOCATE), load8(intent + _FLAGS)
    sessions = orders_at(orders)["session_count"]
    if unlikely(session >= sessions):
        record_error(orders, intent, _UNKNOWN_SESSION, sessions, session, now)
        return -1
    if unlikely(strategy >= STRATEGIES):
        record_error(orders, intent, _UNKNOWN_STRATEGY, STRATEGIES, strategy, now)
        return -1
    instrument = instrument_of(orders, locate)
    if unlikely(instrument < 0):
        record_error(orders, intent, _UNKNOWN_INSTRUMENT, 0, locate, now)
        return -1
    if unlikely(flags & ~_ALL_FLAGS != 0 or flags & _SIDE_FLAGS == _SHORT):
        record_error(orders, intent, _WRONG_FLAGS, _ALL_FLAGS, flags, now)
        return -1
    return instrument


@kernel(inline=True)
def _new(orders, intent, now):
    instrument = _refuse_form(orders, intent, now)
    if unlikely(instrument < 0) or _refuse_timing(orders, intent, instrument, now):
        return 0
    return enter_new(orders, intent, instrument, load64(intent + _TIMESTAMP), now)


@kernel
def _pre_arm(orders, intent, now):
    instrument = _refuse_form(orders, intent, now)
    if instrument >= 0 and not _refuse_age(orders, intent, now):
        pre_arm(orders, intent, instrument, now)


@kernel
def _replace(orders, intent, now):
    o = orders_at(orders)
    flags = load8(intent + _FLAGS)
    price = load32(intent + _PRICE)
    quantity = load32(intent + _QUANTITY)
    previous = load32(intent + _TOKEN)
    strategy = load16(intent + _STRATEGY)
    old = find(orders, previous)
    if unlikely(old == 0):
        record_error(orders, intent, _UNKNOWN_ORDER, 0, previous, now)
        return 0
    p = order_at(old)
    if unlikely(p["successor"] != 0 or p["state"] == REPLACING):
        record_error(orders, intent, _REPLACE_PENDING, 0, previous, now)
        return 0
    if unlikely(strategy >= STRATEGIES):
        record_error(orders, intent, _UNKNOWN_STRATEGY, STRATEGIES, strategy, now)
        return 0
    if unlikely(flags & ~_ALL_FLAGS != 0):
        record_error(orders, intent, _WRONG_FLAGS, _ALL_FLAGS, flags, now)
        return 0
    locate = np.int64(p["locate"])
    instrument = np.int64(p["instrument"])
    if _refuse_timing(orders, intent, instrument, now):
        return 0
    # The side is the order's: a replace can not change it.
    flags = flags & ~_SIDE_FLAGS | np.int64(p["flags"]) & _SIDE_FLAGS
    token = free_token(orders)
    request_replace(orders, old, flags, price, quantity, strategy, load64(intent + _TIMESTAMP),
                    token)
    if not gate(orders, intent, locate, flags, now):
        return 0
    a = order_at(enter(orders, intent, token, now))
    a["previous"] = previous
    a["instrument"] = instrument
    a["locate"] = locate
    a["session"] = p["session"]
    a["flags"] = flags
    a["state"] = REPLACING
    p["successor"] = token
    o["tx_session"] = np.int64(p["session"])
    stage(orders, token, _REPLACE, price, quantity, load32(intent + _ID),
           load64(intent + _TIMESTAMP))
    count(o["counters"], _REPLACES_SENT)
    if unlikely(is_released(orders, o["tx_session"])):
        return RECORD_SIZE
    return encoder.encode_replace(orders, token, o["tx"])


@kernel
def _mass_cancel(orders, intent, now):
    """Begin a mass cancel: of the instrument of ``locate``, of all for locate 0."""
    locate = load16(intent + _LOCATE)
    instrument = ALL
    if locate != 0:
        instrument = instrument_of(orders, locate)
        if instrument < 0:
            record_error(orders, intent, _UNKNOWN_INSTRUMENT, 0, locate, now)
            return 0
    begin_sweep(orders, instrument, load32(intent + _ID), load64(intent + _TIMESTAMP))
    return sweep(orders, now)


@kernel(inline=True)
def _dispatch(orders, intent, now):
    """Execute an intent whose CRC, epoch and sequence are right."""
    operation = load8(intent + _OPERATION)
    if _SETTLE_FIRST <= operation <= _SETTLE_LAST:
        settle(orders, intent, now)
        return 0
    orders_at(orders)["last_intent"] = load32(intent + _ID)
    if operation == _NEW:
        return _new(orders, intent, now)
    if operation == _CANCEL:
        return cancel(orders, intent, now)
    if operation == _REPLACE:
        return _replace(orders, intent, now)
    if operation == _NOP:
        kicked(orders, now)
        return 0
    if operation == _MASS_CANCEL:
        return _mass_cancel(orders, intent, now)
    if operation == _PRE_ARM:
        _pre_arm(orders, intent, now)
        return 0
    if operation == _DISARM:
        disarm(orders, intent, now)
        return 0
    record_error(orders, intent, _UNKNOWN_OPERATION, 0, operation, now)
    return 0


@kernel
def execute(orders, intent, now):
    """Execute the intent at ``intent``, which is whole, at time ``now``.

    Returns the octets to send from ``tx``, 0 for none, ``NO_ROOM`` when the order ring has no room
    for what it may cause: then nothing happened. It is consumed even when its CRC or epoch is
    wrong; a wrong sequence leaves the window as it is.
    """
    o = orders_at(orders)
    if unlikely(not has_room(orders)):
        return NO_ROOM
    if unlikely(o["staged_count"] != 0):
        sent(orders, now)
    # The host can write the slot at any time: what was checked must be what is executed.
    copy64(o["intent"], intent)
    intent = o["intent"]
    last = load64(intent + _EPOCH)
    expected = o["expected"] & _U32
    sequence = last >> 32 & _U32
    if unlikely(sequence != expected):
        fault(orders, intent, _WRONG_SEQUENCE, expected, sequence, now)
        return 0
    consume(orders)
    crc = crc32c_intent(intent, last)
    if unlikely(load32(intent + CRC_OFFSET) != crc):
        fault(orders, intent, _CRC, crc, load32(intent + CRC_OFFSET), now)
        return 0
    if unlikely(last & _U32 != o["epoch"]):
        fault(orders, intent, _WRONG_EPOCH, o["epoch"], last & _U32, now)
        return 0
    return _dispatch(orders, intent, now)


@kernel
def commit(orders, version, crc, now):
    """Put the staged limits in force and report it; returns a LimitsError, 0 when they are."""
    o = orders_at(orders)
    error = commit_limits(o["risk"], version, crc)
    count(o["counters"], _LIMITS_COMMITTED if error == 0 else _LIMITS_REFUSED)
    record_limits(orders, version, crc, error, now)
    return error
