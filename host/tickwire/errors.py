"""Errors that a user sees: one sentence that names the value, the rule and the place."""

INTERNAL_STATUS = 70                       # EX_SOFTWARE of <sysexits.h>: a fault of our own


class TickwireError(Exception):
    """Something that a user can put right. Its text is a whole sentence, printed as it is."""

    exit_code = 2


class InputError(TickwireError):
    """A file, packet or stream that cannot be read further; what came before it is kept."""

    exit_code = 3
