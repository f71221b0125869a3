"""What passes into and out of the risk gate: orders, answers, market, limits, verdicts."""

from amaranth.hdl import signed
from amaranth.lib import data

from tickwire.spec.checks import CHECKS, CheckIndex
from tickwire.spec.limits import NOTIONAL_LIMIT_MAX, STRATEGIES
from tickwire.spec.sessions import SESSIONS_MAX

CHECK_BITS = len(CHECKS)
AMOUNT = 64                                # 1e-4 dollars, and times
SHARES = 48                                # sums of shares
WORTH = NOTIONAL_LIMIT_MAX.bit_length()    # what `saturated` makes of a greater value is the most
KEY = 31                                   # price key of an own order
FACTOR = 63                                # of a collar: basis points << 45 over 10,000, rounded up
FACTOR_SHIFT = 45
OFF = (1 << 31) - 1                        # a collar that is not there
STATIC_CHECKS = (CheckIndex.INSTRUMENT_DISABLED, CheckIndex.QUANTITY, CheckIndex.NOTIONAL,
                 CheckIndex.TICK_SIZE, CheckIndex.ORDER_TYPE, CheckIndex.PRICE_BAND)
"""Checks that ``RiskStatic`` finds; of the last one there is a volatile part as well."""
assert NOTIONAL_LIMIT_MAX == (1 << WORTH) - 1
STRATEGY = range(STRATEGIES)
SESSION = range(SESSIONS_MAX)


class Market(data.Struct):
    """What the gate needs to know of an instrument's market; see the state line."""

    bid: 32
    ask: 32
    last: 32
    trading_state: 8
    flags: 8                               # BookFlag
    operational: 8                         # action of the newest operational halt
    reg_sho: 8                             # action of the newest Reg SHO message


class Ahead(data.Struct):
    """Whose order comes ``AHEAD`` cycles later, and what its market is like."""

    instrument: 16
    strategy: STRATEGY
    session: SESSION
    market: Market


class Owner(data.Struct):
    """Whose an order is, when its market was known before it was."""

    strategy: STRATEGY
    session: SESSION


class Request(data.Struct):
    """An order in front of its verdict (kernel ``order_layout.REQUEST``).

    ``static`` has the checks that are known to fail from order and limits alone (``RiskStatic``).
    """

    is_sell: 1
    is_new: 1                              # counts as one more open order
    kinds: 4                               # OrderPermit
    has_place: 1
    price: 32
    quantity: 32
    added_quantity: 32
    added_notional: 62
    decided: AMOUNT
    static: CHECK_BITS


class Checked(data.Struct):
    """What limits alone decide of an order, as it was under one version of them."""

    version: 32
    static: len(STATIC_CHECKS)             # which ones of them it fails
    notional: 62


class Verdict(data.Struct):
    """What became of an order."""

    passes: 1
    is_soft: 1                             # it passes although soft checks failed
    mask: CHECK_BITS
    version: 32                            # of the limits that it was held against


class Reason(data.Struct):
    """Why an order was refused: the first hard check that failed, its limit and its value."""

    check: range(CHECK_BITS)
    limit: 32
    value: 32


class Answer(data.Struct):
    """What an answer of the venue changes: amounts to add to what is open, then an execution."""

    instrument: 16
    session: SESSION
    is_sell: 1
    quantity: signed(SHARES)
    notional: signed(AMOUNT)
    orders: signed(2)
    is_fill: 1
    executed: 31
    price: 31
    buy_key: KEY                           # greatest price keys of the own orders afterwards
    sell_key: KEY
    last: 32                               # newest trade of the instrument


class Divisor(data.Struct):
    """A divisor as a commit works it out (kernel ``order_layout.DIVISOR``); all zero for 0."""

    number: 32                             # the divisor
    inverse: 32                            # of its odd part, modulo 2^32
    shift: 5                               # binary zeros behind the odd part
    room: 5                                # bits that the quotient of a multiple may have


class StaticRow(data.Struct):
    """An instrument's limits of one order."""

    flags: 32                              # LimitFlag
    permits: 8
    quantity_min: 32
    quantity_max: 32
    notional_max: 64
    band_lower: 32
    band_upper: 32
    tick: Divisor
    tick_below_dollar: Divisor
    lot: Divisor


class FirmRow(data.Struct):
    """The firm's limits, and what a commit worked out from them."""

    gross_notional_max: AMOUNT
    net_notional_max: AMOUNT
    credit_max: AMOUNT
    loss_max: AMOUNT
    open_notional_max: AMOUNT
    open_orders_max: 32
    rate_interval_ns: 32
    rate_burst: 32
    intent_errors_max: 32
    soft_checks: CHECK_BITS
    rate_room: signed(AMOUNT)


class InstrumentRow(data.Struct):
    """An instrument's limits as the gate needs them."""

    static: StaticRow
    gross_notional_max: AMOUNT
    open_notional_max: AMOUNT
    day_quantity_max: AMOUNT
    day_notional_max: AMOUNT
    collar_price: 32
    collar_factor: FACTOR
    last_collar_price: 32
    last_collar_factor: FACTOR
    has_last_collar: 1
    position_long_max: 32
    position_short_max: 32
    open_orders_max: 32
    duplicate_ns: 32
    rate_interval_ns: 32
    rate_burst: 32
    rate_room: signed(AMOUNT)


class StrategyRow(data.Struct):
    """A strategy's limits."""

    is_enabled: 1
    repetitions_max: 32
    rate_interval_ns: 32
    rate_burst: 32
    age_max_ns: AMOUNT
    rate_room: signed(AMOUNT)


class SessionRow(data.Struct):
    """An order session's limits."""

    message_interval_ns: 32
    message_burst: 32
    orders_free: 32
    orders_per_trade: 32
    rate_room: signed(AMOUNT)


class Exposure(data.Struct):
    """What one instrument may cost (kernel ``order_layout.EXPOSURE``)."""

    position: signed(SHARES)
    open_buy: signed(SHARES)
    open_sell: signed(SHARES)
    traded: signed(SHARES)                 # shares bought and sold today
    open_orders: signed(32)
    open_notional: AMOUNT
    position_value: 62
    net_value: signed(AMOUNT)
    turnover: AMOUNT
    mark: 32
    rate_time: signed(AMOUNT)
    newest: data.ArrayLayout(64, 2)        # quantity << 32 | price of the newest order of a side
    newest_time: data.ArrayLayout(AMOUNT, 2)
    buy_key: KEY
    sell_key: KEY


class Use(data.Struct):
    """What a strategy or an order session has used."""

    orders: 40
    earned: 40
    time: signed(AMOUNT)                   # its token bucket is full again then


class Firm(data.Struct):
    """What the firm may cost."""

    open_notional: AMOUNT
    open_buy_notional: AMOUNT
    position_value: AMOUNT
    net_value: signed(AMOUNT)
    cash: signed(AMOUNT)
    open_orders: signed(32)
    rate_time: signed(AMOUNT)
