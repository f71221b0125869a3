"""Errors that a user sees: one sentence that names the value, the rule and the place."""

import os

INTERNAL_STATUS = 70                       # EX_SOFTWARE of <sysexits.h>: a fault of our own


class TickwireError(Exception):
    """Something that a user can put right. Its text is a whole sentence, printed as it is."""

    exit_code = 2


class InputError(TickwireError):
    """A file, packet or stream that cannot be read further; what came before it is kept."""

    exit_code = 3


def system_reason(error: OSError) -> str:
    """Return the system's words for ``error``; asyncio puts its own and an address around them.

    An ``ssl.SSLError`` has numbers of its own: its text says what it is.
    """
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
