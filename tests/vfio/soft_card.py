"""The soft card's run: a card of software, and the market that it is connected to.

The card is a process of this machine that has the virtual machine's memory and its BAR as plain
memory. Its lines and its order session go to the venue on loopback. When the virtual machine is
done, what it told is compared with what the venue says to somebody who logs in afterwards.
"""

import asyncio
import contextlib
import ctypes
import json
import mmap
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.exchange_client import Client
from tests.ports import free_ports
from tests.vfio import image
from tests.vfio.ivshmem import BAR_OCTETS, WINDOW_AT
from tests.vfio.machine import Machine
from tests.vfio.market import KINDS, RING_LOG2, market
from tickwire.commands.venue import venue_config
from tickwire.config import Config
from tickwire.device.kinds import smallest
from tickwire.device.link import OrderLink
from tickwire.device.pcie import PCIeDevice
from tickwire.device.software import SoftwareDevice
from tickwire.feed.udp import open_lines
from tickwire_sim.exchange.venue import Venue
from tickwire_sim.soft_card import LoopTransport, SoftCard

MEMORY = 1536 << 20                        # of the virtual machine: all below the PCI hole
REST_SECONDS = 0.000_1                     # between two turns of a card that runs
IDLE_SECONDS = 0.001                       # and of one that nobody has started
PACKAGES = ("llvmlite", "numba", "numpy", "numpy.libs")
# Of every processor that the machine may emulate; nothing is compiled for more than that.
PROCESSOR = {"NUMBA_CPU_NAME": "x86-64-v2",
             "NUMBA_CPU_FEATURES": "+cx16,+popcnt,+sahf,+sse3,+ssse3,+sse4.1,+sse4.2"}
TURNS = 32                                 # of the card, before anything else is looked at
KERNELS = "/kernels"
_CACHE = image.FOLDER / "kernels"
_VENUE = dict(zip("AECJ", KINDS, strict=True))


class Shared:
    """Memory that another process opens by name and that vanishes with both."""

    def __init__(self, name: str, octets: int) -> None:
        """Make it; nothing of it is touched."""
        self.descriptor = os.memfd_create(name)
        os.ftruncate(self.descriptor, octets)
        self.octets, self._map = octets, mmap.mmap(self.descriptor, octets)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))

    @property
    def path(self) -> str:
        """Name in a process that has the descriptor."""
        return f"/proc/self/fd/{self.descriptor}"

    def translate(self, bus: int, octets: int) -> int:
        """Address here of so many octets of it, or 0 where there is none."""
        return self.address + bus if 0 <= bus <= self.octets - octets else 0


@contextlib.contextmanager
def rehearsal() -> Iterator[None]:
    """Compile the guest's kernels for its processor, beside what is done meanwhile."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.vfio.rehearsal"], cwd=image.ROOT,
        env={**os.environ, **PROCESSOR, "TICKWIRE_CACHE": str(_CACHE),
             "PYTHONPATH": f"{image.ROOT}:{image.ROOT / 'host'}"})
    try:
        yield
        if process.wait():
            raise RuntimeError(f"The guest's kernels: status {process.returncode}.")
    finally:
        process.kill()
        process.wait()


def initramfs() -> Path:
    """Make the guest's root, with the kernels that were compiled for it."""
    installed = Path(np.__file__).parents[1]
    return image.initramfs(
        "guest_card", folders={KERNELS: _CACHE},
        environment={**PROCESSOR, "TICKWIRE_CACHE": KERNELS},
        packages=[path for name in PACKAGES if (path := installed / name).is_dir()])


class Bench:
    """A card, its venue, and the virtual machine that has the card in a slot."""

    def __init__(self, config: Config) -> None:
        """Compile what the card and the guest run; nothing is open yet."""
        self.config = config
        self.bar, self.memory = Shared("bar", BAR_OCTETS), Shared("memory", MEMORY)
        self.ticks = {entry.symbol: entry.tick for entry in config.symbols}
        self.geometry = smallest(len(self.ticks))
        self.device: SoftwareDevice | None = None
        with rehearsal():
            self._warm()
        feed = config.feed
        self.lines = open_lines((feed.group_a, feed.port_a), (feed.group_b, feed.port_b),
                                feed.interface)
        self.card = SoftCard(self.bar.address, self.bar.address + WINDOW_AT, self.memory.translate,
                             self.geometry, self.ticks, prepare=self._connect)
        self.venue = Venue(venue_config(config))
        self._market = threading.Thread(target=self.venue.run, name="venue", daemon=True)

    def _warm(self) -> None:
        """Compile the card's kernels, for which a driver waits two seconds, and the venue's."""
        with PCIeDevice(LoopTransport("warm", self.geometry, self.ticks), market_log2=RING_LOG2,
                        is_huge=False) as card:
            card.work()
        before = Venue(venue_config(market(free_ports().document())))
        before.start()
        before.stop()

    def _connect(self, device: SoftwareDevice) -> None:
        device.attach_lines(*(line.fileno() for line in self.lines))
        self.device = device

    async def run(self) -> list[str]:
        """Boot, and let all of them work until the machine is off; return what it has said."""
        self.venue.open()
        descriptors = self.bar.descriptor, self.memory.descriptor
        with Machine(
                initramfs(), "-M", "q35,memory-backend=memory", "-m", f"{MEMORY >> 20}M",
                "-object", f"memory-backend-file,id=memory,share=on,size={MEMORY},"
                           f"mem-path={self.memory.path}",
                "-object", f"memory-backend-file,id=bar,share=on,size={BAR_OCTETS},"
                           f"mem-path={self.bar.path}",
                "-device", "ivshmem-plain,memdev=bar", pass_fds=descriptors) as machine:
            trading = asyncio.create_task(self._trade())
            while machine.listen() and not trading.done():
                for _ in range(TURNS):
                    self.card.work()
                    time.sleep(REST_SECONDS if self.card.device else IDLE_SECONDS)
                await asyncio.sleep(0)
            trading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await trading
        return machine.lines

    async def _trade(self) -> None:
        """Open the market and the order session once the card runs; keep the session."""
        while self.device is None:
            await asyncio.sleep(0.01)
        self._market.start()
        link = OrderLink(self.device, self.config.orders)
        try:
            await link.connect()
            await link.keep()
        finally:
            link.close()

    def told(self) -> list[Any]:
        """Log in as somebody who asks for all that the venue has said, and end its day."""
        orders, said = self.config.orders, []
        if not self._market.is_alive():
            return said
        client = Client(orders.port, username=orders.username, password=orders.password)
        self.venue.request_stop()
        while (message := client.message()) is not None:
            said.append(message)
        client.close()
        self._market.join()
        return said


def differences(found: dict[str, Any], said: list[Any], statistics: dict[str, int]) -> list[str]:
    """Compare what the guest saw with what the venue said; a sentence for each difference."""
    answers, positions = [], {symbol: [0, 0, 0] for symbol in found["positions"]}
    orders = {}
    for message in said:
        kind = _VENUE.get(message.type.decode())
        if kind is None:
            continue
        if message.type == b"A":
            orders[message.number] = message
        if message.type == b"E":
            order = orders[message.number]
            shares = message.quantity if order.side == b"B" else -message.quantity
            row = positions[order.symbol.decode().strip()]
            row[:] = row[0] + shares, row[1] - shares * message.price, row[2] + 1
        answers.append(_essence(kind, message.number, getattr(message, "quantity", 0),
                                getattr(message, "price", 0)))
    counts = {name: sum(one[0] == name for one in answers) for name in KINDS}
    counters = found["counters"]
    pairs = [("answers", [_essence(*one) for one in found["answers"]], answers),
             ("positions, cash and fills", found["positions"], positions),
             ("orders sent", counters["orders_sent"],
              counts["ORDER_ACCEPTED"] + counts["ORDER_REJECTED"]),
             ("messages sent as records", found["sent"],
              counters["orders_sent"] + counters["cancels_sent"]),
             *((f"{ours} counted", counters[ours], statistics[theirs]) for ours, theirs in
               (("orders_accepted", "orders_accepted"), ("fills", "fills"))),
             *((f"{name} of the feed", counters[name], 0)
               for name in ("messages_lost", "gaps", "records_dropped", "intent_errors")),
             *((f"{name} at the venue", statistics[name], 0)
               for name in ("orders_ignored", "messages_malformed", "packets_malformed"))]
    return [f"{what}: {here} in the guest, {there} at the venue"
            for what, here, there in pairs if here != there]


def _essence(kind: str, token: int, quantity: int, price: int) -> tuple[str, int, int, int]:
    """An answer without what only one side tells: a cancel has no price, a reject nothing."""
    if kind == "ORDER_REJECTED":
        return kind, token, 0, 0
    return kind, token, quantity, 0 if kind == "ORDER_CANCELED" else price


def run() -> bool:
    """Let the guest trade, and compare; returns whether all was right."""
    bench = Bench(market(free_ports().document()))
    lines = asyncio.run(bench.run())
    said = bench.told()
    told = [line for line in lines if line.startswith("{")]
    if "PASS" not in lines or not told:
        return False
    found = json.loads(told[0])
    wrong = differences(found, said, bench.venue.statistics())
    for sentence in wrong:
        print(f"WRONG: {sentence}")
    counters = found["counters"]
    print(f"{counters['messages']:,} messages, {counters['messages_lost']} lost; "
          f"{counters['orders_sent']:,} orders, {counters['fills']:,} fills, "
          f"{len(found['answers']):,} answers of the venue, {len(wrong)} differences")
    return not wrong
