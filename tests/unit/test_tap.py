"""A TAP interface is made with its addresses, or a sentence says why not and what to do.

Method: what can be refused without any right is refused here; the system's own refusals come from
a system call that is replaced, and, where a network namespace may be made, from the kernel. Tables
of routes and neighbours are the text that Linux prints.
"""

import errno
import fcntl
import os
import struct
import sys

import pytest

from tests.tap_rig import ADDRESSES, MACS, NAME, end, in_namespace
from tickwire.device import tap
from tickwire.device.tap import Tap, gateway, neighbour
from tickwire.errors import TickwireError

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
card\t0000090A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
card\t000010AC\tFE00090A\t0003\t0\t0\t20\t0000F0FF\t0\t0\t0
card\t000010AC\tFD00090A\t0003\t0\t0\t10\t0000F0FF\t0\t0\t0
card\t050110AC\tFC00090A\t0007\t0\t0\t90\tFFFFFFFF\t0\t0\t0
card\t0A0A0A0A\t00000000\t0000\t0\t0\t0\tFFFFFFFF\t0\t0\t0
"""
NEIGHBOURS = """\
IP address       HW type     Flags       HW address            Mask     Device
10.9.0.2         0x1         0x2         02:00:00:00:00:02     *        card
10.9.0.3         0x1         0x0         00:00:00:00:00:00     *        card
10.9.0.4         0x1         0x6         02:00:00:00:00:04     *        card
10.9.0.5         0x1         0x2         02:00:00:00:00:05     *        eth0
"""


def sentence(*arguments):
    with pytest.raises(TickwireError) as caught:
        Tap(*arguments)
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text
    return text


@pytest.mark.parametrize("name", ["", "a" * 16, "ö" * 8, "a b", "a/b", "a:b", "tap%d", ".", "..",
                                  "a\n"])
def test_a_name_that_the_kernel_would_refuse_or_change_is_refused(name):
    assert f"1 to 15 characters, none of them blank, '/', ':' or '%', not {name!r}" in sentence(
        name, MACS[0])


@pytest.mark.parametrize("mac", [b"", bytes(6), b"\2" * 5, b"\2" * 7, bytes.fromhex("010000000001"),
                                 b"\xff" * 6])
def test_a_mac_address_that_is_nobodys_is_refused(mac):
    assert "MAC address of interface card must be 6 octets of one station" in sentence(NAME, mac)


@pytest.mark.parametrize("address", ["10.0.0.2", "10.0.0/24", "10.0.0.2/33", "10.0.0.2/0", "card",
                                     "224.0.0.1/24", "0.0.0.0/8", "127.0.0.1/8", "fe80::1/64",
                                     "10.0.0.0/24", "10.0.0.255/24"])
def test_an_address_that_is_no_stations_is_refused(address):
    assert f"as 10.0.0.2/24, not {address!r}" in sentence(NAME, MACS[0], address)


@pytest.mark.parametrize(("number", "words"), [
    (errno.ENOENT, "cannot open /dev/net/tun: there is no such file, load the module tun"),
    (errno.ENODEV, "cannot open /dev/net/tun: the kernel has no such device, load the module"),
    (errno.EACCES, "cannot open /dev/net/tun: this user may not"),
    (errno.EMFILE, "cannot open /dev/net/tun: Too many open files")])
def test_what_to_do_without_the_device_node_is_said(monkeypatch, number, words):
    def refuse(path, flags):
        assert path == tap.NODE
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(os, "open", refuse)
    assert f"Interface card {words}" in sentence(NAME, MACS[0])


@pytest.mark.parametrize(("number", "words"), [
    (errno.EPERM, "it needs CAP_NET_ADMIN in the network namespace"),
    (errno.EBUSY, "another process has it"),
    (errno.EINVAL, "belongs to an interface that is no TAP")])
def test_what_to_do_when_the_kernel_refuses_the_interface_is_said(monkeypatch, number, words):
    def refuse(descriptor, request, argument):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(tap, "NODE", os.devnull)
    monkeypatch.setattr(fcntl, "ioctl", refuse)
    before = len(os.listdir("/proc/self/fd"))
    assert words in sentence(NAME, MACS[0])
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(sys.byteorder == "big", reason="the table is one of a little-endian machine")
@pytest.mark.parametrize(("peer", "hop"), [
    ("10.9.0.2", "10.9.0.2"),              # in the interface's network
    ("172.16.1.9", "10.9.0.253"),          # of two gateways the one with the least metric
    ("172.16.1.5", "10.9.0.252"),          # a host's own route, whatever its metric
    ("172.32.0.1", None),                  # another interface's
    ("10.10.10.10", None)])                # a route that is down
def test_the_next_hop_is_that_of_the_longest_route(peer, hop):
    assert gateway(ROUTES, NAME, peer) == hop


def test_a_neighbour_counts_when_it_has_answered_on_this_interface():
    found = {address: neighbour(NEIGHBOURS, NAME, address) for address in (
        "10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6")}
    assert found == {"10.9.0.2": MACS[1], "10.9.0.3": None,
                     "10.9.0.4": bytes.fromhex("020000000004"), "10.9.0.5": None, "10.9.0.6": None}
    assert neighbour("", NAME, "10.9.0.2") is None and gateway("", NAME, "10.9.0.2") is None


# With the kernel


def test_the_kernel_refuses_a_name_that_is_in_use():
    def work():
        with_it = Tap(NAME, MACS[0])
        taken = sentence(NAME, MACS[1])
        with_it.close()
        with_it.close()
        Tap(NAME, MACS[1]).close()         # it went with its owner
        return taken, sentence("lo", MACS[0])
    taken, other = in_namespace(work)
    assert "Interface card cannot be made: another process has it" in taken
    assert "Interface lo cannot be made: the name belongs to an interface that is no TAP" in other


def test_the_interface_has_its_addresses_and_is_up():
    one, link = end(0)
    with link:
        def asked(request):
            return fcntl.ioctl(link, request, struct.pack("16s24x", NAME.encode()))[16:]
        assert asked(0x8927)[2:8] == MACS[0] == one.mac
        assert asked(0x8915)[4:8] == bytes([10, 9, 0, 1])
        assert asked(0x891B)[4:8] == bytes([255, 255, 255, 0])
        assert struct.unpack_from("=H", asked(0x8913))[0] & 0x41 == 0x41       # up, running
        with pytest.raises(TickwireError, match="card has no route to 192.0.2.1: give it"):
            one.next_hop("192.0.2.1")
        with pytest.raises(TickwireError, match="does not know the MAC address of 10.9.0.2, "
                                                "the next hop to 10.9.0.2: nothing answers ARP"):
            one.next_hop(ADDRESSES[1])
        one.close()


def test_frames_are_the_kernels_as_they_are():
    one, link = end(0)
    with link:
        link.setblocking(False)
        assert link.connect_ex((ADDRESSES[1], 9)) == errno.EINPROGRESS
        while (frame := one.read())[12:14] != b"\x08\x06":     # beside what IPv6 says
            pass
        assert frame[:6] == b"\xff" * 6 and frame[6:12] == MACS[0]
        assert frame[38:42] == bytes([10, 9, 0, 2])
        # An ARP answer by hand (RFC 826), padded as a line does.
        one.write(MACS[0] + MACS[1] + frame[12:20] + b"\0\2" + MACS[1] + frame[38:42]
                  + MACS[0] + frame[28:32] + bytes(18))
        assert one.next_hop(ADDRESSES[1]) == MACS[1]
        while (frame := one.read())[12:14] != b"\x08\x00":
            pass
        assert frame[:12] == MACS[1] + MACS[0] and frame[23] == 6 and frame[47] == 2   # SYN
        while one.read() is not None:
            pass
        with pytest.raises(TickwireError, match="card does not carry frames: Invalid argument"):
            one.write(bytes(13))
        flags = struct.pack("=16sH22x", NAME.encode(), 0)
        fcntl.ioctl(link, 0x8914, flags)
        with pytest.raises(TickwireError, match="card is down: set it up again"):
            one.write(bytes(60))
        assert one.read() is None
    one.close()
