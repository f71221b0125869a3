"""Answers of the venue, one after the other (kernel ``settle``).

An order and the replace of it that waits for an answer are one chain: its head may execute, or what
would replace it, not both. So an answer changes two rows at most, and what the chain may cost
before and after it is all that the gate has to know.
"""

from amaranth.hdl import Array, C, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.intents import WINDOW_SLOTS, IntentError, Operation
from tickwire.spec.orders import OrderState
from tickwire.spec.records import INTENT_ERROR, ORDER_ACCEPTED, RecordType
from tickwire_hw.logic import excess, saturated, select, stages
from tickwire_hw.order_rows import AMOUNT, TOKEN, OrderRow
from tickwire_hw.own_orders import OwnKeys, OwnOperation, OwnWish
from tickwire_hw.product import AGE as PRODUCT_AGE
from tickwire_hw.product import product
from tickwire_hw.record_writer import RECORD
from tickwire_hw.records import body_layout
from tickwire_hw.risk_port import WORTH, Answer
from tickwire_hw.settle_port import SETTLE_LAYOUT, Filled, Settled

ROW_CYCLES = 2
"""Cycles from a row's token to the row."""
_IS_DEAD = 1
_WORTHS = 4                                # head and replace, before and after
_RECORDS = {Operation.SETTLE_ACCEPTED: RecordType.ORDER_ACCEPTED,
            Operation.SETTLE_FILLED: RecordType.ORDER_FILLED,
            Operation.SETTLE_CANCELED: RecordType.ORDER_CANCELED,
            Operation.SETTLE_REJECTED: RecordType.ORDER_REJECTED,
            Operation.SETTLE_REPLACED: RecordType.ORDER_REPLACED}


class Settle(wiring.Component):
    """Execute an answer: rows, own prices, exposures, records. The next one is taken after it.

    Kernel: :func:`tickwire.kernels.settle.settle`. Some 20 to 45 cycles an answer, most of them
    for own prices; records wait for the ring. What contradicts the order table is believed as far
    as it makes positions right, counted, and told by ``is_wrong``: it must kill.

    Members
    -------
    i : ``In(stream.Signature(SETTLE_LAYOUT))``
        Answers, as settle intents whose sequence, CRC and epoch are right.
    now : ``In(64)``
        Time of the answer, ns; stays the same until the next one is taken.
    token, row : ``Out(32)``, ``In(OrderRow)``
        Row to show, and the row two cycles later.
    write : ``Out(stream.Signature(OrderRow, always_ready=True))``
        Rows that changed.
    own, keys : ``Out(stream.Signature(OwnWish))``, ``In(stream.Signature(OwnKeys, ...))``
        To and from ``OwnOrders``.
    instrument, last : ``Out(16)``, ``In(32)``
        Instrument of the answer, and the newest trade of it.
    answer : ``Out(stream.Signature(Answer))``
        What the gate has to know.
    record : ``Out(stream.Signature(RECORD))``
        Records, in order.
    is_wrong : ``Out(1)``
        Strobe, after the records.
    is_busy : ``Out(1)``
        An answer is being executed.
    filled : ``Out(stream.Signature(Filled, always_ready=True))``
        What was filled.
    acknowledged : ``Out(stream.Signature(TOKEN, always_ready=True))``
        An order that the venue answered for the first time, as its answer is told.
    counted : ``Out(Settled)``
        What to count.
    """

    i: In(stream.Signature(SETTLE_LAYOUT))
    now: In(64)
    token: Out(TOKEN)
    row: In(OrderRow)
    write: Out(stream.Signature(OrderRow, always_ready=True))
    own: Out(stream.Signature(OwnWish))
    keys: In(stream.Signature(OwnKeys, always_ready=True))
    instrument: Out(16)
    last: In(32)
    answer: Out(stream.Signature(Answer))
    record: Out(stream.Signature(RECORD))
    is_wrong: Out(1)
    is_busy: Out(1)
    filled: Out(stream.Signature(Filled, always_ready=True))
    acknowledged: Out(stream.Signature(TOKEN, always_ready=True))
    counted: Out(Settled)

    def elaborate(self, platform):
        """Return the steps of an answer."""
        m = Module()

        self._given = Signal(SETTLE_LAYOUT)
        self._head, self._next = Signal(OrderRow), Signal(OrderRow)   # and what would replace it
        self._head_after, self._next_after = Signal(OrderRow), Signal(OrderRow)
        self._has_next, self._is_second = Signal(), Signal()   # the answer is about ``next``
        self._is_changed, self._is_wrong, self._lapses = Signal(), Signal(), Signal()
        self._has_record, self._is_fill, self._has_moved = Signal(), Signal(), Signal()
        self._is_first = Signal()              # the venue accepts what it had not answered
        self._kills_head, self._kills_next = Signal(), Signal()
        self._open = Signal(signed(AMOUNT + 2))  # what is added to the chain
        self._value, self._orders = Signal(signed(64)), Signal(signed(2))
        self._worth_age, self._is_weighed = Signal(range(_WORTHS + PRODUCT_AGE + 2)), Signal()

        given = self._given
        self._price, self._quantity = Signal(AMOUNT), Signal(AMOUNT)
        m.d.comb += [self._price.eq(saturated(given.price, AMOUNT)),
                     self._quantity.eq(saturated(given.quantity, AMOUNT))]
        self._is = {kind: Signal(name=f"is_{kind.name.lower()}") for kind in _RECORDS}
        m.d.comb += [bit.eq(given.operation == kind) for kind, bit in self._is.items()]
        m.d.comb += [self.instrument.eq(self._head.instrument), self.answer.p.last.eq(self.last)]
        self._weigh(m)
        self._name_changes(m)
        self._name_records(m)
        self._step(m)
        return m

    def _step(self, m):
        """Read, decide, weigh, change, tell."""
        given, row, age = self._given, self.row, Signal(range(ROW_CYCLES + 1))
        is_found = (row.token == given.token) & (row.state != OrderState.DEAD) & given.token.any()
        is_read = age == ROW_CYCLES
        m.d.comb += self.is_busy.eq(1)
        with m.FSM():
            with m.State("Idle"):
                m.d.comb += [self.i.ready.eq(1), self.is_busy.eq(0)]
                m.d.sync += [given.eq(self.i.p), self.token.eq(self.i.p.token), age.eq(0),
                             self._has_next.eq(0), self._is_second.eq(0)]
                with m.If(self.i.valid):
                    m.next = "First"
            with m.State("First"):
                is_second = row.state == OrderState.REPLACING
                m.d.sync += age.eq(age + 1)
                with m.If(is_read):
                    m.d.sync += [
                        age.eq(0), self._head.eq(row), self._next.eq(row),
                        self._is_second.eq(is_second),
                        self._has_next.eq(is_second | row.successor.any()),
                        self.token.eq(Mux(is_second, row.previous, row.successor))]
                    with m.If(~is_found):
                        m.next = "Unknown"
                    with m.Elif(is_second | row.successor.any()):
                        m.next = "Second"
                    with m.Else():
                        m.next = "Decide"
            with m.State("Second"):
                m.d.sync += age.eq(age + 1)
                with m.If(is_read):
                    with m.If(self._is_second):
                        m.d.sync += self._head.eq(row)
                    with m.Else():
                        m.d.sync += self._next.eq(row)
                    m.next = "Decide"
            with m.State("Decide"):
                self._decide(m)
                m.next = "Weigh"
            with m.State("Weigh"):
                m.d.comb += self._is_weighed.eq(1)
                with m.If(self._worth_age == _WORTHS + PRODUCT_AGE):
                    m.next = "Own"
            self._change(m)
            self._tell(m)

    def _decide(self, m):
        """What becomes of both rows, by operation; the kernel's rules."""
        given, head, second = self._given, self._head, self._next
        price, quantity, kind = self._price, self._quantity, self._is
        left = excess(second.quantity, head.executed)
        is_marked = given.flags[0]
        assert _IS_DEAD == 1

        # The replace takes over: told by the venue, or because it answers for the new order.
        is_told = kind[Operation.SETTLE_REPLACED]
        takes_over = self._is_second & Mux(
            is_told, second.previous == given.previous_token,
            kind[Operation.SETTLE_FILLED] | kind[Operation.SETTLE_CANCELED])
        taken = Signal(OrderRow)
        taken_over = Mux(is_told, quantity, left)
        m.d.comb += [
            taken.eq(second), taken.state.eq(OrderState.LIVE), taken.executed.eq(head.executed),
            taken.price.eq(Mux(is_told, price, second.price)), taken.leaves.eq(taken_over),
            taken.quantity.eq(saturated(head.executed + taken_over, AMOUNT))]

        subject = Signal(OrderRow)           # whose answer it is, when it may execute
        after, is_dead, is_changed, is_wrong = Signal(OrderRow), Signal(), Signal(), Signal()
        m.d.comb += [subject.eq(Mux(takes_over, taken, head)), after.eq(subject)]
        is_own = takes_over | ~self._is_second
        with m.If(kind[Operation.SETTLE_ACCEPTED]):
            is_first = ~self._is_second & (head.state == OrderState.SENT)
            leaves = excess(quantity, head.executed)
            m.d.comb += [
                is_changed.eq(is_first), is_dead.eq(is_first & (is_marked | ~leaves.any())),
                is_wrong.eq(~is_first | (quantity > head.quantity) | (quantity < head.executed))]
            with m.If(is_first):
                m.d.comb += [
                    after.state.eq(OrderState.LIVE), after.price.eq(price),
                    after.quantity.eq(quantity), after.leaves.eq(leaves),
                    after.reference.eq(given.order_reference)]
        with m.Elif(kind[Operation.SETTLE_FILLED] | kind[Operation.SETTLE_CANCELED]):
            m.d.comb += [
                is_changed.eq(1), is_dead.eq(quantity >= subject.leaves),
                is_wrong.eq(self._is_second | (quantity > subject.leaves)),
                after.leaves.eq(excess(subject.leaves, quantity))]
            with m.If(kind[Operation.SETTLE_FILLED]):
                m.d.comb += after.executed.eq(saturated(subject.executed + quantity, AMOUNT))
        with m.Elif(is_told):
            m.d.comb += [
                is_changed.eq(takes_over), is_dead.eq(is_marked | ~quantity.any()),
                is_wrong.eq(~takes_over | (quantity > left))]
            m.d.comb += after.reference.eq(given.order_reference)
        with m.Else():
            is_live = ~self._is_second & (head.state == OrderState.LIVE)
            m.d.comb += [is_changed.eq(~is_live), is_wrong.eq(is_live), is_dead.eq(~is_live)]

        is_refused = kind[Operation.SETTLE_REJECTED] & self._is_second
        kills_head = is_changed & (takes_over | is_own & is_dead)
        lapses = ~self._is_second & is_dead & is_changed & self._has_next
        kills_next = is_changed & self._is_second & is_dead | lapses
        m.d.sync += [
            self._is_changed.eq(is_changed), self._is_wrong.eq(is_wrong),
            self._lapses.eq(lapses), self._kills_head.eq(kills_head),
            self._kills_next.eq(kills_next),
            self._has_moved.eq(is_changed & (takes_over | kind[Operation.SETTLE_ACCEPTED])),
            self._has_record.eq(~is_told | takes_over),
            self._is_fill.eq(kind[Operation.SETTLE_FILLED]),
            self._is_first.eq(kind[Operation.SETTLE_ACCEPTED] & is_changed),
            self._head_after.eq(Mux(takes_over | ~is_changed | is_refused, head, after)),
            self._next_after.eq(Mux(takes_over, after, second))]
        with m.If(is_refused):
            m.d.sync += self._head_after.successor.eq(0)
        for row, is_killed in ((self._head_after, kills_head), (self._next_after, kills_next)):
            with m.If(is_killed):
                m.d.sync += [row.state.eq(OrderState.DEAD), row.leaves.eq(0),
                             row.successor.eq(0)]

    def _weigh(self, m):
        """What the chain may cost, before and after: the greater of two values."""
        head, second = self._head, self._next
        new_head, new_second = self._head_after, self._next_after
        is_alive, is_next_alive = (row.state != OrderState.DEAD for row in (new_head, new_second))
        waits = self._has_next & (new_second.state == OrderState.REPLACING) & is_alive
        shares, prices = Array(Signal(AMOUNT, name=f"shares_{number}")
                               for number in range(_WORTHS)), Array((
                                   head.price, second.price, new_head.price, new_second.price))
        m.d.comb += [
            shares[0].eq(head.leaves),
            shares[1].eq(Mux(self._has_next, excess(second.quantity, head.executed), 0)),
            shares[2].eq(Mux(is_alive, new_head.leaves, 0)),
            shares[3].eq(Mux(waits, excess(new_second.quantity, new_head.executed), Mux(
                self._has_next & is_next_alive & ~is_alive, new_second.leaves, 0)))]
        age, number = self._worth_age, Signal(range(_WORTHS))
        m.d.comb += number.eq(age)
        m.d.sync += age.eq(Mux(self._is_weighed, age + 1, 0))
        whole = product(m, shares[number], prices[number], "worth")
        count = stages(m, shares[number], PRODUCT_AGE, "count")[-1]
        value = saturated(whole, WORTH)
        most, most_value = Signal(AMOUNT), Signal(len(value))
        with m.Switch(age):
            for start in (PRODUCT_AGE, PRODUCT_AGE + 2):
                with m.Case(start):
                    m.d.sync += [most.eq(count), most_value.eq(value)]
            with m.Default():
                m.d.sync += [most.eq(Mux(count > most, count, most)),
                             most_value.eq(Mux(value > most_value, value, most_value))]
        with m.Switch(age):
            with m.Case(PRODUCT_AGE + 2):
                m.d.sync += [self._open.eq(-most), self._value.eq(-most_value)]
            with m.Case(PRODUCT_AGE + 4):
                m.d.sync += [
                    self._open.eq(self._open + most), self._value.eq(self._value + most_value),
                    self._orders.eq((is_alive | self._has_next & is_next_alive) - C(1, 1))]

    def _name_changes(self, m):
        """Own prices one after the other, then what the gate has to know."""
        head, second = self._head_after, self._next_after
        self._number, self._is_due = Signal(range(3)), Signal()
        wish, answer = self.own.p, self.answer.p
        # A price moves before its order is forgotten: of the others, the best one is what stays.
        is_move, is_last = self._number == Mux(self._is_second, 1, 0), self._number == 2
        about = Signal(OrderRow)
        m.d.comb += [
            about.eq(Mux(Mux(is_move, self._is_second, is_last), second, head)),
            self._is_due.eq(Mux(is_move, self._has_moved, is_last | self._kills_head)),
            wish.instrument.eq(head.instrument), wish.is_sell.eq(head.flags[0]),
            wish.place.eq(about.place), wish.price.eq(about.price),
            wish.operation.eq(Mux(is_move, OwnOperation.MOVE, Mux(
                is_last & ~self._kills_next, OwnOperation.LOOK, OwnOperation.LEAVE))),
            answer.instrument.eq(head.instrument), answer.session.eq(head.session),
            answer.is_sell.eq(head.flags[0]), answer.quantity.eq(self._open),
            answer.notional.eq(self._value), answer.orders.eq(self._orders),
            answer.is_fill.eq(self._is_fill), answer.executed.eq(self._quantity),
            answer.price.eq(self._price)]

    def _change(self, m):
        """Change own prices, exposures and rows."""
        number, answer = self._number, self.answer.p
        with m.State("Own"):
            m.d.comb += self.own.valid.eq(self._is_changed & self._is_due)
            with m.If(~self._is_changed):
                m.next = "Record"
            with m.Elif(~self._is_due):
                m.d.sync += number.eq(number + 1)
            with m.Elif(self.own.ready):
                m.next = "Keys"
        with m.State("Keys"), m.If(self.keys.valid):
            m.d.sync += [answer.buy_key.eq(self.keys.p.buy), answer.sell_key.eq(self.keys.p.sell),
                         number.eq(Mux(number == 2, 0, number + 1))]
            with m.If(number == 2):
                m.next = "Answer"
            with m.Else():
                m.next = "Own"
        with m.State("Answer"):
            m.d.comb += self.answer.valid.eq(1)
            with m.If(self.answer.ready):
                m.next = "Head"
        with m.State("Head"):
            m.d.comb += [self.write.valid.eq(1), self.write.p.eq(self._head_after)]
            m.next = "Next"
        with m.State("Next"):
            m.d.comb += [self.write.valid.eq(self._has_next),
                         self.write.p.eq(self._next_after)]
            m.next = "Record"

    def _name_records(self, m):
        """Bodies of the records."""
        given, second = self._given, self._next_after
        row, about = Signal(OrderRow), Signal(OrderRow)
        body, error = Signal(body_layout(ORDER_ACCEPTED)), Signal(body_layout(INTENT_ERROR))
        kind = self._is
        self._tells_lapse, self._tells_unknown = is_lapsed, is_unknown = Signal(), Signal()
        is_gone = kind[Operation.SETTLE_REJECTED]
        m.d.comb += [
            row.eq(Mux(self._is_second, second, self._head_after)),
            about.eq(Mux(is_lapsed, second, row)), body.timestamp.eq(self.now),
            body.exchange_timestamp.eq(given.exchange_timestamp),
            body.intent_id.eq(about.intent_id), body.token.eq(about.token),
            body.leaves.eq(about.leaves), body.locate.eq(about.locate),
            body.order_reference.eq(about.reference),
            body.price.eq(Mux(is_lapsed | is_gone | kind[Operation.SETTLE_CANCELED], about.price,
                              self._price)),
            body.quantity.eq(Mux(is_lapsed, 0, Mux(is_gone, about.quantity, self._quantity))),
            body.reason.eq(Mux(~is_lapsed & (is_gone | kind[Operation.SETTLE_CANCELED]),
                               given.reason, 0)),
            body.match_number.eq(Mux(is_lapsed, 0, select(
                (kind[Operation.SETTLE_FILLED], given.match_number),
                (kind[Operation.SETTLE_REPLACED], given.previous_token)))),
            error.timestamp.eq(self.now), error.slot.eq(WINDOW_SLOTS),
            error.received.eq(given.token), error.error.eq(IntentError.UNKNOWN_ORDER),
            self.record.p.octets.eq(Mux(is_unknown, error, body)),
            self.record.p.kind.eq(Mux(is_unknown, RecordType.INTENT_ERROR.value, Mux(
                is_lapsed, RecordType.ORDER_REJECTED.value, select(*(
                    (bit, C(_RECORDS[which].value, 8)) for which, bit in kind.items()))))),
            self.filled.p.token.eq(row.token), self.filled.p.instrument.eq(row.instrument),
            self.filled.p.quantity.eq(self._quantity)]

    def _tell(self, m):
        """Tell of the answer and of a replace that lapsed, then that something was wrong."""
        kind, counted, given = self._is, self.counted, self._given
        strobes = {"orders_accepted": Operation.SETTLE_ACCEPTED, "fills": Operation.SETTLE_FILLED,
                   "orders_canceled": Operation.SETTLE_CANCELED,
                   "orders_rejected": Operation.SETTLE_REJECTED,
                   "orders_replaced": Operation.SETTLE_REPLACED}
        with m.State("Record"):
            is_told = self.record.valid & self.record.ready
            m.d.comb += [
                self.record.valid.eq(self._has_record),
                self.filled.valid.eq(is_told & self._is_fill),
                self.acknowledged.valid.eq(is_told & self._is_first),
                self.acknowledged.p.eq(given.token)]
            m.d.comb += [counted[name].eq(is_told & kind[which])
                         for name, which in strobes.items()]
            with m.If(is_told | ~self._has_record):
                m.next = "Lapse"
        with m.State("Lapse"):
            m.d.comb += [self._tells_lapse.eq(1), self.record.valid.eq(self._lapses),
                         counted.replaces_lapsed.eq(self._lapses & self.record.ready)]
            with m.If(self.record.ready | ~self._lapses):
                m.next = "Wrong"
        with m.State("Wrong"):
            m.d.comb += [self.is_wrong.eq(self._is_wrong),
                         counted.settle_mismatch.eq(self._is_wrong)]
            m.next = "Idle"
        with m.State("Unknown"):
            m.d.comb += [self._tells_unknown.eq(1), self.record.valid.eq(1),
                         counted.settle_unknown.eq(self.record.ready)]
            with m.If(self.record.ready):
                m.next = "Stranger"
        with m.State("Stranger"):
            m.d.comb += self.is_wrong.eq(
                kind[Operation.SETTLE_ACCEPTED] | kind[Operation.SETTLE_FILLED]
                | kind[Operation.SETTLE_REPLACED])
            m.next = "Idle"

