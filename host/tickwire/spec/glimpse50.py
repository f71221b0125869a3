"""Nasdaq GLIMPSE 5.0: a snapshot of the book as ITCH 5.0 messages over SoupBinTCP.

Log in with requested sequence 1. The spin holds the system events so far, then for every stock
R, H, Y and h, then A or F for every live displayed order, and ends with the message below.
"""

from .wire import Field, Message

END_OF_SNAPSHOT = Message("end_of_snapshot", "G", "End of Snapshot", "GLIMPSE 5.0, Snapshot Message", (
    Field("sequence_number", 20, "ascii", "Decimal number of the ITCH message from which to apply the live feed."),
), direction="out", note="The layout rests on one source. Variants of other venues have a binary "
    "number of 8 octets: compare the length before decoding.")
assert END_OF_SNAPSHOT.size == 21

MESSAGES: tuple[Message, ...] = (END_OF_SNAPSHOT,)
