"""Tell when the compiler is really at work: what comes from the disk compiles nothing."""

from collections.abc import Callable

from numba.core import event

_PASS = "numba:run_pass"                   # of kernels and of C callbacks alike


class _First(event.Listener):
    """Calls once, at the first pass over anything."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell, self._is_told = tell, False

    def on_start(self, event: object) -> None:
        """A pass begins."""
        if not self._is_told:
            self._is_told = True
            self._tell()

    def on_end(self, event: object) -> None:
        """A pass is over."""


def when_compiling(tell: Callable[[], None]) -> None:
    """Call ``tell`` once, in the thread that compiles, before this process compiles anything."""
    event.register(_PASS, _First(tell))
