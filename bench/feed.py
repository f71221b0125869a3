"""Receiver and arbiter: what a packet costs before its messages reach a book.

The messages are Order Deletes of an instrument that nobody watches: the book's part is the look-up
of the filter and a counter, and is measured beside by handing over the same messages without any
packet. A run's figure is the median of its blocks of packets, each with a clock of its own.
"""

import struct

import numpy as np

from bench.report import Contender, Report, measure
from tickwire.device.book_memory import BookMemory
from tickwire.device.feed_memory import FeedMemory
from tickwire.kernels.arbiter import datagram
from tickwire.kernels.ingress import ingress
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import CLOCK_MONOTONIC, load64, nanoseconds, store64, store_be64
from tickwire.kernels.replay import one_by_one
from tickwire.spec import itch50, moldudp64, network
from tickwire.spec.geometry import CARD_LARGE
from tickwire.spec.records import Line
from tickwire.spec.wire import Message, encode

GROUP, PORT = "239.192.64.1", 26_401
BLOCK = 64                                 # packets
BLOCKS = 2_000
MESSAGES = (1, 4, 30)                      # of a packet; 30 Deletes fill half a frame
_SEQUENCE = moldudp64.DOWNSTREAM_HEADER.field("sequence_number")[1]
_EVERYTHING = 1 << 40                      # records that nobody has to read


def delete() -> bytes:
    """Return an Order Delete of a locate above the geometry's instruments."""
    values = {field.name: 0 for field in itch50.ORDER_DELETE.fields}
    return encode(itch50.ORDER_DELETE, {**values, "stock_locate": 60_000, "order_reference": 77})


def packet(messages: int) -> bytes:
    """Return a MoldUDP64 packet; its number is filled in as it is sent."""
    one = delete()
    return encode(moldudp64.DOWNSTREAM_HEADER, {
        "session": "BENCH", "sequence_number": 1, "message_count": messages,
    }) + (struct.pack(">H", len(one)) + one) * messages


def frame(payload: bytes) -> bytes:
    """Return an Ethernet frame with one tag around a datagram without UDP checksum."""
    def header(layout: Message, **values: int) -> bytes:
        return encode(layout, {**{field.name: 0 for field in layout.fields}, **values})
    group = struct.unpack(">I", bytes(int(part) for part in GROUP.split(".")))[0]
    size = network.UDP.size + len(payload)
    values = {"version_length": 0x45, "total_length": network.IPV4.size + size,
              "time_to_live": 1, "protocol": network.PROTOCOL_UDP, "destination": group}
    words = struct.unpack(">10H", header(network.IPV4, **values))
    total = sum(words)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return (header(network.ETHERNET, ether_type=network.ETHER_TYPE_VLAN)
            + header(network.VLAN, control=1, ether_type=network.ETHER_TYPE_IPV4)
            + header(network.IPV4, **values, header_checksum=checksum)
            + header(network.UDP, destination_port=PORT, length=size) + payload)


@kernel
def packets(receive, arbiter, book, address, size, number_at, messages, copies, times):
    """Send blocks of packets, each ``copies`` times; ``receive`` 0 for datagrams.

    Writes the nanoseconds of each block and returns the messages that were accepted.
    """
    accepted, sequence = 0, load64(times)
    for block in range(BLOCKS):
        start = nanoseconds(CLOCK_MONOTONIC)
        for _ in range(BLOCK):
            store_be64(address + number_at, sequence)
            sequence += messages
            for line in range(copies):
                if receive:
                    accepted += ingress(receive, arbiter, book, address, size, start, 0)[1]
                else:
                    accepted += datagram(arbiter, book, address, size, line, start)
        store64(times + 8 * block, nanoseconds(CLOCK_MONOTONIC) - start)
    return accepted


@kernel
def alone(book, address, end, times):
    """Hand the messages of blocks of packets to the book, one after the other."""
    for block in range(BLOCKS):
        start = nanoseconds(CLOCK_MONOTONIC)
        for _ in range(BLOCK):
            one_by_one(book, address, end, 1, _EVERYTHING)
        store64(times + 8 * block, nanoseconds(CLOCK_MONOTONIC) - start)


def contender(messages: int, *, is_frame: bool = False, copies: int = 1) -> Contender:
    """Return a run over packets of ``messages`` messages; its figure is ns a packet."""
    book = BookMemory(CARD_LARGE)
    memory = FeedMemory(book)
    memory.listen(Line.A, GROUP, PORT)
    payload = packet(messages)
    octets = frame(payload) if is_frame else payload
    buffer = np.frombuffer(octets + bytes(64), np.uint8).copy()
    number_at = len(octets) - len(payload) + _SEQUENCE
    times = np.zeros(BLOCKS, np.int64)

    def run() -> float:
        times[0] = memory.expected
        accepted = packets(memory.receive if is_frame else 0, memory.arbiter, book.address,
                           buffer.ctypes.data, len(octets), number_at, messages, copies,
                           times.ctypes.data)
        assert accepted == messages * BLOCK * BLOCKS, accepted
        return float(np.median(times)) / BLOCK
    return run


def book_alone(messages: int) -> Contender:
    """Return a run over the same messages without packets; its figure is ns for those of one."""
    book = BookMemory(CARD_LARGE)
    octets = packet(messages)[moldudp64.DOWNSTREAM_HEADER.size:]
    buffer = np.frombuffer(octets + bytes(64), np.uint8).copy()
    times = np.zeros(BLOCKS, np.int64)

    def run() -> float:
        alone(book.address, buffer.ctypes.data, buffer.ctypes.data + len(octets),
              times.ctypes.data)
        return float(np.median(times)) / BLOCK
    return run


def main(report: Report) -> None:
    """Measure packets of one, a few and many messages beside their messages alone."""
    for messages in MESSAGES:
        size = f"{messages} message{'s' * (messages > 1)} a packet"
        found = measure(contender(messages), book_alone(messages), report.repeats)
        report.compare(f"datagram, {size}", "ns/packet", found, "messages alone",
                       note="arbiter and messages")
        found = measure(contender(messages, copies=2), contender(messages), report.repeats)
        report.add(f"datagram and its copy on line B, {size}", "ns/packet", found.first,
                   note="the copy is recognised and counted block by block")
        found = measure(contender(messages, is_frame=True), contender(messages), report.repeats)
        report.add(f"frame, {size}", "ns/packet", found.first,
                   note="Ethernet, one tag, IPv4 with its checksum, UDP without one")
    report.note("Nothing here waits for memory: one frame is sent again and again with another "
                "number. What the books cost is measured in `book`.")
