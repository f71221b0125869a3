"""The clock of the gateware is the kernel's in every cycle, and never goes back.

Method: writes at random cycles go to a batch model and to the kernel, which passes many cycles at
once; the time is compared in all of them with a sum that is made here from the definition. Time,
rates and corrections crowd the bounds: carries, the least step, both signs.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.kernels import clock
from tickwire_hw.clock import INCREMENT, LATENCY, Clock
from tickwire_sim.verilate import verilate

BITS = 32
CYCLES = 400
_AGE = LATENCY - 1                             # cycles until a write works


@pytest.fixture(scope="module")
def model():
    return verilate(Clock())


class Kernel:
    """The kernel on memory of its own."""

    def __init__(self):
        self.state = np.zeros(1, clock.CLOCK)
        self.state["increment"] = INCREMENT
        self.address = self.state.ctypes.data

    def __getitem__(self, name):
        return int(self.state[name][0])


edges = st.sampled_from([0, 1, 0xFFFF, 0x10000, 0x0000_FFFF_FFFF, 1 << 62, (1 << 62) + 0xFFFA])
writes = st.dictionaries(
    st.integers(0, CYCLES - 20), st.one_of(
        st.tuples(st.just("i_increment"), st.sampled_from(
            [1, 2, 1 << BITS, INCREMENT, INCREMENT + 3, (1 << 40) - 1, 3_103_030_303])),
        st.tuples(st.just("i_set"), edges),
        st.tuples(st.just("i_slew"), st.sampled_from(
            [0, 1, -1, 5, -300, 100, (1 << 31) - 1, -(1 << 31), 12_345])),
        st.tuples(st.just("rate"), st.sampled_from([0, 1, 1 << 20, 1 << 31, (1 << 32) - 1]))),
    max_size=8)


def steps(kernel, given):
    """Yield the time of every cycle from the definition, and move the kernel along."""
    numerator = 0
    increment, rate, left = INCREMENT, 0, 0
    since = 0
    for cycle in range(CYCLES):
        yield numerator
        name, value = given.get(cycle - _AGE, ("", 0))
        if name:
            clock.advance(kernel.address, since)
            assert (kernel["time"] << BITS) + kernel["fraction"] == numerator
            assert kernel["left"] == left
            since = 0
        if name == "i_increment":
            increment = kernel.state["increment"] = value
        elif name == "rate":
            rate = kernel.state["rate"] = value
        elif name == "i_slew":
            left = value << BITS
            clock.slew(kernel.address, value)
        elif name == "i_set":
            clock.put(kernel.address, value)
            numerator, left = value << BITS, 0
            continue
        most = min(rate, increment >> 1)
        step = min(max(left, -most), most)
        left -= step
        numerator += increment + step
        since += 1


@given(writes)
@settings(max_examples=150, deadline=None)
def test_the_time_is_the_sum_of_its_definition_in_every_cycle(model, given):
    rows = model.rows(CYCLES)
    rate = 0
    for cycle in range(CYCLES):
        name, value = given.get(cycle, ("", 0))
        if name == "rate":
            rate = value
        elif name:
            rows[f"{name}__valid"][cycle] = 1
            rows[f"{name}__payload"][cycle] = value & (1 << 64) - 1
        rows["rate"][cycle] = rate
    model.restart()
    now = model.run(rows)["now"]
    expected = [numerator >> BITS for numerator in steps(Kernel(), given)]
    assert now.tolist() == expected
    sets = {cycle + LATENCY for cycle, (name, _) in given.items() if name == "i_set"}
    assert all(now[cycle] >= now[cycle - 1] for cycle in range(1, CYCLES) if cycle not in sets)


def test_a_correction_is_made_at_its_rate_and_ends_exactly(model):
    model.restart()
    rows = model.rows(3_000, rate=1 << 30)     # a quarter of a nanosecond a cycle
    rows["i_slew__valid"][100], rows["i_slew__payload"][100] = 1, 500
    found = model.run(rows)
    plain = np.arange(3_000) * INCREMENT >> BITS
    ahead = found["now"].astype(np.int64) - plain
    assert ahead[100 + LATENCY - 1] == 0 and ahead[100 + _AGE + 2_000] == 500
    assert ahead[100 + _AGE + 1_000] in (249, 250, 251)
    assert ahead[-1] == 500 and np.abs(np.diff(ahead)).max() <= 1
    assert int(found["left"][-1]) == 0


def test_an_armed_device_keeps_its_time(model):
    model.restart()
    rows = model.rows(40, is_armed=1)
    rows["i_set__valid"][10], rows["i_set__payload"][10] = 1, 1 << 40
    assert model.run(rows)["now"].max() < 300


def test_an_increment_of_zero_is_ignored(model):
    model.restart()
    rows = model.rows(40)
    rows["i_increment__valid"][3], rows["i_increment__payload"][3] = 1, 1 << 40
    assert model.run(rows)["now"][-1] == 39 * INCREMENT >> BITS


def test_a_snapshot_keeps_clock_and_counter_of_one_cycle(model):
    model.restart()
    rows = model.rows(60)
    rows["snap"][[20, 45]] = 1
    found = model.run(rows)
    for at in (20, 45):
        assert int(found["snap_time"][at + 1]) == int(found["now"][at])
        assert int(found["snap_counter"][at + 1]) == at
    assert int(found["snap_time"][44]) == int(found["now"][20])


@given(st.integers(1, (1 << 40) - 1), st.integers(0, (1 << 32) - 1),
       st.integers(-(1 << 31), (1 << 31) - 1), st.lists(st.integers(0, 1 << 22), max_size=5))
@settings(deadline=None)
def test_many_cycles_at_once_are_what_they_are_one_by_one(increment, rate, by, counts):
    kernel, most = Kernel(), min(rate, increment >> 1)
    kernel.state["increment"], kernel.state["rate"] = increment, rate
    clock.slew(kernel.address, by)
    total, left = 0, by << BITS
    for count in counts:
        step = min(max(left, -most * count), most * count)
        left -= step
        total += increment * count + step
        assert clock.advance(kernel.address, count) == total >> BITS
    assert kernel["left"] == left
