"""A FIX session leased to the engine: new orders leave from its loop, everything else from here.

While nothing happens in the event loop, the session's numbers, the end of its store and its socket
are the engine's (:mod:`tickwire.kernels.fix_lease`). Each event of the connection, and whatever
else sends, takes them back first and takes up what the engine has sent; at the end of the event
they are given out again. So whatever comes from the other side meets a session that knows every
message, and no number is used twice.
"""

import numpy as np

from tickwire.kernels import fix_lease as kernels
from tickwire.kernels.fix_orders import ROOM
from tickwire.orders.fix.gate import OrderGate, Refuse
from tickwire.orders.fix.journal import MARK, Record, StoreError
from tickwire.orders.fix.sending import log
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.store import SENT
from tickwire.orders.release import ReleaseQueue

_LINE = 64
_LEAST = 1 << 14                           # octets of the store that the engine is given at least
_POLYNOMIAL = 0xEDB8_8320                  # of CRC-32, the lowest bit first


class EngineLease:
    """The lease of one order session. ``address`` is for the engine; ``messages`` went by it.

    A session is leased only if its store is a file that is not synced with each message, and only
    without a throttle.
    """

    def __init__(self, session: Session, gate: OrderGate, releases: ReleaseQueue,
                 refuse: Refuse) -> None:
        self._session, self._gate, self._releases = session, gate, releases
        self._refuse = refuse
        self._is_out = self._is_pumping = False
        self._records: list[Record] = []
        self._left = b""
        self._room = np.zeros(ROOM, np.uint8)
        self._sums = np.arange(256, dtype=np.uint32)
        for _ in range(8):
            self._sums = np.where(self._sums & 1, self._sums >> 1 ^ _POLYNOMIAL, self._sums >> 1)
        self._sums = self._sums.astype(np.uint32)
        memory = np.zeros(kernels.LEASE.itemsize + _LINE, np.uint8)
        shift = -memory.ctypes.data % _LINE
        self._row = memory[shift:shift + kernels.LEASE.itemsize].view(kernels.LEASE)
        self.address = int(self._row.ctypes.data)
        row = self._row[0]
        row["template"], row["room"] = gate.writer.address, self._room.ctypes.data
        row["sums"] = self._sums.ctypes.data
        row["mark"], row["kind"] = MARK, SENT
        kernels.give(self.address)         # loads the kernels
        kernels.take_back(self.address)

    @property
    def messages(self) -> int:
        """Messages that the engine has sent."""
        return int(self._row[0]["sent"])

    def take(self) -> None:
        """Take the session back, if it is out; then store and gate know what the engine sent."""
        if not self._is_out:
            return
        self._is_out = False
        kernels.take_back(self.address)
        row = self._row[0]
        left = int(row["left"])
        row["is_given"] = row["left"] = 0
        records = self._session.store.adopt(int(row["tail"]))
        self._records += records
        if left:
            self._left = records[-1].payload[-left:]
        self._is_pumping = True            # what it sends wakes the transport, which gives out
        try:
            self._session.adopted(records)
            self._gate.pump(self._refuse)
        finally:
            self._is_pumping = False

    def collect(self) -> tuple[list[Record], bytes]:
        """Return what the engine sent, for an audit log, and what is to be written before all."""
        found = self._records, self._left
        self._records, self._left = [], b""
        return found

    def give(self, socket: int) -> None:
        """Give the session out on the connected ``socket``; -1 keeps it."""
        if self._is_pumping:
            return
        row = self._row[0]
        row["taken"] = self._releases.unsent
        if socket >= 0 and not self._session.settings.messages_per_second:
            try:
                lent = self._session.store.lend(_LEAST)
            except StoreError as error:    # the session will find out when it sends
                log.warning("%s", error)
                lent = None
            if lent is not None:
                row["journal"], row["tail"], row["end"] = lent
                row["sequence"], row["socket"] = self._session.store.next_out, socket
                row["is_given"] = 1
                self._is_out = True
                kernels.give(self.address)
