"""A whole run over the order line of the compiled card, between two network namespaces.

``tests/card_machine.py`` is the machine. Skips where it may not make namespaces.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 1_500
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def found():
    """What the run left."""
    done = subprocess.run([sys.executable, "-m", "tests.card_machine"], capture_output=True,
                          text=True, timeout=SECONDS, cwd=ROOT, check=False, env=dict(os.environ))
    if done.returncode == 2:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
def test_the_compiled_card_trades_over_its_own_order_line(found):
    counters, line, statistics = found["counters"], found["line"], found["statistics"]
    assert found["kind"] == "pcie"
    assert counters["fills"] >= 3 and counters["orders_sent"] > 0
    assert counters["orders_accepted"] == statistics["orders_accepted"]
    assert counters["fills"] == statistics["fills"]
    assert statistics["messages_malformed"] == statistics["packets_malformed"] == 0
    assert statistics["orders_ignored"] <= counters["cancels_sent"]    # what had been filled then
    # Everything that the card sent was adopted, and nothing of the ring was lost.
    assert line["sent"] == line["adopted"] > 0 and line["lost_records"] == 0
    assert line["damaged"] == line["undelivered"] == 0
    assert counters["messages_lost"] == counters["intent_errors"] == 0
    assert not any("order session" in remark.lower() for remark in found["remarks"])
