"""Time of a loop: what is due by it, and sleep until a socket is ready or the loop is woken."""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import MSG_DONTWAIT, c_ppoll, load16, load32s, recv, store64

WAKES = 64                                 # bound: wake-ups forgotten at once
_POLLFD = 8                                # octets of a struct pollfd
_REVENTS = 6                               # place of what happened in it


@kernel(inline=True)
def is_due(at, now, period):
    """Whether what is done once a ``period`` is due, next ``at`` that time.

    What is further away than its period is of before the clock was set back, and due at once.
    """
    return now >= at or at - now > period


@kernel
def sleep(polled, entries, timeout, nanoseconds):
    """Wait until one of ``entries`` rows of struct pollfd is ready, or so long.

    The last row is the waker's, whose octets are forgotten. ``timeout`` has room for a timespec.
    """
    store64(timeout, 0)
    store64(timeout + 8, nanoseconds)
    waker = polled + (entries - 1) * _POLLFD
    if c_ppoll(polled, entries, timeout, 0) > 0 and load16(waker + _REVENTS) != 0:
        for _ in range(WAKES):
            if recv(np.int32(load32s(waker)), timeout, 8, MSG_DONTWAIT) <= 0:
                break
