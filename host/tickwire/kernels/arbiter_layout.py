"""Private memory of the arbiter: configuration, what the protocol keeps, what was told."""

import numpy as np

from tickwire.kernels.memory import view

NOTES = 64                                  # message blocks that are looked at ahead

ARBITER = np.dtype([
    # Configuration; may change between two packets.
    ("lines", "i8"),             # lines that a gap waits for: bit 0 line A, bit 1 line B
    ("policy", "i8"),            # GapPolicy
    ("accept_session", "i8"),    # whether another session name takes over
    ("line_timeout_ns", "i8"),   # a line silent for longer is not waited for; 0: it always is
    ("patience_ns", "i8"),       # a hole older than this is a gap, whatever a line may yet bring;
                                 # 0: it may stay open while a line has not passed it
    ("stale_ns", "i8"),          # silence of both lines after which the feed is stale; 0 never
    ("cut_through", "i8"),       # whether `retract` may follow a datagram
    ("feed_state", "i8"),        # address of the FeedState word, 8 octets
    ("registers", "i8"),         # address of the register space; 0 none

    # What `retract` puts back.
    ("expected", "i8"),          # next number that the book needs; 0: the first packet's
    ("shown", "i8", 2),          # of each line: the number after the greatest that it has shown
    ("last", "i8", 2),           # of each line: time of its last packet
    ("silent", "i8", 2),         # of each line: whether its silence has been counted
    ("hole", "i8"),              # number that was missing first when last looked at
    ("hole_since", "i8"),        # and since when
    ("session", "i8", 2),        # session in force: octets 0 to 7, octets 8 and 9, as loaded
    ("previous", "i8", 2),       # session before it
    ("has_session", "i8"),
    ("has_previous", "i8"),
    ("is_started", "i8"),        # a packet came
    ("is_joined", "i8"),         # a packet of the session was not ahead
    ("is_recovering", "i8"),
    ("is_stale", "i8"),
    ("end", "i8"),               # next number as the end of session tells it; 0 not ended

    ("state", "i8"),             # FeedState last told
    ("taken", "i8"),             # messages accepted from the datagram in hand
    ("saved", "i8", 24),         # copy of what `retract` puts back
    ("notes", "i8", (NOTES, 4)),   # of the blocks in hand, as `replay` keeps them
], align=True)
"""Arbiter's context. A zeroed one needs `lines`, `feed_state` and, unless it shall join wherever
the stream is, `expected` = 1; `has_session` with `session` when only that session will do."""

_FIRST, _STATE = (ARBITER.fields[name][1] for name in ("expected", "state"))
KEPT_AT = _FIRST
KEPT_SIZE = _STATE - _FIRST
SAVED_AT = ARBITER.fields["saved"][1]
NOTES_AT = ARBITER.fields["notes"][1]
assert KEPT_SIZE <= 8 * 24

arbiter_at = view(ARBITER)
