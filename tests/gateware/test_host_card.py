"""A host finds, uses and resets a card behind AMD's block for PCIe, at both widths.

Method: cocotb with cocotbext-pcie's root complex and its model of the UltraScale+ block, neither
of which shares code with ours; ``cocotb_host_card`` has the cases. One compiled card a width.
"""

import pytest

from tests.gateware.harness import run_cocotb
from tickwire.spec.geometry import CARD_SMALL
from tickwire_hw.pcie.card import HostCard

COROUTINES = "tests.gateware.cocotb_host_card"


@pytest.mark.parametrize("width", [256, pytest.param(512, marks=pytest.mark.long)])
def test_a_root_complex_finds_uses_and_resets_the_card(width):
    run_cocotb(HostCard(CARD_SMALL, width), COROUTINES,
               environment={"WIDTH": str(width), "NUMBA_DISABLE_JIT": "1"})
