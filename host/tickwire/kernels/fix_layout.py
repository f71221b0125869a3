"""Memory of the FIX kernels: compiled dictionaries, the index of a message, and what was found.

A dictionary is contexts (header, trailer, each message, each repeating group) of members, hashed
by tag. An entry of the index is one field of the message; nothing is copied out of its octets.
"""

import numpy as np

from tickwire.kernels.memory import view

RULES = np.dtype([
    ("contexts", "i8"),          # CONTEXT rows
    ("header", "i8"),            # address of the header's and of the trailer's context
    ("trailer", "i8"),
    ("nothing", "i8"),           # context without members: of a type that is unknown
    ("types", "i8"),             # MESSAGE_TYPE rows, open addressed by the packed type
    ("types_mask", "i8"),
    ("session_tags", "i8"),      # bit a tag: known to the session dictionary
    ("session_tags_end", "i8"),  # tags below this have a bit
    ("application_tags", "i8"),
    ("application_tags_end", "i8"),
    ("options", "i8"),           # OPTION bits
    ("slots", "i8"),             # members of all contexts together
], align=True)

CONTEXT = np.dtype([
    ("members", "i8"),           # MEMBER rows, open addressed by tag
    ("mask", "i8"),
    ("required", "i8"),          # MEMBER addresses in ascending order of tag
    ("required_count", "i8"),
    ("delimiter", "i4"),         # first tag of a group's entries; 0: no group
    ("reserved", "i4"),
], align=True)

MEMBER = np.dtype([
    ("tag", "i4"),               # 0: free
    ("slot", "i4"),              # number of the member among all of the dictionary
    ("group", "i8"),             # address of the CONTEXT of the group that it counts; 0 none
    ("values", "i8"),            # address of its VALUES; 0: any
    ("data", "i4"),              # tag of the raw data whose length it is; 0 none
    ("kind", "u1"),              # KIND of its type
    ("is_multiple", "u1"),       # values may be several, separated by blanks
    ("reserved", "u2"),
], align=True)
assert MEMBER.itemsize == 32

VALUES = np.dtype([
    ("singles", "i8", 4),        # bit an octet: values of one octet
    ("words", "i8"),             # WORD rows, open addressed: longer values; 0 none
    ("mask", "i8"),
], align=True)

WORD = np.dtype([
    ("packed", "i8"),            # first 8 octets
    ("length", "i4"),            # 0: free
    ("text", "i4"),              # reserved
    ("address", "i8"),           # all octets
], align=True)

MESSAGE_TYPE = np.dtype([
    ("packed", "i8"),            # value of 35, at most 8 octets; 0: free
    ("context", "i8"),           # address of its CONTEXT
    ("is_session", "i8"),        # member of the session dictionary
], align=True)

ENTRY = np.dtype([("tag", "i4"), ("offset", "i4"), ("length", "i4"), ("place", "i4")])
"""One field: value at ``offset`` of the message, and its place: section, entry begin, depth."""
ENTRY_SIZE = ENTRY.itemsize
assert ENTRY_SIZE == 16

BEGINS, COUNTS, DEPTH_SHIFT = 4, 8, 8       # bits of `place` beside the section
IN_HEADER, IN_BODY, IN_TRAILER = 0, 1, 2

MESSAGE = np.dtype([
    ("octets", "i4"),            # of the message, or of the stretch to pass over
    ("garbled", "i4"),           # spec.fix.Garbled; then nothing below holds
    ("fields", "i4"),
    ("reason", "i4"),            # RejectReason of the first fault, -1 none
    ("fault_tag", "i4"),
    ("flags", "i4"),             # IS_ADMIN ...
    ("begin", "i4"), ("begin_length", "i4"),     # values of 8, 35, 49, 56: offset and length
    ("type", "i4"), ("type_length", "i4"),
    ("sender", "i4"), ("sender_length", "i4"),
    ("target", "i4"), ("target_length", "i4"),
    ("body", "i4"), ("body_end", "i4"),          # octets of the body's fields
    ("sequence", "i8"),          # 34; -1 none
    ("sending_time", "i8"),      # 52 and 122, ns since 1970; -1 none
    ("original_time", "i8"),
], align=True)
assert MESSAGE.itemsize == 88

IS_ADMIN, IS_DUPLICATE, IS_RESEND, IS_KNOWN = 1, 2, 4, 8

PARSER = np.dtype([
    ("rules", "i8"),             # RULES; 0: fields are found, nothing is checked
    ("entries", "i8"),           # ENTRY rows
    ("entries_max", "i8"),
    ("message", "i8"),           # MESSAGE that is being written
    ("stamps", "i8"),            # by slot: the entry of a group, or message, that had it last
    ("stamp", "i8"),             # newest
    ("stack", "i8"),             # GROUP rows of the groups that are open
    ("rank", "i8"),              # of the first fault
    ("options", "i8"),           # of the rules
    ("header", "i8"),            # contexts of the message in hand
    ("trailer", "i8"),
    ("context", "i8"),
    ("nothing", "i8"),
    ("whole", "i8"),             # stamp of the message in hand
    ("is_session", "i8"),        # its type is of the session dictionary
    ("section", "i8"),           # of the field in hand
    ("depth", "i8"),             # groups that are open
    ("place", "i8"),             # bits of `place` of the field in hand
    ("here", "i8"),              # stamp of the entry, or message, that it is in
    ("top", "i8"),               # tag that its faults are sorted by
    ("is_header", "i8"),         # whether the header has it
], align=True)

GROUP = np.dtype([
    ("context", "i8"),
    ("stamp", "i8"),             # of the present entry
    ("declared", "i8"),
    ("entries", "i8"),
    ("tag", "i8"),               # of the count
    ("top", "i8"),               # tag of the outermost count
], align=True)

DEPTH_MAX = 12
"""Groups in groups; the deepest that the FIX Repository has is 6."""

MEMBER_SIZE, WORD_SIZE, MESSAGE_TYPE_SIZE, GROUP_SIZE = (
    kind.itemsize for kind in (MEMBER, WORD, MESSAGE_TYPE, GROUP))

CHECK_USER_DEFINED, CHECK_HAS_VALUE, CHECK_ORDER, ALLOW_UNKNOWN = 1, 2, 4, 8

(TEXT, CHARACTER, INTEGER, DECIMAL, BOOLEAN, TIMESTAMP, TIME, DATE, MONTH, DATA, DAY) = range(11)

SLACK = 64                       # octets after a message that a kernel may read

rules_at = view(RULES)
context_at = view(CONTEXT)
member_at = view(MEMBER)
values_at = view(VALUES)
word_at = view(WORD)
message_type_at = view(MESSAGE_TYPE)
entry_at = view(ENTRY)
message_at = view(MESSAGE)
parser_at = view(PARSER)
group_at = view(GROUP)
