"""Clock of a card: nanoseconds and a fraction, so much a cycle, put right without a step.

A correction is spread over cycles: each takes at most ``rate`` of it, and never more than half of
what a cycle adds, so time never goes back and never stands still.
"""

import numpy as np

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import shift_right, view
from tickwire.spec.registers import CLOCK_FRACTION_BITS

CLOCK = np.dtype([
    ("time", "i8"),              # ns
    ("fraction", "i8"),          # of a nanosecond, 2^-32
    ("increment", "i8"),         # of a cycle, 2^-32 ns, below 2^40
    ("rate", "i8"),              # correction of a cycle at most, 2^-32 ns, below 2^32
    ("left", "i8"),              # correction that is still to be made, 2^-32 ns, signed
], align=True)

clock_at = view(CLOCK)
_BITS = CLOCK_FRACTION_BITS
_MASK = (1 << CLOCK_FRACTION_BITS) - 1


@kernel
def advance(clock, cycles):
    """Let ``cycles`` pass, 0 to 2^22; returns the time, ns."""
    c = clock_at(clock)
    left = c["left"]
    most = min(c["rate"], c["increment"] >> 1) * cycles
    step = min(max(left, -most), most)
    c["left"] = left - step
    total = c["fraction"] + c["increment"] * cycles + step
    c["fraction"] = total & _MASK
    c["time"] += shift_right(total, _BITS)
    return c["time"]


@kernel
def put(clock, time):
    """Set the clock to ``time``, ns, and forget what was still to be corrected."""
    c = clock_at(clock)
    c["time"] = time
    c["fraction"] = 0
    c["left"] = 0


@kernel
def slew(clock, nanoseconds):
    """Correct by so much from now on, below 2^31 either way, instead of what is left."""
    clock_at(clock)["left"] = nanoseconds << _BITS
