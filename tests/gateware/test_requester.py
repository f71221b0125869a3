"""A best bid or offer is at the PCIe block four cycles after its event.

Method: record writer and requester in Amaranth's simulator, nothing under way; the same program
counts what ``make cycles`` publishes.
"""

import pytest

from bench.cycle.host_interface import first_beats


@pytest.mark.parametrize(("width", "cycles"), [(256, [1, 4]), (512, [1, 3])])
def test_the_state_line_is_there_after_one_cycle_and_the_record_after_four_at_most(width, cycles):
    assert first_beats(width) == cycles
