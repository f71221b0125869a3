"""A device that is a card behind this process: what everybody sees of it is shown by this process.
"""

from typing import Any

import numpy as np

from tickwire.device.mirror import LIVE, Mirror
from tickwire.device.order_connection import OrderConnection
from tickwire.device.owned import OwnedDevice
from tickwire.device.session_keeper import SessionKeeper
from tickwire.errors import TickwireError


class MirroredDevice(OwnedDevice):
    """Registers and counters of ``mirror``, and the order session that ``_keeper`` reads."""

    mirror: Mirror
    _keeper: SessionKeeper

    @property
    def is_shown(self) -> bool:
        """Whether somebody shows registers and counters anew without being asked."""
        return self.is_driven

    def read_register(self, name: str) -> int:
        """Return the value of a register, shown anew first where nobody else does."""
        if not self.is_shown and name in LIVE:
            self.mirror.show(has_counters=False)
        return super().read_register(name)

    def counters(self) -> dict[str, int]:
        """Return every counter by its name, taken anew first where nobody else does."""
        if not self.is_shown:
            self.mirror.show(has_counters=True)
        return super().counters()

    def histograms(self) -> dict[str, np.ndarray]:
        """Return every latency histogram, read anew first where nobody else does."""
        if not self.is_shown:
            self.mirror.show(has_counters=True)
        return super().histograms()

    def _connect(self, *given: Any, **options: Any) -> OrderConnection:
        """Make an order connection; raises :class:`TickwireError` where there is one."""
        if self.has_session:
            raise TickwireError("The device has an order session already.")
        return OrderConnection(*given, **options)

    @property
    def has_session(self) -> bool:
        """Whether the loop has the order session's socket."""
        return self._keeper.connection is not None

    @property
    def session_sequence(self) -> int:
        """Number of the next sequenced message of the order session."""
        return self._keeper.sequence

    @property
    def is_session_ended(self) -> bool:
        """Whether the venue ended the order session."""
        return self._keeper.is_ended
