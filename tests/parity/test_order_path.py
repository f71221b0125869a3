"""The order path and a slow reference agree on every record, packet and exposure.

Sequences of limits, intents, answers, feed states, sessions, kills and time, drawn to crowd the
limits and the space outside them, go to both; after every step all records, all octets sent and
all exposures are compared. The same goes for octets that nobody sane would send.

``TICKWIRE_RISK_SEQUENCES=100000`` (``make nightly``) draws that many sequences of each kind.
"""

import struct

from hypothesis import given
from hypothesis import strategies as st

from tests.drawing import maybe, rounds, step, weighted
from tests.order_reference import Book, Reference
from tests.order_rig import (
    DOLLAR,
    GENEROUS,
    GENEROUS_FIRM,
    LOCATES,
    SYMBOLS,
    UNWATCHED,
    Rig,
    pack_intent,
    pack_settle,
    sealed,
)
from tickwire.kernels import order_path
from tickwire.spec.checks import ALWAYS_HARD, CHECKS, CheckIndex
from tickwire.spec.intents import Operation
from tickwire.spec.limits import (
    NOTIONAL_LIMIT_MAX,
    SESSION_LIMITS,
    STRATEGIES,
    STRATEGY_LIMITS,
    UNLIMITED,
    OrderPermit,
    permissive,
)
from tickwire.spec.records import BookFlag, FeedState, RecordType
from tickwire.spec.registers import KillCause

ORDERS_LOG2 = 4
SESSIONS = 2
PRICES = (100 * DOLLAR, 100 * DOLLAR + 100, 100 * DOLLAR + 150, 99 * DOLLAR, 101 * DOLLAR,
          101 * DOLLAR + 100, 105 * DOLLAR, 9_999, 9_900, 1, 0, 1_999_999_900, 2_000_000_000,
          0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
QUANTITIES = (1, 50, 99, 100, 101, 199, 200, 201, 0, 1_000_000, 0x7FFF_FFFF, 0x8000_0000,
              0xFFFF_FFFF)
LIMITS = {
    "flags": (1, 1, 1, 0), "quantity_max": (100, 200, UNLIMITED), "tick": (100, 50, 1),
    "notional_max": (100 * 100 * DOLLAR, 1 << 50),
    "gross_notional_max": (300 * 100 * DOLLAR, 1 << 60),
    "collar_price": (0, 10_000, UNLIMITED), "collar_bps": (0, 99, 100, UNLIMITED),
    "position_long_max": (0, 200, 300, UNLIMITED), "position_short_max": (0, 200, UNLIMITED),
    "open_orders_max": (1, 3, 100), "rate_interval_ns": (1, 1_000), "rate_burst": (1, 2, 1_000),
    "permits": (255, 255, 0, *(255 ^ permit for permit in OrderPermit)),
    "quantity_min": (0, 50, 100), "lot": (1, 1, 50, 100, 7),
    "last_collar_price": (UNLIMITED, 0, 10_000), "last_collar_bps": (UNLIMITED, 0, 100),
    "band_lower": (0, 99 * DOLLAR, 100 * DOLLAR + 1),
    "band_upper": (UNLIMITED, 101 * DOLLAR, 100 * DOLLAR),
    "open_notional_max": (200 * 100 * DOLLAR, 1 << 60),
    "day_quantity_max": (200, 1_000, 1 << 60),
    "day_notional_max": (300 * 100 * DOLLAR, 1 << 60), "duplicate_ns": (0, 1, 700, UNLIMITED),
}
FIRM = {
    "gross_notional_max": (400 * 100 * DOLLAR, 1 << 60), "open_orders_max": (4, 100),
    "rate_interval_ns": (1, 700), "rate_burst": (1, 3, 1_000), "intent_errors_max": (0, 2, 1_000),
    "soft_checks": (0, 0, 0xFFFF_FFFF ^ ALWAYS_HARD, 1 << CheckIndex.COLLAR,
                    1 << CheckIndex.POSITION | 1 << CheckIndex.RATE),
    "net_notional_max": (0, 200 * 100 * DOLLAR, 1 << 60),
    "credit_max": (0, 300 * 100 * DOLLAR, 1 << 60),
    "loss_max": (0, 100 * DOLLAR, 1 << 60), "open_notional_max": (300 * 100 * DOLLAR, 1 << 60),
}
STRATEGY = {
    "flags": (1, 1, 0), "repetitions_max": (0, 3, UNLIMITED), "rate_interval_ns": (1, 900),
    "rate_burst": (1, 2, 1_000), "age_max_ns": (0, 5_000, NOTIONAL_LIMIT_MAX),
}
SESSION_ROW = {
    "message_interval_ns": (1, 800), "message_burst": (1, 2, 1_000),
    "orders_free": (0, 3, UNLIMITED), "orders_per_trade": (0, 2),
}

PRICE = (*PRICES, *[range(1 << 32)] * len(PRICES))
USUAL = (1, 50, 100)
INSTRUMENTS = range(len(SYMBOLS))
LOCATE = ((LOCATES[0],) * 6 + (*LOCATES, 0, UNWATCHED))
TOKEN = range(-3, 31)                       # counts back from the newest; beyond it, strangers
SMALL = range(4)
COMMON = {
    "intent_id": (range(1 << 32),), "strategy": (0, 0, 0, 0, 1, 15, 16, 0xFFFF),
    "timestamp": (0, 0, 1_000, 1 << 63, (1 << 64) - 1), "ttl_ns": (0, 0, 0, 1, 2_000),
    "flags": (0, 1, 3, 4, 5, 8, 9, 12, 2, 16, 255), "book_version": SMALL,
    "max_version_lag": (0, 0, 1, 2)}
ANSWER = {"price": PRICE, "quantity": QUANTITIES, "exchange_timestamp": (77,),
          "order_reference": SMALL, "match_number": SMALL, "reason": SMALL}


def intent(operation, **fields):
    return step(("intent",), **{"operation": (operation,)} | COMMON | fields)


def answer(operation, **fields):
    return step(("answer",), (operation,), TOKEN, **ANSWER | fields)


def rows(*columns, table):
    """A few limits of a table: were half of them near, none of the orders that follow passed."""
    pairs = [(name, value) for name, values in table.items() for value in values]
    more = [None] * len(pairs) + pairs
    return step(*columns, pairs, more, more).map(
        lambda found: (*found[:-3], dict(filter(None, found[-3:]))))


SESSION = (0, 0, 0, 1, SESSIONS, 0xFFFF)
BOOK = step(("book",), INSTRUMENTS, (*PRICES[:4], 0), (*PRICES[:4], 0, 0x7FFF_FFFF), "TTTHPQ\0",
            (0, 0, *BookFlag), (0, 0, 100 * DOLLAR, 0x7FFF_FFFF), SMALL)
STATUS = st.one_of(step(("status",), INSTRUMENTS, "00012\0", "TTTH\0"),
                   step(("phase",), "QQQQOSMEC\0"))
PARTS = st.one_of(step(("part_kill",), ("strategies",), (0, 1, 15), (False, True)),
                  step(("part_kill",), ("uses",), range(SESSIONS), (False, True)))
ELSEWHERE = (Operation.PRE_ARM, Operation.DISARM)      # in test_triggers
OPERATION_AT = 14
WILD = st.one_of(
    intent(Operation.NEW, price=PRICE, quantity=QUANTITIES, locate=LOCATE, session=SESSION),
    intent(Operation.REPLACE, price=PRICE, quantity=QUANTITIES, token=TOKEN),
    intent(Operation.CANCEL, quantity=QUANTITIES, token=TOKEN),
    intent(Operation.MASS_CANCEL, locate=LOCATE),
    step(("intent",), operation=[number for number in range(256) if number not in ELSEWHERE]),
    answer(Operation.SETTLE_ACCEPTED, flags=SMALL),
    answer(Operation.SETTLE_FILLED),
    answer(Operation.SETTLE_CANCELED),
    answer(Operation.SETTLE_REJECTED),
    answer(Operation.SETTLE_REPLACED, flags=SMALL),
    rows(("limits",), (*INSTRUMENTS, *[None] * len(SYMBOLS)), table=LIMITS),
    rows(("firm",), table=FIRM),
    rows(("row",), ("strategies",), table=STRATEGY),
    rows(("row",), ("sessions",), table=SESSION_ROW),
    BOOK, STATUS, PARTS,
    step(("feed",), tuple(FeedState)),
    step(("session",), range(SESSIONS), (False, True)),
    step(("name",), (*LOCATES, UNWATCHED), (*INSTRUMENTS, None, None)),
    step(("kill",), tuple(KillCause)),
    step(("arm",)),
    step(("instrument_kill",), INSTRUMENTS, (False, True)),
    step(("kill_action",), (False, True)),
    st.tuples(st.just("octets"), st.binary(min_size=64, max_size=64).filter(
        lambda octets: octets[OPERATION_AT] not in ELSEWHERE), st.booleans(),
              st.integers(-1, 1), st.integers(-1, 1)),
)

NEAR = (100 * DOLLAR, 100 * DOLLAR + 100, 99 * DOLLAR, 101 * DOLLAR, 101 * DOLLAR + 100)
NEW = step(("intent",), operation=(Operation.NEW,), price=NEAR, quantity=USUAL,
           flags=(0, 0, 1, 3, 4, 9), intent_id=range(100), locate=maybe(LOCATES),
           session=maybe((1,)), strategy=maybe((1, 15)))
REPLACE = step(("intent",), operation=(Operation.REPLACE,), price=NEAR, quantity=(1, 50, 100, 150),
               token=range(5))
CANCEL = step(("intent",), operation=(Operation.CANCEL,), quantity=(0, 0, 50), token=range(5))
HONEST = step(("honest",), ("accept", "accept", "fill", "fill", "cancel", "reject"), range(16),
              USUAL)


def calm(table):
    """A table without the limits that end a sequence."""
    return {name: values for name, values in table.items()
            if name not in ("intent_errors_max", "flags")}


EVENTS = st.one_of(
    step(("time",), (0, 1, 699, 700, 701, 1_000, 1 << 40)),
    rows(("limits",), (None,) * len(SYMBOLS) + (*INSTRUMENTS,), table=calm(LIMITS)),
    rows(("firm",), table=calm(FIRM)),
    step(("book",), INSTRUMENTS, NEAR, NEAR, "T", (0,), (0, 100 * DOLLAR, 300 * DOLLAR), SMALL),
    rows(("row",), ("strategies",), table=calm(STRATEGY)),
    rows(("row",), ("sessions",), table=SESSION_ROW),
    STATUS, PARTS,
    step(("feed",), (FeedState.LIVE,)),
    step(("intent",), operation=(Operation.NOP,)),
    BOOK,
)
CALM = weighted(NEW, NEW, NEW, REPLACE, REPLACE, CANCEL, HONEST, HONEST, HONEST, HONEST, EVENTS)
ARM = step(("arm",))
WAKE = st.one_of(
    ARM, step(("session",), (0,), (True,)), step(("feed",), (FeedState.LIVE,)),
    step(("name",), (LOCATES[0],), (0,)),
    step(("phase",), "Q"), step(("status",), (0,), "0", "T"),
    step(("book",), (0,), NEAR, NEAR, "T", (0,), (0,), SMALL))
MIXED = weighted(*[CALM] * 7, *[ARM] * 2, WAKE, *[WILD] * 2)
PERMIT = step(("limits",), (None,), ({},))
DAWN = weighted(*[WAKE] * 10, *[CALM] * 7, PERMIT, *[WILD] * 2)


class Pair:
    """The path and its reference, driven together."""

    def __init__(self):
        self.rig = Rig(sessions=SESSIONS, is_ready=False, orders_log2=ORDERS_LOG2, ring_log2=10)
        self.reference = Reference(len(SYMBOLS), list(LOCATES), SYMBOLS, [0] * SESSIONS,
                                   1 << ORDERS_LOG2)
        self.now = 5_000
        self.limits = [dict(GENEROUS) for _ in SYMBOLS]
        self.firm = dict(GENEROUS_FIRM)
        self.rows = {"strategies": permissive(STRATEGY_LIMITS),
                     "sessions": permissive(SESSION_LIMITS)}
        self.rig.path.table.permit(GENEROUS_FIRM, **GENEROUS)

    def ready(self):
        """Reach the state in which most orders pass."""
        self.step("limits", None, {})
        self.step("arm")
        for number in range(SESSIONS):
            self.step("session", number, True)
        self.step("feed", FeedState.LIVE)
        for number in range(len(SYMBOLS)):
            self.step("book", number, 100 * DOLLAR, 100 * DOLLAR + 100, "T", 0, 0, 1)
            self.step("status", number, "0", "T")
        self.step("phase", "Q")

    def commit(self):
        self.rig.path.commit(self.now)
        reference = self.reference
        reference.version += 1
        reference.limits = [dict(row) for row in self.limits]
        reference.firm = dict(self.firm)
        reference.strategy_limits = [dict(self.rows["strategies"])] * STRATEGIES
        reference.session_limits = [dict(self.rows["sessions"])] * SESSIONS
        kind, record = self.rig.records()[-1]
        assert (kind, record["version"], record["ok"], record["reason"]) == (
            RecordType.CONFIG_ACKNOWLEDGED, reference.version, 1, 0)

    def token(self, back: int) -> int:
        return max(self.reference.next_token - 1 - back, 0)

    def step(self, kind, *arguments):
        """Do one step on both sides; compare everything afterwards."""
        sent, expected = getattr(self, f"do_{kind}")(*arguments) or (b"", b"")
        while order_path.sweeping(self.rig.address):
            sent += self.rig.leave(order_path.sweep(self.rig.address, self.now), self.now)
        expected += self.expect_sweep()
        assert sent == expected
        self.left = sent
        self.compare()

    def do_intent(self, fields):
        fields = dict(fields)
        if "token" in fields:
            fields["token"] = self.token(fields["token"])
        return self.both(sealed(pack_intent(**fields), self.reference.epoch,
                                self.reference.expected))

    def do_octets(self, octets, is_sealed, epoch, sequence):
        if is_sealed:
            octets = sealed(octets, self.reference.epoch + epoch,
                            self.reference.expected + sequence)
        return self.both(octets)

    def both(self, octets):
        return (self.rig.execute(octets, self.now, seal=False),
                self.reference.execute(octets, self.now))

    def do_answer(self, operation, token, fields):
        fields = fields | {"token": self.token(token)}
        order = self.reference.orders.get(fields["token"])
        if operation == Operation.SETTLE_REPLACED:
            fields["previous_token"] = order.previous if order else 1
        self.answered(pack_settle(operation=operation, **fields))

    def answered(self, octets):
        order_path.settle(self.rig.address, self.rig.put(octets), self.now)
        self.reference.settle(octets, self.now)

    def do_honest(self, kind, pick, quantity):
        """Answer as a venue that keeps its books would."""
        orders = [order for order in self.reference.orders.values() if order.state != "dead"]
        if not orders:
            return
        order = orders[pick % len(orders)]
        fields = {"token": order.token, "price": order.price, "order_reference": pick,
                  "quantity": min(quantity, order.leaves), "match_number": pick}
        if order.state == "replacing":
            old = self.reference.orders[order.previous]
            operation = Operation.SETTLE_REPLACED
            fields |= {"quantity": max(order.quantity - old.executed, 0),
                       "previous_token": old.token}
            if kind == "reject":
                operation = Operation.SETTLE_REJECTED
        elif order.state == "sent" and kind in ("accept", "reject"):
            operation = (Operation.SETTLE_ACCEPTED if kind == "accept"
                         else Operation.SETTLE_REJECTED)
            fields |= {"quantity": order.quantity}
        else:
            operation = Operation.SETTLE_CANCELED if kind == "cancel" else Operation.SETTLE_FILLED
        self.answered(pack_settle(operation=operation, **fields))

    def do_time(self, elapsed):
        self.now += elapsed

    def do_limits(self, row, values):
        for number in range(len(SYMBOLS)) if row is None else (row,):
            self.limits[number] |= values
        self.rig.set_limits(row, **values)
        self.commit()

    def do_firm(self, values):
        self.firm |= values
        self.rig.set_firm(**values)
        self.commit()

    def do_row(self, kind, values):
        self.rows[kind] |= values
        (self.rig.set_strategy if kind == "strategies" else self.rig.set_session)(**values)
        self.commit()

    def do_status(self, number, reg_sho, operational):
        line = self.rig.status[number]
        line["reg_sho"], line["operational"] = ord(reg_sho), ord(operational)
        book = self.reference.books[number]
        book.reg_sho, book.operational = reg_sho, operational

    def do_phase(self, event):
        self.rig.status[-1]["market_phase"] = ord(event)
        self.reference.phase = event

    def do_part_kill(self, kind, number, is_killed):
        kernel = order_path.kill_strategy if kind == "strategies" else order_path.kill_session
        kernel(self.rig.address, number, is_killed)
        actor = getattr(self.reference, kind)[number]
        actor.killed = is_killed
        if kind == "strategies" and not is_killed:
            actor.orders = 0

    def do_book(self, number, bid, ask, state, flag, last, version):
        self.rig.book(number, bid=bid, ask=ask, trading_state=state.encode(), flags=flag,
                      last=last, version=version)
        before = self.reference.books[number]
        self.reference.books[number] = Book(bid, ask, last, state, flag, version, before.reg_sho,
                                            before.operational)

    def do_feed(self, state):
        self.rig.feed_word[0] = state
        self.reference.feed = state

    def do_session(self, number, is_up):
        self.rig.up[number] = is_up
        self.reference.sessions[number] = int(is_up)

    def do_name(self, locate, number):
        """The directory gives a locate to an instrument, or to nobody that is watched."""
        locates = self.reference.locates
        locates[:] = [None if own == locate else own for own in locates]
        if number is not None:
            locates[number] = locate
        self.rig.name(locate, number)

    def do_kill(self, cause):
        order_path.kill(self.rig.address, cause, self.now)
        self.reference.kill(cause, self.now)

    def do_arm(self):
        if self.reference.killed:
            self.rig.path.arm(self.now)
            self.reference.killed = self.reference.errors = 0
            self.reference.epoch += 1

    def do_instrument_kill(self, number, is_killed):
        order_path.kill_instrument(self.rig.address, number, is_killed)
        self.reference.positions[number].killed = is_killed

    def do_kill_action(self, is_mass_cancel):
        self.rig.path.context["kill_action"] = is_mass_cancel
        self.reference.mass_cancel_on_kill = is_mass_cancel

    def expect_sweep(self) -> bytes:
        """Cancels of the mass cancel that the reference holds, all of it at once."""
        reference, octets = self.reference, b""
        if reference.sweep:
            for token in reference.sweep[1]:
                order = reference.orders[token]
                if reference.sessions[order.session] == 1:
                    octets += reference.packet_cancel(token, 0)
                    reference.take_message(order.session, self.now)
                    reference.write_sent(order, 0, 0, Operation.CANCEL, None, None, self.now)
        reference.sweep = None
        return octets

    def compare(self):
        """Records since the last call, exposures, kill state."""
        records, expected = self.rig.records(), self.reference.records
        assert [kind.name for kind, _ in records] == [kind.name for kind, _ in expected]
        for (kind, record), (_, wanted) in zip(records, expected, strict=True):
            for name, value in wanted.items():
                if value is not None:
                    assert record[name] == value, (kind.name, name)
        expected.clear()
        gate = self.rig.path.gate
        assert int(gate["killed"]) == self.reference.killed
        assert int(gate["open_orders"]) == len(self.reference.heads())
        assert int(gate["open_notional"]) == self.reference.open_value()
        assert int(gate["position_value"]) == sum(
            position.value for position in self.reference.positions)
        assert int(gate["net_value"]) == sum(
            position.net for position in self.reference.positions)
        assert int(gate["cash"]) == sum(position.cash for position in self.reference.positions)
        assert int(gate["open_buy_notional"]) == self.reference.side_value(False)
        soft = {check.name: self.rig.count(f"SOFT_{check.name.upper()}")
                for check in CHECKS if not check.is_hard}
        assert soft == {name: self.reference.soft[name] for name in soft}
        for number, position in enumerate(self.reference.positions):
            row = self.rig.path.exposures[number]
            assert (row["position"], row["cash"], row["bought"], row["sold"],
                    row["turnover"]) == (position.shares, position.cash, position.bought,
                                         position.sold, position.turnover)
            assert row["open_buy"] == self.reference.open_shares(number, False)
            assert row["open_sell"] == self.reference.open_shares(number, True)
            assert row["open_notional"] == self.reference.open_value(number)
            assert row["open_orders"] == len(self.reference.heads(number))


ANY = rounds("TICKWIRE_RISK_SEQUENCES", 60)


def run(steps, *, is_ready=True):
    pair = Pair()
    if is_ready:
        pair.ready()
    for one in steps:
        pair.step(*one)


@ANY
@given(st.lists(CALM, min_size=25, max_size=60))
def test_path_and_reference_agree_while_trading(turn, steps):
    run(steps)


@ANY
@given(st.lists(MIXED, min_size=25, max_size=60))
def test_path_and_reference_agree_on_any_sequence(turn, steps):
    run(steps)


@ANY
@given(st.lists(DAWN, min_size=25, max_size=60))
def test_path_and_reference_agree_from_power_on(turn, steps):
    run(steps, is_ready=False)


def test_packed_intent_is_what_the_table_says():
    from tickwire.spec import wire
    from tickwire.spec.intents import INTENT, SETTLE
    octets = struct.pack("<16I", *range(16))
    for message, layout in ((INTENT, "<QIHBBIIIIIIHHIIIII"), (SETTLE, "<QIHBBIIHHIQQIIII")):
        assert tuple(wire.decode(message, octets).values()) == struct.unpack(layout, octets)
