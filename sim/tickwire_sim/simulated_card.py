"""The compiled card, as a device's loop sees it: rings in shared memory, everything at once."""

import ctypes
from collections.abc import Sequence

from tickwire.device.mirror import ROWS, SharedCard
from tickwire_sim.verilated import VerilatedDevice

_PICTURE = 320                             # cycles in which counters are taken


class SimulatedCard(SharedCard, VerilatedDevice):
    """The compiled card of a :class:`VerilatedSlot`, which has cycles when it is given some."""

    def load_limits(self, table: int) -> None:
        """Load the limits table at an address into the card, at once or else word by word."""
        words = (ctypes.c_uint64 * (self._limits_octets // 8)).from_address(table)
        self.write_register("TABLE_INDEX", 0)
        self._slot.fill(ROWS["TABLE_DATA"][0], words)
        if self.read_register("TABLE_INDEX") != len(words):
            super().load_limits(table)

    def words(self, places: Sequence[tuple[int, int]]) -> list[int]:
        """Read words of BAR 0, one soon after the other."""
        return self._slot.words(places)

    def take_picture(self) -> None:
        """Let the counter page show all counters of this instant."""
        super().take_picture()
        self._slot.run(self._slot.rows(_PICTURE))

    def rest(self) -> None:
        """Run until the card has come to rest."""
        self._slot.settle()
