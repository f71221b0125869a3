"""Offsets of a settle intent, for those who write it and those who read it."""

from tickwire.spec.intents import SETTLE, Operation

(TIMESTAMP, TOKEN, LOCATE, OPERATION, FLAGS, PRICE, QUANTITY, REASON, SESSION, PREVIOUS, REFERENCE,
 MATCH, RESERVED, CRC, EPOCH, SEQUENCE) = (offset for _, offset in SETTLE.placed())
assert SETTLE.field("match_number")[1] == MATCH and SETTLE.field("previous_token")[1] == PREVIOUS

ACCEPTED = Operation.SETTLE_ACCEPTED.value
FILLED = Operation.SETTLE_FILLED.value
CANCELED = Operation.SETTLE_CANCELED.value
REJECTED = Operation.SETTLE_REJECTED.value
REPLACED = Operation.SETTLE_REPLACED.value
IS_DEAD = 1                                # bit of FLAGS: accepted or replaced, and dead already
