"""Kernels and compiled order path with triggers, driven by the same steps; no reference.

A step is done on both sides until nothing is left to be done; records, octets that leave and
counters of triggers are compared after it.
"""

import struct

import numpy as np

from tests.order_card import CYCLES, CardPair, judged
from tests.order_rig import LOCATES, pack_intent, pack_settle, sealed
from tickwire.kernels import order_path
from tickwire.kernels.order_layout import TRIGGER_BLOCK, TRIGGER_HEAD, TRIGGER_ROW
from tickwire.kernels.triggers import hedge, observe
from tickwire.spec.counters import CounterIndex
from tickwire.spec.intents import Operation
from tickwire.spec.orders import OrderState
from tickwire.spec.records import BookFlag, RecordType

_TRIGGER = struct.Struct("<QIHBBIIIBBBBIIHHIIIII")
_BBO = struct.Struct("<QQIIIIHBBIIIIHH8x")
_TRADE = struct.Struct("<QQQIIHBBIQII8x")
assert {layout.size for layout in (_TRIGGER, _BBO, _TRADE)} == {64}
STAMP, SEQUENCE = 7_777, 42               # of a BBO record's message
AHEAD = 45                                 # cycles from what a record will show to the record
COUNTERS = ("triggers_armed", "triggers_fired", "triggers_disarmed")


def pack_trigger(*, operation=Operation.PRE_ARM, timestamp=0, intent_id=0, locate=LOCATES[0],
                 flags=0, price=0, quantity=0, token=0, kind=1, slot=0, group=0, reserved=0,
                 generation=1, ttl_ns=0, session=0, strategy=0, trigger_price=0,
                 trigger_quantity=0) -> bytes:
    """Pack PRE_ARM or DISARM that is not sealed."""
    return _TRIGGER.pack(timestamp, intent_id, locate, operation, flags, price, quantity, token,
                         kind, slot, group, reserved, generation, ttl_ns, session, strategy,
                         trigger_price, trigger_quantity, 0, 0, 0)


def pack_bbo(*, locate=LOCATES[0], bid=0, ask=0, bid_quantity=0, ask_quantity=0, flags=0,
             timestamp=STAMP, sequence=SEQUENCE) -> bytes:
    """Pack a BBO record."""
    return _BBO.pack(timestamp, sequence, bid, ask, bid_quantity, ask_quantity, locate, ord("T"),
                     flags, 9, 0, 0, 0, 1, 1)


def pack_trade(*, locate=LOCATES[0], price=0, flags=1, timestamp=8_888, sequence=43) -> bytes:
    """Pack a TRADE record."""
    return _TRADE.pack(timestamp, sequence, 5, price, 100, locate, ord("B"), flags, 9, 77, 0, 0)


def _pack(kind, fields):
    return (pack_bbo if kind == RecordType.BBO else pack_trade)(**fields)


def market_columns(kind, fields):
    """Columns of a market record."""
    words = np.frombuffer(_pack(kind, fields)[:56], np.uint64).reshape(1, 7)
    return {"i_market": {"kind": kind.value, "octets": words}}


def sight_columns(instrument, fields, last=0, port="i_early"):
    """Columns of what a BBO record will show, and of a trade that will be told before it."""
    best = {name: fields.get(name, 0) for name in ("bid", "ask", "bid_quantity", "ask_quantity")}
    return {port: {"is_early": 1, "instrument": instrument, "timestamp": STAMP,
                   "sequence": SEQUENCE, "last": last, **best}}


class Twin(CardPair):
    """Kernels and card, driven together."""

    def __init__(self, model, noise=None, is_hurried=False):
        super().__init__(model, noise, is_hurried)
        self.card.fixed["has_room"] = 1
        self.counts = self._counted()

    @property
    def context(self):
        """The kernels' context."""
        return self.rig.path.context

    def _counted(self):
        return {name: self.rig.count(name.upper()) for name in COUNTERS}

    def step(self, kind, *arguments):
        """Do a step on both; compare records, octets that leave and what was counted."""
        self.catch_up(kind)
        if self.behind is None:
            self.card.strobes = dict.fromkeys(COUNTERS, 0)
        first = int(self.rig.path.ring["written"])
        self.asked = []
        sent = getattr(self, f"do_{kind}")(*arguments) or b""
        while order_path.sweeping(self.rig.address):
            sent += self.rig.leave(order_path.sweep(self.rig.address, self.now), self.now)
        self.follow(first, sent, kind, *arguments)
        self.rig.records()

    def compare_card(self, first):
        """Compare records and what was counted since the last time."""
        super().compare_card(first)
        found = self._counted()
        assert self.card.strobes == {name: found[name] - self.counts[name] for name in COUNTERS}
        self.counts = found

    def token(self, back):
        return max(int(self.context["next_token"]) - 1 - back, 0)

    def seal(self, octets, epoch=0, sequence=0):
        """Give an intent what the window expects, or something next to it."""
        return sealed(octets, int(self.context["epoch"]) + epoch,
                      int(self.context["expected"]) + sequence)

    def both(self, octets):
        expected, epoch = int(self.context["expected"]), int(self.context["epoch"])
        self.intent(octets, **judged(octets, expected, epoch, self.now))
        return self.rig.execute(octets, self.now, seal=False) + self.hedges()

    def hedges(self):
        """Fire what the newest fill sets off, as the engine does."""
        sent, slot = b"", 0
        while slot >= 0:
            octets, slot = hedge(self.rig.address, slot, self.now)
            sent += self.rig.leave(octets, self.now)
        return sent

    def do_intent(self, fields):
        if "token" in fields:
            fields = fields | {"token": self.token(fields["token"])}
        return self.both(self.seal(pack_intent(**fields)))

    def do_octets(self, octets, is_sealed, epoch, sequence):
        return self.both(self.seal(octets, epoch, sequence) if is_sealed else octets)

    def do_trigger(self, fields):
        """PRE_ARM or DISARM; ``generation`` is how far it is from the right one."""
        fields = dict(fields)
        locate, slot = fields.get("locate", LOCATES[0]), fields.get("slot", 0)
        row = self.slot(LOCATES.index(locate), slot & 15) if locate in LOCATES else 0
        is_arm = fields.get("operation", Operation.PRE_ARM) == Operation.PRE_ARM
        fields["generation"] = row + is_arm + fields.get("generation", 0) & 0xFFFF_FFFF
        if "token" in fields:
            fields["token"] = self.token(fields["token"])
        return self.both(self.seal(pack_trigger(**fields)))

    def slot(self, instrument, slot):
        """Generation of a slot, as the kernels keep it."""
        octets = self.rig.path.arena.view("triggers", np.uint8)
        start = TRIGGER_BLOCK * instrument + TRIGGER_HEAD.itemsize + TRIGGER_ROW.itemsize * slot
        return int(octets[start:start + TRIGGER_ROW.itemsize].view(TRIGGER_ROW)["generation"][0])

    def do_market(self, kind, fields):
        """Show a market record."""
        self.asked.append(market_columns(kind, fields))
        sent, slot, address = b"", 0, self.rig.put(_pack(kind, fields))
        while slot >= 0:
            size, slot = observe(self.rig.address, address, kind.value, slot, self.now)
            sent += self.rig.leave(size, self.now)
        return sent

    def do_answer(self, operation, token, fields):
        fields = fields | {"token": self.token(token)}
        if operation == Operation.SETTLE_REPLACED:
            found = self.rig.path.orders[self.rig.path.orders["token"] == fields["token"]]
            fields["previous_token"] = int(found["previous"][0]) if len(found) else 1
        return self.answered(pack_settle(operation=operation, **fields))

    def answered(self, octets):
        self.intent(octets, error=0)
        order_path.settle(self.rig.address, self.rig.put(octets), self.now)
        return self.hedges()

    def do_honest(self, kind, pick, quantity):
        """Answer as a venue that keeps its books would."""
        orders = self.rig.path.orders
        orders = np.sort(orders[orders["state"] != OrderState.DEAD], order="token")
        if not len(orders):
            return b""
        order = orders[pick % len(orders)]
        fields = {"token": int(order["token"]), "price": int(order["price"]),
                  "order_reference": pick, "match_number": pick,
                  "quantity": min(quantity, int(order["leaves"]))}
        if order["state"] == OrderState.REPLACING:
            operation = Operation.SETTLE_REJECTED
        elif order["state"] == OrderState.SENT and kind in ("accept", "reject"):
            operation = (Operation.SETTLE_ACCEPTED if kind == "accept"
                         else Operation.SETTLE_REJECTED)
            fields["quantity"] = int(order["quantity"])
        else:
            operation = Operation.SETTLE_CANCELED if kind == "cancel" else Operation.SETTLE_FILLED
        return self.answered(pack_settle(operation=operation, **fields))

    def do_arm(self):
        if int(self.rig.path.gate["killed"]):
            self.rig.path.arm(self.now)


class Foreseen(Twin):
    """The card is told ahead of BBO records what they will show, the kernels are not.

    Records come as long after it as in a card, their state line with them; they may say that a
    trade was printed at ``last`` before. A cycle before the card is told it has a ``glimpse`` of
    it, right (0), or so many cycles before, and then of nothing.
    """

    def do_market(self, kind, fields):
        instrument = self._foreseen(kind, fields)
        if instrument is None:
            return super().do_market(kind, fields)
        market, bid, ask = self.card.market[instrument], fields["bid"], fields["ask"]
        flags = BookFlag.CROSSED if bid >= ask and bid and ask else 0
        last = fields.get("last", 0)
        market |= {"bid": bid, "ask": ask, "flags": int(flags), "last": last or market["last"]}
        self.rig.book(instrument, bid=bid, ask=ask, flags=flags, last=market["last"],
                      trading_state=bytes([market["trading_state"]]),
                      version=self.card.versions[instrument])
        sent = b""
        if last:
            sent += super().do_market(RecordType.TRADE, self._trade(fields))
        shown = {name: value for name, value in fields.items()
                 if name not in ("last", "glimpse")}
        sent += super().do_market(kind, shown)
        self.asked = []
        return sent

    def card_market(self, kind, fields):
        """Tell the card, show it state line and records later."""
        instrument = self._foreseen(kind, fields)
        if instrument is None:
            return
        card, shown = self.card, dict(fields)
        last, glimpse = shown.pop("last", 0), shown.pop("glimpse", None)
        begin = 0 if glimpse is None else 1 + glimpse
        given = {0: sight_columns(instrument, shown, last, "i_glimpse")} if begin else {}
        given[begin] = sight_columns(instrument, shown, last)
        records = [market_columns(kind, shown)]
        if last:
            records.insert(0, market_columns(RecordType.TRADE, self._trade(fields)))
        given |= dict(enumerate(records, begin + AHEAD))
        given[begin + AHEAD]["i_seen"] = card.seen(instrument)
        card.finish(card.run(begin + AHEAD + CYCLES, given))

    def _foreseen(self, kind, fields):
        """Instrument of a record that is told of ahead."""
        locate = fields.get("locate", LOCATES[0])
        if kind == RecordType.BBO and not fields.get("flags") and locate in LOCATES:
            return LOCATES.index(locate)
        return None

    def _trade(self, fields):
        return {"price": fields["last"], "sequence": SEQUENCE,
                "locate": fields.get("locate", LOCATES[0])}


assert set(COUNTERS) <= {name.lower() for name in CounterIndex.__members__}
