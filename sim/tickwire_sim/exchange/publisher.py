"""MoldUDP64 publisher: packs the stored messages for two lines, impairs each, answers requests.

Both lines carry the same packets. What goes wrong on a line is drawn from a generator of its own,
so that the lines fail independently and a seed repeats the failures packet for packet.
"""

from tickwire.kernels._moldudp64 import (
    DOWNSTREAM_HEADER_SIZE,
    REQUEST_SIZE,
    encode_downstream_header,
)
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    CLOCK_MONOTONIC,
    MSG_DONTWAIT,
    c_usleep,
    copy,
    load16,
    load64,
    load_be16,
    load_be64,
    nanoseconds,
    recvfrom,
    send,
    sendto,
    store32,
    unlikely,
)
from tickwire.kernels.ring import count
from tickwire.spec.moldudp64 import END_OF_SESSION, HEARTBEAT, MESSAGES_PER_PACKET_MAX
from tickwire_sim.exchange.counters import CounterIndex
from tickwire_sim.exchange.layout import (
    DELAYED,
    DELAYED_SIZE,
    LINE_SIZE,
    PUBLISHER,
    delayed_at,
    line_at,
    publisher_at,
    store_at,
)
from tickwire_sim.exchange.randomness import chance
from tickwire_sim.exchange.store import run

HELD_NANOSECONDS = 5_000_000
"""A packet that waits to be overtaken on an idle line goes out after this time."""

REQUESTS_PER_TURN = 32
PACED = 32
"""Messages that must be due before :func:`pace` sends, so that packets are nearly full."""

SOCKET_ADDRESS = 16                        # octets of an IPv4 socket address
NEVER = (1 << 63) - 1

_SESSION = int(PUBLISHER.fields["session"][1])
_PACKET = int(DELAYED.fields["packet"][1])
_FIRST = int(CounterIndex.LINE_A_PACKETS)
_SENT, _OCTETS, _LOST, _DUPLICATED, _REORDERED, _CROWDED, _ERRORS = (
    int(CounterIndex[f"LINE_A_{name}"]) - _FIRST for name in
    ("PACKETS", "OCTETS", "LOST", "DUPLICATED", "REORDERED", "CROWDED", "ERRORS"))
LINE_COUNTERS = int(CounterIndex.LINE_B_PACKETS) - _FIRST
FIRST_LINE_COUNTER = _FIRST
_PACKETS, _HEARTBEATS, _UNPUBLISHED = (
    int(CounterIndex.PACKETS), int(CounterIndex.HEARTBEATS), int(CounterIndex.UNPUBLISHED))
_REQUESTS, _MALFORMED, _WRONG_SESSION, _UNKNOWN, _REPEATED = (
    int(CounterIndex.REQUESTS), int(CounterIndex.REQUESTS_MALFORMED),
    int(CounterIndex.REQUESTS_SESSION), int(CounterIndex.REQUESTS_UNKNOWN),
    int(CounterIndex.MESSAGES_REPEATED))


@kernel(inline=True)
def _emit(line, packet, octets):
    """Give a packet to the system."""
    t = line_at(line)
    if unlikely(send(t["socket"], packet, octets, MSG_DONTWAIT) < 0):
        count(t["counters"], _ERRORS)
    else:
        count(t["counters"], _SENT)
        count(t["counters"], _OCTETS, octets)


@kernel(inline=True)
def _emit_oldest(line):
    """Send the packet that has waited longest."""
    t = line_at(line)
    row = t["queue"] + (t["queue_head"] & t["queue_mask"]) * DELAYED_SIZE
    _emit(line, row + _PACKET, delayed_at(row)["octets"])
    t["queue_head"] += 1


@kernel
def _delay(line, packet, octets, now):
    """Keep a packet until the delay of the line is over; a full queue lets its oldest go."""
    t = line_at(line)
    if t["queue_tail"] - t["queue_head"] > t["queue_mask"]:
        count(t["counters"], _CROWDED)
        _emit_oldest(line)
    row = t["queue"] + (t["queue_tail"] & t["queue_mask"]) * DELAYED_SIZE
    delayed_at(row)["due"] = now + t["delay"]
    delayed_at(row)["octets"] = octets
    copy(row + _PACKET, packet, octets)
    t["queue_tail"] += 1


@kernel(inline=True)
def _pass_on(line, packet, octets, now):
    """Send a packet, or keep it until the delay of the line is over."""
    if line_at(line)["delay"] > 0:
        _delay(line, packet, octets, now)
    else:
        _emit(line, packet, octets)


@kernel(inline=True)
def _release(line, now):
    """Send the packet that another one was to overtake."""
    t = line_at(line)
    octets = t["held_octets"]
    t["held_octets"] = 0
    _pass_on(line, t["held"], octets, now)


@kernel
def _impair(line, packet, octets, now):
    """Send a packet on a line that loses, repeats or reorders some."""
    t = line_at(line)
    if chance(t["random"], t["loss"]):
        count(t["counters"], _LOST)
        return
    if chance(t["random"], t["reorder"]) and t["held_octets"] == 0:
        count(t["counters"], _REORDERED)
        copy(t["held"], packet, octets)
        t["held_octets"] = octets
        t["held_until"] = now + HELD_NANOSECONDS
        return
    _pass_on(line, packet, octets, now)
    if chance(t["random"], t["duplicate"]):
        count(t["counters"], _DUPLICATED)
        _pass_on(line, packet, octets, now)
    if t["held_octets"] > 0:
        _release(line, now)


@kernel(inline=True)
def _broadcast(publisher, octets, now):
    """Send the packet that was built on every line."""
    p = publisher_at(publisher)
    for index in range(p["line_count"]):
        line = p["lines"] + LINE_SIZE * index
        t = line_at(line)
        if t["loss"] | t["duplicate"] | t["reorder"] | t["held_octets"]:
            _impair(line, p["packet"], octets, now)
        else:
            _pass_on(line, p["packet"], octets, now)
    p["last_sent"] = now


@kernel(inline=True)
def _header(publisher, address, sequence, messages):
    """Write a downstream header for the session of the publisher."""
    return encode_downstream_header(address, publisher + _SESSION, sequence, messages)


@kernel
def publish(publisher, last, packets, now):
    """Send messages up to number ``last``, in up to ``packets`` packets; returns the packets."""
    p = publisher_at(publisher)
    store = p["store"]
    s = store_at(store)
    sent = 0
    while p["published"] < last and sent < packets:
        first = p["published"] + 1
        if unlikely(first < s["oldest"]):
            count(p["counters"], _UNPUBLISHED, s["oldest"] - first)
            first = s["oldest"]
        limit = min(last, first + MESSAGES_PER_PACKET_MAX - 1)
        offset, octets, messages = run(store, first, limit,
                                       p["packet_octets"] - DOWNSTREAM_HEADER_SIZE)
        _header(publisher, p["packet"], first, messages)
        copy(p["packet"] + DOWNSTREAM_HEADER_SIZE, s["base"] + offset, octets)
        _broadcast(publisher, DOWNSTREAM_HEADER_SIZE + octets, now)
        count(p["counters"], _PACKETS)
        p["published"] = first + messages - 1
        sent += 1
    return sent


@kernel
def pulse(publisher, now):
    """Send what is due by now: delayed packets, held ones, and a heartbeat after silence.

    Returns the time when this is due again.
    """
    p = publisher_at(publisher)
    if now - p["last_sent"] >= p["heartbeat"]:
        _header(publisher, p["packet"], p["published"] + 1,
                END_OF_SESSION if p["ended"] else HEARTBEAT)
        count(p["counters"], _HEARTBEATS)
        _broadcast(publisher, DOWNSTREAM_HEADER_SIZE, now)
    due = p["last_sent"] + p["heartbeat"]
    for index in range(p["line_count"]):
        line = p["lines"] + LINE_SIZE * index
        t = line_at(line)
        if t["held_octets"] > 0:
            if t["held_until"] <= now:
                _release(line, now)
            else:
                due = min(due, t["held_until"])
        while t["queue_head"] < t["queue_tail"]:
            row = t["queue"] + (t["queue_head"] & t["queue_mask"]) * DELAYED_SIZE
            if delayed_at(row)["due"] > now:
                due = min(due, delayed_at(row)["due"])
                break
            _emit_oldest(line)
    return due


@kernel
def answer(publisher):
    """Answer the requests that wait, up to a bound, each with one packet to its sender.

    A request for another session, or for messages that are not held, gets no answer.
    """
    p = publisher_at(publisher)
    store = p["store"]
    s = store_at(store)
    for _ in range(REQUESTS_PER_TURN):
        store32(p["peer"] + SOCKET_ADDRESS, SOCKET_ADDRESS)
        octets = recvfrom(p["request_socket"], p["request"], 2 * REQUEST_SIZE, MSG_DONTWAIT,
                          p["peer"], p["peer"] + SOCKET_ADDRESS)
        if octets < 0:
            return
        count(p["counters"], _REQUESTS)
        request = p["request"]
        first = load_be64(request + 10)
        wanted = load_be16(request + 18)
        if octets != REQUEST_SIZE or wanted == HEARTBEAT:
            count(p["counters"], _MALFORMED)
        elif (load64(request) != load64(publisher + _SESSION)
              or load16(request + 8) != load16(publisher + _SESSION + 8)):
            count(p["counters"], _WRONG_SESSION)
        elif first < s["oldest"] or first > p["published"]:
            count(p["counters"], _UNKNOWN)
        elif not chance(p["random"], p["request_loss"]):
            last = min(first + min(wanted, MESSAGES_PER_PACKET_MAX) - 1, p["published"])
            offset, size, messages = run(store, first, last,
                                         p["packet_octets"] - DOWNSTREAM_HEADER_SIZE)
            _header(publisher, p["packet"], first, messages)
            copy(p["packet"] + DOWNSTREAM_HEADER_SIZE, s["base"] + offset, size)
            sendto(p["request_socket"], p["packet"], DOWNSTREAM_HEADER_SIZE + size, MSG_DONTWAIT,
                   p["peer"], SOCKET_ADDRESS)
            count(p["counters"], _REPEATED, messages)


@kernel
def pace(publisher, begin, rate, last, until):
    """Publish up to number ``last`` at ``rate`` messages a second since ``begin``, until a time.

    Times are monotonic nanoseconds. Messages go out ``PACED`` or more at a time, so that packets
    are nearly full. Requests are answered in between. Returns the time now.
    """
    p = publisher_at(publisher)
    now = nanoseconds(CLOCK_MONOTONIC)
    while now < until and p["published"] < last:
        # Split so that the product stays within 63 bits for weeks at any rate.
        elapsed = now - begin
        due = elapsed // 1_000_000 * rate // 1_000 + elapsed % 1_000_000 * rate // 1_000_000_000
        if due - p["published"] >= PACED or due >= last:
            publish(publisher, min(due, last), PACED, now)
        else:
            c_usleep(20)
        answer(publisher)
        pulse(publisher, now)
        now = nanoseconds(CLOCK_MONOTONIC)
    return now
