"""FIX codec: encode orders, parse and validate reports, beside QuickFIX and simplefix.

A stream of different messages, FIX.4.4 with the own dictionary; a report has 33 fields, with a
group of two parties. Batch: a kernel's loop over the stream. Call: the same kernel called from
Python for each message. Object: what Python code gets or gives. Release: an ORDER_RELEASED record
from the queue, through gate and session with a store in memory, to the octets that the transport
takes, one order at a time; in the socket, the same through the connection to the return of send;
leased, on the engine's side of the session. A peer does its whole work
for one message. QuickFIX core is Debian's libquickfix in a C++ loop, beside our batch: `split`
makes fields of a message with its length and checksum checked, `parse` has the own dictionary as
well. quickfix is the same from Python with its own FIX44.xml; simplefix does not validate.
"""

import asyncio
import random
import socket
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.quickfix_core import core
from bench.report import Comparison, Contender, Report, measure
from tickwire.kernels import frame_ring
from tickwire.kernels.fix_lease import SENT, release
from tickwire.kernels.fix_orders import ROOM, encode_order
from tickwire.kernels.fix_parse import receive
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import CLOCK_MONOTONIC, nanoseconds
from tickwire.orders.fix.connection import Connection
from tickwire.orders.fix.dictionary import Dictionary
from tickwire.orders.fix.encode import assemble
from tickwire.orders.fix.gate import OrderGate
from tickwire.orders.fix.lease import EngineLease
from tickwire.orders.fix.orders import OrderWriter
from tickwire.orders.fix.parse import Receiver, parse
from tickwire.orders.fix.rules import Rules
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.store import FileStore, MemoryStore
from tickwire.orders.fix.times import utc_timestamp
from tickwire.orders.release import RELEASED, ReleaseQueue
from tickwire.spec.intents import Operation
from tickwire.spec.records import RECORD_SIZE

MESSAGES = 4_000
ROUNDS = 50                                # of the stream, in a batch
CORE_ROUNDS = 10
LEASED = 50                                # orders before what they are is taken up
NOW = 1_795_823_999_123_456_789
SYMBOLS = ("AAPL", "MSFT", "NVDA", "SPY", "BRK.A")
HEADER = {49: "FIRM", 56: "VENUE"}


@kernel
def parse_all(parser, address, end, octets_max):
    """Frame and validate every message; returns how many, negative when one has a fault."""
    count = 0
    while address < end:
        found = receive(parser, address, end, octets_max)
        if found == 0 or found & 0xFF:
            return -count - 1
        address += found >> 8
        count += 1
    return count


@kernel
def encode_all(template, rows, count, now, target):
    """Encode every release into the same room; returns the octets of all."""
    octets = 0
    for index in range(count):
        found = encode_order(template, rows + index * RECORD_SIZE, 0, 0, 1 + index, now + index,
                             target)
        octets += found >> 16 & 0xFFFF
    return octets


def reports(count: int) -> list[bytes]:
    """Return different execution reports: fills of limit orders."""
    generator = random.Random(7)
    made = []
    for number in range(1, count + 1):
        time = utc_timestamp(NOW + number * 1_000_003)
        price, quantity = generator.randrange(10_000, 9_999_999), 100 * generator.randrange(1, 99)
        text = f"{price / 10_000:.2f}"
        body = (f"1=ACC|6={text}|11=K7-{number}|14={quantity}|17=E{number:08}|31={text}|"
                f"32={quantity}|37={9_000_000 + number}|38={2 * quantity}|39=1|40=2|44={text}|"
                f"54={generator.choice('125')}|55={generator.choice(SYMBOLS)}|59=0|"
                f"60={time.decode()}|150=F|151={quantity}|453=2|448=ABC|447=D|452=1|448=XYZ|447=D|"
                "452=3|")
        made.append(assemble(b"FIX.4.4", b"8", [
            (34, b"%d" % number), (49, b"VENUE"), (52, time), (56, b"FIRM")],
            body.replace("|", "\x01").encode()))
    return made


def releases(count: int) -> np.ndarray:
    """Return different releases of new orders."""
    generator = random.Random(7)
    rows = np.zeros(count, RELEASED)
    for number, row in enumerate(rows, 1):
        row["symbol"] = generator.choice(SYMBOLS).ljust(8).encode()
        row["token"], row["quantity"] = number, 100 * generator.randrange(1, 99)
        row["price"] = 100 * generator.randrange(100, 99_999)
        row["side"], row["operation"] = ord(generator.choice("BS")), Operation.NEW
    return rows


def per_message(found: Comparison, messages: int) -> Comparison:
    """Return figures of one message, in ns."""
    return Comparison(*(tuple(figure / messages for figure in figures)
                        for figures in (found.first, found.second)))


def quickfix_dictionary() -> str:
    """Return the path of the peer's own FIX44.xml."""
    return str(Path(sysconfig.get_path("data")) / "share" / "quickfix" / "FIX44.xml")


def parsing_peer(name: str, stream: list[bytes]) -> Contender:
    """Return a contender that parses with a peer; ImportError where it is not installed."""
    if name == "quickfix":
        import quickfix
        dictionary = quickfix.DataDictionary(quickfix_dictionary())
        texts = [octets.decode("latin-1") for octets in stream]

        def run() -> None:
            for text in texts:
                dictionary.validate(quickfix.Message(text, dictionary, True))
        return run
    import simplefix

    def run() -> None:
        parser = simplefix.FixParser()
        for octets in stream:
            parser.append_buffer(octets)
            assert parser.get_message() is not None
    return run


def encoding_peer(name: str, rows: np.ndarray) -> Contender:
    """Return a contender that encodes orders with a peer."""
    values = [(int(row["token"]), bytes(row["symbol"]).decode().strip(), int(row["quantity"]),
               f"{int(row['price']) / 10_000:g}", "1" if row["side"] == ord("B") else "2")
              for row in rows]
    if name == "quickfix":
        import quickfix

        def run() -> None:
            for token, symbol, quantity, price, side in values:
                message = quickfix.Message()
                header, time = message.getHeader(), utc_timestamp(NOW).decode()
                for tag, text in ((8, "FIX.4.4"), (35, "D"), (34, str(token)), (49, "FIRM"),
                                  (52, time), (56, "VENUE")):
                    header.setField(quickfix.StringField(tag, text))
                for tag, text in ((11, f"K7-{token}"), (38, str(quantity)), (40, "2"), (44, price),
                                  (54, side), (55, symbol), (59, "0"), (60, time)):
                    message.setField(quickfix.StringField(tag, text))
                message.toString()
        return run
    import simplefix

    def run() -> None:
        for token, symbol, quantity, price, side in values:
            message, time = simplefix.FixMessage(), utc_timestamp(NOW)
            for tag, value in ((8, "FIX.4.4"), (35, "D"), (34, token), (49, "FIRM"), (52, time),
                               (56, "VENUE"), (11, f"K7-{token}"), (38, quantity), (40, 2),
                               (44, price), (54, side), (55, symbol), (59, 0), (60, time)):
                message.append_pair(tag, value)
            message.encode()
    return run


def main(report: Report) -> None:
    """Measure parsing, then encoding: batch, call, object, and each peer that is installed."""
    rules, stream = Rules.own("FIX.4.4"), reports(MESSAGES)
    parsing(report, rules, stream)
    encoding(report, rules)
    releasing(report, rules)
    through_asyncio(report, rules)
    leased(report, rules)


def beside_core(report: Report, name: str, batch: Contender, kind: str, octets: bytes) -> None:
    """Measure a batch in turns with QuickFIX's core, where that is installed."""
    try:
        with core(Dictionary.own("FIX.4.4"), kind, octets, CORE_ROUNDS) as peer:
            found = measure(batch, peer, report.repeats)
    except (OSError, subprocess.SubprocessError) as error:
        report.note(f"No QuickFIX core: {error}.")
        return
    ours, theirs = (tuple(figure / (rounds * MESSAGES) for figure in figures) for figures, rounds
                    in ((found.first, ROUNDS), (found.second, CORE_ROUNDS)))
    report.compare(name, "ns/message", Comparison(ours, theirs), "QuickFIX core")


def parsing(report: Report, rules: Rules, stream: list[bytes]) -> None:
    """Measure the way in."""
    octets = np.frombuffer(b"".join(stream) + bytes(64), np.uint8)
    begin, size = octets.ctypes.data, octets.size - 64
    receiver = Receiver(rules, octets_max=1 << 20)
    parser, limit = receiver.address, receiver.message_octets_max
    places = np.cumsum([0, *map(len, stream)]).tolist()

    def batch() -> None:
        for _ in range(ROUNDS):
            assert parse_all(parser, begin, begin + size, limit) == MESSAGES

    def call() -> None:
        for place in places[:-1]:
            receive(parser, begin + place, begin + size, limit)

    def objects() -> None:
        for message in stream:
            receiver.feed(message)
            assert receiver.next() is not None
    note = f"{size / MESSAGES:.0f} octets, 33 fields, checksum and dictionary"
    for name, contender, rounds in (("parse ExecutionReport, batch", batch, ROUNDS),
                                    ("parse ExecutionReport, kernel called from Python", call, 1),
                                    ("parse ExecutionReport, fed to a value", objects, 1)):
        found = per_message(measure(contender, repeats=report.repeats), rounds * MESSAGES)
        report.add(name, "ns/message", found.first, note=note)
    for kind in ("split", "parse"):
        beside_core(report, f"parse ExecutionReport, batch, beside {kind}", batch, kind,
                    b"".join(stream))
    for name in ("quickfix", "simplefix"):
        try:
            other = parsing_peer(name, stream)
        except ImportError:
            report.note(f"{name} is not installed: `make bench-peers`.")
            continue
        report.compare("parse ExecutionReport, fed to a value, beside it", "ns/message",
                       per_message(measure(objects, other, report.repeats), MESSAGES), name)


def encoding(report: Report, rules: Rules) -> None:
    """Measure the way out."""
    rows = releases(MESSAGES)
    writer = OrderWriter(rules, "K7-", HEADER)
    room = np.zeros(ROOM, np.uint8)
    base, target, template = rows.ctypes.data, room.ctypes.data, writer.address

    def batch() -> None:
        for _ in range(ROUNDS):
            encode_all(template, base, MESSAGES, NOW, target)

    def call() -> None:
        for index in range(MESSAGES):
            encode_order(template, base + index * RECORD_SIZE, 0, 0, index, NOW, target)

    def objects() -> None:
        for index in range(MESSAGES):
            writer.message(rows[index], index, NOW)
    octets = encode_all(template, base, MESSAGES, NOW, target)
    note = f"{octets / MESSAGES:.0f} octets, 16 fields"
    for name, contender, rounds in (("encode NewOrderSingle, batch", batch, ROUNDS),
                                    ("encode NewOrderSingle, kernel called from Python", call, 1),
                                    ("encode NewOrderSingle, record to octets", objects, 1)):
        found = per_message(measure(contender, repeats=report.repeats), rounds * MESSAGES)
        report.add(name, "ns/message", found.first, note=note)
    orders = "".join(f"{row['token']} {row['symbol'].decode().strip()} {row['quantity']} "
                     f"{row['price'] / 10_000:.4f} {1 if row['side'] == ord('B') else 2}\n"
                     for row in rows)
    beside_core(report, "encode NewOrderSingle, batch, beside", batch, "encode", orders.encode())
    for name in ("quickfix", "simplefix"):
        try:
            other = encoding_peer(name, rows)
        except ImportError:
            continue
        report.compare("encode NewOrderSingle, record to octets, beside it", "ns/message",
                       per_message(measure(objects, other, report.repeats), MESSAGES), name)


def logged_on(rules: Rules) -> Session:
    """Return a session in memory that the other side has answered."""
    settings = FIXSessionSettings(sender="FIRM", target="VENUE", heartbeat_seconds=0)
    session = Session(settings, rules, MemoryStore(time.time_ns()))
    parse(assemble(b"FIX.4.4", b"0", [(52, utc_timestamp(0))]), rules)     # loads the kernels
    session.connected()
    session.take()
    session.received(parse(assemble(b"FIX.4.4", b"A", [
        (34, b"1"), (49, b"VENUE"), (52, utc_timestamp(time.time_ns())), (56, b"FIRM")],
        b"98=0\x01108=0\x01"), rules))
    assert session.is_logged_on
    return session


def releasing(report: Report, rules: Rules) -> None:
    """Measure from the device's release to the octets for the socket."""
    session, queue, rows = logged_on(rules), ReleaseQueue(), releases(MESSAGES)
    gate, base = OrderGate(session, queue, "K7-"), int(rows.ctypes.data)

    def one_by_one() -> None:
        for index in range(MESSAGES):
            frame_ring.put(queue.address, base + index * RECORD_SIZE, RECORD_SIZE, 0)
            assert gate.pump(_refuse) == 1 and session.take()
    found = per_message(measure(one_by_one, repeats=report.repeats), MESSAGES)
    report.add("release to octets for the socket", "ns/message", found.first,
               note="queue, gate, session and store in memory")


async def connected(rules: Rules, folder: Path, near: socket.socket, far: socket.socket
                    ) -> tuple[Session, asyncio.BaseTransport]:
    """Return a session that is logged on over ``near``, with its store in ``folder``."""
    settings = FIXSessionSettings(sender="FIRM", target="VENUE", heartbeat_seconds=0)
    session = Session(settings, rules, FileStore(folder / "store", settings.identity,
                                                 time.time_ns(), "none"))
    transport, _ = await asyncio.get_running_loop().create_connection(
        lambda: Connection(1, session, None, None, 10, lambda _: None), sock=near)
    far.sendall(assemble(b"FIX.4.4", b"A", [
        (34, b"1"), (49, b"VENUE"), (52, utc_timestamp(time.time_ns())), (56, b"FIRM")],
        b"98=0\x01108=0\x01"))
    while not session.is_logged_on:
        await asyncio.sleep(0.001)
    return session, transport


def through_asyncio(report: Report, rules: Rules) -> None:
    """Measure what asyncio's thread does for a release, from its queue to send returned."""
    rows, queue = releases(MESSAGES), ReleaseQueue()
    base = int(rows.ctypes.data)

    async def run() -> list[float]:
        near, far = socket.socketpair()
        near.setblocking(False)
        with tempfile.TemporaryDirectory() as folder, far:
            session, transport = await connected(rules, Path(folder), near, far)
            gate, within, times = OrderGate(session, queue, "K7-"), session.within, []
            assert within is not None
            for _ in range(report.repeats + 1):
                total = 0
                for index in range(MESSAGES):
                    frame_ring.put(queue.address, base + index * RECORD_SIZE, RECORD_SIZE, 0)
                    start = time.perf_counter_ns()
                    within(lambda: gate.pump(_refuse))
                    total += time.perf_counter_ns() - start
                    assert far.recv(1 << 16)
                times.append(total / MESSAGES)
            transport.close()
            await asyncio.sleep(0)
            session.store.close()
        return times[1:]
    report.add("release to octets in the socket, asyncio", "ns/message", asyncio.run(run()),
               note="queue, gate, session, store none, send on a Unix socket")


@kernel
def release_all(lease, releases, rows, first, count):
    """Do what the engine's loop does with releases; returns the ns, or -1 if one was not sent."""
    start = nanoseconds(CLOCK_MONOTONIC)
    for index in range(first, first + count):
        if release(lease, releases, rows + index * RECORD_SIZE) != SENT:
            return -1
    return nanoseconds(CLOCK_MONOTONIC) - start


def leased(report: Report, rules: Rules) -> None:
    """Measure the same on the engine's side of a leased session, the socket's send included."""
    rows = releases(MESSAGES)
    near, far = socket.socketpair()
    with tempfile.TemporaryDirectory() as folder, near, far:
        settings = FIXSessionSettings(sender="FIRM", target="VENUE", heartbeat_seconds=0)
        store = FileStore(Path(folder) / "store", settings.identity, time.time_ns(), "none")
        session, queue = Session(settings, rules, store), ReleaseQueue()
        gate = OrderGate(session, queue, "K7-")
        lease = EngineLease(session, gate, queue, _refuse)

        def in_batches() -> float:
            total = 0
            for first in range(0, MESSAGES, LEASED):
                lease.give(near.fileno())
                spent = release_all(lease.address, queue.address, rows.ctypes.data, first, LEASED)
                assert spent > 0
                total += spent
                lease.take()
                lease.collect()
                far.recv(1 << 20)
            return total
        found = per_message(measure(in_batches, repeats=report.repeats), MESSAGES)
        store.close()
    report.add("release to octets in the socket, leased to the engine", "ns/message", found.first,
               note=f"encode, store none, send; {LEASED} at a time on a Unix socket")


def _refuse(token: int) -> None:
    raise AssertionError(f"order {token} was refused")
