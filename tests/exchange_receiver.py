"""A receiver of the venue's lines written from the MoldUDP64 document, with ``struct`` alone."""

import socket
import struct
import time

HEADER = ">10sQH"
HEARTBEAT, END = 0, 0xFFFF


def join(group, port):
    """UDP socket that hears a multicast group on the loopback interface."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.bind((group, port))
    made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                    socket.inet_aton(group) + socket.inet_aton("127.0.0.1"))
    made.settimeout(10)
    return made


def split(datagram):
    """Session, sequence number, message count and the messages of a datagram, which must fit."""
    session, sequence, count = struct.unpack(HEADER, datagram[:20])
    found, place = [], 20
    while place < len(datagram):
        size = int.from_bytes(datagram[place:place + 2], "big")
        assert place + 2 + size <= len(datagram)
        found.append(datagram[place + 2:place + 2 + size])
        place += 2 + size
    assert len(found) == (0 if count == END else count)
    return session, sequence, count, found


def drain(line, quiet=0.3):
    """Datagrams of a line until it has been quiet for so many seconds."""
    found = []
    line.settimeout(quiet)
    try:
        while True:
            found.append(line.recv(2_048))
    except TimeoutError:
        return found


def blocks(line, count):
    """The next ``count`` messages of a line."""
    found = []
    line.settimeout(10)
    while len(found) < count:
        found += split(line.recv(2_048))[3]
    assert len(found) == count
    return found


def until_end(lines, seconds=30):
    """Datagrams of each line up to its first end of session."""
    found = [[] for _ in lines]
    deadline = time.monotonic() + seconds
    for index, line in enumerate(lines):
        line.settimeout(1)
        while time.monotonic() < deadline:
            try:
                datagram = line.recv(2_048)
            except TimeoutError:
                continue
            found[index].append(datagram)
            if split(datagram)[2] == END:
                break
    return found


def request(session, sequence, count):
    """A request packet."""
    return struct.pack(HEADER, session.encode().ljust(10), sequence, count)


def assemble(datagrams):
    """Messages by number; the same number always holds the same octets."""
    found = {}
    for datagram in datagrams:
        _, sequence, _, blocks = split(datagram)
        for number, block in enumerate(blocks, sequence):
            assert found.setdefault(number, block) == block
    return found
