"""The order path once more, slowly: dictionaries, no increments, everything computed from scratch.

It was written from the documents (spec/checks.py, spec/limits.py, spec/intents.py and the contract
of each record), not from the kernels, and keeps nothing that can be recomputed: exposures are
sums over all orders at every question.
"""

import struct
from dataclasses import dataclass, field

from tickwire.spec.checks import CHECKS
from tickwire.spec.intents import IntentError, IntentFlag, Operation
from tickwire.spec.limits import LimitFlag, OrderPermit
from tickwire.spec.records import BookFlag, FeedState, RecordType
from tickwire.spec.registers import KillCause

U32 = (1 << 32) - 1
M31 = (1 << 31) - 1
NOTIONAL_MAX = (1 << 61) - 1
OWN_PLACES = 8                # open orders of an instrument whose prices are known one by one
NAMES = [check.name for check in CHECKS]


def wrapped(amount: int) -> int:
    """Signed amount as 64 bits hold it."""
    return (amount + (1 << 63)) % (1 << 64) - (1 << 63)


def saturated(price: int, quantity: int) -> int:
    """Value of an order: saturated, and saturated as soon as a factor is beyond 31 bits."""
    return NOTIONAL_MAX if max(price, quantity) > M31 else min(price * quantity, NOTIONAL_MAX)


@dataclass
class Order:
    """An order as the device believes it to be."""

    token: int
    instrument: int
    locate: int
    flags: int
    price: int
    quantity: int
    leaves: int
    intent_id: int
    strategy: int
    session: int
    state: str = "sent"          # sent, live, replacing, dead
    executed: int = 0
    previous: int = 0
    successor: int = 0
    reference: int = 0
    place: int | None = None     # among the own prices; None beyond them

    @property
    def sells(self) -> bool:
        """Whether it sells."""
        return bool(self.flags & IntentFlag.SELL)

    @property
    def side(self) -> str:
        """Letter of its side."""
        return "B" if not self.sells else "T" if self.flags & IntentFlag.SHORT else "S"


@dataclass
class Position:
    """One instrument."""

    shares: int = 0
    cash: int = 0
    bought: int = 0
    sold: int = 0
    mark: int = 0
    value: int = 0
    bucket: int = 0              # time at which the token bucket is full again
    killed: bool = False
    turnover: int = 0
    newest: dict = field(default_factory=dict)       # side: price, quantity, time
    beyond: dict = field(default_factory=dict)       # side: best own price without a place

    @property
    def net(self) -> int:
        """Value with the sign of the position."""
        return -self.value if self.shares < 0 else self.value


@dataclass
class Actor:
    """A strategy or an order session."""

    killed: bool = False
    orders: int = 0
    earned: int = 0
    bucket: int = 0


@dataclass
class Book:
    """What the gate sees of a book."""

    bid: int = 0
    ask: int = 0
    last: int = 0
    trading_state: str = "\0"
    flags: int = 0
    version: int = 0
    reg_sho: str = "\0"                 # of an instrument that no message told of: restricted
    operational: str = "T"


@dataclass
class Reference:
    """Same inputs as the kernels, same records."""

    instruments: int
    locates: list[int | None]
    symbols: tuple[bytes, ...]
    sessions: list[int]
    table: int                   # rows of the order table
    limits: list[dict] = field(default_factory=list)
    firm: dict = field(default_factory=dict)
    strategy_limits: list[dict] = field(default_factory=list)
    session_limits: list[dict] = field(default_factory=list)
    phase: str = "\0"
    soft: dict = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    version: int = 0
    killed: int = int(KillCause.POWER_ON)
    epoch: int = 1
    expected: int = 1
    errors: int = 0
    next_token: int = 1
    bucket: int = 0
    feed: int = 0
    last_intent: int = 0
    last_kick: int = 0
    mass_cancel_on_kill: bool = False
    books: list[Book] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    orders: dict[int, Order] = field(default_factory=dict)
    records: list[tuple[RecordType, dict]] = field(default_factory=list)
    sweep: tuple[int, list[int]] | None = None

    def __post_init__(self):
        self.books = [Book() for _ in range(self.instruments)]
        self.positions = [Position() for _ in range(self.instruments)]
        self.strategies = [Actor() for _ in range(16)]
        self.uses = [Actor() for _ in self.sessions]

    # --- exposures, always from scratch -------------------------------------------------------

    def chain(self, order: Order) -> tuple[int, int]:
        """Shares and value that an order and the replace of it may still cost."""
        shares, value = order.leaves, saturated(order.price, order.leaves)
        if order.successor:
            other = self.orders[order.successor]
            rest = max(other.quantity - order.executed, 0)
            shares, value = max(shares, rest), max(value, saturated(other.price, rest))
        return shares, value

    def heads(self, instrument=None):
        """Orders that stand for a chain."""
        return [order for order in self.orders.values() if order.state in ("sent", "live")
                and instrument in (None, order.instrument)]

    def open_shares(self, instrument: int, sells: bool) -> int:
        """Open shares of one side."""
        return sum(self.chain(order)[0] for order in self.heads(instrument)
                   if order.sells == sells)

    def open_value(self, instrument=None) -> int:
        """Open value of one instrument or the firm."""
        return sum(self.chain(order)[1] for order in self.heads(instrument))

    def side_value(self, sells: bool) -> int:
        """Open value of one side of the firm."""
        return sum(self.chain(order)[1] for order in self.heads() if order.sells == sells)

    def own_price(self, instrument: int, sells: bool) -> int:
        """Best own price of one side, 0 none; a price gone may still count beyond the places."""
        prices = [order.price for order in self.orders.values()
                  if order.instrument == instrument and order.sells == sells
                  and order.state != "dead" and order.place is not None]
        prices.append(self.positions[instrument].beyond.get(sells, 0))
        prices = [price for price in prices if price not in (0, M31 if sells else 0)]
        return (min if sells else max)(prices, default=0)

    def place(self, order: Order):
        """Take a place for the price of an order that may execute from now on."""
        taken = {other.place for other in self.orders.values()
                 if other.instrument == order.instrument and other.state != "dead"}
        order.place = min(set(range(OWN_PLACES)) - taken, default=None)
        self.priced(order)

    def priced(self, order: Order):
        """An order has another price now; beyond the places only the best is known."""
        if order.place is None:
            beyond = self.positions[order.instrument].beyond
            best = beyond.get(order.sells, 0) or order.price
            beyond[order.sells] = (min if order.sells else max)(best, order.price)

    def mark(self, instrument: int) -> int:
        """Price of the position."""
        return self.books[instrument].last or self.positions[instrument].mark

    # --- the gate -----------------------------------------------------------------------------

    def verdict(self, order: Order, has_place: bool, shares: int, value: int, orders: int,
                decided: int, now: int) -> dict[str, tuple[int, int]]:
        """Failing checks by name with their limit and value."""
        position, book = self.positions[order.instrument], self.books[order.instrument]
        limits = self.limits[order.instrument] if self.limits else {}
        row, firm = lambda name: limits.get(name, 0), lambda name: self.firm.get(name, 0)
        failed = {}

        def fail(name, condition, limit, reading):
            if condition:
                failed[name] = (limit, reading)

        fail("global_kill", self.killed, 0, self.killed)
        fail("instrument_kill", position.killed, 0, 1)
        fail("instrument_disabled", not row("flags") & LimitFlag.ENABLED, 1, row("flags"))
        strategy, session = self.strategies[order.strategy], self.uses[order.session]
        plan = self.strategy_limits[order.strategy] if self.strategy_limits else {}
        channel = self.session_limits[order.session] if self.session_limits else {}
        permits = row("permits")
        needed = BookFlag.BID_HIDDEN if order.sells else BookFlag.ASK_HIDDEN
        doubt = book.flags & (BookFlag.RECOVERING | BookFlag.STALE | BookFlag.DESYNCED | needed)
        if self.feed != FeedState.LIVE:
            failed["feed_unhealthy"] = (FeedState.LIVE, self.feed)
        else:
            fail("feed_unhealthy", doubt, 0, doubt)
        state = book.trading_state
        if state == "T" and book.operational == "H":
            state = "H"
        fail("trading_state", state != "T", ord("T"), ord(state))
        if not 1 <= order.quantity <= row("quantity_max"):
            failed["quantity"] = (row("quantity_max"), order.quantity)
        elif order.quantity < row("quantity_min"):
            failed["quantity"] = (row("quantity_min"), order.quantity)
        else:
            fail("quantity", not row("lot") or order.quantity % row("lot"), row("lot"),
                 order.quantity)
        whole = saturated(order.price, order.quantity)
        fail("notional", whole > row("notional_max"), row("notional_max"), whole)
        tick = row("tick") if order.price >= 10_000 else row("tick_below_dollar")
        highest = 1_999_999_900
        fail("tick_size", order.price == 0 or order.price > highest or not tick
             or order.price % tick, highest if order.price > highest else tick, order.price)
        reference = book.bid if order.sells else book.ask
        room = min(row("collar_price"), reference * row("collar_bps") // 10_000)
        worst = reference - room if order.sells else reference + room
        outside = order.price < worst if order.sells else order.price > worst
        fail("collar", not reference or outside, max(worst, 0) if reference else 0, order.price)
        end = (-position.shares if order.sells else position.shares) + shares + self.open_shares(
            order.instrument, order.sells)
        most = row("position_short_max" if order.sells else "position_long_max")
        fail("position", shares > 0 and end > most, most, end)
        held = saturated(self.mark(order.instrument), abs(position.shares))
        gross = held + self.open_value(order.instrument) + value
        firm_gross = (held + sum(other.value for other in self.positions) - position.value
                      + self.open_value() + value)
        if value > 0:
            if gross > row("gross_notional_max"):
                failed["gross_notional"] = (row("gross_notional_max"), gross)
            else:
                fail("gross_notional", firm_gross > firm("gross_notional_max"),
                     firm("gross_notional_max"), firm_gross)
        own, every = len(self.heads(order.instrument)), len(self.heads())
        adds = orders or not has_place
        if adds and own + 1 > row("open_orders_max"):
            failed["open_orders"] = (row("open_orders_max"), own + 1)
        elif adds and every + 1 > firm("open_orders_max"):
            failed["open_orders"] = (firm("open_orders_max"), every + 1)
        else:
            fail("open_orders", not has_place, every, every + 1)
        for name, bucket, interval, burst in (
                ("rate", position.bucket, row("rate_interval_ns"), row("rate_burst")),
                ("rate", self.bucket, firm("rate_interval_ns"), firm("rate_burst")),
                ("rate", strategy.bucket, plan.get("rate_interval_ns", 0),
                 plan.get("rate_burst", 0)),
                ("message_rate", session.bucket, channel.get("message_interval_ns", 0),
                 channel.get("message_burst", 0))):
            if name not in failed:
                waiting = -(-max(bucket - now, 0) // max(interval, 1)) + 1
                fail(name, burst == 0 or bucket - now > interval * (burst - 1), burst, waiting)
        is_up = self.sessions[order.session] == 1
        fail("session_down", not is_up or session.killed, 1, 2 if is_up else 0)
        fail("configuration", self.version == 0, 1, 0)
        fail("strategy_disabled", not plan.get("flags", 0) & 1 or strategy.killed, 1,
             2 if strategy.killed else 0)
        fail("market_phase", self.phase != "Q" and not permits & OrderPermit.ANY_PHASE, ord("Q"),
             ord(self.phase))
        if order.flags & IntentFlag.SHORT:
            is_tested = book.reg_sho != "0"
            located = permits & OrderPermit.SHORT
            fail("short_sale", not located or (is_tested and not 0 < book.bid < order.price),
                 book.bid if located else 0, order.price)
        kinds = OrderPermit.IMMEDIATE if order.flags & IntentFlag.IMMEDIATE else OrderPermit.DAY
        if order.flags & IntentFlag.POST_ONLY:
            kinds |= OrderPermit.POST_ONLY
        fail("order_type", kinds & ~permits, permits & 7, kinds)
        collars = row("last_collar_price"), row("last_collar_bps")
        lower, upper = row("band_lower"), row("band_upper")
        if collars != (M31, M31):
            room = min(collars[0], book.last * collars[1] // 10_000)
            lower, upper = max(lower, book.last - room), min(upper, book.last + room)
        if collars != (M31, M31) and not book.last:
            failed["price_band"] = (0, order.price)
        elif order.price < lower:
            failed["price_band"] = (lower, order.price)
        else:
            fail("price_band", order.price > upper, upper, order.price)
        locks = reference and (order.price <= reference if order.sells
                               else order.price >= reference)
        if book.flags & BookFlag.CROSSED and not permits & OrderPermit.CROSSED:
            failed["locked_market"] = (0, order.price)
        else:
            fail("locked_market", locks and not order.flags & IntentFlag.IMMEDIATE
                 and not permits & OrderPermit.MARKETABLE, reference, order.price)
        self.verdict_of_money(order, held, shares, value, end, fail, firm)
        opened, every_opened = self.open_value(order.instrument) + value, self.open_value() + value
        if value > 0 and opened > row("open_notional_max"):
            failed["open_notional"] = (row("open_notional_max"), opened)
        else:
            fail("open_notional", value > 0 and every_opened > firm("open_notional_max"),
                 firm("open_notional_max"), every_opened)
        earned = channel.get("orders_free", 0) + session.earned
        fail("order_to_trade", session.orders + 1 > earned, earned, session.orders + 1)
        newest = position.newest.get(order.sells)
        if orders and newest and newest[:2] == (order.price, order.quantity):
            least, passed = row("duplicate_ns"), now - newest[2]
            fail("duplicate", least and passed < least, least, max(passed, 0))
        meets = self.own_price(order.instrument, not order.sells)
        fail("self_match", meets and not permits & OrderPermit.SELF_MATCH and (
            meets >= order.price if order.sells else meets <= order.price), meets, order.price)
        fail("repetition", strategy.orders + 1 > plan.get("repetitions_max", 0),
             plan.get("repetitions_max", 0), strategy.orders + 1)
        day = (position.bought + position.sold + self.open_shares(order.instrument, True)
               + self.open_shares(order.instrument, False) + shares)
        if shares > 0 and day > row("day_quantity_max"):
            failed["accumulated"] = (row("day_quantity_max"), day)
        else:
            fail("accumulated", value > 0 and position.turnover + opened > row("day_notional_max"),
                 row("day_notional_max"), position.turnover + opened)
        most = plan.get("age_max_ns", 0)
        age = abs(now - decided)
        fail("age", most != NOTIONAL_MAX and age > most, most, age)
        return failed

    def verdict_of_money(self, order: Order, held: int, shares: int, value: int, end: int, fail,
                         firm):
        """Checks of what the whole firm owns and owes."""
        position = self.positions[order.instrument]
        cash = sum(other.cash for other in self.positions)
        net = (sum(other.net for other in self.positions) - position.net
               + (-held if position.shares < 0 else held))
        side = wrapped((-net if order.sells else net) + self.side_value(order.sells) + value)
        fail("net_notional", value > 0 and side > firm("net_notional_max"),
             firm("net_notional_max"), side)
        spent = wrapped(self.side_value(False) - cash + value)
        fail("credit", value > 0 and not order.sells and spent > firm("credit_max"),
             firm("credit_max"), spent)
        loss = wrapped(-cash - net)
        fail("loss", end > 0 and loss > firm("loss_max"), firm("loss_max"), loss)

    def pass_gate(self, order: Order, shares: int, value: int, orders: int, operation: int,
                  timestamp: int, now: int) -> bool:
        """Ask the gate; on a pass take up marks and tokens, else write the reject."""
        token = self.free_token()
        decided = timestamp - (1 << 64) if timestamp >> 63 else timestamp
        failed = self.verdict(order, token != 0, shares, value, orders, decided, now)
        hard = [name for name in NAMES
                if name in failed and not self.firm.get("soft_checks", 0) >> NAMES.index(name) & 1]
        if hard:
            limit, reading = failed[hard[0]]
            self.write(RecordType.RISK_REJECT, timestamp=now, intent_timestamp=timestamp,
                       intent_id=order.intent_id,
                       checks=sum(1 << NAMES.index(name) for name in failed),
                       check=NAMES.index(hard[0]),
                       price=order.price, quantity=order.quantity, limit=min(limit, U32),
                       value=min(reading, U32), locate=order.locate, strategy=order.strategy,
                       config_version=self.version, side=order.side, operation=operation)
            return False
        for name in failed:
            self.soft[name] += 1
        order.token = token
        self.place(order)
        self.next_token = token + 1
        position = self.positions[order.instrument]
        self.revalue(order.instrument)
        position.bucket = (max(position.bucket, now)
                           + self.limits[order.instrument]["rate_interval_ns"])
        self.bucket = max(self.bucket, now) + self.firm["rate_interval_ns"]
        strategy = self.strategies[order.strategy]
        strategy.bucket = (max(strategy.bucket, now)
                           + self.strategy_limits[order.strategy]["rate_interval_ns"])
        strategy.orders += 1
        self.uses[order.session].orders += 1
        self.take_message(order.session, now)
        if orders:
            position.newest[order.sells] = (order.price, order.quantity, now)
        return True

    def take_message(self, session: int, now: int):
        """One message more on a session."""
        use = self.uses[session]
        use.bucket = (max(use.bucket, now)
                      + self.session_limits[session]["message_interval_ns"]
                      if self.session_limits else max(use.bucket, now))

    def revalue(self, instrument: int):
        """Value a position at its mark."""
        position = self.positions[instrument]
        position.mark = self.mark(instrument)
        position.value = saturated(position.mark, abs(position.shares))

    def free_token(self) -> int:
        """Least unused token whose row is free."""
        taken = {order.token % self.table for order in self.orders.values()
                 if order.state != "dead"}
        for token in range(self.next_token, self.next_token + self.table):
            if token > U32:
                return 0
            if token % self.table not in taken:
                return token
        return 0

    # --- records ------------------------------------------------------------------------------

    def write(self, kind: RecordType, **fields):
        """Add a record."""
        self.records.append((kind, fields))

    def write_sent(self, order, price, quantity, operation, intent_id, timestamp, now):
        """Add an ORDER_SENT record; exposures are those after the order."""
        self.write(RecordType.ORDER_SENT, timestamp=now, intent_timestamp=timestamp,
                   intent_id=intent_id, token=order.token, price=price, quantity=quantity,
                   locate=order.locate, side=order.side, session=order.session,
                   open_notional=self.open_value(),
                   open_quantity=self.open_shares(order.instrument, order.sells),
                   operation=operation, strategy=order.strategy)

    def write_answer(self, kind, order, now, exchange_timestamp, price, quantity, reason=0,
                     match=0):
        """Add the record of an answer."""
        self.write(kind, timestamp=now, exchange_timestamp=exchange_timestamp,
                   intent_id=order.intent_id, token=order.token, price=price, quantity=quantity,
                   leaves=order.leaves, reason=reason, locate=order.locate,
                   order_reference=order.reference, match_number=match)

    def write_error(self, error, expected, received, intent_id, sequence, now):
        """Add an INTENT_ERROR record."""
        self.write(RecordType.INTENT_ERROR, timestamp=now, slot=(sequence - 1) % 64,
                   expected=min(expected, U32), received=min(received, U32), error=error,
                   intent_id=intent_id)

    def kill(self, cause, now):
        """Latch a cause."""
        if self.killed | cause == self.killed:
            return
        if not self.killed and self.mass_cancel_on_kill:
            self.begin_sweep(-1, 0)
        self.killed |= int(cause)
        self.write(RecordType.KILL, timestamp=now, cause=self.killed,
                   open_orders=len(self.heads()), last_intent=self.last_intent)

    # --- intents ------------------------------------------------------------------------------

    def execute(self, octets: bytes, now: int) -> bytes:
        """Execute a sealed intent; return what is to be sent."""
        from tests.order_rig import crc32c
        (timestamp, intent_id, locate, operation, flags, price, quantity, token, version, lag, ttl,
         session, strategy, _, _, crc, epoch, sequence) = struct.unpack(
             "<QIHBBIIIIIIHHIIIII", octets)

        def error(kind, expected, received):
            self.write_error(kind, expected, received, intent_id, sequence, now)
            return b""

        def fault(kind, expected, received):
            self.errors += 1
            error(kind, expected, received)
            if self.errors > self.firm.get("intent_errors_max", 0):
                self.kill(KillCause.INTENT_ERRORS, now)
            return b""

        if sequence != self.expected & U32:
            return fault(IntentError.SEQUENCE, self.expected & U32, sequence)
        self.expected += 1
        right = crc32c(octets[:52] + octets[56:])
        if crc != right:
            return fault(IntentError.CRC, right, crc)
        if epoch != self.epoch:
            return fault(IntentError.EPOCH, self.epoch, epoch)
        if Operation.SETTLE_ACCEPTED <= operation <= Operation.SETTLE_REPLACED:
            self.settle(octets, now)
            return b""
        self.last_intent = intent_id
        age = abs(now - (timestamp - (1 << 64) if timestamp >> 63 else timestamp))

        def is_late(instrument):
            book = self.books[instrument]
            if ttl and age > ttl:
                error(IntentError.STALE, ttl, age)
            elif lag and (book.version - version) % (1 << 32) > lag:
                error(IntentError.BOOK_VERSION, book.version, version)
            else:
                return False
            return True

        if operation == Operation.NOP:
            self.last_kick = now
            return b""
        if operation == Operation.NEW:
            if session >= len(self.sessions):
                return error(IntentError.UNKNOWN_SESSION, len(self.sessions), session)
            if strategy > 15:
                return error(IntentError.UNKNOWN_STRATEGY, 16, strategy)
            if locate not in self.locates:
                return error(IntentError.UNKNOWN_INSTRUMENT, 0, locate)
            if flags > 15 or flags & 3 == 2:
                return error(IntentError.FLAGS, 15, flags)
            instrument = self.locates.index(locate)
            if is_late(instrument):
                return b""
            order = Order(0, instrument, locate, flags, price, quantity, quantity, intent_id,
                          strategy, session)
            if not self.pass_gate(order, quantity, saturated(price, quantity), 1, operation,
                                  timestamp, now):
                return b""
            self.orders[order.token] = order
            self.write_sent(order, price, quantity, operation, intent_id, timestamp, now)
            return self.packet_enter(order)
        if operation == Operation.REPLACE:
            old = self.find(token)
            if not old:
                return error(IntentError.UNKNOWN_ORDER, 0, token)
            if old.successor or old.state == "replacing":
                return error(IntentError.REPLACE_PENDING, 0, token)
            if strategy > 15:
                return error(IntentError.UNKNOWN_STRATEGY, 16, strategy)
            if flags > 15:
                return error(IntentError.FLAGS, 15, flags)
            if is_late(old.instrument):
                return b""
            order = Order(0, old.instrument, old.locate, flags & 12 | old.flags & 3, price,
                          quantity, 0, intent_id, strategy, old.session, "replacing",
                          previous=old.token)
            rest = max(quantity - old.executed, 0)
            if not self.pass_gate(
                    order, max(rest - old.leaves, 0),
                    max(saturated(price, rest) - saturated(old.price, old.leaves), 0), 0,
                    operation, timestamp, now):
                return b""
            self.orders[order.token] = order
            old.successor = order.token
            self.write_sent(order, price, quantity, operation, intent_id, timestamp, now)
            return self.packet_replace(order)
        if operation == Operation.CANCEL:
            order = self.find(token)
            if not order:
                return error(IntentError.UNKNOWN_ORDER, 0, token)
            if self.sessions[order.session] != 1:
                return error(IntentError.SESSION_DOWN, 1, order.session)
            self.take_message(order.session, now)
            self.write_sent(order, 0, quantity, operation, intent_id, timestamp, now)
            return self.packet_cancel(order.token, quantity)
        if operation == Operation.MASS_CANCEL:
            if locate and locate not in self.locates:
                return error(IntentError.UNKNOWN_INSTRUMENT, 0, locate)
            self.begin_sweep(self.locates.index(locate) if locate else -1, intent_id)
            return b""
        return error(IntentError.OPERATION, 0, operation)

    def find(self, token: int) -> Order | None:
        """Order that is not dead."""
        order = self.orders.get(token)
        return order if order and order.state != "dead" else None

    def begin_sweep(self, instrument: int, intent_id: int):
        """Begin a mass cancel; a second one beside another instrument's becomes one for all."""
        if self.sweep and self.sweep[0] != instrument:
            instrument = -1
        self.sweep = (instrument, [
            order.token for order in sorted(self.orders.values(),
                                            key=lambda order: order.token % self.table)
            if order.state != "dead" and instrument in (-1, order.instrument)])

    # --- answers ------------------------------------------------------------------------------

    def settle(self, octets: bytes, now: int):
        """Execute an answer of the venue."""
        (stamp, token, _, operation, flags, price, quantity, reason, _, previous, reference, match,
         _, _, _, _) = struct.unpack("<QIHBBIIHHIQQIIII", octets)
        price, quantity = min(price, M31), min(quantity, M31)
        order = self.find(token)
        if not order:
            self.write(RecordType.INTENT_ERROR, timestamp=now, slot=64, expected=0,
                       received=token, error=IntentError.UNKNOWN_ORDER, intent_id=0)
            if operation not in (Operation.SETTLE_CANCELED, Operation.SETTLE_REJECTED):
                self.kill(KillCause.SETTLEMENT, now)
            return
        is_wrong, lapsed = False, 0
        if operation == Operation.SETTLE_ACCEPTED:
            is_wrong = (order.state != "sent" or quantity > order.quantity
                        or quantity < order.executed)
            if order.state == "sent":
                order.state, order.price, order.quantity = "live", price, quantity
                self.priced(order)
                order.leaves, order.reference = max(quantity - order.executed, 0), reference
                if flags & 1 or not order.leaves:
                    lapsed = self.bury(order)
            self.write_answer(RecordType.ORDER_ACCEPTED, order, now, stamp, price, quantity)
        elif operation in (Operation.SETTLE_FILLED, Operation.SETTLE_CANCELED):
            if order.state == "replacing":
                is_wrong = True
                old = self.orders[order.previous]
                self.take_over(order, order.price, max(order.quantity - old.executed, 0))
            is_wrong |= quantity > order.leaves
            order.leaves = max(order.leaves - quantity, 0)
            if operation == Operation.SETTLE_FILLED:
                order.executed = min(order.executed + quantity, M31)
                self.fill(order, price, quantity)
            if not order.leaves:
                lapsed = self.bury(order)
            if operation == Operation.SETTLE_FILLED:
                self.write_answer(RecordType.ORDER_FILLED, order, now, stamp, price, quantity, 0,
                                  match)
            else:
                self.write_answer(RecordType.ORDER_CANCELED, order, now, stamp, order.price,
                                  quantity, reason)
        elif operation == Operation.SETTLE_REJECTED:
            if order.state == "replacing":
                self.orders[order.previous].successor = 0
                self.bury(order)
            elif order.state == "sent":
                lapsed = self.bury(order)
            else:
                is_wrong = True
            self.write_answer(RecordType.ORDER_REJECTED, order, now, stamp, order.price,
                              order.quantity, reason)
        elif order.state != "replacing" or order.previous != previous:
            is_wrong = True
        else:
            is_wrong = quantity > max(order.quantity - self.orders[previous].executed, 0)
            order.reference = reference
            self.take_over(order, price, quantity)
            if flags & 1 or not quantity:
                self.bury(order)
            self.write_answer(RecordType.ORDER_REPLACED, order, now, stamp, price, quantity, 0,
                              previous)
        if lapsed:
            other = self.orders[lapsed]
            self.bury(other)
            self.write_answer(RecordType.ORDER_REJECTED, other, now, stamp, other.price, 0)
        if is_wrong:
            self.kill(KillCause.SETTLEMENT, now)

    def bury(self, order: Order) -> int:
        """Order is dead; return the replace that waited for its answer."""
        successor, order.successor, order.state, order.leaves = order.successor, 0, "dead", 0
        if order.place is None and not any(
                other.instrument == order.instrument and other.sells == order.sells
                and other.state != "dead" and other.place is None
                for other in self.orders.values()):
            self.positions[order.instrument].beyond.pop(order.sells, None)
        return successor

    def take_over(self, order: Order, price: int, quantity: int):
        """A replace came to be."""
        old = self.orders[order.previous]
        self.bury(old)
        order.state, order.executed, order.price, order.leaves = (
            "live", old.executed, price, quantity)
        order.quantity = min(old.executed + quantity, M31)
        self.priced(order)

    def fill(self, order: Order, price: int, quantity: int):
        """Shares changed hands."""
        position = self.positions[order.instrument]
        sign = -1 if order.sells else 1
        position.shares += sign * quantity
        position.cash -= sign * price * quantity
        position.turnover += price * quantity
        self.uses[order.session].earned += self.session_limits[order.session]["orders_per_trade"]
        if order.sells:
            position.sold += quantity
        else:
            position.bought += quantity
        position.mark = price
        self.revalue(order.instrument)

    # --- packets, by hand from the OUCH 5.0 and SoupBinTCP 3.00 documents ---------------------

    def identity(self, order: Order) -> bytes:
        """Client order id."""
        return f"{order.intent_id:08X}{order.strategy:04X}{order.session & 255:02X}".encode()

    def packet(self, message: bytes) -> bytes:
        """Wrap a message into unsequenced data."""
        return struct.pack(">Hc", 1 + len(message), b"U") + message

    def packet_enter(self, order: Order) -> bytes:
        """Enter Order."""
        tail = b"\0\3\2\x0cP" if order.flags & IntentFlag.POST_ONLY else b"\0\0"
        force = b"3" if order.flags & IntentFlag.IMMEDIATE else b"0"
        return self.packet(struct.pack(
            ">cIcI8sQ5s14s", b"O", order.token, order.side.encode(), order.quantity,
            self.symbols[order.instrument], order.price, force + b"YPNN",
            self.identity(order)) + tail)

    def packet_replace(self, order: Order) -> bytes:
        """Replace Order."""
        tail = b"\0\3\2\x0cP" if order.flags & IntentFlag.POST_ONLY else b"\0\0"
        force = b"3" if order.flags & IntentFlag.IMMEDIATE else b"0"
        return self.packet(struct.pack(
            ">cIIIQ3s14s", b"U", order.previous, order.token, order.quantity, order.price,
            force + b"YN", self.identity(order)) + tail)

    def packet_cancel(self, token: int, quantity: int) -> bytes:
        """Cancel Order."""
        return self.packet(struct.pack(">cII", b"X", token, quantity))
