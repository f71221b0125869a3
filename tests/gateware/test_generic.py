"""The generic adapter's packets are PCIe's, octet for octet, and nothing that comes in breaks it.

Method: packets that it sends are compared with what cocotbext-pcie packs of the same fields;
packets that it gets are packed by that, or cut, extended and damaged by hand.
"""

import pytest
from cocotbext.pcie.core.tlp import Tlp, TlpType
from cocotbext.pcie.core.utils import PcieId

from tests.gateware.adapter_rig import run
from tests.gateware.pcie_rig import REQUESTER, answered, request
from tickwire_hw.pcie.generic import Generic

IDENTITY = PcieId(0x17, 3, 2)
every_width = pytest.mark.parametrize("name", ["Generic-64", "Generic-128"])


def write(address, octets):
    """A posted write of the card, as PCIe wants it."""
    tlp = Tlp()
    tlp.fmt_type = TlpType.MEM_WRITE_64 if address >> 32 else TlpType.MEM_WRITE
    tlp.requester_id = IDENTITY
    tlp.set_addr_be_data(address, octets)
    return tlp.pack()


@every_width
def test_writes_and_completions_are_those_of_another_implementation(name):
    async def script(context, host, core, step):
        context.set(core.dut.cfg_identity, int(IDENTITY))
        sent = []
        for top in (1 << 12, 1 << 32, 1 << 33, 1 << 64) * 4:
            size = host.chance.choice((4, 64, 64))
            address = host.chance.randrange(top - 4096, top - 64, 64)
            sent.append((address, host.chance.randbytes(size)))
        core.bursts = list(sent)
        while core.bursts:
            await step()
        await step(2)
        assert host.packets() == [write(*burst) for burst in sent]
        for size in (*range(1, 9), 61, 64):
            for place in range(4 if size < 62 else 1):
                asked = request(TlpType.MEM_READ_64, 2, 128 + place, size=size, tag=size)
                asked.attr, asked.tc = host.chance.randrange(8), host.chance.randrange(8)
                host.send(asked)
                while not host.has_answer():
                    await step()
                expected = Tlp.create_completion_data_for_tlp(asked, IDENTITY)
                expected.byte_count = asked.get_be_byte_count()
                expected.lower_address = (asked.address + asked.get_first_be_offset()) & 0x7F
                expected.set_data(core.bars[2][128:128 + 4 * asked.length])
                assert host.packets() == [expected.pack()]
        for kind in (TlpType.IO_READ, TlpType.CFG_READ_0, TlpType.FETCH_ADD_64, TlpType.SWAP,
                     TlpType.MEM_READ_LOCKED_64):
            asked = request(kind, 0, 0, size=4, tag=3)
            host.send(asked)
            while not host.has_answer():
                await step()
            expected = Tlp.create_ur_completion_for_tlp(asked, IDENTITY)
            expected.byte_count = 4                    # §2.2.9; the model leaves it out, and type
            if kind == TlpType.MEM_READ_LOCKED_64:     # CplLk, "used only in error case", table 2-3
                expected.fmt_type = TlpType.CPL_LOCKED
            assert host.packets() == [expected.pack()]
    run(name, script)


@every_width
def test_short_headers_and_digests_are_understood(name):
    async def script(context, host, core, step):
        expected = bytearray(core.bars[4])
        for number in range(60):
            size, at = host.chance.randrange(1, 70), host.chance.randrange(4000)
            tlp, octets = Tlp(), host.chance.randbytes(size)
            tlp.fmt_type, tlp.requester_id = TlpType.MEM_WRITE, REQUESTER
            tlp.set_addr_be_data(0x8000_0000 + at, octets)
            tlp.td = bool(number % 2)
            # A digest is a word behind the data.
            host.send_octets(tlp.pack() + (host.chance.randbytes(4) if tlp.td else b""), bar=4)
            expected[at:at + size] = octets
            read = Tlp()
            read.fmt_type, read.requester_id, read.td = TlpType.MEM_READ, REQUESTER, tlp.td
            read.set_addr_be(0x8000_0000 + at, min(size, 60))
            host.send_octets(read.pack() + (b"\xff" * 4 if read.td else b""), bar=4)
            while not host.has_answer():
                await step()
            completion, = host.answers()
            assert answered(read, completion) == octets[:60]
        assert core.bars[4] == expected
    run(name, script, seed=2)


@every_width
def test_what_is_not_for_the_function_or_broken_changes_nothing_and_hangs_nothing(name):
    async def script(context, host, core, step):
        before = {bar: bytes(octets) for bar, octets in core.bars.items()}
        stored = request(TlpType.MEM_WRITE_64, 0, 64, b"\xee" * 8)
        completion = Tlp.create_completion_data_for_tlp(
            request(TlpType.MEM_READ_64, 0, 0, size=8), REQUESTER)
        completion.set_data(b"\xdd" * 8)
        message = bytearray(stored.pack_header())
        message[0] = 0b0011_0000                       # to the root complex, without data
        data_message = bytes([0b0111_0100]) + bytes(message[1:]) + b"\xee" * 8
        prefixed = bytes([0b1000_0000, 0, 0, 0]) + bytes(stored.pack())
        for octets in (completion.pack(), bytes(message), data_message, prefixed,
                       stored.pack()[:4], stored.pack()[:8], stored.pack()[:12],
                       stored.pack()[:16]):
            host.send_octets(octets)
            while host.waiting:
                await step()
            await step(20)
            assert not host.packets() and not core.requests
            tlp = request(TlpType.MEM_READ_64, 0, 64, size=8)
            host.send(tlp)
            while not host.has_answer():
                await step()
            assert answered(tlp, *host.answers()) == before[0][64:72]
            core.requests = 0
        # Noise of any length: what comes of it is a store, an answer or nothing, and it goes on.
        for _ in range(150):
            octets = bytearray(host.chance.randbytes(4 * host.chance.randrange(1, 24)))
            octets[0] = host.chance.choice((0x00, 0x20, 0x40, 0x60, 0x01, 0x42, 0x4A, octets[0]))
            host.send_octets(bytes(octets), host.chance.choice((0, 2, 4)))
            while host.waiting:
                await step()
            await step(30)
            for packet in host.packets():
                assert packet[0] in (0x0A, 0x0B, 0x4A), "not a completion"
        tlp = request(TlpType.MEM_READ_64, 2, 0, size=8)
        host.send(tlp)
        while not host.has_answer():
            await step()
        assert answered(tlp, *host.answers()) == core.bars[2][:8]
    run(name, script, seed=3)


@every_width
def test_a_completion_waits_for_one_write_at_most_and_stays_behind_those_before_it(name):
    async def script(context, host, core, step):
        core.bursts = [(64 * number, bytes(64)) for number in range(60)]
        host.send(request(TlpType.MEM_READ_64, 0, 0, size=4))
        while core.bursts:
            await step()
        await step(2)
        kinds = [packet[0] >> 6 & 1 and packet[0] & 0x1F for packet in host.packets()]
        assert kinds.count(0b01010) == 1 and kinds.index(0b01010) < 30
    run(name, script, seed=4)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_a_width_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"width must be one of \(64, 128\), not 256"):
        Generic(256)
