"""Order table by token: rows, and the least token whose row is free (kernel ``orders``)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.limits import STRATEGIES
from tickwire.spec.orders import OWN_ORDERS, OrderState
from tickwire.spec.ouch50 import USER_REF_NUM_FIRST
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire_hw.ram import RAM
from tickwire_hw.wipe import Wipe

ROWS_LOG2 = 10
"""Orders of the table, as a power of two."""
TOKEN = 32
AMOUNT = 31                                # shares, and prices that pass the gate
_TOKEN_MAX = (1 << TOKEN) - 1


class OrderRow(data.Struct):
    """One order (kernel ``order_layout.ORDER``)."""

    token: TOKEN                           # 0 never used
    previous: TOKEN                        # order that this one replaces
    successor: TOKEN                       # replace of this order that waits for its answer
    intent_id: 32
    price: AMOUNT
    leaves: AMOUNT                         # shares that may still execute; 0 while REPLACING
    executed: AMOUNT                       # by the orders that it replaced too
    quantity: AMOUNT                       # shares asked for, those executed included
    reference: 64                          # venue's order reference
    instrument: 16
    locate: 16
    strategy: range(STRATEGIES)
    session: range(SESSIONS_MAX)
    state: range(len(OrderState))
    flags: 4                               # IntentFlag
    place: range(OWN_ORDERS + 1)           # of its price among the own orders


class OrderRows(wiring.Component):
    """Keep rows by the low bits of their token; look for the next token all the time.

    A row is shown two cycles after its token was asked for; one that was written meanwhile reads
    as anything. The next token is known in the cycle after the last one was spent, one cycle later
    for each row on the way that is not free, and anew when a row is freed. Rows are zero at
    configuration and once it is ``ready`` after a reset.

    Members
    -------
    ready : ``Out(1)``
        Whether all rows are clear, see ``Wipe``; the rest comes only then.
    token : ``In(32)``
        Row to show.
    row : ``Out(OrderRow)``
        The row, two cycles later.
    i : ``In(stream.Signature(OrderRow, always_ready=True))``
        Row to write, by its token.
    i_number : ``In(stream.Signature(32, always_ready=True))``
        No token below this is given from two cycles later on, at rest.
    is_found, next_token : ``Out``
        Whether the search is over, and the least free token that was never used; 0 none.
    spend : ``In(1)``
        It is used up.
    newest : ``Out(32)``
        Least token that was never used, whether its row is free or not.
    """

    def __init__(self, rows_log2: int = ROWS_LOG2) -> None:
        self._log2 = rows_log2
        super().__init__({
            "ready": Out(1), "token": In(TOKEN), "row": Out(OrderRow),
            "i": In(stream.Signature(OrderRow, always_ready=True)),
            "i_number": In(stream.Signature(TOKEN, always_ready=True)), "is_found": Out(1),
            "next_token": Out(TOKEN), "spend": In(1),
            "newest": Out(TOKEN, init=USER_REF_NUM_FIRST)})

    def elaborate(self, platform):
        """Return the rows, one bit of each, and the search."""
        m = Module()

        depth = 1 << self._log2
        m.submodules.rows = rows = RAM(OrderRow, depth)
        m.submodules.alive = alive = memory.Memory(shape=1, depth=depth, init=[])
        is_alive, write = alive.read_port(domain="comb"), alive.write_port()
        m.submodules.wipe = wipe = Wipe(depth)
        is_written, number = Signal(), Signal(self._log2)
        m.d.comb += [
            self.ready.eq(wipe.ready), is_written.eq(self.i.valid | ~wipe.ready),
            number.eq(Mux(wipe.ready, self.i.p.token, wipe.row)),
            rows.read_address.eq(self.token), self.row.eq(rows.read_data),
            rows.write_enable.eq(is_written), rows.write_address.eq(number),
            rows.write_data.eq(Mux(wipe.ready, self.i.p, 0)), write.en.eq(is_written),
            write.addr.eq(number),
            write.data.eq(wipe.ready & (self.i.p.state != OrderState.DEAD))]

        looked, tried = Signal(TOKEN, init=USER_REF_NUM_FIRST), Signal(self._log2)
        first, is_later = Signal(TOKEN), Signal()
        m.d.sync += [first.eq(self.i_number.p),
                     is_later.eq(self.i_number.valid & (self.i_number.p > self.newest))]
        m.d.comb += is_alive.addr.eq(looked)
        with m.If(is_later):
            m.d.sync += [self.newest.eq(first), looked.eq(first), tried.eq(0),
                         self.is_found.eq(0)]
        with m.Elif(self.spend):
            m.d.sync += [self.newest.eq(self.next_token + 1), looked.eq(self.next_token + 1),
                         tried.eq(0), self.is_found.eq(0)]
        with m.Elif(is_written):
            m.d.sync += [looked.eq(self.newest), tried.eq(0), self.is_found.eq(0)]
        with m.Elif(~self.is_found):
            m.d.sync += [
                looked.eq(looked + 1), tried.eq(tried + 1),
                self.next_token.eq(looked & (~is_alive.data).replicate(TOKEN)),
                self.is_found.eq(~is_alive.data | (tried == depth - 1) | looked.all())]

        return m
