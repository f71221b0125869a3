"""Packets of whole words on a stream, whatever a block's packets look like."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Packet(wiring.Component):
    """Send a packet of whole words, beat by beat, from registers that stay until it is sent.

    The first beat is there in the cycle of ``valid``; ``done`` tells that the last one was taken.

    Members
    -------
    words, count, valid, done : ``In``, ``In``, ``In``, ``Out``
        The packet, and how many words of it there are.
    tdata, tkeep, is_first, tlast, last_lane, tvalid, tready
        Beats; ``last_lane`` is the lane of the last word in a last beat.
    """

    def __init__(self, words: int, width: int) -> None:
        self._lanes, self._beats = width // 32, -(-words // (width // 32))
        super().__init__({
            "words": In(32 * words), "count": In(range(words + 1)), "valid": In(1), "done": Out(1),
            "tdata": Out(width), "tkeep": Out(width // 32), "is_first": Out(1), "tlast": Out(1),
            "last_lane": Out(range(width // 32)), "tvalid": Out(1), "tready": In(1)})

    def elaborate(self, platform):
        """Return the choice of a beat."""
        m = Module()

        beat = Signal(range(self._beats))
        left = Signal(range(self._lanes * self._beats + 1))
        whole = Signal(32 * self._lanes * self._beats)
        m.d.comb += [
            whole.eq(self.words), left.eq(self.count - beat * self._lanes),
            self.tdata.eq(whole.word_select(beat, 32 * self._lanes)),
            self.tlast.eq(left <= self._lanes), self.is_first.eq(beat == 0),
            self.tkeep.eq(Mux(self.tlast, keep(left, self._lanes), -1)),
            self.last_lane.eq(left - 1), self.tvalid.eq(self.valid),
            self.done.eq(self.valid & self.tready & self.tlast)]
        with m.If(self.tvalid & self.tready):
            m.d.sync += beat.eq(Mux(self.tlast, 0, beat + 1))

        return m


def keep(count: Value, lanes: int) -> Value:
    """Lanes in use of ``count`` words."""
    return Cat(count > lane for lane in range(lanes))
