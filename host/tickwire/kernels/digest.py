"""Digest of a stream of records: equal for equal streams, whatever the clocks did.

Every octet that the tables do not call volatile counts, and so does the order of the records.
A record is reduced to 64 bits, a CRC-32C of its even words beside one of its odd words; those of
successive records do not wait for each other, and only three instructions a record are in
sequence. 64 bits, not meant against malice.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import crc32c_step, load8, load64, multiply, shift_right
from tickwire.spec.geometry import HASH_MULTIPLIER
from tickwire.spec.records import RECORD_SIZE, RECORDS, TRAILER_OFFSET

DIGEST_EMPTY = 0
_TYPE_AT = TRAILER_OFFSET + 4
_MULTIPLIER = HASH_MULTIPLIER - (1 << 64)


def masks() -> np.ndarray:
    """Return one row of 8 words for each type octet: the bits of a record that count."""
    table = np.full((256, RECORD_SIZE), 0xFF, np.uint8)
    for kind, message in RECORDS.items():
        for field, offset in message.placed():
            if field.volatile:
                table[kind, offset:offset + field.size] = 0
    return table.view(np.int64)


@kernel(inline=True)
def fold(digest, record, table):
    """Digest of a stream whose digest is ``digest`` and the record that follows it.

    ``table`` is the address of :func:`masks`.
    """
    mask = table + load8(record + _TYPE_AT) * RECORD_SIZE
    even, odd = 0, 0
    for offset in range(0, RECORD_SIZE, 16):
        even = crc32c_step(even, load64(record + offset) & load64(mask + offset))
        odd = crc32c_step(odd, load64(record + offset + 8) & load64(mask + offset + 8))
    digest = multiply(digest ^ (even | odd << 32), _MULTIPLIER)
    return digest ^ shift_right(digest, 29)


@kernel
def fold_all(digest, records, count, table):
    """Digest after ``count`` records, one after the other from ``records`` on."""
    for index in range(count):
        digest = fold(digest, records + index * RECORD_SIZE, table)
    return digest
