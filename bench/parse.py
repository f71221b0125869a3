"""ITCH 5.0 decoding: every field of every message to a native record.

The stream is a BinaryFILE in memory: every type is in it, in the shares of a busy day, in random
order, which is the worst for a branch predictor. Peers build a Python object for each message.
"""

import io
import os

import numpy as np

from bench.report import Comparison, Contender, Report, measure
from tickwire.kernels import _itch50
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load_be16
from tickwire.spec import itch50

MESSAGES = 2_000_000
PEER_MESSAGES = {"itchcpp": 500_000, "itchfeed": 50_000}

# Per 100,000 messages of a busy day; every other type comes 10 times.
SHARES = {"A": 44_600, "D": 38_000, "U": 7_500, "E": 3_000, "X": 1_400, "F": 800, "P": 800,
          "I": 400, "C": 100, "R": 160, "H": 160, "Y": 160}
RARE = 10
ROW_SIZE = 64


def stream(messages: int, types: str = "", seed: int = 1) -> np.ndarray:
    """Return a BinaryFILE of ``messages`` messages with plausible fields, of ``types`` or all."""
    random = np.random.default_rng(seed)
    shares = np.array([SHARES.get(message.tag, RARE) * (message.tag in types or not types)
                       for message in itch50.MESSAGES], float)
    kinds = random.choice(len(shares), messages, p=shares / shares.sum())
    sizes = np.array([message.size for message in itch50.MESSAGES])[kinds]
    starts = np.concatenate(([0], np.cumsum(sizes + itch50.BINARY_FILE_LENGTH_SIZE)))
    octets = np.zeros(int(starts[-1]), np.uint8)
    octets[starts[:-1] + 1] = sizes
    for kind, message in enumerate(itch50.MESSAGES):
        at = starts[:-1][kinds == kind] + itch50.BINARY_FILE_LENGTH_SIZE
        octets[at] = ord(message.tag)
        for field, offset in message.placed():
            places = (at + offset)[:, None] + np.arange(field.size)
            octets[places] = values(random, field, len(at))
    return octets


def values(random: np.random.Generator, field, count: int) -> np.ndarray:
    """Return ``count`` values of ``field`` as octets: listed codes, symbols, numbers in range."""
    if field.codes:
        # A peer stops at the event "end of messages", wherever it stands.
        listed = [code for code in field.codes if (field.name, code) != ("event_code", "C")]
        codes = np.array([list(code.encode("ascii")) for code in listed], np.uint8)
        return codes[random.integers(0, len(codes), count)]
    if field.kind == "ascii":
        return random.integers(ord("A"), ord("Z") + 1, (count, field.size), np.uint8)
    greatest = 86_400 * 10 ** 9 if field.size == 6 else 1 << min(8 * field.size - 1, 31)
    numbers = random.integers(0, greatest, count).astype(">u8")
    return numbers.view(np.uint8).reshape(count, 8)[:, 8 - field.size:]


@kernel
def decode_all(address, end, row, step):
    """Decode every message from ``address`` to ``end``; each row ``step`` octets after the last.

    Returns the number of messages, -1 when one is unknown or of a wrong length.
    """
    count = 0
    while address < end:
        octets = load_be16(address)
        if _itch50.decode(address + 2, octets, row) <= 0:
            return -1
        address += 2 + octets
        row += step
        count += 1
    return count


def ours(octets: np.ndarray, messages: int, step: int) -> Contender:
    """Return a contender that decodes ``octets`` and tells nanoseconds a message."""
    rows = np.zeros(ROW_SIZE * (messages if step else 1), np.uint8)
    address = octets.ctypes.data

    def run() -> None:
        count = decode_all(address, address + octets.size, rows.ctypes.data, step)
        assert count == messages, count
    return run


def peer(name: str, octets: np.ndarray, messages: int) -> Contender:
    """Return a contender that lets the peer parse ``octets``, one object for each message."""
    if name == "itchcpp":
        from itchcpp.parser import MessageParser
    else:
        # It would hand over to itchcpp where that is installed.
        os.environ["ITCH_NO_CPP"] = "1"
        from itch.parser import MessageParser
    content = octets.tobytes()

    def run() -> None:
        count = sum(1 for _ in MessageParser().parse_file(io.BytesIO(content)))
        assert count == messages, (name, count)
    return run


def main(report: Report) -> None:
    """Measure decoding alone, with rows kept, and against each peer that is installed."""
    octets = stream(MESSAGES)
    note = f"{octets.size / MESSAGES:.1f} octets a message"
    reused, kept = ours(octets, MESSAGES, 0), ours(octets, MESSAGES, ROW_SIZE)
    found = measure(reused, kept, report.repeats)
    report.add("decode, one row reused", "ns/message",
               [figure / MESSAGES for figure in found.first], note=note)
    report.add("decode, every row kept", "ns/message",
               [figure / MESSAGES for figure in found.second], note="64 octets written a message")
    adds = measure(ours(stream(MESSAGES, "A"), MESSAGES, 0), repeats=report.repeats)
    report.add("decode, Add Order alone", "ns/message",
               [figure / MESSAGES for figure in adds.first], note="no type to guess")
    for name, messages in PEER_MESSAGES.items():
        part = stream(messages)
        try:
            other = peer(name, part, messages)
        except ImportError:
            report.note(f"{name} is not installed: `make bench-peers`.")
            continue
        found = measure(ours(part, messages, 0), other, report.repeats)
        pairs = Comparison(*(tuple(figure / messages for figure in figures)
                             for figures in (found.first, found.second)))
        report.compare(f"decode, {messages:,} messages", "ns/message", pairs, name,
                       peer_note="an object for each message")
