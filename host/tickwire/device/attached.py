"""A device that another process of this machine runs, for control from outside: kill, arm, look."""

import ctypes
import mmap
import os

from tickwire.device.base import Device, register, word_at
from tickwire.device.shared import SharedMemory, attach
from tickwire.errors import TickwireError
from tickwire.kernels.engine_layout import MAILBOXES
from tickwire.spec.registers import REGISTER_SPACE

WAIT_SECONDS = 2.0


class AttachedDevice(Device):
    """Registers and counters of a running device; its rings and its limits stay its owner's.

    Its owner's loop must run, or nothing that is written is ever taken.
    """

    def __init__(self, name: str) -> None:
        """Attach to the device ``name``; raises as :func:`tickwire.device.shared.attach`."""
        self.name = name
        self._memory: SharedMemory = attach(name)
        self.kind = bytes(self._memory.header["kind"]).decode()
        place = int(self._memory.header["at_registers"])
        try:
            descriptor = os.open(self._memory.path, os.O_RDWR | os.O_NOFOLLOW)
        except OSError as error:
            self._memory.close()
            raise TickwireError(f"Device {name!r} may not be written to: {error.strerror}; only "
                                "the user who runs it may.") from None
        try:
            self._map = mmap.mmap(descriptor, REGISTER_SPACE, offset=place)
        finally:
            os.close(descriptor)
        self._registers = ctypes.addressof(ctypes.c_char.from_buffer(self._map))

    def read_register(self, name: str) -> int:
        """Return the value of a register that may be read."""
        return int(self._place(name, to_write=False).value)

    def write_register(self, name: str, value: int) -> None:
        """Write a register that is an event; only those are another process's to write."""
        place, mark = self._place(name, to_write=True), MAILBOXES.get(name)
        if mark is None:
            raise ValueError(f"Register {name} belongs to the device's owner")
        if name == "KILL":                     # a kill never waits; causes add up
            place.value = place.value | value | mark
            return
        self.wait(lambda: place.value == 0, WAIT_SECONDS, f"take what was written to {name}")
        place.value = value | mark

    def counters(self) -> dict[str, int]:
        """Return every counter by its name."""
        from tickwire.spec.counters import COUNTERS
        words = self._memory.view("counters", "u8")
        return {counter.name: int(words[place]) for place, counter in enumerate(COUNTERS)}

    def work(self) -> None:
        """Do nothing: the owner's loop does."""

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()

    def _place(self, name: str, *, to_write: bool) -> ctypes.c_uint32 | ctypes.c_uint64:
        offset, size = register(name, to_write=to_write)
        return word_at(self._registers + offset, size)
