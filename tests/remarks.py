"""What a run says of the machine that it is on; tests leave it out where they compare."""

import re

from tickwire.commands.run import AWAITED, LIVE
from tickwire.commands.starting import EXPLANATION, WAITING
from tickwire.device.process import FULL

_OF_MACHINE = (re.escape(EXPLANATION),     # the kernel cache is cold
               "Compiling kernels, once: .*",
               *(re.escape(WAITING.format(what)) for what in (
                   *AWAITED.values(), " and ".join(AWAITED.values()), LIVE)),
               re.escape(FULL),            # other work keeps the cores
               "The software device trades: .*",          # there is no card
               r"The system granted \d+ octets of receive buffer for .*")    # not root
_LINE = re.compile(rf"^(?:{'|'.join(_OF_MACHINE)})\n", re.MULTILINE)


def without_remarks(complaint: str) -> str:
    """Return ``complaint`` without the lines that are about the machine."""
    return _LINE.sub("", complaint)
