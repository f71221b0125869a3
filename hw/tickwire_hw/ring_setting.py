"""Place of a ring in host memory: checked when it is enabled, and the slot that comes next."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.records import RECORD_SIZE
from tickwire.spec.registers import RING_LOG2_MAX, RING_LOG2_MIN

_LINE_BITS = RECORD_SIZE.bit_length() - 1
_OFFSET = RING_LOG2_MAX + _LINE_BITS


class RingSetting(wiring.Component):
    """Take a ring's base and size when it is enabled, unless they are wrong.

    A base must be a multiple of the ring's octets and not 0, a size 2^6 to 2^20 slots; so the
    address of a slot is a base and an offset side by side, without an adder. One cycle after
    ``enable`` rises the ring is either enabled or refused. It is disabled when ``enable`` falls,
    but not before ``is_busy`` does: a burst that has begun is finished.

    Members
    -------
    base, log2, enable : ``In(64)``, ``In(5)``, ``In(1)``
        As the host wrote them.
    is_busy : ``In(1)``
        A burst to this ring is offered.
    advance : ``In(1)``
        The slot at ``address`` was written in this cycle.
    is_enabled, is_refused : ``Out(1)``
        What became of ``enable``.
    address, number : ``Out(64)``
        Where the next record goes, and its number, first 1.
    mask : ``Out(20)``
        Slots - 1 of an enabled ring.
    """

    base: In(64)
    log2: In(5)
    enable: In(1)
    is_busy: In(1)
    advance: In(1)
    is_enabled: Out(1)
    is_refused: Out(1)
    address: Out(64)
    number: Out(64, init=1)
    mask: Out(RING_LOG2_MAX)

    def elaborate(self, platform):
        """Return the checks and the registers."""
        m = Module()

        size_mask = Signal(_OFFSET)                # of octets
        is_right = Signal()
        m.d.comb += [
            size_mask.eq((1 << (self.log2 + _LINE_BITS)[:5]) - 1),
            is_right.eq((self.log2 >= RING_LOG2_MIN) & (self.log2 <= RING_LOG2_MAX)
                        & ((self.base[:_OFFSET] & size_mask) == 0) & self.base.any())]
        base, offset, mask = Signal(64), Signal(_OFFSET), Signal(_OFFSET)
        m.d.comb += [self.address.eq(base | offset), self.mask.eq(mask[_LINE_BITS:])]
        with m.If(self.advance):
            m.d.sync += [self.number.eq(self.number + 1),
                         offset.eq((offset + RECORD_SIZE)[:_OFFSET] & mask)]
        with m.If(~self.enable):
            m.d.sync += [self.is_refused.eq(0), self.is_enabled.eq(self.is_enabled & self.is_busy)]
        with m.Elif(~self.is_enabled & ~self.is_refused):
            m.d.sync += [self.is_enabled.eq(is_right), self.is_refused.eq(~is_right),
                         base.eq(self.base), offset.eq(0), mask.eq(Mux(is_right, size_mask, 0)),
                         self.number.eq(1)]

        return m
