"""Every primitive of the kernels' memory does what its name says, compiled or not.

Method: octets are laid down with ``struct`` and NumPy and compared with what a kernel around each
primitive does; the whole module then runs once more in a process without the compiler. That
LLVM keeps a load in a polling loop is read from the code that it made.
"""

import ctypes
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.errors import TickwireError
from tickwire.kernels import memory
from tickwire.kernels.arena import Arena
from tickwire.kernels.jit import handler, kernel
from tickwire.spec.records import BBO
from tickwire.spec.render import dtype

IS_PLAIN = bool(numba.config.DISABLE_JIT)
compiled = pytest.mark.skipif(IS_PLAIN, reason="about what the compiler makes of it")
U64 = (1 << 64) - 1
words = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1),
                  st.sampled_from((0, 1, -1, 1 << 62, -(1 << 63), (1 << 63) - 1, 1 << 32, 255)))
offsets = st.integers(0, 15)


def signed(value: int) -> int:
    value &= U64
    return value - (1 << 64) if value >> 63 else value


def octets(content: bytes = b"", size: int = 128) -> np.ndarray:
    """Aligned memory of ``size`` octets that begins with ``content``."""
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    area = raw[start:start + size]
    area[:len(content)] = np.frombuffer(content, np.uint8)
    return area


def unary(primitive):
    @kernel
    def call(value):
        return primitive(value)
    return call


def binary(primitive):
    @kernel
    def call(left, right):
        return primitive(left, right)
    return call


def setter(primitive):
    @kernel
    def call(address, value):
        primitive(address, value)
    return call


LOADS = {name: unary(getattr(memory, name)) for name in (
    "load8", "load16", "load32", "load32s", "load64", "load64_acquire", "load64_relaxed",
    "load32_relaxed", "load_be16", "load_be32", "load_be48", "load_be64")}
STORES = {name: setter(getattr(memory, name)) for name in (
    "store8", "store16", "store32", "store64", "store64_release", "store64_relaxed",
    "store_be16", "store_be32", "store_be48", "store_be64")}
ALIGNED = ("load64_acquire", "load64_relaxed", "load32_relaxed", "store64_release",
           "store64_relaxed")


def bits_of(name: str) -> int:
    return int(re.search(r"(8|16|32|48|64)", name)[1])


@pytest.mark.parametrize("name", LOADS)
@given(content=st.binary(min_size=32, max_size=32), offset=offsets)
def test_a_load_reads_its_octets_in_its_order_at_any_address(name, content, offset):
    area, size = octets(content), bits_of(name) // 8
    offset = offset // size * size if name in ALIGNED else offset
    part = content[offset:offset + size]
    order = "big" if "_be" in name else "little"
    expected = int.from_bytes(part, order, signed=name == "load32s" or size == 8)
    assert LOADS[name](area.ctypes.data + offset) == expected


@pytest.mark.parametrize("name", STORES)
@given(value=words, offset=offsets)
def test_a_store_writes_the_low_octets_and_no_others(name, value, offset):
    area, size = octets(bytes([0xA5]) * 64), bits_of(name) // 8
    offset = offset // size * size if name in ALIGNED else offset
    STORES[name](area.ctypes.data + offset, value)
    order = "big" if "_be" in name else "little"
    expected = bytearray([0xA5]) * 64
    expected[offset:offset + size] = (value & (1 << 8 * size) - 1).to_bytes(size, order)
    assert area[:64].tobytes() == bytes(expected)


shift_right, below, multiply = (binary(getattr(memory, name))
                                for name in ("shift_right", "below", "multiply"))
top_bit, low_bit, bit_count = (unary(getattr(memory, name))
                               for name in ("top_bit", "low_bit", "bit_count"))
crc32c_step = binary(memory.crc32c_step)


@kernel
def match4(address, key, mask):
    return memory.match4(address, key, mask)


unlikely = unary(memory.unlikely)


@given(words, words, st.integers(0, 63))
def test_arithmetic_is_modulo_2_to_the_64(left, right, shift):
    assert shift_right(left, shift) & U64 == (left & U64) >> shift
    assert below(left, right) == (left & U64 < right & U64)
    assert multiply(left, right) == signed(left * right)


@given(words.filter(bool))
def test_bits_are_counted_from_the_lowest(value):
    assert top_bit(value) == (value & U64).bit_length() - 1
    assert low_bit(value) == (value & U64 & -(value & U64)).bit_length() - 1
    assert bit_count(value) == bin(value & U64).count("1")


def test_crc32c_is_that_of_the_document():
    # RFC 3720 B.4: 32 octets of zeros, of ones, rising, falling.
    for content, expected in ((bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43),
                              (bytes(range(32)), 0x46DD794E),
                              (bytes(range(31, -1, -1)), 0x113FDB5C)):
        crc = 0xFFFFFFFF
        for word, in struct.iter_unpack("<q", content):
            crc = crc32c_step(crc, word)
        assert crc ^ 0xFFFFFFFF == expected


@given(st.lists(st.sampled_from((0, 1, -1, 1 << 63 - 1, 7)), min_size=4, max_size=4),
       st.sampled_from((0, 1, -1, 1 << 63 - 1, 7, 8)))
def test_match4_marks_every_word_that_equals_the_key(values, key):
    area = octets(struct.pack("<4q", *values))
    assert match4(area.ctypes.data, key, -1) == sum(
        1 << place for place, value in enumerate(values) if value == key)
    low = key & 0xFFFF
    assert match4(area.ctypes.data, low, 0xFFFF) == sum(
        1 << place for place, value in enumerate(values) if value & 0xFFFF == low)


def test_unlikely_is_its_condition():
    assert unlikely(True) and not unlikely(False)


copy64 = setter(memory.copy64)


@kernel
def copy(target, source, size):
    memory.copy(target, source, size)


@given(st.binary(min_size=64, max_size=64), st.integers(0, 64), offsets, offsets)
def test_copies_take_just_their_octets(content, size, source, target):
    area, other = octets(content), octets(b"\x5a" * 128)
    copy64(other.ctypes.data + 64, area.ctypes.data)
    assert other.tobytes() == b"\x5a" * 64 + content
    other[:] = 0x5A
    size = min(size, 64 - source)
    copy(other.ctypes.data + target, area.ctypes.data + source, size)
    expected = bytearray(b"\x5a" * 128)
    expected[target:target + size] = content[source:source + size]
    assert other.tobytes() == bytes(expected)


RECORD = np.dtype([("octet", "u1"), ("short", "u2"), ("word", "u4"), ("signed", "i4"),
                   ("long", "i8"), ("pair", "i8", 2), ("unsigned", "u8")], align=True)
record_at = memory.view(RECORD)


@kernel
def change(address, value):
    row = record_at(address)
    row["octet"] = value
    row["short"] = value
    row["word"] = value
    row["signed"] = value
    row["long"] = value
    row["pair"][1] = value
    row["octet"] &= ~1
    row["long"] += 1
    return len(row["pair"])


@given(words)
def test_a_view_reads_and_writes_fields_in_place_and_wraps(value):
    row = np.zeros(1, RECORD)
    assert change(row.ctypes.data, value) == 2
    low = value & (1 << 32) - 1
    assert row["octet"][0] == value & 0xFE and row["short"][0] == value & 0xFFFF
    assert row["word"][0] == low
    assert row["signed"][0] == (low - (1 << 32) if low >> 31 else low)
    assert row["long"][0] == signed(value + 1)
    assert row["pair"][0].tolist() == [0, value] and row["unsigned"][0] == 0


def test_a_view_has_the_layout_of_the_table():
    at = memory.view(dtype(BBO))

    @kernel
    def fields(address):
        row = at(address)
        return row["bid_price"], row["ask_orders"], row["record_type"]

    area = octets(size=64)
    area[16:20] = np.frombuffer(struct.pack("<I", 123_456), np.uint8)
    area[54:56], area[60] = (7, 1), 2
    assert tuple(map(int, fields(area.ctypes.data))) == (123_456, 263, 2)


@kernel
def now(clock):
    memory.pause()
    memory.store_fence()
    memory.prefetch(0)                     # any address will do: it never faults
    return memory.nanoseconds(clock)


@pytest.mark.parametrize(("clock", "reader"), ((memory.CLOCK_REALTIME, time.time_ns),
                                               (memory.CLOCK_MONOTONIC, time.monotonic_ns)))
def test_the_clock_is_that_of_the_system(clock, reader):
    before, read, after = reader(), now(clock), reader()
    assert before <= read <= after


@kernel
def call(function, first, second, third):
    return memory.call3(function, first, second, third)


def test_a_c_function_is_called_by_its_address():
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 3)
    keep = kind(lambda first, second, third: first * 100 + second * 10 + third)
    assert call(ctypes.cast(keep, ctypes.c_void_p).value, 1, -2, 3) == 83


@handler("int64(int64, int64, int64)")
def weigh(first, second, third):
    return first * 100 + second * 10 + third


def test_a_handler_is_called_as_a_c_function_is():
    assert call(weigh.address, 1, -2, 3) == 83


@kernel
def pass_on(source, target, address, size):
    got = memory.recv(source, address, size, memory.MSG_DONTWAIT)
    return got, memory.send(target, address, got, memory.MSG_NOSIGNAL) if got > 0 else 0


def test_octets_go_through_sockets():
    area = octets()
    first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with first, second:
        assert pass_on(second.fileno(), second.fileno(), area.ctypes.data, 64)[0] == -1
        first.send(b"twelve octet")
        assert pass_on(second.fileno(), second.fileno(), area.ctypes.data, 64) == (12, 12)
        assert first.recv(64) == b"twelve octet"


# What the compiler makes of it


@kernel
def wait_for(address, wanted):
    turns = 0
    while memory.load64_acquire(address) != wanted:
        turns += 1
    return turns


@kernel
def wait_relaxed(address, wanted):
    while memory.load64_relaxed(address) != wanted:
        memory.pause()
    return 0


@kernel
def read_twice(address):
    first = memory.load64_acquire(address)
    return first - memory.load64_acquire(address)


def fresh(function, *arguments):
    """Compile a kernel once more: Numba shows no code that came from the disk."""
    again = numba.njit(nogil=True, error_model="numpy")(function.py_func)
    again(*arguments)
    return again


def loops_of(assembly: str) -> list[list[str]]:
    """Instructions between each label and the jumps back to it."""
    found = []
    lines = [line.strip() for line in assembly.splitlines()]
    for start, line in enumerate(lines):
        if not (label := re.fullmatch(r"(\.LBB\w+):.*", line)):
            continue
        for end in range(start + 1, len(lines)):
            if re.match(r"j\w+\s+" + re.escape(label[1]) + r"\b", lines[end]):
                found.append(lines[start + 1:end + 1])
    return found


@compiled
@pytest.mark.skipif(not memory.IS_X86, reason="reads x86 assembly")
@pytest.mark.parametrize("wait", (wait_for, wait_relaxed), ids=("acquire", "relaxed"))
def test_a_polling_loop_keeps_its_load(wait):
    assembly = next(iter(fresh(wait, octets(struct.pack("<q", 5)).ctypes.data, 5)
                         .inspect_asm().values()))
    loops = loops_of(assembly.partition(".Lfunc_end0:")[0])    # what follows is for Python
    assert loops, "no loop found"
    for loop in loops:                     # AT&T or Intel: a memory operand through a register
        assert any(re.search(r"\(%r\w+\)|\[r\w+\]", line) for line in loop), loop


@compiled
def test_a_second_read_is_not_merged_with_the_first():
    code = next(iter(fresh(read_twice, octets().ctypes.data).inspect_llvm().values()))
    assert len(re.findall(r"load atomic i64", code)) >= 2


@pytest.mark.parametrize("wait", (wait_for, wait_relaxed), ids=("acquire", "relaxed"))
def test_a_polling_loop_sees_what_another_thread_stores(wait):
    area = octets()
    word = area[:8].view(np.int64)
    wait(area.ctypes.data, 0)
    done = []
    thread = threading.Thread(target=lambda: done.append(wait(area.ctypes.data, 7)), daemon=True)
    thread.start()
    time.sleep(0.05)
    assert not done
    word[0] = 7
    thread.join(30)
    assert done


@compiled
def test_all_of_it_holds_without_the_compiler():
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1",
                   "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-4_000:]


@kernel
def _guarded_load(pairs, index):
    """The first word of a pair, where its second is not 0; beside a use of the second."""
    pair = pairs + 16 * index
    second = memory.load64(pair + 8)
    first = 0
    if second:
        first = memory.load64(pair)
    return first + second


@kernel
def _of_the_first(pairs):
    return _guarded_load(pairs, 0)


def test_instructions_are_those_of_the_processor_that_is_compiled_for():
    found = subprocess.run(
        [sys.executable, "-c", "from tickwire.kernels.memory import HAS_CRC32C, HAS_MOVDIR64B; "
                               "print(HAS_CRC32C, HAS_MOVDIR64B)"],
        env={**os.environ, "NUMBA_CPU_NAME": "x86-64-v2",
             "NUMBA_CPU_FEATURES": "+popcnt,-sse4.2,+movdir64b"},
        capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]


def test_an_index_that_is_0_in_a_caller_reads_the_first_place():
    pairs = np.array([[100, 5], [200, 6]], np.int64)
    assert _of_the_first(pairs.ctypes.data) == 105
    assert _guarded_load(pairs.ctypes.data, 1) == 206


def test_memory_that_is_not_there_is_told():
    with pytest.raises(TickwireError, match="There are no 4,611,686,018,427,387,904 octets"):
        Arena().take("orders", 1 << 62)
