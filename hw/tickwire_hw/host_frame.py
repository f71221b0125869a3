"""Frames of the host for the market side: what it has recovered, a page of BAR 0 at a time."""

import itertools

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.registers import FRAME_OFFSET, FRAME_PAGE
from tickwire_hw.host_port import Access
from tickwire_hw.ram import RAM
from tickwire_hw.stream import LANES, Word

_PAGE = FRAME_OFFSET // 4
_ROWS = FRAME_PAGE // LANES
_READ_CYCLES = 2                           # of a RAM


class HostFrame(wiring.Component):
    """Keep the octets that the host stores, and send them as one frame when it says so.

    The first word comes three cycles after ``send``, then a word in every cycle. Until
    ``is_busy`` falls, behind the last one, the host must not write: a frame would have octets
    of both. What is stored in parts of a word is ignored, and so is ``send`` of nothing, of more
    than the page holds, or meanwhile. Nothing holds a frame back, and no frame is damaged.

    Members
    -------
    access : ``In(stream.Signature(Access, always_ready=True))``
        Accesses to BAR 0; stores to the frame page are kept, and it reads as 0.
    send : ``In(stream.Signature(32, always_ready=True))``
        What was written to FRAME_SEND: octets of the frame.
    o : ``Out(stream.Signature(Word, always_ready=True))``
        The frame, without check sequence.
    is_busy : ``Out(1)``
        Register FRAME_SEND.
    """

    access: In(stream.Signature(Access, always_ready=True))
    send: In(stream.Signature(32, always_ready=True))
    o: Out(stream.Signature(Word, always_ready=True))
    is_busy: Out(1)

    def elaborate(self, platform):
        """Return both halves of the page, and what reads them."""
        m = Module()

        access, row, left = self.access.p, Signal(range(_ROWS)), Signal(range(FRAME_PAGE + 1))
        is_store = (self.access.valid & ~access.is_read & access.enables.all()
                    & (access.address >= _PAGE) & (access.address < _PAGE + FRAME_PAGE // 4))
        for half in range(2):
            m.submodules[f"half_{half}"] = words = RAM(32, _ROWS)
            m.d.comb += [
                words.write_enable.eq(is_store & (access.address[0] == half)),
                words.write_address.eq((access.address - _PAGE)[1:]),
                words.write_data.eq(access.data), words.read_address.eq(row),
                self.o.p.data.word_select(half, 32).eq(words.read_data)]

        # What is known of a word while it is being read.
        read = [Signal(data.StructLayout({"valid": 1, "first": 1, "last": 1, "keep": LANES}),
                       name=f"read_{age}") for age in range(_READ_CYCLES + 1)]
        m.d.comb += [
            read[0].valid.eq(left != 0), read[0].first.eq(row == 0),
            read[0].last.eq(left <= LANES),
            read[0].keep.eq(Mux(read[0].last, (1 << left[:4]) - 1, (1 << LANES) - 1)),
            self.o.valid.eq(read[-1].valid), self.o.p.first.eq(read[-1].first),
            self.o.p.last.eq(read[-1].last), self.o.p.keep.eq(read[-1].keep),
            self.is_busy.eq(Cat(word.valid for word in read).any())]
        m.d.sync += [after.eq(before) for before, after in itertools.pairwise(read)]
        with m.If(read[0].valid):
            m.d.sync += [row.eq(row + 1), left.eq(Mux(read[0].last, 0, left - LANES))]
        with m.Elif(self.send.valid & ~self.is_busy & (self.send.p <= FRAME_PAGE)):
            m.d.sync += [row.eq(0), left.eq(self.send.p)]
        return m
