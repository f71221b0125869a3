"""Kill: from the cause to the last order that leaves, in the middle of a storm of orders.

A far end sends a tick every few microseconds, a strategy answers each with an order. In the middle
of it the far end latches the kill, in one of three ways, and goes on with its ticks. The device's
own records tell when its last order left; 0 says that none left after the cause.
"""

import os
import threading

import numpy as np

from bench.far import (
    REFERENCE_AT,
    SEQUENCE_AT,
    SYMBOL,
    Pairs,
    add,
    begin,
    make_ready,
    message,
    mold,
)
from bench.report import Report
from bench.tick_to_order import Answer
from tickwire.config import SymbolSettings
from tickwire.device.software import SoftwareDevice
from tickwire.engine import Engine
from tickwire.kernels.arena import Arena
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    CLOCK_REALTIME,
    MSG_DONTWAIT,
    nanoseconds,
    recv,
    send,
    store32,
    store64_release,
    store_be64,
)
from tickwire.spec import itch50, ouch50, soupbintcp
from tickwire.spec.geometry import DEMO
from tickwire.spec.intents import Operation
from tickwire.spec.records import RecordType
from tickwire.spec.registers import KillCause, RegisterOffset
from tickwire.spec.wire import encode

TRIALS = 10                                # of each cause, in every repeat
STORM_OCTETS = 5_000                       # of orders at the far end before the cause
STORM_NS, AFTER_NS = 1_000_000_000, 5_000_000
PAUSE_NS = 10_000                          # between two ticks
WATCHDOG_US = 1_000
REGISTER, SETTLEMENT, WATCHDOG = range(3)
_KILL = RegisterOffset.KILL.value
_KICK = RegisterOffset.WATCHDOG_KICK.value
_PERIOD = RegisterOffset.WATCHDOG_PERIOD.value
_MARK = 1 << 31 | KillCause.EXTERNAL.value
CAUSES = {REGISTER: (KillCause.EXTERNAL, "register write"),
          SETTLEMENT: (KillCause.SETTLEMENT, "answer that contradicts the order table"),
          WATCHDOG: (KillCause.WATCHDOG, "watchdog")}


@kernel
def storm(udp, tcp, buffer, tick, tick_size, gone, gone_size, answer, answer_size, first, registers,
          cause):
    """Send ticks, cause the kill, send ticks; returns when it was caused, ns."""
    sequence = first
    begin = nanoseconds(CLOCK_REALTIME)
    caused = 0
    number = 0
    octets = 0
    while True:
        store_be64(tick + SEQUENCE_AT, sequence)
        store_be64(tick + REFERENCE_AT, 1_000 + number)
        send(udp, tick, tick_size, MSG_DONTWAIT)
        store_be64(gone + SEQUENCE_AT, sequence + 1)
        store_be64(gone + REFERENCE_AT, 1_000 + number)
        send(udp, gone, gone_size, MSG_DONTWAIT)
        octets += max(recv(tcp, buffer, 1 << 16, MSG_DONTWAIT), 0)
        sequence += 2
        number += 1
        now = nanoseconds(CLOCK_REALTIME)
        while nanoseconds(CLOCK_REALTIME) - now < PAUSE_NS:
            pass
        if caused == 0 and (octets >= STORM_OCTETS or now - begin > STORM_NS):
            if cause == SETTLEMENT:
                send(tcp, answer, answer_size, MSG_DONTWAIT)
                caused = nanoseconds(CLOCK_REALTIME)
            elif cause == WATCHDOG:
                store64_release(registers + _KICK, 1 << 40)
                store32(registers + _PERIOD, WATCHDOG_US)
                caused = nanoseconds(CLOCK_REALTIME) + WATCHDOG_US * 1_000
            else:
                store32(registers + _KILL, _MARK)
                caused = nanoseconds(CLOCK_REALTIME)
        if caused != 0 and now - caused > AFTER_NS:
            return caused


def trial(cause: int, cores: list[int]) -> tuple[int, int]:
    """One kill; returns (ns from the cause to the last order out, orders that left before)."""
    pairs, arena = Pairs(), Arena()
    executed = encode(soupbintcp.SEQUENCED_DATA, {"message": encode(ouch50.ORDER_EXECUTED, {
        "timestamp": 1, "user_ref_num": 4_000_000, "quantity": 1, "price": 10_000,
        "liquidity_flag": "R", "match_number": 1})})
    arguments = [pairs.far_udp.fileno(), pairs.far_order.fileno(), arena.take("buffer", 1 << 16)]
    for name, packet in (("tick", mold(1, add(1, "B", 1_000_000))),
                         ("gone", mold(1, message(itch50.ORDER_DELETE, order_reference=1))),
                         ("answer", executed)):
        arguments += [arena.take(name, 4_096), len(packet)]
        arena.view(name)[:len(packet)] = list(packet)
    with SoftwareDevice(f"kill-{os.getpid()}", DEMO, {SYMBOL: 100}, busy=True) as device:
        engine = Engine(device, Answer((SymbolSettings(symbol=SYMBOL),), {}), core=cores[0])
        first = begin(device, pairs)
        engine.start()
        make_ready(device)
        if cause == WATCHDOG:
            engine.host["kick"] = 0        # as if the strategy's loop had stopped
        found: list[int] = []

        def far() -> None:
            os.sched_setaffinity(0, {cores[-1]})
            found.append(storm(*arguments, first, device.layout.registers, cause))
        thread = threading.Thread(target=far)
        thread.start()
        thread.join()
        wanted, _ = CAUSES[cause]
        device.wait(lambda: device.killed != 0, 5, "kill itself")
        if device.killed != wanted:
            raise RuntimeError(f"the device was killed by {device.killed!r}, not {wanted!r}")
        engine.stop()
        records = device.order_reader().read()
    pairs.close()
    sent = [int(row["timestamp"]) for row in records
            if row["record_type"] == RecordType.ORDER_SENT and row["operation"] == Operation.NEW]
    caused, = found
    if cause == WATCHDOG:                  # its period began when the device took the kick
        kill = next(row for row in records if row["record_type"] == RecordType.KILL)
        caused = int(kill["last_kick"]) + WATCHDOG_US * 1_000
    return max(0, max(sent) - caused), sum(stamp <= caused for stamp in sent)


def main(report: Report, trials: int = TRIALS) -> None:
    """Measure every cause."""
    cores = sorted(os.sched_getaffinity(0))
    trial(REGISTER, cores)
    for cause, (_, name) in CAUSES.items():
        results = [[trial(cause, cores) for _ in range(trials)] for _ in range(report.repeats)]
        delays = [[delay for delay, _ in row] for row in results]
        note = (f"{trials * report.repeats} kills, "
                f"{int(np.median([orders for row in results for _, orders in row])):,} orders "
                "before each")
        report.add(f"{name}, worst of {trials}", "us",
                   [max(row) / 1_000 for row in delays], note=note)
        report.add(f"{name}, median", "us", [float(np.median(row)) / 1_000 for row in delays])
