"""Child processes for tests of :mod:`tickwire.commands.children`."""

import signal
import time

from tickwire.commands.children import Parent
from tickwire.errors import TickwireError


def sleep(parent: Parent, _: object) -> None:
    """Say that it runs, then wait to be stopped."""
    parent.say(state="running")
    parent.wait_here("stop")


def compile_once(parent: Parent, _: object) -> None:
    """Say that it compiles, as a device does; at the end tell a number."""
    parent.say(compiling="book.apply", number=7)
    parent.say(state="running")
    parent.wait_here("stop")
    parent.say(state="ended", statistics={"records_coalesced": 3})


def refuse(parent: Parent, _: object) -> None:
    """Refuse, as for something that an operator can put right."""
    raise TickwireError("Nothing works today.")


def refuse_to_end(parent: Parent, _: object) -> None:
    """Say that it runs, and fail when it is to end."""
    sleep(parent, _)
    raise TickwireError("The loop did not stop.")


def fail(parent: Parent, _: object) -> None:
    """Fail, as for a mistake of ours."""
    raise ValueError("oops")


def ignore(parent: Parent, _: object) -> None:
    """Run on, whatever the parent says."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent.say(state="running")
    while True:
        time.sleep(1)
