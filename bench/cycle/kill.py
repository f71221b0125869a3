"""From a cause of the kill to the latch, which a frame that waits obeys in its own cycle."""

from collections.abc import Iterator

import numpy as np

from bench.cycle import Row
from tickwire.spec.registers import ARM_KEY, KillCause
from tickwire_hw.kill import Kill
from tickwire_sim.model import Model
from tickwire_sim.verilate import verilate

_U32 = 0xFFFF_FFFF
_PERIOD_NS = 8
_WAIT = 200                                # cycles, more than the watchdog's period of 1 us


def rows() -> Iterator[Row]:
    """Yield the cycles of each cause."""
    model = verilate(Kill())
    for name, port in (("register", "i_kill__valid"), ("gateware", "causes")):
        _arm(model)
        given = model.rows(8, record__ready=1)
        given[port][2] = KillCause.REGISTER.value if port == "causes" else 1
        yield Row.of("kill: cause to latch", [_latched(model, given) - 2], f"{port} to is_killed",
                     message=name)
    _arm(model)
    given = model.rows(_WAIT, record__ready=1, watchdog_period=1)
    given["now"] = _PERIOD_NS * np.arange(_WAIT)
    over = int(np.flatnonzero(given["now"] > 1_000)[0])
    yield Row.of("kill: cause to latch", [_latched(model, given) - over],
                 "now beyond the watchdog's period to is_killed", message="watchdog")


def _arm(model: Model) -> None:
    model.restart()
    rows = model.rows(16)
    rows["i_arm__valid"][[0, 8]] = 1
    rows["i_arm__payload"][0], rows["i_arm__payload"][8] = 1 ^ ARM_KEY, (1 ^ ARM_KEY) ^ _U32
    model.run(rows)


def _latched(model: Model, given: np.ndarray) -> int:
    found = model.run(given)
    return int(np.flatnonzero(found["is_killed"])[0])
