"""A line receives its own group and port on its own interface, and says why when it cannot.

Method: real sockets on the loopback interface; tests skip where it carries no multicast.
"""

import errno
import select
import socket

import pytest

from tickwire.errors import TickwireError
from tickwire.feed import udp
from tickwire.feed.udp import open_line, open_lines

GROUP, OTHER = "239.255.77.1", "239.255.77.2"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def sender():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        try:
            opened.sendto(b"probe", (GROUP, 9))
        except OSError as error:
            pytest.skip(f"no multicast on the loopback interface: {error.strerror}")
        yield opened


def received(line, seconds=5.0):
    if not select.select([line], [], [], seconds)[0]:
        return None
    return line.socket.recv(2000)


def test_a_line_receives_its_group_and_port_and_nothing_else(sender):
    port = free_port()
    with open_line(GROUP, port) as line, open_line(OTHER, port) as other:
        sender.sendto(b"other", (OTHER, port))
        sender.sendto(b"port", (GROUP, free_port()))
        sender.sendto(b"unicast", ("127.0.0.1", port))
        sender.sendto(b"mine", (GROUP, port))
        assert received(line) == b"mine" and received(other) == b"other"
        assert received(line, 0.05) is None and received(other, 0) is None
        assert line.drops() == 0
        with pytest.raises(BlockingIOError):
            line.socket.recv(10)


def test_an_interface_may_be_given_by_name(sender):
    port = free_port()
    with open_line(GROUP, port, "lo") as line:
        sender.sendto(b"x", (GROUP, port))
        assert received(line) == b"x"


def test_both_lines_open_or_none(sender, monkeypatch):
    a, b = open_lines((GROUP, free_port()), (OTHER, free_port()))
    assert (a.group, b.group) == (GROUP, OTHER) and a.fileno() != b.fileno()
    a.close()
    b.close()
    opened = []
    real = udp.open_line
    monkeypatch.setattr(udp, "open_line", lambda *a: opened.append(real(*a)) or opened[-1])
    with pytest.raises(TickwireError, match="not 10.0.0.1"):
        open_lines((GROUP, free_port()), ("10.0.0.1", 5000))
    assert len(opened) == 1 and opened[0].fileno() == -1


def test_what_the_receive_buffer_could_not_hold_is_counted(sender):
    port = free_port()
    with open_line(GROUP, port, receive_buffer=8192) as line:
        for _ in range(200):
            sender.sendto(bytes(1000), (GROUP, port))
        came = 0
        while received(line, 0.2):
            came += 1
        assert came + line.drops() == 200 and line.drops() > 0


def test_a_smaller_receive_buffer_than_asked_for_is_told(sender, monkeypatch):
    monkeypatch.setattr(udp, "_SO_RCVBUFFORCE", 9999)      # as for a user without CAP_NET_ADMIN
    with open_line(GROUP, free_port(), receive_buffer=1 << 30) as line:
        assert line.receive_buffer < 1 << 30
        assert f"granted {line.receive_buffer} octets" in line.remark
        assert "net.core.rmem_max" in line.remark
    with open_line(GROUP, free_port(), receive_buffer=65536) as line:
        assert line.receive_buffer >= 65536 and not line.remark


@pytest.mark.parametrize("group", ["10.0.0.1", "223.255.255.255", "240.0.0.1", "255.255.255.255",
                                   "224.0.0", "venue.example", "", "ff02::1", "239.0.0.256"])
def test_an_address_that_is_no_group_is_refused(group):
    with pytest.raises(TickwireError, match=r"must be an IPv4 multicast address.*, not "):
        open_line(group, 5000)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(TickwireError, match=f"from 1 to 65535, not {port}"):
        open_line(GROUP, port)


def test_a_port_of_a_program_that_does_not_share_it_is_said_to_be_in_use():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("0.0.0.0", 0))
        port = holder.getsockname()[1]
        with pytest.raises(TickwireError) as caught:
            open_line(GROUP, port)
    assert str(caught.value) == (f"Cannot open UDP port {port} of {GROUP}: a program that does not "
                                 "share it has the port.")


def test_an_interface_that_is_not_there_is_named():
    with pytest.raises(TickwireError, match=r"^There is no network interface nosuch0\.$"):
        open_line(GROUP, free_port(), "nosuch0")
    with pytest.raises(TickwireError, match=r"^Cannot join multicast group .* on interface "
                                            r"192\.0\.2\.77: no interface of this machine"):
        open_line(GROUP, free_port(), "192.0.2.77")


class Refusing:
    """A socket to which one call is forbidden."""

    def __init__(self, call, number):
        self.call, self.number, self.is_closed = call, number, False

    def __getattr__(self, name):
        def called(*arguments):
            if (name, *arguments)[:len(self.call)] == self.call:
                raise OSError(self.number, "Operation refused")
            return 1 << 30
        return called

    def close(self):
        self.is_closed = True


@pytest.mark.parametrize(("call", "number", "reason"), [
    (("setsockopt", socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP), errno.EPERM,
     "on interface 127.0.0.1: multicast is not permitted here."),
    (("setsockopt", socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP), errno.ENOBUFS,
     "net.ipv4.igmp_max_memberships is reached."),
    (("setsockopt", socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP), errno.EIO, "Operation refused."),
    (("bind",), errno.EACCES, "ports below 1024 need CAP_NET_BIND_SERVICE."),
    (("bind",), errno.EIO, "Cannot open UDP port 5000 of 239.255.77.1: Operation refused."),
])
def test_what_the_system_forbids_is_one_sentence_and_leaves_nothing_open(monkeypatch, call, number,
                                                                         reason):
    made = Refusing(call, number)
    monkeypatch.setattr(udp.socket, "socket", lambda *arguments: made)
    with pytest.raises(TickwireError) as caught:
        open_line(GROUP, 5000)
    assert str(caught.value).endswith(reason) and made.is_closed
