"""The driver opens a card through VFIO, and says in a sentence what to do when it cannot.

Method: a kernel of the test's own answers the ioctls (``card_rig``); each refusal that a real
one gives is given in turn. What a real kernel does is for ``make test-vfio``.
"""

import ctypes
import errno
import os
import re
import resource
import struct

import pytest

from tests.card_rig import ADDRESS, FakeMachineVFIO, FakeVFIO, Slot, make_tree
from tickwire.device import pci, transport, vfio
from tickwire.device.pcie import PCIeDevice
from tickwire.device.transport import Buffer
from tickwire.errors import TickwireError
from tickwire.spec.digest import digest
from tickwire.spec.registers import REGISTERS, Capability, KillCause, RingControl, Status
from tickwire.spec.sessions import SessionOperation


@pytest.fixture(params=["group", "iommufd"])
def machine(tmp_path, request):
    make_tree(tmp_path, has_iommufd=request.param == "iommufd")
    return FakeVFIO(tmp_path)


def sentence(call):
    with pytest.raises(TickwireError) as caught:
        call()
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text
    return text


def test_a_card_is_opened_given_its_rings_and_given_back(machine):
    card = PCIeDevice(FakeMachineVFIO(ADDRESS, machine), market_log2=8, order_log2=6, is_huge=False)
    assert machine.command & 6 == 6                        # memory and bus master
    for name, octets in (("RING_MARKET", 64 << 8), ("RING_ORDER", 4096), ("STATE", 4096)):
        bus = machine.registers.word(f"{name}_BASE").value
        size = machine.mapped[bus][1]
        assert size == octets and bus % octets == 0 and bus >= 1 << 32
        assert machine.registers.word(f"{name}_CONTROL").value == RingControl.ENABLE
    assert card.layout.market.base == machine.mapped[
        machine.registers.word("RING_MARKET_BASE").value][0]
    assert vfio.DEVICE_RESET in machine.calls
    assert (vfio.DEVICE_BIND_IOMMUFD in machine.calls) == (vfio.SET_IOMMU not in machine.calls)
    card.close()
    card.close()
    assert not machine.mapped and machine.command & 4 == 0
    assert machine.registers.word("RING_MARKET_CONTROL").value == 0


def test_the_memory_is_taken_away_after_the_card_has_stopped():
    slot = Slot()
    PCIeDevice(slot, is_huge=False).close()
    assert slot.said == ["reset", "master 1", "share", "share", "share",
                         "master 0", "unshare", "unshare", "unshare", "close"]


def test_interrupts_come_as_eventfds(machine):
    with vfio.VFIO(ADDRESS, machine) as opened:
        assert opened.interrupts(4) == machine.eventfds and len(machine.eventfds) == 4
        machine.vectors = {vfio.MSI: 1}
        assert opened.interrupts(1) == machine.eventfds
        with pytest.raises(TickwireError, match="has no 2 interrupts"):
            opened.interrupts(2)


def test_a_function_that_cannot_be_reset_is_told_and_used(machine):
    machine.is_resettable = False
    opened = FakeMachineVFIO(ADDRESS, machine)
    with PCIeDevice(opened, is_huge=False):
        assert "cannot be reset by itself" in opened.remarks[0]


def test_a_card_that_no_reset_follows_is_stopped_killed_and_without_a_lease():
    slot, stored = Slot(), []

    class Armed(PCIeDevice):
        def _store(self, offset, size, value):
            name = next(row.name for row in REGISTERS if row.offset == offset)
            stored.append((name, value))
            if name == "KILL":
                slot.registers.word("STATUS").value ^= Status.ARMED | Status.KILLED
            super()._store(offset, size, value if name != "SESSION_UPDATE" else 0)
    card = Armed(slot, is_huge=False)
    assert "KILL" not in dict(stored)      # it was not armed: nothing happens twice
    slot.registers.word("STATUS").value |= Status.ARMED
    slot.registers.word("CAPABILITIES").value |= Capability.ORDER_LINE
    slot.registers.word("ORDER_SESSIONS").value = 2
    stored.clear()
    card.close()
    assert stored[0] == ("KILL", 1 << 31 | KillCause.REGISTER)
    assert [entry for entry in stored if entry[0] in {"SESSION_INDEX", "SESSION_UPDATE"}] == [
        (name, value) for session in range(2)
        for name, value in (("SESSION_INDEX", session),
                            ("SESSION_UPDATE", SessionOperation.RELEASE))]
    assert [name for name, _ in stored][-5:] == [
        "RING_MARKET_CONTROL", "RING_ORDER_CONTROL", "RING_CAPTURE_CONTROL", "STATE_CONTROL",
        "CONTROL"]


# What may be wrong


@pytest.mark.parametrize(("tree", "wanted"), [
    ({"group": ""}, "no IOMMU group.*intel_iommu=on or amd_iommu=on"),
    ({"driver": "xdma"}, "belongs to driver xdma.*drivers/xdma/unbind"),
    ({"driver": ""}, "has no driver, not vfio-pci: as root, modprobe vfio-pci"),
    ({"others": (("0000:65:00.1", "nvme"),)},
     r"group 7 .* is not viable: it holds 0000:65:00.1 \(nvme\).*another group"),
])
def test_a_card_that_is_not_ready_says_what_to_do(tmp_path, tree, wanted):
    make_tree(tmp_path, **tree)
    text = sentence(lambda: vfio.VFIO(ADDRESS, FakeVFIO(tmp_path)))
    assert re.search(wanted, text)
    assert [one.obstacle for one in pci.functions(tmp_path)] == [text]


def test_a_bridge_in_the_same_group_is_no_obstacle(tmp_path):
    make_tree(tmp_path, others=(("0000:64:00.0", "pcieport"), ("0000:65:00.1", "")))
    with vfio.VFIO(ADDRESS, FakeVFIO(tmp_path)) as opened:
        assert opened.bars[0].size == 1 << 16


@pytest.mark.parametrize(("refuse", "wanted"), [
    ({"dev/vfio/vfio": errno.ENOENT}, "/dev/vfio/vfio is missing: modprobe vfio-pci"),
    ({"dev/vfio/7": errno.EACCES}, "No permission for /dev/vfio/7: as root, chown"),
    ({"dev/vfio/7": errno.EBUSY}, "in use by another process; only one may have it"),
    ({vfio.GROUP_GET_DEVICE_FD: errno.EBUSY}, "in use by another process"),
    ({vfio.SET_IOMMU: errno.EPERM}, "no interrupt remapping.*allow_unsafe_interrupts=1"),
    ({vfio.GROUP_GET_DEVICE_FD: errno.EINVAL}, "cannot be opened: Invalid argument"),
])
def test_what_the_kernel_refuses_is_told_with_what_to_do(tmp_path, refuse, wanted):
    make_tree(tmp_path)
    with pytest.raises(TickwireError, match=wanted):
        vfio.VFIO(ADDRESS, FakeVFIO(tmp_path, refuse))


def test_a_second_process_is_refused_through_iommufd_too(tmp_path):
    make_tree(tmp_path, has_iommufd=True)
    with pytest.raises(TickwireError, match="in use by another process"):
        vfio.VFIO(ADDRESS, FakeVFIO(tmp_path, {vfio.DEVICE_BIND_IOMMUFD: errno.EBUSY}))


def test_a_group_that_the_kernel_finds_not_viable_is_refused(tmp_path):
    make_tree(tmp_path)
    machine = FakeVFIO(tmp_path)
    machine.is_viable = False
    with pytest.raises(TickwireError, match="group 7 .* is not viable"):
        vfio.VFIO(ADDRESS, machine)


@pytest.mark.parametrize("request_of", [vfio.IOMMU_MAP_DMA, vfio.IOAS_MAP])
def test_the_limit_of_locked_memory_is_told_with_its_value(tmp_path, monkeypatch, request_of):
    make_tree(tmp_path, has_iommufd=request_of == vfio.IOAS_MAP)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (8 << 20, 8 << 20))
    machine = FakeVFIO(tmp_path, {request_of: errno.ENOMEM})
    text = sentence(lambda: PCIeDevice(FakeMachineVFIO(ADDRESS, machine), is_huge=False))
    assert "4,096 KiB more cannot be locked" in text and "ulimit -l" in text
    assert "limit of locked memory is 8,192 KiB" in text
    assert not machine.mapped


def test_without_huge_pages_ordinary_ones_serve_and_a_sentence_says_so(monkeypatch):
    def refuse(size, flags, pages=transport._pages):
        if flags:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return pages(size, flags)
    monkeypatch.setattr(transport, "_pages", refuse)
    with PCIeDevice(Slot()) as card:
        remark, = card.remarks
        assert "No huge pages are free" in remark and "nr_hugepages" in remark


def test_memory_is_a_power_of_two_and_zero():
    for size, octets in ((1, 4096), (4096, 4096), (4097, 8192), (64 << 12, 64 << 12)):
        buffer = Buffer(size, is_huge=False)
        assert (buffer.size, buffer.span, buffer.address % 4096) == (octets, octets, 0)


@pytest.mark.parametrize("request_of", [vfio.IOMMU_UNMAP_DMA, vfio.IOAS_UNMAP])
def test_memory_that_the_kernel_does_not_unmap_leaves_no_file_open(tmp_path, request_of):
    """The mapping goes with the last descriptor, so all of them are closed."""
    make_tree(tmp_path, has_iommufd=request_of == vfio.IOAS_UNMAP)
    machine = FakeVFIO(tmp_path)
    before = set(os.listdir("/proc/self/fd"))
    card = PCIeDevice(FakeMachineVFIO(ADDRESS, machine), is_huge=False)
    machine.refuse = {request_of: errno.EIO}
    assert "octets unmapped: Input/output error" in sentence(card.close)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_card_whose_configuration_space_is_gone_is_closed_all_the_same(machine, monkeypatch):
    card = PCIeDevice(FakeMachineVFIO(ADDRESS, machine), is_huge=False)

    def gone(*arguments):
        raise OSError(errno.EIO, "Input/output error")
    monkeypatch.setattr(machine, "configure", gone)
    ctypes.memset(machine.registers.address, 0xFF, 4096)
    card.close()
    assert not machine.mapped
    assert "cannot have its command register set: Input/output error" in sentence(
        lambda: vfio.VFIO(ADDRESS, machine))


def test_configuration_space_that_gives_nothing_is_an_error_of_the_system(tmp_path):
    empty = tmp_path / "empty"
    empty.touch()
    with empty.open("rb") as file, pytest.raises(OSError, match="Input/output error"):
        vfio.Machine().configure(file.fileno(), 0)


# What the card may say


def test_another_digest_is_refused_with_the_bitstream_that_is_wanted():
    slot = Slot()
    slot.registers.word("DIGEST").value = digest() ^ 1
    text = sentence(lambda: PCIeDevice(slot))
    assert f"digest {digest() ^ 1:016x}" in text and f'digest = "{digest():016x}"' in text
    assert "tickwire device load" in text
    assert slot.said == ["close"]


@pytest.mark.parametrize(("name", "value", "wanted"), [
    ("MAGIC", 0, "magic 0x00000000.*not a tickwire device"), ("ABI", 9 << 16, "ABI 9.0")])
def test_what_is_no_card_of_this_abi_is_refused(name, value, wanted):
    slot = Slot()
    slot.registers.word(name).value = value
    with pytest.raises(TickwireError, match=wanted):
        PCIeDevice(slot)


def test_a_small_bar_is_refused():
    slot = Slot()
    slot.bars.pop(2)
    with pytest.raises(TickwireError, match="BAR 2 has none, a tickwire card's has 4,096"):
        PCIeDevice(slot)


@pytest.mark.parametrize("log2", [5, 21])
def test_a_ring_of_another_size_is_refused_before_the_card_is_touched(log2):
    slot = Slot()
    with pytest.raises(TickwireError, match=rf"2\^6 to 2\^20 slots, not 2\^{log2}"):
        PCIeDevice(slot, order_log2=log2)
    assert slot.said == ["close"]


def test_a_base_that_the_card_refuses_is_told_with_its_address():
    class Refused(PCIeDevice):
        def write_register(self, name, value):
            is_refused = name == "RING_ORDER_CONTROL" and value
            super().write_register(name, RingControl.REFUSED if is_refused else value)
    slot = Slot()
    text = sentence(lambda: Refused(slot, is_huge=False))
    assert "refused its order ring of 2^12 slots at bus address 0x101000000" in text
    assert not slot.shared


def test_a_card_that_is_reset_in_flight_is_told_and_can_be_closed():
    slot = Slot()
    card = PCIeDevice(slot, is_huge=False)
    ctypes.memset(slot.registers.address, 0xFF, slot.registers.size)
    for call in (lambda: card.read_register("STATUS"), card.arm, card.commit_limits,
                 lambda: card.read_register("TIME_NOW"), card.counters, card._shown_histogram,
                 lambda: card.write_register("ARM", 1)):
        assert "does not answer, every register reads as ones" in sentence(call)
    card.close()
    assert not slot.shared and slot.said[-1] == "close"


def test_a_reader_that_slept_for_minutes_is_told_what_it_lost():
    slot = Slot()
    card = PCIeDevice(slot, market_log2=6, is_huge=False)
    reader, ring, count = card.market_reader(), card.layout.market, 1_000_000
    for number in range(count - 63, count + 1):          # the card has lapped it many times
        octets = bytes(56) + struct.pack("<IBBH", number, 2, 1, 0)
        ctypes.memmove(ring.base + 64 * ((number - 1) % 64), octets, 64)
    found = reader.read()
    assert reader.lost + len(found) == count
    assert found[-1]["record_sequence"] == count
    card.close()
