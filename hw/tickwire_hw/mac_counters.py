"""Counters of the MACs, shown on the counter page beside those of the core."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.counters import CounterIndex
from tickwire_hw.counters import WORD, PageSignature, step_layout
from tickwire_hw.logic import select, stages
from tickwire_hw.ram import READ_AGE

MACS = 3
"""MACs of a card: both market lines and the order line."""
_C = CounterIndex
WIDTHS = dict.fromkeys((_C.MAC_BAD_STARTS, _C.MAC_DAMAGED, _C.MAC_RUNTS, _C.MAC_OVERSIZE),
                       MACS.bit_length()) | {_C.MAC_UNDERRUNS: 1}
MACCounts = step_layout(WIDTHS)
"""What the MACs add to their counters in one cycle."""


class MACCounters(wiring.Component):
    """Add up what MACs tell, and put the sums of one instant on the page of another's counters.

    Nothing is lost, whatever comes in whichever cycle. A strobe of ``take`` keeps these sums as
    they are in its cycle, so they are up to 130 cycles older than the picture of the others.
    Reset begins anew from 0.

    Members
    -------
    i : ``In(MACCounts)``
        What this cycle adds to each counter.
    i_page : ``In(PageSignature())``
        The page without these counters, which reads as 0 where they are.
    page : ``Out(PageSignature())``
        The page with them. What comes in the cycle of a strobe of ``take``, or before, is in its
        picture.
    """

    i: In(MACCounts)
    i_page: In(PageSignature())
    page: Out(PageSignature())

    def elaborate(self, platform):
        """Return the sums and their picture."""
        m = Module()

        page, inner = self.page, self.i_page
        shown = []
        for counter in WIDTHS:
            name = counter.name.lower()
            count, total, kept = (Signal(WORD, name=f"{name}_{part}")
                                  for part in ("count", "total", "kept"))
            m.d.comb += total.eq(count + self.i[name])
            m.d.sync += count.eq(total)
            with m.If(page.take):
                m.d.sync += kept.eq(total)
            is_asked = stages(m, page.address == counter, 1, f"is_{name}")[1]
            shown.append((is_asked, kept))
        value_2 = Signal(WORD)
        assert READ_AGE == 2                     # of the page
        m.d.sync += value_2.eq(select(*shown))
        m.d.comb += [
            inner.take.eq(page.take), inner.address.eq(page.address),
            page.is_shown.eq(inner.is_shown), page.value.eq(inner.value | value_2)]
        return m
