"""A machine with a card, as one process in network namespaces of its own; run as a program.

The card is the gateware, compiled, and the process here is a whole run: device, engine, strategy,
an order session by OUCH over the card's order line. The namespace has the card's interface, and
another one beyond it the venue's; between them is nothing but the card. What came of it goes to
standard output as JSON.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.ports import free_ports
from tests.tap_rig import new_network
from tickwire.commands.venue import venue_config
from tickwire.config import demo
from tickwire.device import card_device, vfio
from tickwire.device import process as device_process
from tickwire.device.discovery import Candidate
from tickwire.device.process import DeviceProcess, Hooks
from tickwire.device.tap import Tap
from tickwire.device.transport import Bar
from tickwire.feed.framing import udp_frame
from tickwire.feed.udp import open_lines
from tickwire.kernels.arena import Arena
from tickwire.spec.checks import CheckIndex
from tickwire.spec.digest import digest
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.intents import INTENT, WINDOW_SLOTS
from tickwire.spec.records import Line, RecordType
from tickwire.spec.registers import (
    BAR_LOG2,
    BAR_REGISTERS,
    BAR_WINDOW,
    MAGIC,
    WINDOW_LOG2,
    RegisterOffset,
)
from tickwire_sim.exchange.venue import Venue
from tickwire_sim.simulated_card import SimulatedCard
from tickwire_sim.verilated import VerilatedSlot

NEAR, FAR = "10.9.0.1/24", "10.9.0.2"
MACS = "02:00:00:00:00:01", "02:00:00:00:00:02"
TOKEN_LOG2 = 8
SECONDS = 120.0
KEY_SECONDS = 0.5                          # in which the card's clock stands for a second key
FILLS = 3
_SIOCSIFFLAGS, _UP = 0x8914, 1
_LAST = INTENT.size - 8


class Unable(Exception):
    """This machine permits no network namespaces."""


def namespace() -> None:
    """Give this thread a network of its own: loopback, up, and no timestamps in TCP."""
    try:
        new_network()
        Path("/proc/sys/net/ipv4/tcp_timestamps").write_text("0")
        with socket.socket() as control:
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _UP))
    except OSError as error:
        raise Unable(f"no network namespace can be made here: {error}") from None


class Beyond:
    """The venue's end of the line: an interface, and a port that leads to the venue's own."""

    def __init__(self, port: int) -> None:
        """Listen beyond the line; ``port`` is the venue's, on loopback here and there."""
        self.port, self.tap, self._listener = port, None, None
        opened = threading.Event()

        def work() -> None:
            namespace()
            self.tap = Tap("beyond", bytes.fromhex(MACS[1].replace(":", "")), f"{FAR}/24")
            self._listener = socket.create_server((FAR, port))
            opened.set()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if not opened.is_set():
            raise Unable("no second network namespace can be made here")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            outer, _ = self._listener.accept()
            inner = socket.create_connection(("127.0.0.1", self.port))
            for one, other in ((outer, inner), (inner, outer)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := one.recv(1 << 16):
                other.sendall(octets)
            other.shutdown(socket.SHUT_WR)


class Slot(VerilatedSlot):
    """A slot whose BARs are memory here, for a loop that stores to addresses.

    What the loop stored is taken to the card with each turn, and so is what came on its lines.
    """

    def __init__(self, name: str, lines: list, groups: list, beyond: Beyond) -> None:
        super().__init__(name, CARD_SMALL, token_log2=TOKEN_LOG2, time=time.time_ns())
        self._lines, self._groups, self._beyond = lines, groups, beyond
        self._arena = Arena()
        self._bar = self._arena.take("registers", 1 << BAR_LOG2)
        self._window = self._arena.take("window", 1 << WINDOW_LOG2)
        self.bars = {BAR_REGISTERS: Bar(self._bar, 1 << BAR_LOG2),
                     BAR_WINDOW: Bar(self._window, 1 << WINDOW_LOG2)}
        self._taken, self._told = 0, {}
        book, queues = CARD_SMALL.registers(TOKEN_LOG2)
        for offset, value in ((RegisterOffset.MAGIC, MAGIC), (RegisterOffset.DIGEST, digest()),
                              (RegisterOffset.GEOMETRY_BOOK, book),
                              (RegisterOffset.GEOMETRY_QUEUES, queues)):
            ctypes.c_uint64.from_address(self._bar + offset).value = value
        self.is_up, self._keys_until = False, 0.0

    def work(self) -> None:
        """Take what was stored, then what came, and let the card do it."""
        if not self.is_up:
            super().work()
            return
        if time.monotonic() > self._keys_until:    # the second one has to come within 1 ms
            self.set_time(time.time_ns())
        self._stored()
        self._windows()
        self._frames()
        for frame in self.sent_frames:
            self._beyond.tap.write(frame)
        self.sent_frames.clear()
        while (frame := self._beyond.tap.read()) is not None:
            self.give_order_frame(frame)
        self.settle()

    def _stored(self) -> None:
        for name, size, is_event in (("KILL_ACTION", 4, False), ("KILL", 4, True),
                                     ("ARM", 8, True), ("RING_ORDER_CONSUMED", 8, False),
                                     ("WATCHDOG_KICK", 8, False)):
            offset = RegisterOffset[name]
            kind = ctypes.c_uint32 if size == 4 else ctypes.c_uint64
            word = kind.from_address(self._bar + offset)
            if word.value and word.value != self._told.get(name):
                if name == "ARM":              # what was stored before goes before
                    self._windows()
                self.store(BAR_REGISTERS, offset, word.value.to_bytes(size, "little"))
                if is_event:
                    is_first = name == "ARM" and not self._keys_until
                    self._keys_until = time.monotonic() + KEY_SECONDS if is_first else 0.0
                    word.value = 0
                else:
                    self._told[name] = word.value

    def _windows(self) -> None:
        while True:
            place = self._taken % WINDOW_SLOTS * INTENT.size
            last = ctypes.c_uint64.from_address(self._window + place + _LAST).value
            if last >> 32 != self._taken + 1:
                return
            self.store(BAR_WINDOW, place, ctypes.string_at(self._window + place, INTENT.size))
            self._taken += 1

    def _frames(self) -> None:
        found = {}
        for line, (opened, group) in enumerate(zip(self._lines, self._groups, strict=True)):
            with contextlib.suppress(BlockingIOError):
                found[Line(line)] = [udp_frame(os.read(opened.fileno(), 1 << 16), *group)]
        if found:
            self.give(found)


class Card(SimulatedCard):
    """The compiled card, whose loop stores to memory."""

    def place(self, bar: int, size: int) -> int:
        """Return the address of a BAR in memory here."""
        return self._transport.bar(bar, size)

    def rest(self) -> None:
        """Take what the loop has stored, and run until it is done."""
        self._slot.work()


def trade() -> dict:
    """Trade until some orders are filled; return what device and venue say of it."""
    namespace()
    ports = free_ports()
    config = demo().with_overrides({
        **ports.document(), "orders.host": FAR, "orders.card_address": NEAR,
        "orders.card_mac": MACS[0], "orders.card_interface": "card", "device.kind": "pcie",
        "venue.messages_per_second": 50, "strategy.parameters.threshold": "0.001",
        "strategy.parameters.spread_max": "0.10", "device.watchdog_ms": 0, "feed.stale_ms": 0})
    venue = Venue(replace(venue_config(config), linger_seconds=5.0))
    venue.open()
    beyond = Beyond(ports.orders)
    feed = config.feed
    groups = [(feed.group_a, feed.port_a), (feed.group_b, feed.port_b)]
    lines = open_lines(*groups, feed.interface)
    slots = []

    def slot(name: str) -> Slot:
        slots.append(Slot(name, lines, groups, beyond))
        return slots[-1]
    vfio.VFIO = slot
    card_device.SharedCard = Card
    device_process.choose = lambda config: (Candidate("pcie", "slot", ""), "")
    process = DeviceProcess(config)
    device, engine = process.device, process.engine
    slots[0].is_up = True
    remarks, market = [], threading.Thread(target=venue.run, daemon=True)

    async def stop() -> bool:
        deadline = time.monotonic() + SECONDS
        while int(engine.positions["fills"].sum()) < FILLS and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return True

    async def go() -> bool:
        return True
    try:
        asyncio.run(process.run(Hooks(remark=remarks.append, joined=market.start,
                                      trading=lambda: None, go=go, stop=stop)))
        engine.stop()                          # all that it has left is shown
        counters, line = device.counters(), device.order_line_counts
        refused = Counter(CheckIndex(int(row["check"])).name for row in device.order_reader().read()
                          if row["record_type"] == RecordType.RISK_REJECT)
        positions = {symbol: int(engine.positions[place]["position"])
                     for place, symbol in enumerate(device.symbols)}
    finally:
        process.close()
        venue.request_stop()
    market.join()
    return {"counters": counters, "line": line, "positions": positions, "remarks": remarks,
            "refused": refused, "kind": device.kind, "statistics": venue.statistics()}


if __name__ == "__main__":
    try:
        json.dump(trade(), sys.stdout, default=lambda value: int(np.int64(value)))
    except Unable as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
