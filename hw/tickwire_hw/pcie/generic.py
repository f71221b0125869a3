"""Any block for PCIe that hands over transaction layer packets: two AXI-Streams, 64 or 128 bits."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect, flipped

from tickwire_hw.host_port import ADAPTER
from tickwire_hw.pcie.generic_receiver import Receiver
from tickwire_hw.pcie.generic_sender import Sender
from tickwire_hw.pcie.generic_stream import WIDTHS, port


class Generic(wiring.Component):
    """The packets of one function on the outside, the core's streams on the inside.

    The block does what lies below packets, and configuration: it sees to credits, checks packets,
    has BARs and says of each packet which one it is for, and gives no packet that is not for the
    function. Its user clock is ``clk``; its user reset, which a lost link raises, is ``rst``.

    Members
    -------
    s_axis_rx, m_axis_tx
        AXI-Streams of packets, octet 0 in lane 0, whole words: tdata, tkeep, tlast, tvalid,
        tready. What ``s_axis_rx_tkeep`` says is known from the packet and not looked at.
    s_axis_rx_tuser : ``In(6)``
        With the first beat of a packet for a BAR: the bit of that BAR.
    cfg_identity : ``In(16)``
        The function's bus, device and function.
    cfg_msix_enable, cfg_msix_mask : ``In(1)``
        Bits of its MSI-X capability.
    burst, request, answer, has_msix, is_msix_masked
        The core's side, ``host_port.ADAPTER``.
    """

    def __init__(self, width: int = 128) -> None:
        if width not in WIDTHS:
            raise ValueError(f"width must be one of {WIDTHS}, not {width}")
        self._width = width
        super().__init__({
            **port("s_axis_rx", width), "s_axis_rx_tuser": In(6), **port("m_axis_tx", width),
            **ADAPTER, "cfg_identity": In(16), "cfg_msix_enable": In(1), "cfg_msix_mask": In(1)})

    def elaborate(self, platform):
        """Return both sides."""
        m = Module()

        m.submodules.receiver = receiver = Receiver(self._width)
        m.submodules.sender = sender = Sender(self._width)
        connect(m, receiver.request, flipped(self.request))
        connect(m, flipped(self.answer), sender.answer)
        connect(m, flipped(self.burst), sender.i)
        m.d.comb += [
            receiver.tdata.eq(self.s_axis_rx_tdata), receiver.tlast.eq(self.s_axis_rx_tlast),
            receiver.tvalid.eq(self.s_axis_rx_tvalid), receiver.bars.eq(self.s_axis_rx_tuser),
            self.s_axis_rx_tready.eq(receiver.tready),
            sender.question.eq(receiver.question), sender.is_asked.eq(receiver.is_asked),
            receiver.is_answered.eq(sender.is_answered), sender.identity.eq(self.cfg_identity),
            sender.tready.eq(self.m_axis_tx_tready),
            *(getattr(self, f"m_axis_tx_{name}").eq(getattr(sender, name))
              for name in ("tdata", "tkeep", "tlast", "tvalid")),
            self.has_msix.eq(self.cfg_msix_enable), self.is_msix_masked.eq(self.cfg_msix_mask)]

        return m
