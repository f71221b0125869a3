"""Frames of the order line as FRAME records: what a card tells of both directions.

A record has up to forty octets of one frame, so a frame of 1,514 is 38 of them.
"""

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import copy, store64, view
from tickwire.kernels.ring import commit, slot
from tickwire.spec.records import FRAME, FrameFlag, RecordType
from tickwire.spec.render import dtype

OCTETS = FRAME.field("octets")[0].size
"""Octets of a frame that one record has at most."""

frame_at = view(dtype(FRAME))

_OCTETS_AT = FRAME.field("octets")[1]
_ORIGIN_AT = FRAME.field("origin")[1]
_FRAME = RecordType.FRAME.value
_FIRST, _LAST, _DAMAGED = (flag.value for flag in (FrameFlag.FIRST, FrameFlag.LAST,
                                                   FrameFlag.DAMAGED))


@kernel
def capture(ring, frame, size, origin, stamp, is_damaged):
    """Write the records of the ``size`` octets at ``frame``; returns their number, 0 of nothing.

    ``origin`` is a FrameOrigin, ``stamp`` the time of the first word in ns, ``ring`` a RING.
    Mirror of :class:`tickwire_hw.frame_records.FrameRecords`.
    """
    records = 0
    place = 0
    while place < size:
        octets = min(size - place, OCTETS)
        flags = _FIRST if place == 0 else 0
        if place + octets == size:
            flags |= _LAST
            if is_damaged:
                flags |= _DAMAGED
        record = slot(ring)
        for at in range(_ORIGIN_AT, _OCTETS_AT + OCTETS, 8):
            store64(record + at, 0)
        r = frame_at(record)
        r["timestamp"] = stamp
        r["origin"] = origin
        r["flags"] = flags
        r["size"] = octets
        r["place"] = place & 0xFFFF
        copy(record + _OCTETS_AT, frame + place, octets)
        commit(ring, _FRAME)
        records += 1
        place += octets
    return records
