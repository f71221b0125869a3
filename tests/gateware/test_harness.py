"""Components run under cocotb, and what goes wrong there fails here.

Method: a register with AXI-Stream ports, frames through cocotbext-axi with random pauses on both
sides, and runs that must fail.
"""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.gateware.harness import run_cocotb, verdict

COROUTINES = "tests.gateware.cocotb_register"


class Register(wiring.Component):
    """One beat of storage between two AXI-Streams of 64 bits; one beat in two cycles."""

    i_tdata: In(64)
    i_tkeep: In(8)
    i_tlast: In(1)
    i_tvalid: In(1)
    i_tready: Out(1)
    o_tdata: Out(64)
    o_tkeep: Out(8)
    o_tlast: Out(1)
    o_tvalid: Out(1)
    o_tready: In(1)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i_tready.eq(~self.o_tvalid)
        with m.If(self.o_tvalid):
            m.d.sync += self.o_tvalid.eq(~self.o_tready)
        with m.Elif(self.i_tvalid):
            m.d.sync += [self.o_tvalid.eq(1), self.o_tdata.eq(self.i_tdata),
                         self.o_tkeep.eq(self.i_tkeep), self.o_tlast.eq(self.i_tlast)]
        return m


def test_frames_pass_a_component_with_pauses_on_both_sides():
    run_cocotb(Register(), COROUTINES, testcase="frames_come_out_as_they_went_in")


def test_a_failing_coroutine_fails_the_test_and_says_which():
    with pytest.raises(pytest.fail.Exception) as caught:
        run_cocotb(Register(), COROUTINES, environment={"WRONG": "1"}, seed=7)
    text = str(caught.value)
    assert "1 of 2 cocotb tests failed: it_fails_where_it_is_asked_to (seed 7)" in text
    assert "assert" in text


def test_a_module_without_a_test_that_runs_is_a_failure():
    with pytest.raises(pytest.fail.Exception, match="no cocotb test ran|without results"):
        run_cocotb(Register(), "tests.gateware.harness")


def test_a_simulation_that_leaves_no_results_is_a_failure(tmp_path):
    assert verdict(tmp_path / "results.xml") == "the simulation ended without results"
