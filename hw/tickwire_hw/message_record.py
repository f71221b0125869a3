"""Records that messages cause by themselves (kernels ``messages``, ``status``, ``feed_state``)."""

from collections.abc import Mapping
from dataclasses import dataclass

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec import itch50, records
from tickwire.spec.records import RecordType, TradeFlag
from tickwire.spec.wire import Message
from tickwire_hw.logic import select, stages
from tickwire_hw.messages import field, letter, raw_field
from tickwire_hw.publish_port import Operation, PublishKind
from tickwire_hw.records import BODY, body_layout

BODY_AGE = 2
"""Cycles from an operation to the body of its record."""
STATUS_FIELDS = ("band_lower", "band_upper", "reference", "reason", "trading_state", "reg_sho",
                 "operational")
"""Fields of a STATUS record that stay as they are until a message changes them."""
BODIES = {kind: body_layout(record) for kind, record in records.RECORDS.items()}
"""Layouts of records by type."""
NOT_WATCHED = 0xFFFFFFFF
_BLANK, _YES, _NASDAQ, _BUY, _SELL = (ord(letter) for letter in " YQBS")
_U32 = 0xFFFFFFFF


@dataclass(frozen=True)
class _Source:
    """A message, the operation that brings it, and where its record's fields are in it."""

    message: Message
    kind: PublishKind
    record: RecordType
    fields: Mapping[str, str]


_EXECUTION = {"match_number": "match_number", "quantity": "executed_shares",
              "order_reference": "order_reference"}
_SOURCES = (
    _Source(itch50.ORDER_EXECUTED, PublishKind.EXECUTE, RecordType.TRADE, _EXECUTION),
    _Source(itch50.ORDER_EXECUTED_WITH_PRICE, PublishKind.EXECUTE, RecordType.TRADE,
            {**_EXECUTION, "price": "execution_price"}),
    _Source(itch50.TRADE, PublishKind.PRINT, RecordType.TRADE,
            {"match_number": "match_number", "price": "price", "quantity": "shares",
             "side": "side", "order_reference": "order_reference"}),
    _Source(itch50.CROSS_TRADE, PublishKind.PRINT, RecordType.TRADE,
            {"match_number": "match_number", "price": "cross_price"}),
    _Source(itch50.BROKEN_TRADE, PublishKind.PRINT, RecordType.TRADE,
            {"match_number": "match_number"}),
    _Source(itch50.STOCK_TRADING_ACTION, PublishKind.OTHER, RecordType.STATUS,
            {"trading_state": "trading_state", "reason": "reason"}),
    _Source(itch50.REG_SHO_RESTRICTION, PublishKind.OTHER, RecordType.STATUS,
            {"reg_sho": "reg_sho_action"}),
    _Source(itch50.LULD_AUCTION_COLLAR, PublishKind.OTHER, RecordType.STATUS,
            {"band_lower": "lower_price", "band_upper": "upper_price",
             "reference": "reference_price"}),
    _Source(itch50.IPO_QUOTING_PERIOD_UPDATE, PublishKind.OTHER, RecordType.STATUS,
            {"reference": "ipo_price"}),
    _Source(itch50.OPERATIONAL_HALT, PublishKind.OTHER, RecordType.STATUS,
            {"operational": "action"}),
    _Source(itch50.SYSTEM_EVENT, PublishKind.OTHER, RecordType.STATUS, {}),
    _Source(itch50.MWCB_DECLINE_LEVEL, PublishKind.OTHER, RecordType.STATUS, {}),
    _Source(itch50.MWCB_STATUS, PublishKind.OTHER, RecordType.STATUS, {}),
    _Source(itch50.NET_ORDER_IMBALANCE, PublishKind.OTHER, RecordType.IMBALANCE,
            {"paired_shares": "paired_shares", "imbalance_shares": "imbalance_shares",
             "direction": "imbalance_direction", "cross_type": "cross_type",
             "far_price": "far_price", "near_price": "near_price",
             "reference_price": "reference_price"}),
    _Source(itch50.STOCK_DIRECTORY, PublishKind.OTHER, RecordType.DIRECTORY,
            {"symbol": "stock", "round_lot": "round_lot_size", "locate": "stock_locate",
             "market_category": "market_category", "financial_status": "financial_status"}),
)
_MARKET = (itch50.SYSTEM_EVENT.tag, itch50.MWCB_DECLINE_LEVEL.tag, itch50.MWCB_STATUS.tag)
_PRINT_FLAGS = {itch50.ORDER_EXECUTED.tag: TradeFlag.PRINTABLE,
                itch50.TRADE.tag: TradeFlag.PRINTABLE | TradeFlag.HIDDEN,
                itch50.BROKEN_TRADE.tag: TradeFlag.BROKEN}


class RecordClass(data.Struct):
    """Which record an operation causes by itself; at most one."""

    is_trade: 1
    is_status: 1                           # of an instrument
    is_market: 1                           # STATUS of the whole market
    is_imbalance: 1
    is_directory: 1
    is_feed: 1


class MessageRecord(wiring.Component):
    """Say which record a message causes, and fill in what the message alone tells.

    The class is there one cycle after the operation, the body two. Never exerts backpressure.
    Market phase and breach level are kept here.

    Members
    -------
    i, valid, instrument : ``In``
        An operation, whether there is one, and its instrument.
    o_class : ``Out(RecordClass)``
        One cycle later, 0 without a record.
    body : ``Out(448)``
        Two cycles later: time stamp and number of any operation. With a record all of it, but
        what is kept of the instrument: locate, version, book flags, and ``STATUS_FIELDS`` that
        this message does not change. Else the rest is 0.
    changes : ``Out``
        With it: fields of the instrument's status that the message changes.
    """

    i: In(Operation)
    valid: In(1)
    instrument: In(16)
    o_class: Out(RecordClass)
    body: Out(BODY)
    changes: Out(data.StructLayout(dict.fromkeys(STATUS_FIELDS, 1)))

    def elaborate(self, platform):
        """Return two stages: which message it is, and its record."""
        m = Module()

        # Age 0: which message.
        given = self.i
        is_nasdaq = _field(given.data, itch50.OPERATIONAL_HALT, "market_code") == _NASDAQ
        is_message = {}
        for source in _SOURCES:
            tag = source.message.tag
            is_this = Signal(name=f"is_{source.message.name}")
            m.d.comb += is_this.eq(
                self.valid & (given.kind == source.kind) & (letter(given.data) == ord(tag))
                & (is_nasdaq if source.message is itch50.OPERATIONAL_HALT else 1))
            is_message[tag] = stages(m, is_this, 1, is_this.name)
        is_feed = stages(m, self.valid & (given.kind == PublishKind.FEED), 1, "is_feed")

        def of(record: RecordType) -> Value:
            return Cat(is_message[source.message.tag][0] for source in _SOURCES
                       if source.record is record and source.message.tag not in _MARKET).any()
        found, watched = self.o_class, given.is_watched
        m.d.sync += [
            found.is_trade.eq(of(RecordType.TRADE) & watched
                              & ((given.kind == PublishKind.PRINT) | given.is_found)),
            found.is_status.eq(of(RecordType.STATUS) & watched),
            found.is_market.eq(Cat(is_message[tag][0] for tag in _MARKET).any()),
            found.is_imbalance.eq(of(RecordType.IMBALANCE) & watched),
            found.is_directory.eq(of(RecordType.DIRECTORY)), found.is_feed.eq(is_feed[0])]

        # Age 1: its record.
        operation = stages(m, given, 1, "operation")[1]
        instrument = stages(m, self.instrument, 1, "instrument")[1]
        market = self._market(m, operation.data, is_message)
        bodies = [(is_feed[1], _feed_body(m, operation))]
        for source in _SOURCES:
            tag = source.message.tag
            body = Signal(BODIES[source.record], name=f"{source.message.name}_body")
            m.d.comb += [body[ours].eq(_field(operation.data, source.message, theirs))
                         for ours, theirs in source.fields.items()]
            m.d.comb += [body[name].eq(value) for name, value
                         in _computed(tag, source.record, operation, instrument, market).items()]
            bodies.append((is_message[tag][1], body.as_value()))
        common = Signal(BODIES[RecordType.BBO])
        m.d.comb += [common.timestamp.eq(operation.timestamp),
                     common.feed_sequence.eq(operation.sequence)]
        m.d.sync += self.body.eq(common.as_value() | select(*bodies))
        m.d.sync += [self.changes[name].eq(found.is_status & Cat(
            is_message[source.message.tag][1] for source in _SOURCES
            if source.record is RecordType.STATUS and name in source.fields).any())
            for name in STATUS_FIELDS]

        return m

    def _market(self, m: Module, octets: Value, is_message: dict) -> dict[str, Value]:
        """Keep the state of the market; return it as the message in hand leaves it."""
        found = {}
        for name, message, source in (
                ("market_phase", itch50.SYSTEM_EVENT, "event_code"),
                ("breach_level", itch50.MWCB_STATUS, "breached_level")):
            kept, now = Signal(8, name=name), Signal(8, name=f"{name}_now")
            m.d.comb += now.eq(Mux(is_message[message.tag][1], _field(octets, message, source),
                                   kept))
            m.d.sync += kept.eq(now)
            found[name] = now
        return found


def _field(octets: Value, message: Message, name: str) -> Value:
    """Field of a message as a record has it: integers little-endian, text as it is."""
    is_text = message.field(name)[0].kind == "ascii"
    return raw_field(octets, message, name) if is_text else field(octets, message, name)


def _feed_body(m: Module, operation: data.View) -> Value:
    """Body of a FEED_STATE record without what is common."""
    body = Signal(BODIES[RecordType.FEED_STATE], name="feed_body")
    m.d.comb += [getattr(body, name).eq(getattr(operation, name))
                 for name in ("received", "line", "state", "session")]
    return body.as_value()


def _computed(tag: str, record: RecordType, operation: data.View, instrument: Value,
              market: Mapping[str, Value]) -> dict[str, Value]:
    """Fields of a record that are not octets of its message."""
    octets = operation.data
    if record is RecordType.STATUS:
        return {"cause": C(ord(tag), 8), **market}
    if record is RecordType.DIRECTORY:
        return {"instrument": Mux(operation.is_watched, instrument, NOT_WATCHED)}
    if record is not RecordType.TRADE:
        return {}
    found = {"flags": C(int(_PRINT_FLAGS.get(tag, 0)), 8)}
    side = Mux(operation.side, _SELL, _BUY)
    if tag == itch50.ORDER_EXECUTED.tag:
        found |= {"price": operation.price, "side": side}
    elif tag == itch50.ORDER_EXECUTED_WITH_PRICE.tag:
        printable = _field(octets, itch50.ORDER_EXECUTED_WITH_PRICE, "printable")
        found |= {"flags": Mux(printable == _YES, int(TradeFlag.PRINTABLE), 0), "side": side}
    elif tag == itch50.CROSS_TRADE.tag:
        shares = _field(octets, itch50.CROSS_TRADE, "shares")
        found |= {"quantity": Mux(shares > _U32, _U32, shares[:32]), "side": C(_BLANK, 8),
                  "flags": int(TradeFlag.CROSS) | Mux(shares.any(), int(TradeFlag.PRINTABLE), 0)}
    elif tag == itch50.BROKEN_TRADE.tag:
        found |= {"side": C(_BLANK, 8)}
    return found
