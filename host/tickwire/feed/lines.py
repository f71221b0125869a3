"""Which datagrams of a capture are the lines of a feed: one pass over its frames, before others."""

import contextlib
import ipaddress

import numpy as np

from tickwire.errors import InputError
from tickwire.feed import open_source
from tickwire.feed.pcap import frame_at
from tickwire.feed.source import FRAME_SIZE, FrameChunk, Source
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load8, load16, load64, load_be16, load_be32, view
from tickwire.kernels.receive import (
    DESTINATION,
    ETHER_TYPE,
    ETHERNET_SIZE,
    IPV4_SIZE,
    PORT,
    RECEIVE,
    TAG_SIZE,
    TAG_TYPE,
    UDP_SIZE,
    frame,
    key_of,
    receive_at,
)
from tickwire.spec.counters import COUNTER_SLOTS
from tickwire.spec.itch50 import SIZES
from tickwire.spec.moldudp64 import DOWNSTREAM_HEADER, END_OF_SESSION, MESSAGE_BLOCK
from tickwire.spec.network import (
    ETHER_TYPE_SERVICE_VLAN,
    ETHER_TYPE_VLAN,
    FRAME_SIZE_MAX,
    VLAN_TAGS_MAX,
)

FLOWS = 256
"""Destinations that carry a feed, each with a session: no more of them are looked for."""

FLOW = np.dtype([("key", "i8"), ("session", "i8"), ("session_end", "i8")])
"""A destination, ``receive.key_of``, and a session that was there."""

_flow_at = view(FLOW)
_FLOW_SIZE = FLOW.itemsize
_HEAD, _BLOCK = DOWNSTREAM_HEADER.size, MESSAGE_BLOCK.size
_MULTICAST, _MULTICAST_SHIFT = 0xE, 44      # of a key: first 4 bits of its group (RFC 1112)
_SESSION, _COUNT = (DOWNSTREAM_HEADER.field(name)[1] for name in ("session", "message_count"))


@kernel(inline=True)
def _destination(address, size):
    """Key of where a frame goes if it is a datagram, 0 if it is too short for one."""
    offset = ETHERNET_SIZE
    if size < offset:
        return 0
    ether_type = load_be16(address + ETHER_TYPE)
    for _ in range(VLAN_TAGS_MAX):
        if ((ether_type == ETHER_TYPE_VLAN or ether_type == ETHER_TYPE_SERVICE_VLAN)
                and size >= offset + TAG_SIZE):
            ether_type = load_be16(address + offset + TAG_TYPE)
            offset += TAG_SIZE
    if size < offset + IPV4_SIZE + UDP_SIZE:
        return 0
    return key_of(load_be32(address + offset + DESTINATION),
                  load_be16(address + offset + IPV4_SIZE + PORT))


@kernel
def _has_messages(payload, size, sizes):
    """Whether a MoldUDP64 packet has messages, all of them whole and of ITCH 5.0."""
    count = load_be16(payload + _COUNT)
    if count == 0 or count == END_OF_SESSION:
        return False
    place = _HEAD
    for _ in range(count):
        if place + _BLOCK > size:
            return False
        length = load_be16(payload + place)
        place += _BLOCK + length
        if length == 0 or place > size or load8(sizes + load8(payload + place - length)) != length:
            return False
    return True


@kernel
def look(receive, address, frames, count, flows, known, sizes):
    """Note the flows of ``count`` frames behind the ``known`` ones; returns how many are known.

    ``receive`` is a context of no lines: line A is each destination in turn. ``sizes`` is an octet
    for each type of message.
    """
    r = receive_at(receive)
    last = 0
    for index in range(count):
        f = frame_at(frames + index * FRAME_SIZE)
        octets, size = address + f["offset"], np.int64(f["size"])
        key = _destination(octets, size)
        if key == 0:
            continue
        r["keys"][0] = key
        line, offset, size = frame(receive, octets, size)
        if line < 0 or size < _HEAD:
            continue
        payload = octets + offset
        session, session_end = load64(payload + _SESSION), load16(payload + _SESSION + 8)
        is_known = False
        for other in range(known):
            place = (last + other) % known     # most frames are of the flow before
            flow = _flow_at(flows + place * _FLOW_SIZE)
            if (flow["key"] == key and flow["session"] == session
                    and flow["session_end"] == session_end):
                is_known, last = True, place
                break
        if not is_known and known < FLOWS and _has_messages(payload, size, sizes):
            flow = _flow_at(flows + known * _FLOW_SIZE)
            flow["key"], flow["session"], flow["session_end"] = key, session, session_end
            known += 1
    return known


def lines_of(source: Source) -> list[tuple[str, int]]:
    """Return group and port of the lines that carry the feed of a capture, at most two.

    They are destinations of MoldUDP64 with ITCH 5.0 messages: line A the first one, line B the
    first other one that has a session of line A, wherever they begin. Unicast is no line, such as
    what a request server answers, unless there is nothing else. What comes behind damage is left
    to who reads ``source``, which is not read here: its file is opened anew.
    """
    flows, known, sizes = np.zeros(FLOWS, FLOW), 0, np.ascontiguousarray(SIZES, np.uint8)
    counters, receive = np.zeros(COUNTER_SLOTS, np.int64), np.zeros(1, RECEIVE)
    receive["counters"], receive["size_max"] = counters.ctypes.data, FRAME_SIZE_MAX
    with open_source(source.name) as again, contextlib.suppress(InputError):
        for chunk in again:
            if isinstance(chunk, FrameChunk):
                known = look(receive.ctypes.data, chunk.address, chunk.frames.ctypes.data,
                             len(chunk), flows.ctypes.data, known, sizes.ctypes.data)
                if len(_choose(_multicast(flows[:known]))) == 2:
                    break
    chosen = _choose(_multicast(flows[:known])) or _choose(flows[:known])
    return [(str(ipaddress.IPv4Address(key >> 16 & 0xFFFF_FFFF)), key & 0xFFFF) for key in chosen]


def _multicast(flows: np.ndarray) -> np.ndarray:
    return flows[flows["key"] >> _MULTICAST_SHIFT & 0xF == _MULTICAST]


def _choose(flows: np.ndarray) -> list[int]:
    """Return the keys of lines A and B among flows in the order of their first packets."""
    rows = flows.tolist()
    first = [key for key, *_ in rows[:1]]
    sessions = {tuple(session) for key, *session in rows if key in first}
    return first + [key for key, *session in rows
                    if key not in first and tuple(session) in sessions][:1]
