"""Repair of the feed, control's side: ask for what both lines lost, hand on the answers."""

import asyncio
import time

from tickwire.device.owned import OwnedDevice
from tickwire.feed.recovery import ANSWERS_MAX, RecoveryClient
from tickwire.spec.records import FeedState

LOOK_SECONDS = 0.005                       # how often the feed is looked at while it is whole
BUSY_SECONDS = 0.001                       # and while something is missing
_SESSION_SIZE = 10


class Repair:
    """Watches the feed of a device and repairs its gaps until it is cancelled."""

    def __init__(self, device: OwnedDevice, address: tuple[str, int]) -> None:
        """Ask the request server at ``address``; raises :class:`TickwireError` for a bad host."""
        self._device = device
        self.client = RecoveryClient(address, self._deliver, self._lost)
        self._session = ""

    async def keep(self) -> None:
        """Repair for ever."""
        readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self.client.fileno(), readable.set)
        try:
            while True:
                is_missing = self._look()
                wait = BUSY_SECONDS if is_missing else LOOK_SECONDS
                try:
                    await asyncio.wait_for(readable.wait(), wait)
                except TimeoutError:
                    continue
                finally:
                    readable.clear()
        finally:
            loop.remove_reader(self.client.fileno())

    def close(self) -> None:
        """Close the socket."""
        self.client.close()

    def _look(self) -> bool:
        """Ask for what is missing and take what has come; returns whether something is missing."""
        device, now = self._device, time.monotonic_ns()
        session = device.feed_session
        if session != self._session:
            self._session = session
            self.client.begin(session.encode("latin-1").ljust(_SESSION_SIZE))
        expected = device.read_register("FEED_EXPECTED")
        is_missing = device.read_register("FEED_STATE") == FeedState.RECOVERING
        if self._session and expected:
            end = device.read_register("FEED_HIGHEST") if is_missing else expected
            self.client.want(expected, end, now)
            while self.client.service(now) == ANSWERS_MAX:
                continue
        return is_missing

    def _deliver(self, payload: bytes) -> bool:
        is_taken = self._device.recovery.put(payload)
        self._device.wake()
        return is_taken

    def _lost(self, first: int, count: int) -> None:
        self._device.give_up(first + count)
