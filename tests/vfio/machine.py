"""The virtual machine: QEMU emulates processor and devices in software, without KVM or root."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from tests.vfio import image

SECONDS = float(os.environ.get("TICKWIRE_VFIO_SECONDS", "600"))
_APPEND = "console=ttyS0 quiet no_timer_check panic=-1 rdinit=/init hugepages=16"
_CHUNK = 1 << 16
_CONTROLS = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|c)")    # by which its firmware sets a terminal


class Machine:
    """A machine that runs an init and powers itself off; ``lines`` is what it has said."""

    def __init__(self, initramfs: Path, *options: str, append: str = "",
                 pass_fds: Sequence[int] = ()) -> None:
        """Boot it; ``options`` are QEMU's, memory among them."""
        self.lines: list[str] = []
        self._rest, self._until = b"", time.monotonic() + SECONDS
        known = subprocess.run([image.QEMU, "-device", "help"], capture_output=True, text=True,
                               check=True).stdout
        for option, value in pairwise(options):
            device = value.split(",")[0]
            if option == "-device" and f'name "{device}"' not in known:
                raise image.Missing(f"This QEMU has no device {device}: apt-get install "
                                    f"{image.TOOLS[image.QEMU]}.")
        self._process = subprocess.Popen(
            [image.QEMU, "-accel", "tcg", "-cpu", "max",
             "-smp", "1", "-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio", "-kernel",
             str(image.vmlinuz()), "-initrd", str(initramfs), *options, "-append",
             f"{_APPEND} {append}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            pass_fds=pass_fds)
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._output, False)

    def listen(self) -> bool:
        """Take and show what it says; returns whether it still runs and has time left.

        A line that begins like a JSON object is for programs, and not shown.
        """
        is_running = self._process.poll() is None
        if is_running and time.monotonic() > self._until:
            print(f"The virtual machine was not done within {SECONDS:g} s; "
                  "TICKWIRE_VFIO_SECONDS gives it more.", file=sys.stderr)
            is_running = False
        while True:
            try:
                octets = os.read(self._output, _CHUNK)
            except BlockingIOError:
                break
            if not octets:
                break
            *whole, self._rest = (self._rest + octets).split(b"\n")
            for line in whole:
                self.lines.append(_CONTROLS.sub("", line.decode(errors="replace")).strip())
                if not self.lines[-1].startswith("{"):
                    print(self.lines[-1], flush=True)
        return is_running

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        self.listen()
        assert self._process.stdout is not None
        self._process.stdout.close()
