"""Tick to order: a datagram on a UDP socket, an order on a TCP socket, everything between them.

One thread is the far end: it sends a MoldUDP64 packet with one Add Order, waits for the OUCH order
that a strategy answers with, rejects it and deletes the tick's order again. The other thread is the
engine's loop: arbiter, book, strategy, risk gate, encoder. Both poll without sleeping, each on a
processor of its own. What the device measures runs from the return of recv to the return of send.

The floor is the same pair of sockets with nothing but recv, two clocks and send between them.
Both are measured a second time with orders as UDP datagrams, which no venue takes: it shows what of
the time is the kernel's TCP.
"""

import os
import threading
from collections.abc import Callable

import numpy as np

from bench.far import (
    PRICE,
    REFERENCE_AT,
    REJECTED_TOKEN_AT,
    SEQUENCE_AT,
    SYMBOL,
    TOKEN_AT,
    Pairs,
    add,
    begin,
    make_ready,
    message,
    mold,
    refusal,
)
from bench.report import Report
from tickwire.config import SymbolSettings
from tickwire.device.software import SoftwareDevice
from tickwire.engine import Engine
from tickwire.errors import TickwireError
from tickwire.kernels import engine_actions as act
from tickwire.kernels import histogram
from tickwire.kernels.arena import Arena
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    CLOCK_REALTIME,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    copy,
    load32,
    nanoseconds,
    recv,
    send,
    store32,
    store_be64,
)
from tickwire.spec import itch50
from tickwire.spec.geometry import DEMO
from tickwire.spec.records import RecordType
from tickwire.spec.stages import HISTOGRAM_WORDS
from tickwire.strategy.base import Strategy, handler

ROUNDS = 20_000
PAUSE_NS = 20_000                          # between two ticks
_BBO = RecordType.BBO.value


@handler
def answer(c, record, out):
    """One order for every best bid that was raised above the one that is always there."""
    if act.record_type(record) != _BBO or act.bbo_at(record)["bid_price"] != PRICE:
        return 0
    return act.new_order(c, out, 0, act.instrument_of(c), act.BUY | act.IMMEDIATE, PRICE, 100)


class Answer(Strategy):
    """Answers every tick with one order."""

    function = answer


@kernel
def far_end(udp, tcp, buffer, tick, tick_size, gone, gone_size, refused, refused_size, first,
            rounds, pause, trips):
    """Send ``rounds`` ticks; returns those that were answered. ``trips`` is a histogram."""
    sequence = first
    answered = 0
    for number in range(rounds):
        begin = nanoseconds(CLOCK_REALTIME)
        while nanoseconds(CLOCK_REALTIME) - begin < pause:
            pass
        store_be64(tick + SEQUENCE_AT, sequence)
        store_be64(tick + REFERENCE_AT, 1_000 + number)
        begin = nanoseconds(CLOCK_REALTIME)
        send(udp, tick, tick_size, MSG_DONTWAIT)
        size = 0
        while size <= 0:
            size = recv(tcp, buffer, 2_048, MSG_DONTWAIT)
            if size < 0 and nanoseconds(CLOCK_REALTIME) - begin > 1_000_000_000:
                return answered
        histogram.add(trips, nanoseconds(CLOCK_REALTIME) - begin)
        answered += 1
        store32(refused + REJECTED_TOKEN_AT, load32(buffer + TOKEN_AT))
        send(tcp, refused, refused_size, MSG_DONTWAIT | MSG_NOSIGNAL)
        store_be64(gone + SEQUENCE_AT, sequence + 1)
        store_be64(gone + REFERENCE_AT, 1_000 + number)
        send(udp, gone, gone_size, MSG_DONTWAIT)
        sequence += 2
    return answered


@kernel
def nothing_between(udp, tcp, buffer, order, order_size, rounds, stage):
    """The floor: recv, send, and the two clocks of the stage."""
    done = 0
    while done < rounds * 2:
        if recv(udp, buffer, 2_048, MSG_DONTWAIT) > 0:
            begin = nanoseconds(CLOCK_REALTIME)
            if done % 2 == 0:
                copy(order, order + 2_048, 64)
                send(tcp, order, order_size, MSG_DONTWAIT | MSG_NOSIGNAL)
                histogram.add(stage, nanoseconds(CLOCK_REALTIME) - begin)
            done += 1
        recv(tcp, buffer, 2_048, MSG_DONTWAIT)
    return done


class FarEnd:
    """The far end's octets and its thread."""

    def __init__(self, pairs: Pairs, rounds: int, first: int) -> None:
        arena = self._arena = Arena()
        packets = [mold(1, add(1, "B", PRICE)),
                   mold(1, message(itch50.ORDER_DELETE, order_reference=1)), refusal()]
        arguments: list[int] = [pairs.far_udp.fileno(), pairs.far_order.fileno(),
                                arena.take("buffer", 4_096)]
        for number, packet in enumerate(packets):
            arguments += [arena.take(f"packet {number}", 4_096), len(packet)]
            arena.view(f"packet {number}")[:len(packet)] = list(packet)
        self.trips = np.zeros(HISTOGRAM_WORDS, np.int64)
        self._arguments = [*arguments, first, rounds, PAUSE_NS, self.trips.ctypes.data]
        self.answered = 0

    def run(self, core: int, near: Callable[[], object]) -> None:
        """Send all ticks from ``core`` while ``near`` runs in this thread."""
        def body() -> None:
            os.sched_setaffinity(0, {core})
            self.answered = far_end(*self._arguments)
        thread = threading.Thread(target=body)
        thread.start()
        near()
        thread.join()


def through_the_device(rounds: int, cores: list[int], *,
                       is_udp: bool = False) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Histograms of the device's stages and of the round trips that the far end saw."""
    pairs = Pairs(orders_over_udp=is_udp)
    with SoftwareDevice(f"bench-{os.getpid()}", DEMO, {SYMBOL: 100}, busy=True) as device:
        engine = Engine(device, Answer((SymbolSettings(symbol=SYMBOL),), {}), core=cores[0])
        first = begin(device, pairs)
        engine.start()
        make_ready(device)
        far = FarEnd(pairs, rounds, first)
        far.run(cores[-1], lambda: None)
        engine.stop()
        stages = device.histograms()
    pairs.close()
    if far.answered < rounds:
        raise TickwireError(f"Only {far.answered:,} of {rounds:,} ticks were answered; a busy "
                            "machine drops datagrams.")
    return stages, far.trips


def floor(rounds: int, cores: list[int], *,
          is_udp: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Histograms of the stage and of the round trips with nothing between the two calls."""
    pairs, arena = Pairs(orders_over_udp=is_udp), Arena()
    stage = np.zeros(HISTOGRAM_WORDS, np.int64)
    order, buffer = arena.take("order", 4_096), arena.take("buffer", 4_096)
    far = FarEnd(pairs, rounds, 1)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores[0]})
    try:
        far.run(cores[-1], lambda: nothing_between(
            pairs.near_udp.fileno(), pairs.near_order.fileno(), buffer, order, 50, rounds,
            stage.ctypes.data))
    finally:
        os.sched_setaffinity(0, before)
        pairs.close()
    return stage, far.trips


def main(report: Report, rounds: int = ROUNDS) -> None:
    """Measure the device and the floor in turns."""
    cores = sorted(os.sched_getaffinity(0))
    found, floors, found_udp, floors_udp = [], [], [], []
    through_the_device(200, cores)
    floor(200, cores)
    for _ in range(report.repeats):
        found.append(through_the_device(rounds, cores))
        floors.append(floor(rounds, cores))
        found_udp.append(through_the_device(rounds, cores, is_udp=True))
        floors_udp.append(floor(rounds, cores, is_udp=True))
    rows = [("tick to order", [stages["tick_to_order"] for stages, _ in found]),
            ("of it: datagram to books", [stages["receive"] for stages, _ in found]),
            ("of it: record to intent", [stages["decision"] for stages, _ in found]),
            ("of it: intent to order", [stages["risk"] for stages, _ in found]),
            ("of it: send", [stages["send"] for stages, _ in found]),
            ("floor: recv to send", [stage for stage, _ in floors]),
            ("round trip at the far end", [trips for _, trips in found]),
            ("floor: round trip", [trips for _, trips in floors]),
            ("orders over UDP: tick to order",
             [stages["tick_to_order"] for stages, _ in found_udp]),
            ("orders over UDP: floor, recv to send", [stage for stage, _ in floors_udp])]
    for name, histograms in rows:
        for quantile in ("p50", "p99"):
            report.add(f"{name}, {quantile}", "ns",
                       [histogram.summary(words)[quantile] for words in histograms])
    report.note(f"{rounds:,} ticks a run, one message a datagram, one order a tick; the device on "
                f"processor {cores[0]}, the far end on {cores[-1]}, neither isolated.")
