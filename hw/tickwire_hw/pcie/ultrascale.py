"""AMD UltraScale+ integrated block for PCIe (PG213): requester and completer, 256 or 512 bits wide.

Without straddling: every packet begins in lane 0 of a beat. Words are aligned (DWORD-aligned
mode). The requester only writes, so its completion interface is not used.
"""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tickwire_hw.host_port import ADAPTER
from tickwire_hw.pcie.ultrascale_completer import Completer
from tickwire_hw.pcie.ultrascale_order import PostedOrder
from tickwire_hw.pcie.ultrascale_requester import Requester
from tickwire_hw.pcie.ultrascale_stream import SEQUENCE, WIDTHS, port


class UltraScale(wiring.Component):
    """The block's user side on the outside, the core's streams on the inside.

    The block's user clock is ``clk`` and its user reset, which a lost link raises, is ``rst``: in
    the middle of a packet too, after which the block wants to see no more of it. An answer is
    sent behind all that was written before, and a write waits while too many of them are inside
    the block (``PostedOrder``).

    Members
    -------
    m_axis_rq, m_axis_cc, s_axis_cq
        AXI-Streams of the block, by its names: tdata, tkeep, tlast, tuser, tvalid, tready.
    pcie_rq_seq_num0, pcie_rq_seq_num_vld0, pcie_rq_seq_num1, pcie_rq_seq_num_vld1
        Of the block: which writes no completion can pass any more.
    pcie_cq_np_req : ``Out(2)``
        To the block: it may give one more request that is to be answered.
    cfg_interrupt_msix_enable, cfg_interrupt_msix_mask : ``In(4)``
        Of the block; bit 0 is the function's.
    burst, request, answer, has_msix, is_msix_masked
        The core's side, ``host_port.ADAPTER``.
    """

    def __init__(self, width: int = 512) -> None:
        if width not in WIDTHS:
            raise ValueError(f"width must be one of {WIDTHS}, not {width}")
        self._width = width
        super().__init__({
            **port("m_axis_rq", "rq", width), **port("m_axis_cc", "cc", width),
            **port("s_axis_cq", "cq", width), **ADAPTER,
            **{f"pcie_rq_seq_num{name}": In(size) for number in range(2) for name, size in (
                (f"{number}", SEQUENCE), (f"_vld{number}", 1))},
            "pcie_cq_np_req": Out(2),
            "cfg_interrupt_msix_enable": In(4), "cfg_interrupt_msix_mask": In(4)})

    def elaborate(self, platform):
        """Return both sides."""
        m = Module()

        m.submodules.requester = requester = Requester(self._width)
        m.submodules.completer = completer = Completer(self._width)
        connect(m, flipped(self.burst), requester.i)
        connect(m, completer.request, flipped(self.request))
        connect(m, flipped(self.answer), completer.answer)
        m.submodules.order = order = PostedOrder()
        m.d.comb += [
            order.sent.eq(requester.sent), requester.has_room.eq(order.has_room),
            order.is_waiting.eq(self.answer.valid),
            order.is_reported_0.eq(self.pcie_rq_seq_num_vld0),
            order.report_0.eq(self.pcie_rq_seq_num0),
            order.is_reported_1.eq(self.pcie_rq_seq_num_vld1),
            order.report_1.eq(self.pcie_rq_seq_num1), completer.may_answer.eq(order.may_send)]
        for inner, name in ((requester.rq, "m_axis_rq"), (completer.cc, "m_axis_cc")):
            m.d.comb += inner.tready.eq(getattr(self, f"{name}_tready"))
            m.d.comb += [getattr(self, f"{name}_{part}").eq(getattr(inner, part))
                         for part in ("tdata", "tkeep", "tlast", "tuser", "tvalid")]
        m.d.comb += [getattr(completer.cq, part).eq(getattr(self, f"s_axis_cq_{part}"))
                     for part in ("tdata", "tkeep", "tlast", "tuser", "tvalid")]
        m.d.comb += [
            self.s_axis_cq_tready.eq(completer.cq.tready),
            self.pcie_cq_np_req.eq(completer.np_req),
            self.has_msix.eq(self.cfg_interrupt_msix_enable[0]),
            self.is_msix_masked.eq(self.cfg_interrupt_msix_mask[0])]

        return m
