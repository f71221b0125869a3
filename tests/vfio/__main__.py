"""Boot virtual machines and let the driver prove itself: ``make test-vfio``.

Two parts: VFIO and IOMMU of a real kernel under QEMU's device ``edu``, and a run in which the
driver trades through a card of software, over a BAR. ``driver`` or ``card`` as argument runs one.
"""

import argparse
import sys
import time
from collections.abc import Callable

from tests.vfio import image
from tests.vfio.machine import Machine


def driver() -> bool:
    """Test VFIO, IOMMU and interrupts; returns whether the guest's tests passed."""
    with Machine(image.initramfs("guest_driver", modules=image.VFIO), "-M", "q35", "-m", "1024",
                 "-device", "intel-iommu,intremap=on,caching-mode=on",
                 "-device", "edu,dma_mask=0xffffffffffff",
                 append="intel_iommu=on iommu=nopt") as machine:
        while machine.listen():
            time.sleep(0.05)
    return "PASS" in machine.lines


def card() -> bool:
    """Trade through a card of software; returns whether guest and venue saw the same."""
    from tests.vfio import soft_card
    return soft_card.run()


PARTS: dict[str, Callable[[], bool]] = {"driver": driver, "card": card}


def main() -> int:
    """Run the parts that are asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.vfio", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all by default")
    parts, status = parser.parse_args().parts or PARTS, 0
    for name in parts:
        begin = time.monotonic()
        try:
            image.require()
            is_passed = PARTS[name]()
        except image.Missing as missing:
            print(missing, file=sys.stderr)
            return 2
        print(f"{name} {'passed' if is_passed else 'FAILED'} in {time.monotonic() - begin:.0f} s",
              flush=True)
        status |= not is_passed
    return status


if __name__ == "__main__":
    sys.exit(main())
