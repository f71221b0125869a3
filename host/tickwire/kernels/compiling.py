"""Tell what the compiler is really at: what comes from the disk compiles nothing."""

import time
from collections.abc import Callable
from functools import partial

from numba.core import event

_PASS = "numba:run_pass"                   # of kernels and of C callbacks alike
_APART_SECONDS = 0.2                       # between two calls

Tell = Callable[[str, int], None]


class _Listener(event.Listener):
    """Counts functions by the passes over them, Numba's own left out, and tells now and then."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._due = tell, 0.0
        self._seen: set[tuple[str, str, str]] = set()

    def on_start(self, event: event.Event) -> None:
        """A pass begins."""
        details = event.data
        function = details["module"], details["qualname"], details["args"]
        if function in self._seen or function[0].startswith("numba."):
            return
        self._seen.add(function)
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _APART_SECONDS
            self._tell(f"{function[0].rpartition('.')[2]}.{function[1]}", len(self._seen))

    def on_end(self, event: event.Event) -> None:
        """A pass is over."""


def when_compiling(tell: Tell) -> Callable[[], None]:
    """Call ``tell`` in the thread that compiles, before the first function and then now and then.

    It gets the function, as ``module.name``, and how many this process has begun with that one.
    What is returned ends it.
    """
    listener = _Listener(tell)
    event.register(_PASS, listener)
    return partial(event.unregister, _PASS, listener)
