"""Order messages by their fields, whichever type they are."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data

from tickwire.spec import itch50
from tickwire_hw.feed_port import EventKind, FeedEvent
from tickwire_hw.messages import LETTERS, field, letter
from tickwire_hw.order_table import REFERENCE, SHARES

ORDER_MESSAGE = data.StructLayout({
    "letter": 8, "is_add": 1, "is_take": 1, "is_remove": 1, "is_replace": 1,
    "locate": 16, "reference": REFERENCE, "new_reference": REFERENCE, "side": 1, "is_bad_side": 1,
    "shares": SHARES, "price": 32, "is_printable": 1, "sequence": 64, "stamp": 64})
"""A, F; E, C, X; D; U. What a type does not have means nothing. Of C: its own price, and whether it
prints."""
_LOW = 5                                    # bits that tell letters of order messages apart
_SIZES = {message.tag: message.size for message in itch50.MESSAGES if message.tag in "AFECXDU"}
_TOLD = {tag: LETTERS[tag] & (1 << _LOW) - 1 for tag in _SIZES}
_IS_REPLACE = 4                             # bit that tells a replace from what else has a price
assert len(set(_TOLD.values())) == len(_TOLD)
assert [tag for tag in "AFCU" if LETTERS[tag] >> _IS_REPLACE & 1] == ["U"]
assert (itch50.ORDER_EXECUTED_WITH_PRICE.field("execution_price")[1]
        == itch50.ADD_ORDER.field("price")[1])


def order_message(m: Module, event: data.View, name: str) -> tuple[Signal, data.View]:
    """Return whether a :class:`FeedEvent` is an order message that can be read, and its fields.

    The fields of anything else mean nothing.
    """
    assert event.shape() == FeedEvent.as_shape()
    octets = event.message.data
    found, is_order = Signal(ORDER_MESSAGE, name=name), Signal(name=f"{name}_valid")
    side = field(octets, itch50.ADD_ORDER, "side")
    m.d.comb += [
        found.letter.eq(letter(octets)), found.sequence.eq(event.sequence),
        found.stamp.eq(event.stamp),
        found.locate.eq(field(octets, itch50.ADD_ORDER, "stock_locate")),
        found.reference.eq(field(octets, itch50.ORDER_DELETE, "order_reference")),
        found.new_reference.eq(field(octets, itch50.ORDER_REPLACE, "new_reference")),
        found.side.eq(side == ord("S")), found.is_bad_side.eq((side != ord("B"))
                                                              & (side != ord("S"))),
        found.price.eq(Mux(letter(octets)[_IS_REPLACE],
                           field(octets, itch50.ORDER_REPLACE, "price"),
                           field(octets, itch50.ADD_ORDER, "price"))),
        found.is_printable.eq(
            field(octets, itch50.ORDER_EXECUTED_WITH_PRICE, "printable") == ord("Y")),
        is_order.eq((event.kind == EventKind.MESSAGE) & Cat(
            (letter(octets) == LETTERS[tag]) & (event.message.length == size)
            for tag, size in _SIZES.items()).any())]
    with m.Switch(letter(octets)[:_LOW]):
        with m.Case(_TOLD["A"], _TOLD["F"]):
            m.d.comb += [found.is_add.eq(1),
                         found.shares.eq(field(octets, itch50.ADD_ORDER, "shares"))]
        with m.Case(_TOLD["E"], _TOLD["C"]):
            m.d.comb += [found.is_take.eq(1), found.shares.eq(
                field(octets, itch50.ORDER_EXECUTED, "executed_shares"))]
        with m.Case(_TOLD["X"]):
            m.d.comb += [found.is_take.eq(1), found.shares.eq(
                field(octets, itch50.ORDER_CANCEL, "canceled_shares"))]
        with m.Case(_TOLD["D"]):
            m.d.comb += found.is_remove.eq(1)
        with m.Case(_TOLD["U"]):
            m.d.comb += [found.is_replace.eq(1),
                         found.shares.eq(field(octets, itch50.ORDER_REPLACE, "shares"))]
    return is_order, found
