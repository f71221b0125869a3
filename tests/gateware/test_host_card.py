"""A host finds, uses and resets a card behind a block for PCIe, at every width.

Method: cocotb with cocotbext-pcie's root complex and its models, of AMD's UltraScale+ block or of
a function alone, none of which shares code with ours; ``cocotb_host_card`` has the cases. One
compiled card an adapter.
"""

import pytest

from tests.gateware.crossed_card import CrossedCard
from tests.gateware.harness import run_cocotb
from tickwire.spec.geometry import CARD_SMALL
from tickwire_hw.pcie.card import HostCard
from tickwire_hw.pcie.generic import Generic
from tickwire_hw.pcie.ultrascale import UltraScale

COROUTINES = "tests.gateware.cocotb_host_card"
pytestmark = pytest.mark.long


@pytest.mark.parametrize(("adapter", "width"), [
    (UltraScale, 256), (UltraScale, 512), (Generic, 64), (Generic, 128)])
def test_a_root_complex_finds_uses_and_resets_the_card(adapter, width):
    run_cocotb(HostCard(CARD_SMALL, adapter(width)), COROUTINES, environment={
        "ADAPTER": adapter.__name__, "WIDTH": str(width), "NUMBA_DISABLE_JIT": "1"})


def test_the_same_with_a_clock_of_its_own_for_the_core():
    run_cocotb(CrossedCard(256), COROUTINES,
               environment={"WIDTH": "256", "NUMBA_DISABLE_JIT": "1"})
