"""One line for two senders: the card's own frames, and those of the host."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.records import FrameOrigin
from tickwire_hw.frame_records import CapturedWord
from tickwire_hw.stream import Word


class OrderLine(wiring.Component):
    """Give frames of the encoder and of the host to one line, whole and one after another.

    Between two frames the encoder's goes first, in its own cycle: an idle line costs an order
    nothing. A host's frame that has begun is finished, so an order that comes meanwhile waits for
    the rest of it, ceil(octets / 8) cycles at most, and for what a MAC has to put behind it. What
    is offered before a first word is taken may be taken back or replaced, as the encoder's is when
    the card is killed; a frame that has begun offers a word in every cycle in which its sender
    does. The host's frames pass when the card is killed: none of them is the card's order.

    Members
    -------
    i_order, i_host : ``In(stream.Signature(Word))``
        Frames of the encoder and of the host, without check.
    o : ``Out(stream.Signature(Word))``
        Frames for the line.
    sent : ``Out(stream.Signature(CapturedWord, always_ready=True))``
        What was taken from ``o``, in the same cycle, and whose it is.
    """

    i_order: In(stream.Signature(Word))
    i_host: In(stream.Signature(Word))
    o: Out(stream.Signature(Word))
    sent: Out(stream.Signature(CapturedWord, always_ready=True))

    def __init__(self) -> None:
        self._is_open, self._was_host = Signal(), Signal()     # in mid-frame, and whose it is
        super().__init__()

    def elaborate(self, platform):
        """Return the choice, and what keeps it in mid-frame."""
        m = Module()

        is_open, was_host, is_host = self._is_open, self._was_host, Signal()
        taken = self.o.valid & self.o.ready
        m.d.comb += [
            is_host.eq(Mux(is_open, was_host, ~self.i_order.valid)),
            self.o.valid.eq(Mux(is_host, self.i_host.valid, self.i_order.valid)),
            self.o.p.eq(Mux(is_host, self.i_host.p, self.i_order.p)),
            self.i_order.ready.eq(self.o.ready & ~(is_open & was_host)),
            self.i_host.ready.eq(self.o.ready & is_host),
            self.sent.valid.eq(taken), self.sent.p.word.eq(self.o.p),
            self.sent.p.origin.eq(Mux(is_host, FrameOrigin.HOST, FrameOrigin.SENT))]
        with m.If(taken):
            m.d.sync += [is_open.eq(~self.o.p.last), was_host.eq(is_host)]

        return m
