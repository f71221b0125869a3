"""The kill switch of the gateware is the kernels': causes, records, keys, watchdog.

Method: events at times that crowd the windows go to the kernels and, some cycles apart, to a batch
model; after each of them latch, epoch, times, counters and records are compared, octet for
octet. What comes in one cycle, and how many cycles anything takes, is tested by itself.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.order_rig import Rig
from tickwire.kernels import order_path
from tickwire.kernels.kill import kicked
from tickwire.spec.records import RecordType
from tickwire.spec.registers import ARM_KEY, ARM_WINDOW_NS, KillCause
from tickwire_hw.kill import ARM_LATENCY, CAUSES, Kill
from tickwire_sim.verilate import verilate

APART = 8                                      # cycles from event to event
US = 1_000
U32 = 0xFFFF_FFFF
COUNTED = {"kills": "KILLS", "arms": "ARMS", "arms_refused": "ARMS_REFUSED",
           "watchdog_kicks": "WATCHDOG_KICKS", "watchdog_refused": "WATCHDOG_REFUSED"}


@pytest.fixture(scope="module")
def model():
    return verilate(Kill())


class Pair:
    """The kernels and the component, and the time of both."""

    def __init__(self, model, period=0, closed=0, action=0):
        self.rig, self.model, self.now = Rig(is_ready=False), model, 0
        context = self.rig.path.context
        context["watchdog_ns"], context["watchdog_closed_ns"] = period * US, closed * US
        context["kill_action"] = action
        self.fixed = {"watchdog_period": period, "watchdog_closed": closed, "mass_cancel": action,
                      "record__ready": 1}
        self.counted = dict.fromkeys(COUNTED, 0)
        self.sweeps = 0
        model.restart()
        self.give()

    def key(self, which):
        first = int(self.rig.path.context["epoch"]) ^ ARM_KEY
        return {"first": first, "second": first ^ U32, "wrong": first ^ 1}[which]

    def give(self, **first):
        """Run the component; ``first`` is what comes in the first cycle."""
        rows = self.model.rows(APART, now=self.now, **self.fixed)
        for name, value in first.items():
            rows[name][0] = value
        found = self.model.run(rows)
        for name in self.counted:
            self.counted[name] += int(self.model.get(found, "counted", name).sum())
        self.sweeps += int(found["is_sweep"].sum())
        self.last = found[-1]
        kept = found[found["record__valid"] == 1]
        assert set(self.model.get(kept, "record__payload", "kind")) <= {int(RecordType.KILL)}
        octets = self.model.get(kept, "record__payload", "octets")
        return [np.ascontiguousarray(row).tobytes() for row in octets]

    def event(self, after, kind, value):
        """Let time go on, then give one event to both; compare everything."""
        self.now += after
        address, now = self.rig.address, self.now
        swept = int(self.rig.path.context["sweep"])
        if kind == "wait":
            found = self.give()
        elif kind == "arm":
            key = self.key(value)
            order_path.watch(address, now)       # a watchdog that is due is a cause: before the key
            order_path.arm(address, key, now)
            found = self.give(i_arm__valid=1, i_arm__payload=key | 7 << 32)
        elif kind == "kill":
            order_path.kill(address, value & (1 << CAUSES) - 1 or KillCause.REGISTER, now)
            found = self.give(i_kill__valid=1, i_kill__payload=value)
        elif kind == "cause":
            order_path.kill(address, value, now)
            found = self.give(causes=value)
        elif kind == "nop":
            kicked(address, now)
            found = self.give(is_proven=1)
        else:
            order_path.kick(address, value, now)
            found = self.give(i_kick__valid=1, i_kick__payload=value & (1 << 64) - 1)
        order_path.watch(address, now)
        self.compare(found, swept)

    def compare(self, found, swept):
        context, last = self.rig.path.context, self.last
        assert int(last["killed"]) == int(self.rig.path.killed)
        assert bool(last["is_killed"]) == bool(self.rig.path.killed)
        for name in ("epoch", "kill_time", "kick_time"):
            assert int(last[name]) == int(context[name]), name
        for name, counter in COUNTED.items():
            assert self.counted[name] == self.rig.count(counter), name
        assert self.sweeps == int(context["sweep"]) - swept
        self.sweeps = 0
        context["sweep"] = 0
        assert found == self.records()

    def records(self):
        """Octets of the kernels' new records, without trailer."""
        ring = self.rig.path.ring
        before, self.read = getattr(self, "read", 0), int(ring["written"])
        records = self.rig.path.arena.view("records", np.uint8).reshape(-1, 64)
        return [records[number & int(ring["mask"])][:56].tobytes()
                for number in range(before, self.read)]


times = st.sampled_from([0, 1, 999, 1_000, 1_001, 1_999, 2_000, 2_001, ARM_WINDOW_NS - 1,
                         ARM_WINDOW_NS, ARM_WINDOW_NS + 1, 10_000_000])
kicks = st.sampled_from([0, 1, 2, 3, 4, 5, (1 << 63) - 1, -1, -(1 << 63)])
masks = st.sampled_from([int(cause) for cause in KillCause]) | st.integers(0, (1 << CAUSES) - 1)
events = st.one_of(
    st.tuples(times, st.just("arm"), st.sampled_from(["first", "second", "second", "wrong"])),
    st.tuples(times, st.just("kill"), masks | st.just(0x8000_0000) | st.just(U32)),
    st.tuples(times, st.just("cause"), masks.filter(bool)),
    st.tuples(times, st.just("kick"), kicks), st.tuples(times, st.just("nop"), st.none()),
    st.tuples(times, st.just("wait"), st.none()))
armed = st.tuples(st.tuples(times, st.just("arm"), st.just("first")),
                  st.tuples(times, st.just("arm"), st.just("second")))


@given(st.lists(st.one_of(events.map(lambda one: (one,)), armed), max_size=20),
       st.sampled_from([0, 1, 2, U32]), st.sampled_from([0, 0, 1, 2]), st.integers(0, 1))
@settings(max_examples=80, deadline=None)
def test_latch_keys_and_watchdog_are_the_kernels(model, groups, period, closed, action):
    pair = Pair(model, period, closed, action)
    for group in groups:
        for event in group:
            pair.event(*event)


def armed_pair(model, **options):
    pair = Pair(model, **options)
    pair.event(1, "arm", "first")
    pair.event(1, "arm", "second")
    assert not pair.last["is_killed"]
    return pair


@pytest.mark.parametrize("cause", [{"i_kill__valid": 1}, {"causes": KillCause.EXTERNAL},
                                   {"causes": KillCause.LINK_DOWN}], ids=str)
def test_the_latch_is_closed_one_cycle_after_the_cause(model, cause):
    armed_pair(model)
    rows = model.rows(3, now=9, record__ready=1)
    for name, value in cause.items():
        rows[name][0] = value
    found = model.run(rows)
    assert list(found["is_killed"]) == [0, 1, 1]
    assert list(found["record__valid"]) == [0, 1, 0]


def test_a_silent_watchdog_bites_within_three_cycles_and_not_before(model):
    armed_pair(model, period=1)
    # Armed at 2 ns; a cycle is 8 ns; the period is over when more than 1,000 ns have passed.
    rows = model.rows(140, watchdog_period=1, record__ready=1)
    rows["now"] = 2 + 8 * np.arange(140)
    found = model.run(rows)
    first = int(np.flatnonzero(found["is_killed"])[0])
    assert rows["now"][first - 3] == 2 + 1_008
    assert int(found[first]["killed"]) == KillCause.WATCHDOG


@pytest.mark.parametrize("late", [-1, 0, 1])
def test_a_kick_in_time_is_never_too_late(model, late):
    armed_pair(model, period=1)
    rows = model.rows(140, watchdog_period=1, record__ready=1)
    rows["now"] = 2 + 8 * np.arange(140)
    rows["i_kick__valid"][125 + late], rows["i_kick__payload"] = 1, 5
    assert not model.run(rows)["is_killed"].any()


def test_keys_that_come_too_close_together_are_refused(model):
    for apart in range(1, ARM_LATENCY + 2):
        pair = Pair(model)
        rows = model.rows(12, now=5, record__ready=1)
        for at, which in ((0, "first"), (apart, "second")):
            rows["i_arm__valid"][at], rows["i_arm__payload"][at] = 1, pair.key(which)
        found = model.run(rows)
        assert bool(found[-1]["is_killed"]) == (apart < ARM_LATENCY)
        refused = int(model.get(found, "counted", "arms_refused").sum())
        assert (refused > 0) == (apart < ARM_LATENCY)


def test_no_key_arms_while_a_cause_shows(model):
    pair = Pair(model)
    rows = model.rows(40, now=5, record__ready=1, causes=KillCause.FEED_STALE)
    for at, which in ((2, "first"), (12, "second")):
        rows["i_arm__valid"][at], rows["i_arm__payload"][at] = 1, pair.key(which)
    found = model.run(rows)
    assert found["is_killed"].all()
    assert int(found["record__valid"].sum()) == 1


def test_causes_that_show_while_a_record_waits_are_told_by_it(model):
    armed_pair(model)
    rows = model.rows(10, now=50)
    rows["causes"][1], rows["causes"][4] = KillCause.EXTERNAL, KillCause.LINK_DOWN
    rows["record__ready"][8:] = 1
    found = model.run(rows)
    assert list(found["record__valid"]) == [0, 0, 1, 1, 1, 1, 1, 1, 1, 0]
    octets = model.get(found, "record__payload", "octets")[8].tobytes()
    assert int.from_bytes(octets[8:12], "little") == KillCause.EXTERNAL | KillCause.LINK_DOWN


def test_a_kick_that_comes_too_soon_kills_and_the_first_after_arming_does_not(model):
    pair = armed_pair(model, closed=1)
    pair.event(10, "kick", 1)
    pair.event(1_000, "kick", 2)
    assert not pair.last["is_killed"]
    pair.event(999, "kick", 3)
    assert int(pair.last["killed"]) == KillCause.WATCHDOG
