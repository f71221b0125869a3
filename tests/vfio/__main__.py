"""Boot the virtual machine and let the driver prove itself: ``make test-vfio``.

QEMU emulates a processor, an IOMMU and the device in software (TCG): it needs no KVM and no root.
"""

import os
import subprocess
import sys
import time

from tests.vfio import image

SECONDS = float(os.environ.get("TICKWIRE_VFIO_SECONDS", "300"))
MEMORY = "1024"


def boot(guest: str, *options: str) -> list[str]:
    """Boot ``tests.vfio.guest``; show what it says and return its lines."""
    command = [
        image.tool("qemu-system-x86_64", "qemu-system-x86"), "-M", "q35", "-accel", "tcg",
        "-cpu", "max", "-m", MEMORY, "-smp", "1", "-nographic", "-no-reboot", "-nodefaults",
        "-serial", "stdio", "-kernel", str(image.vmlinuz()), "-initrd",
        str(image.initramfs(guest)), *options, "-append",
        "console=ttyS0 quiet no_timer_check intel_iommu=on iommu=nopt hugepages=16 panic=-1 "
        "rdinit=/init"]
    lines, until = [], time.monotonic() + SECONDS
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True, errors="replace") as machine:
        assert machine.stdout is not None
        os.set_blocking(machine.stdout.fileno(), False)
        while machine.poll() is None and time.monotonic() < until:
            line = machine.stdout.readline()
            if not line:
                time.sleep(0.05)
                continue
            lines.append(line.strip())
            print(line, end="", flush=True)
        machine.kill()
        lines += machine.stdout.read().splitlines() if machine.stdout else []
    return lines


def main() -> int:
    """Run the guest's tests; return the exit status."""
    begin = time.monotonic()
    try:
        lines = boot("guest_driver", "-device", "intel-iommu,intremap=on,caching-mode=on",
                     "-device", "edu,dma_mask=0xffffffffffff")
    except image.Missing as missing:
        print(missing, file=sys.stderr)
        return 2
    is_passed = "PASS" in lines
    print(f"{'passed' if is_passed else 'FAILED'} in {time.monotonic() - begin:.0f} s")
    return 0 if is_passed else 1


if __name__ == "__main__":
    sys.exit(main())
