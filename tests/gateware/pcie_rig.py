"""AXI-Streams of blocks for PCIe, beat by beat, for Amaranth's simulator.

Packets are packed and unpacked by cocotbext-pcie, whose code is not ours; here they are only laid
into beats, and put together again, as PG213 says. A :class:`Host` sends requests and hears
completions and writes.
"""

import random
from collections import deque

from cocotbext.pcie.core.tlp import CplStatus, Tlp, TlpType
from cocotbext.pcie.core.utils import PcieId
from cocotbext.pcie.xilinx.us.interface import UsPcieFrame
from cocotbext.pcie.xilinx.us.tlp import Tlp_us

REQUESTER = PcieId(3, 5, 1)
BAR_BASE = 0x7F_1234_0000                   # where the BARs lie; the device looks at low bits only


def beats(frame, width, hints=(0, 0, 0)):
    """Beats of a completer request: tdata, tkeep, tlast, tuser.

    ``hints`` are its processing hints: whether there are any, type, steering tag.
    """
    lanes, found = width // 32, []
    for start in range(0, len(frame.data), lanes):
        words = frame.data[start:start + lanes]
        enables = frame.byte_en[start:start + lanes]
        data = sum(word << 32 * lane for lane, word in enumerate(words))
        packed = sum(bits << 4 * lane for lane, bits in enumerate(enables))
        first, last = (frame.first_be, frame.last_be) if start == 0 else (0, 0)
        if width == 256:
            user = (first | last << 4 | packed << 8 | (start == 0) << 40 | frame.discontinue << 41
                    | hints[0] << 42 | hints[1] << 43 | hints[2] << 45)
        else:
            user = (first | last << 8 | packed << 16 | (start == 0) << 80
                    | frame.discontinue << 96 | hints[0] << 97 | hints[1] << 99
                    | hints[2] << 103)
        found.append((data, (1 << len(words)) - 1, int(start + lanes >= len(frame.data)), user))
    return found


class Gathered:
    """Frames put together of the beats that a device sends."""

    def __init__(self, width, *, is_request):
        self._width, self._is_request = width, is_request
        self._frame = None
        self.frames = []

    def take(self, data, keep, is_last, user):
        lanes = self._width // 32
        is_first = self._frame is None
        if is_first:
            self._frame = UsPcieFrame()
            if self._is_request:
                is_wide = self._width == 512
                self._frame.first_be = user & 0xF
                self._frame.last_be = user >> (8 if is_wide else 4) & 0xF
                self._frame.seq_num = user >> 61 & 0x3F if is_wide else (
                    user >> 24 & 0xF | (user >> 60 & 3) << 4)
        count = keep.bit_count()
        assert keep == (1 << count) - 1 and count, "a hole among the lanes"
        assert is_last or count == lanes, "a beat that is not the last one has holes"
        if self._width == 512:
            marks = user >> (20 if self._is_request else 0)
            assert marks & 0xF == is_first and marks >> 6 & 3 == is_last
            assert not is_last or marks >> 8 & 0xF == count - 1
        self._frame.data += [data >> 32 * lane & 0xFFFF_FFFF for lane in range(count)]
        if is_last:
            self.frames.append(self._frame)
            self._frame = None


def request(kind, bar, offset, octets=b"", size=0, tag=0):
    """A packet of the host for a BAR."""
    tlp = Tlp()
    tlp.fmt_type, tlp.requester_id, tlp.tag, tlp.bar = kind, REQUESTER, tag, bar
    if octets:
        tlp.set_addr_be_data(BAR_BASE + offset, octets)
    else:
        tlp.set_addr_be(BAR_BASE + offset, size)
    return tlp


class Host:
    """The other side of an adapter's block, in a testbench's process of its own."""

    SINKS = ()
    """Names of streams that the adapter sends on."""
    SOURCE = ""
    """Name of the stream that it takes from."""

    def __init__(self, dut, width, seed=1, share=0.3):
        self.dut, self.width = dut, width
        self.chance, self.share = random.Random(seed), share
        self.is_open = True                    # takes what the adapter sends
        self.waiting = deque()
        self._is_bound, self._held = False, {}
        self.parts = [name for name in ("tdata", "tkeep", "tlast", "tuser")
                      if hasattr(dut, f"{self.SOURCE}_{name}")]

    def send(self, tlp, *, is_damaged=False):
        """Send a packet, which the block or its header calls damaged."""
        raise NotImplementedError

    def take(self, name, values):
        """Take a beat of stream ``name``."""
        raise NotImplementedError

    def store(self, bar, offset, octets):
        self.send(request(TlpType.MEM_WRITE_64, bar, offset, octets))

    async def cycle(self, context):
        """One cycle of all streams, each held back at random."""
        dut = self.dut
        is_offered = bool(self.waiting) and (self._is_bound or self.chance.random() >= self.share)
        context.set(getattr(dut, f"{self.SOURCE}_tvalid"), int(is_offered))
        if is_offered:
            for name, value in zip(self.parts, self.waiting[0], strict=True):
                context.set(getattr(dut, f"{self.SOURCE}_{name}"), value)
        for name in self.SINKS:
            context.set(getattr(dut, f"{name}_tready"),
                        int(self.is_open and self.chance.random() >= self.share))
        self.report(context)
        await context.delay(0)
        if is_offered and context.get(getattr(dut, f"{self.SOURCE}_tready")):
            self.waiting.popleft()
            self._is_bound = False
        else:
            self._is_bound = is_offered                # what is offered stays
        for name in self.SINKS:
            parts = [part for part in ("tvalid", "tready", "tdata", "tkeep", "tlast", "tuser")
                     if hasattr(dut, f"{name}_{part}")]
            values = [context.get(getattr(dut, f"{name}_{part}")) for part in parts]
            held = self._held.pop(name, None)
            assert held is None or (values[0] and values[2:] == held), "a beat changed as it waited"
            if values[0] and values[1]:
                self.take(name, values[2:])
            elif values[0]:
                self._held[name] = values[2:]

    def report(self, context):
        """Drive what else the block tells in a cycle."""

    def has_answer(self):
        """Whether a completion came."""
        raise NotImplementedError

    def answers(self):
        """Completions that came, unpacked."""
        raise NotImplementedError

    def written(self):
        """Packets of writes that came, unpacked."""
        raise NotImplementedError

    def memory(self):
        """What was written to host memory: address, octets, in order."""
        found = []
        for tlp in self.written():
            assert tlp.fmt_type in (TlpType.MEM_WRITE, TlpType.MEM_WRITE_64)
            assert (tlp.attr, tlp.tc, tlp.ep) == (0, 0, False) and len(tlp.data) == 4 * tlp.length
            assert (tlp.first_be, tlp.last_be) == (0xF, 0xF if tlp.length > 1 else 0)
            found.append((tlp.address, bytes(tlp.data)))
        return found


class UltraScaleHost(Host):
    """Behind AMD's block."""

    SINKS, SOURCE = ("m_axis_rq", "m_axis_cc"), "s_axis_cq"

    def __init__(self, dut, width, seed=1, share=0.3):
        super().__init__(dut, width, seed, share)
        self.completions, self.writes = (Gathered(width, is_request=flag) for flag in (False, True))
        self.reports, self.is_reporting = deque(), True
        self._asked = {}                       # by tag: the request as a refusal repeats it
        self.credits, self.held = 0, deque()

    def send(self, tlp, *, is_damaged=False):
        packed = Tlp_us(tlp)
        packed.bar_id, packed.bar_aperture, packed.completer_id = tlp.bar, 16, PcieId(0, 0, 0)
        frame = packed.pack_us_cq()
        frame.discontinue = is_damaged
        hints = [self.chance.getrandbits(bits) for bits in (1, 2, 8)]
        self._offer(tlp.is_nonposted(), beats(frame, self.width, hints))
        if tlp.is_nonposted():
            self._asked[tlp.tag] = (frame.first_be | frame.last_be << 4 | hints[0] << 8
                                    | hints[1] << 9 | hints[2] << 16, *frame.data[:4])

    def _offer(self, is_asking, packet):
        """Requests that are to be answered need a credit each; what does not passes them."""
        if not is_asking:
            self.waiting.extend(packet)
        elif self.credits and not self.held:
            self.credits -= 1
            self.waiting.extend(packet)
        else:
            self.held.append(packet)

    def take(self, name, values):
        gathered = self.writes if name == "m_axis_rq" else self.completions
        gathered.take(*values)
        if gathered is self.writes and values[2]:
            self.reports.append(gathered.frames[-1].seq_num)

    def report(self, context):
        self.credits += context.get(self.dut.pcie_cq_np_req)
        assert self.credits <= 1, "only one can be answered at a time"
        if self.credits and self.held:
            self.credits -= 1
            self.waiting.extend(self.held.popleft())
        # Where no completion can pass a write any more, the block says so: up to two a cycle.
        for name in ("0", "1"):
            is_told = bool(self.reports) and self.is_reporting and self.chance.random() < 0.3
            context.set(getattr(self.dut, f"pcie_rq_seq_num_vld{name}"), is_told)
            if is_told:
                context.set(getattr(self.dut, f"pcie_rq_seq_num{name}"), self.reports.popleft())

    def has_answer(self):
        return bool(self.completions.frames)

    def answers(self):
        found = []
        for frame in self.completions.frames:
            found.append(Tlp_us.unpack_us_cc(frame))
            if found[-1].status != CplStatus.SC:       # what the block logs, and does not send
                assert tuple(frame.data[3:]) == self._asked[found[-1].tag]
        self.completions.frames.clear()
        return found

    def written(self):
        found = [Tlp_us.unpack_us_rq(frame) for frame in self.writes.frames]
        self.writes.frames.clear()
        return found


class GenericHost(Host):
    """Behind a block that hands over packets as octets."""

    SINKS, SOURCE = ("m_axis_tx",), "s_axis_rx"

    def __init__(self, dut, width, seed=1, share=0.3):
        super().__init__(dut, width, seed, share)
        self._octets, self._packets = bytearray(), deque()

    def send(self, tlp, *, is_damaged=False):
        tlp.ep = is_damaged
        self.send_octets(tlp.pack(), tlp.bar)

    def send_octets(self, octets, bar=0):
        """Send a packet as it is."""
        lanes = self.width // 8
        for start in range(0, len(octets), lanes):
            some = octets[start:start + lanes]
            # Lanes that are not used, and the BAR of later beats, are anything.
            data = some + self.chance.randbytes(lanes - len(some))
            bars = 1 << bar if start == 0 else self.chance.getrandbits(6)
            self.waiting.append((int.from_bytes(data, "little"), (1 << len(some)) - 1,
                                 int(start + lanes >= len(octets)), bars))

    def take(self, name, values):
        data, keep, is_last = values
        count, lanes = keep.bit_count(), self.width // 8
        assert keep == (1 << count) - 1 and count and count % 4 == 0
        assert is_last or count == lanes, "a beat that is not the last one has holes"
        self._octets += data.to_bytes(lanes, "little")[:count]
        if is_last:
            self._packets.append(bytes(self._octets))
            self._octets.clear()

    def packets(self):
        """Octets of the packets that came."""
        found = list(self._packets)
        self._packets.clear()
        return found

    def _unpacked(self, wanted):
        found = [Tlp.unpack(octets) for octets in self._packets]
        assert all(tlp.check() for tlp in found)
        chosen = [tlp for tlp in found if (tlp.type & 0b01010 == 0b01010) == wanted]
        self._packets = deque(octets for octets, tlp in zip(self._packets, found, strict=True)
                              if tlp not in chosen)
        return chosen

    def has_answer(self):
        return any(Tlp.unpack(octets).type & 0b01010 == 0b01010 for octets in self._packets)

    def answers(self):
        return self._unpacked(True)

    def written(self):
        return self._unpacked(False)


def answered(tlp, completion):
    """Octets of a good completion, whose head must fit the request."""
    assert completion.status == CplStatus.SC
    assert completion.byte_count == tlp.get_be_byte_count()
    assert completion.lower_address == (tlp.address + tlp.get_first_be_offset()) & 0x7F
    assert completion.length == tlp.length
    head(tlp, completion)
    start = tlp.get_first_be_offset()
    return bytes(completion.data[start:start + completion.byte_count])


def head(tlp, completion):
    """What every completion repeats of its request."""
    assert (completion.requester_id, completion.tag, completion.tc, completion.attr) == (
        tlp.requester_id, tlp.tag, tlp.tc, tlp.attr)
