"""A FIX session leased to the engine: new orders go out from its own loop, whole and stored.

Two threads share the session's numbers, store and socket, and only one has them at a time. Control
takes them back with :func:`take_back`, for as long as it does anything, and gives them out again
with :func:`give`; the engine only ever tries. What it cannot send, it hands to control as it does
without a lease, and from then on everything, until control has sent that: nothing overtakes.
"""

import numpy as np

from tickwire.kernels import frame_ring
from tickwire.kernels.fix_orders import encode_order
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    CLOCK_REALTIME,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    copy,
    full_fence,
    load8,
    load32,
    load64_acquire,
    nanoseconds,
    pause,
    send,
    shift_right,
    store32,
    store64,
    store64_release,
    view,
)
from tickwire.spec.intents import Operation
from tickwire.spec.records import ORDER_RELEASED, RECORD_SIZE
from tickwire.spec.render import dtype

LEASE = np.dtype([
    ("wanted", "i8"),            # control has the session, or waits for it
    ("apart", "i8", 7),
    ("busy", "i8"),              # the engine is sending
    ("unsent", "i8"),            # records that the engine handed to control to be sent
    ("apart_too", "i8", 6),
    ("taken", "i8"),             # those that control has taken
    ("is_given", "i8"),          # the rest holds; written by whoever has the session
    ("socket", "i8"),
    ("template", "i8"),          # TEMPLATE of the session's order messages
    ("room", "i8"),              # fix_orders.ROOM octets to write one in
    ("sequence", "i8"),          # number of the next message
    ("journal", "i8"),           # address of the store's mapped window
    ("tail", "i8"),              # octets of records in it
    ("end", "i8"),               # octets that fit in it
    ("mark", "i8"),              # what every record's head has
    ("kind", "i8"),              # kind of a message that was sent
    ("sums", "i8"),              # CRC-32 of each octet, 4 octets each
    ("left", "i8"),              # octets of the last message that the socket did not take
    ("sent", "i8"),              # messages, all together
], align=True)
WANTED, BUSY, UNSENT, TAKEN = (LEASE.fields[name][1] for name in (
    "wanted", "busy", "unsent", "taken"))
HEAD = 32                                  # octets of a record's head
NO_ROOM, HANDED_OVER, SENT = 0, 1, 2

lease_at = view(LEASE)
_released_at = view(dtype(ORDER_RELEASED))
_NEW = Operation.NEW.value
_U32 = 0xFFFF_FFFF


@kernel
def crc32(sums, address, octets):
    """CRC-32 (ISO 3309, as zlib has it) of ``octets`` at ``address``."""
    crc = _U32
    for place in range(octets):
        crc = load32(sums + 4 * ((crc ^ load8(address + place)) & 0xFF)) ^ shift_right(crc, 8)
    return crc ^ _U32


@kernel
def take_back(lease):
    """Wait until the engine is not sending; from then on it does not."""
    store64_release(lease + WANTED, 1)
    full_fence()
    while load64_acquire(lease + BUSY) != 0:
        pause()


@kernel
def give(lease):
    """Let the engine send, where ``is_given`` says so."""
    store64_release(lease + WANTED, 0)


@kernel
def _append(lease, octets, address, now):
    """Append the message to the store: its record is whole before its length is there."""
    s = lease_at(lease)
    head = s["journal"] + s["tail"]
    copy(head + HEAD, address, octets)
    store32(head + 8, s["mark"])
    store32(head + 12, s["kind"])
    store64(head + 16, s["sequence"])
    store64(head + 24, now)
    store32(head + 4, crc32(s["sums"], head + 8, HEAD - 8 + octets))
    store32(head, octets)
    s["tail"] += (HEAD + octets + 7) & ~7


@kernel
def send_order(lease, releases, record):
    """Send the message that the ORDER_RELEASED ``record`` asks for, if the engine may; 1 then.

    The record goes to control with the message's number as its stamp. What the socket did not
    take is ``left``, and the engine sends no more until control has seen to that.
    """
    s = lease_at(lease)
    if (_released_at(record)["operation"] != _NEW
            or load64_acquire(lease + UNSENT) != load64_acquire(lease + TAKEN)):
        return 0
    store64_release(lease + BUSY, 1)
    full_fence()
    if load64_acquire(lease + WANTED) != 0 or s["is_given"] == 0:
        store64_release(lease + BUSY, 0)
        return 0
    now = nanoseconds(CLOCK_REALTIME)
    found = encode_order(s["template"], record, 0, 0, s["sequence"], now, s["room"])
    address, octets = s["room"] + (found & 0xFFFF), found >> 16 & 0xFFFF
    is_sent = 0
    if (s["tail"] + HEAD + octets + 8 <= s["end"]
            and frame_ring.put(releases, record, RECORD_SIZE, s["sequence"]) != 0):
        _append(lease, octets, address, now)
        s["sequence"] += 1
        s["sent"] += 1
        is_sent = 1
        taken = max(send(np.int32(s["socket"]), address, octets,
                         MSG_DONTWAIT | MSG_NOSIGNAL), 0)
        s["left"] = octets - taken
        s["is_given"] = s["left"] == 0
    store64_release(lease + BUSY, 0)
    return is_sent


@kernel
def release(lease, releases, record):
    """Have the session send what the ORDER_RELEASED ``record`` asks for; ``lease`` 0 is none.

    Returns SENT when it is on its way, HANDED_OVER when control is to send it, and is to be woken,
    and NO_ROOM when it must be tried again.
    """
    if lease != 0 and send_order(lease, releases, record) != 0:
        return SENT
    if frame_ring.put(releases, record, RECORD_SIZE, 0) == 0:
        return NO_ROOM
    if lease != 0:
        store64_release(lease + UNSENT, load64_acquire(lease + UNSENT) + 1)
    return HANDED_OVER
