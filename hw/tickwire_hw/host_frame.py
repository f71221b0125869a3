"""Frames of the host, a page of BAR 0 at a time: what it has recovered, or what it sends."""

import itertools

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.registers import FRAME_OFFSET, FRAME_PAGE, FRAME_TO_ORDERS
from tickwire_hw.host_port import Access
from tickwire_hw.ram import RAM, READ_AGE
from tickwire_hw.stream import LANES, Word

_PAGE = FRAME_OFFSET // 4
_ROWS = FRAME_PAGE // LANES
_AHEAD = READ_AGE + 2                  # words that are read before the line has taken one
_TO_ORDERS = FRAME_TO_ORDERS.bit_length() - 1


class HostFrame(wiring.Component):
    """Keep the octets that the host stores, and send them as one frame when it says so.

    For the market side the first word comes three cycles after ``send``, then a word in every
    cycle; nothing holds it back. For the order line it is one cycle later, and waits there; from
    then on a word is offered in every cycle. Until ``is_busy`` falls, behind the last one, the
    host must not write: a frame would have octets of both. What is stored in parts of a word is
    ignored, and so is ``send`` of nothing, of more than the page holds, or meanwhile. No frame is
    damaged, none is lost.

    Members
    -------
    access : ``In(stream.Signature(Access, always_ready=True))``
        Accesses to BAR 0; stores to the frame page are kept, and it reads as 0.
    send : ``In(stream.Signature(32, always_ready=True))``
        What was written to FRAME_SEND: octets of the frame, and which way it goes.
    o : ``Out(stream.Signature(Word, always_ready=True))``
        The frame, without check sequence, for the market side.
    o_order : ``Out(stream.Signature(Word))``
        The same for the order line.
    is_busy : ``Out(1)``
        Register FRAME_SEND.
    """

    access: In(stream.Signature(Access, always_ready=True))
    send: In(stream.Signature(32, always_ready=True))
    o: Out(stream.Signature(Word, always_ready=True))
    o_order: Out(stream.Signature(Word))
    is_busy: Out(1)

    def elaborate(self, platform):
        """Return both halves of the page, and what reads them."""
        m = Module()

        access, row, left = self.access.p, Signal(range(_ROWS)), Signal(range(FRAME_PAGE + 1))
        is_store = (self.access.valid & ~access.is_read & access.enables.all()
                    & (access.address >= _PAGE) & (access.address < _PAGE + FRAME_PAGE // 4))
        found, is_for_orders, may_read = Signal(Word), Signal(), Signal()
        for half in range(2):
            m.submodules[f"half_{half}"] = words = RAM(32, _ROWS)
            m.d.comb += [
                words.write_enable.eq(is_store & (access.address[0] == half)),
                words.write_address.eq((access.address - _PAGE)[1:]),
                words.write_data.eq(access.data), words.read_address.eq(row),
                found.data.word_select(half, 32).eq(words.read_data)]

        # What is known of a word while it is being read.
        read = [Signal(data.StructLayout({"valid": 1, "first": 1, "last": 1, "keep": LANES}),
                       name=f"read_{age}") for age in range(READ_AGE + 1)]
        m.d.comb += [
            read[0].valid.eq((left != 0) & may_read), read[0].first.eq(row == 0),
            read[0].last.eq(left <= LANES),
            read[0].keep.eq(Mux(read[0].last, (1 << left[:4]) - 1, (1 << LANES) - 1)),
            *(getattr(found, name).eq(getattr(read[-1], name)) for name in ("first", "last",
                                                                            "keep")),
            self.o.valid.eq(read[-1].valid & ~is_for_orders), self.o.p.eq(found)]
        m.d.sync += [after.eq(before) for before, after in itertools.pairwise(read)]
        with m.If(read[0].valid):
            m.d.sync += [row.eq(row + 1), left.eq(Mux(read[0].last, 0, left - LANES))]
        with m.Elif(self.send.valid & ~self.is_busy
                    & (self.send.p[:_TO_ORDERS] <= FRAME_PAGE)):
            m.d.sync += [row.eq(0), left.eq(self.send.p[:_TO_ORDERS]),
                         is_for_orders.eq(self.send.p[_TO_ORDERS])]

        # The order line may wait: words are read as far ahead as there is room for them.
        m.submodules.ahead = ahead = fifo.SyncFIFO(width=Word.as_shape().size, depth=_AHEAD)
        order, count = self.o_order, Signal(range(_AHEAD + 1))
        m.d.comb += [
            ahead.w_en.eq(read[-1].valid & is_for_orders), ahead.w_data.eq(found),
            ahead.r_en.eq(order.ready), order.valid.eq(ahead.r_rdy), order.p.eq(ahead.r_data),
            may_read.eq(~is_for_orders | (count != _AHEAD)),
            self.is_busy.eq((left != 0) | count.any()
                            | Cat(word.valid for word in read[1:]).any())]
        m.d.sync += count.eq(count + (read[0].valid & is_for_orders)
                             - (order.valid & order.ready))

        return m
