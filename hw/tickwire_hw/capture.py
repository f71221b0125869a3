"""Frames of the order line, in both directions, as records of the capture ring."""

from amaranth.hdl import Module, Mux
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.records import FrameOrigin, RecordType
from tickwire_hw.frame_records import FRAME_BODY, CapturedWord, FrameRecords
from tickwire_hw.record_writer import RECORD
from tickwire_hw.stream import Word

DEPTH = 4
"""Records of received frames that wait while those of sent ones go."""


class Capture(wiring.Component):
    """Give the frames of a line that were received and those that were sent as FRAME records.

    Kernel: :func:`tickwire.kernels.capture.capture`, a frame at a time. Records of a direction are
    in its order. One of a sent frame comes when ``FrameRecords`` gives it, one of a received frame
    a cycle later, and up to ``DEPTH`` more behind those of sent ones; so what the venue answers
    never comes before what it answers to.

    Never exerts backpressure. Nothing is lost of two streams like these, whatever their frames
    (proven):

    - received: a record in two cycles at most, but for one more. A line has no more: a frame of an
      octet takes two cycles with preamble and check, one of 41 octets has two records in seven.
    - sent: a record in three cycles at most, but for one more. No order or heartbeat has less than
      eight words, and between two frames of the host the card is told of the second one.

    Members
    -------
    received : ``In(stream.Signature(Word, always_ready=True))``
        Frames from a MAC; ``error`` of the last word means a damaged one.
    sent : ``In(stream.Signature(CapturedWord, always_ready=True))``
        What goes out, in the cycle in which it does.
    now : ``In(64)``
        Time, ns.
    o : ``Out(stream.Signature(RECORD, always_ready=True))``
        At most one record a cycle.
    """

    received: In(stream.Signature(Word, always_ready=True))
    sent: In(stream.Signature(CapturedWord, always_ready=True))
    now: In(64)
    o: Out(stream.Signature(RECORD, always_ready=True))

    def __init__(self) -> None:
        self._received, self._sent = FrameRecords(), FrameRecords()
        self._waiting = fifo.SyncFIFO(width=FRAME_BODY.size, depth=DEPTH)
        super().__init__()

    def elaborate(self, platform):
        """Return both directions' records, and the queue of those that give way."""
        m = Module()

        received, sent, waiting = self._received, self._sent, self._waiting
        m.submodules.received_records, m.submodules.sent_records = received, sent
        m.submodules.waiting = waiting
        m.d.comb += [
            received.i.valid.eq(self.received.valid), received.i.p.word.eq(self.received.p),
            received.i.p.origin.eq(FrameOrigin.RECEIVED), received.now.eq(self.now),
            sent.i.valid.eq(self.sent.valid), sent.i.p.eq(self.sent.p), sent.now.eq(self.now),
            waiting.w_en.eq(received.o.valid), waiting.w_data.eq(received.o.p),
            waiting.r_en.eq(~sent.o.valid),
            self.o.valid.eq(sent.o.valid | waiting.r_rdy), self.o.p.kind.eq(RecordType.FRAME),
            self.o.p.octets.eq(Mux(sent.o.valid, sent.o.p, waiting.r_data))]

        return m
