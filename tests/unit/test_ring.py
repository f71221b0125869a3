"""A reader of a ring never believes a torn record, and always knows how many it lost.

Method: rings of a few slots are written by the kernels and read back; half-written laps are laid
down word by word; and a second process laps a slow reader as often as it can while the reader
checks every word (``bench/ring.py`` has the rates).
"""

import mmap
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.kernels import ring
from tickwire.kernels.arena import Arena
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load64, store64
from tickwire.kernels.ring import RING, poll, read, read_state, resume, room, unchanged
from tickwire.spec.counters import CounterIndex

WORDS = 8
TRAILER = 7


@kernel
def write(context, first, count):
    """Write ``count`` records; each word tells its place and the number of its record."""
    for number in range(first, first + count):
        record = ring.slot(context)
        for word in range(TRAILER):
            store64(record + 8 * word, number << 8 | word)
        ring.commit(context, 2)


@kernel
def count_torn(records, count):
    """Records among ``count`` whose words are not all of one record, the trailer's."""
    torn = 0
    for index in range(count):
        record = records + 64 * index
        number = load64(record) >> 8
        whole = load64(record + 56) & 0xFFFFFFFF == number & 0xFFFFFFFF
        for word in range(TRAILER):
            whole = whole and load64(record + 8 * word) == number << 8 | word
        torn += 0 if whole else 1
    return torn


@kernel
def read_slowly(base, mask, number, epoch, target, limit, pause):
    """Read one by one with a pause before each; returns (read, torn, lost, next number)."""
    copied, torn, lost, waste = 0, 0, 0, 0
    while copied < limit:
        for turn in range(pause):
            waste += load64(target + 8 * (turn & 7))
        found, number, gone = read(base, mask, number, epoch, target, 1)
        lost += gone
        copied += found
        torn += count_torn(target, found)
        if found == 0:
            break
    return copied, torn, lost, number, waste


class Writer:
    """A private ring of ``slots`` slots and where its reader copies to."""

    def __init__(self, slots: int, epoch: int = 1, written: int = 0) -> None:
        self.arena = Arena()
        self.base = self.arena.take("records", 64 * slots)
        self.mask, self.epoch = slots - 1, epoch
        self.context = self.arena.take_rows("ring", RING)
        self.row = self.arena.view("ring", RING)[0]
        self.row["base"], self.row["mask"], self.row["epoch"] = self.base, self.mask, epoch
        self.row["written"] = written
        self.row["counters"] = self.arena.take("counters", 1024)
        self.row["counter"] = CounterIndex.RECORDS
        self.target = self.arena.take("target", 64 * 4 * slots)
        self.words = self.arena.view("records", np.int64).reshape(-1, WORDS)
        self.copies = self.arena.view("target", np.int64).reshape(-1, WORDS)

    def write(self, count: int) -> None:
        write(self.context, int(self.row["written"]) + 1, count)

    def read(self, number: int, limit: int = 1 << 10) -> tuple[int, int, int]:
        return read(self.base, self.mask, number, self.epoch, self.target,
                    min(limit, len(self.copies)))


@given(st.sampled_from((2, 4, 16)), st.lists(st.integers(0, 40), max_size=12), st.integers(1, 40))
def test_every_record_is_read_once_or_counted_as_lost(slots, batches, limit):
    w = Writer(slots)
    number, lost, seen = 1, 0, []
    for batch in batches:
        w.write(batch)
        written = int(w.row["written"])
        while True:
            copied, number, gone = w.read(number, limit)
            lost += gone
            seen += (w.copies[:copied, 0] >> 8).tolist()
            assert count_torn(w.target, copied) == 0
            if not copied and not gone:
                break
        assert number == written + 1
    assert seen == sorted(set(seen))
    assert len(seen) + lost == number - 1
    if max(batches, default=0) < slots:
        assert lost == 0


def test_a_reader_that_was_lapped_goes_on_half_a_ring_behind():
    w = Writer(16)
    w.write(100)
    copied, number, lost = w.read(1, 1)
    assert (copied, lost, number) == (1, 91, 93)       # newest 100, half of 16 behind it
    assert w.copies[0, 0] >> 8 == 92
    assert resume(w.base, w.mask, 93, 1) == 93


def test_the_slot_about_to_be_written_is_given_up_because_it_may_be_in_work():
    w = Writer(16)
    w.write(16)
    assert poll(w.base, w.mask, 1, 1) == 1 and unchanged(w.base, w.mask, 1, 1)
    w.write(1)                              # number 17 takes the slot of number 1
    assert poll(w.base, w.mask, 1, 1) == -1
    assert poll(w.base, w.mask, 2, 1) == 1
    assert not unchanged(w.base, w.mask, 2, 1)         # number 18 may be on its way


def test_new_octets_under_an_old_trailer_are_noticed():
    w = Writer(4)
    w.write(4)
    # Number 5 is whole, number 6 is being written: two words are new, its trailer is old.
    w.write(1)
    w.words[1, 0] = 6 << 8
    w.words[1, 1] = 6 << 8 | 1
    assert poll(w.base, w.mask, 2, 1) == 1             # the slot alone looks good
    assert not unchanged(w.base, w.mask, 2, 1)
    copied, number, lost = w.read(2, 4)
    assert count_torn(w.target, copied) == 0
    assert (w.copies[:copied, 0] >> 8).tolist() == list(range(6 - copied, 6))
    assert copied + lost == number - 2 == 4


@pytest.mark.parametrize("words", range(TRAILER + 1))
def test_a_record_without_its_trailer_is_not_there(words):
    w = Writer(4)
    w.write(2)
    w.words[2, :words] = 3 << 8
    w.words[2, TRAILER] = 0
    assert poll(w.base, w.mask, 3, 1) == 0
    assert w.read(3) == (0, 3, 0) and w.read(1) == (2, 3, 0)


@pytest.mark.parametrize("turns", (0, 1, 3, 4, 5, 100))
def test_records_of_an_earlier_run_never_match(turns):
    w = Writer(4, epoch=1)
    w.write(turns)
    w.row["written"], w.row["epoch"] = 0, 2
    w.epoch = 2
    assert w.read(1) == (0, 1, 0)
    w.write(3)
    assert w.read(1) == (3, 4, 0)
    assert (w.copies[:3, 0] >> 8).tolist() == [1, 2, 3]


@pytest.mark.parametrize("slots", (4, 64))
def test_the_number_goes_on_beyond_32_bits(slots):
    start = (1 << 32) - 10
    w = Writer(slots, written=start - 1)
    w.write(1)
    number = start + 1
    for batch in (1, 3, 3, 2, 1, 1, 3):
        w.write(batch)
        copied, number, lost = w.read(number)
        assert (copied, lost) == (batch, 0)
        assert (w.copies[:copied, 0] >> 8).tolist() == list(range(number - copied, number))
    assert number == start + 15


def test_a_trailer_says_number_type_epoch_and_credit():
    w = Writer(4, epoch=200)
    w.row["credit"] = 0x12345
    w.write(2)
    assert int(w.words[1, TRAILER]) & (1 << 64) - 1 == 0x2345 << 48 | 200 << 40 | 2 << 32 | 2
    counters = w.arena.view("counters", np.int64)
    assert counters[CounterIndex.RECORDS] == 2 and counters.sum() == 2


def test_a_credited_ring_tells_how_many_records_it_can_take():
    w = Writer(8)
    assert room(w.context) == 8
    w.row["consumed"] = w.arena.take("consumed", 8)
    consumed = w.arena.view("consumed", np.int64)
    for written, taken in ((0, 0), (3, 0), (8, 0), (8, 5), (13, 5), (13, 13)):
        w.write(written - int(w.row["written"]))
        consumed[0] = taken
        assert room(w.context) == 8 - (written - taken)


# State lines


def state_line(version_head: int, version_tail: int) -> tuple[np.ndarray, np.ndarray]:
    line = np.arange(100, 100 + WORDS, dtype=np.int64)
    line[0] = 77 << 32 | version_head
    line[TRAILER] = 88 << 32 | version_tail
    return line, np.zeros(WORDS, np.int64)


def test_a_state_line_is_copied_whole_or_not_at_all():
    line, copy = state_line(5, 5)
    assert read_state(line.ctypes.data, copy.ctypes.data) == 1
    assert np.array_equal(line, copy)
    for head, tail in ((6, 5), (5, 6), (0, 1)):
        line, copy = state_line(head, tail)
        assert read_state(line.ctypes.data, copy.ctypes.data) == 0


# Two processes

WRITER = """
import mmap, sys
import numpy as np
from tests.unit.test_ring import Writer, write
from tickwire.kernels.ring import RING
with open(sys.argv[1], "r+b") as file:
    shared = mmap.mmap(file.fileno(), 0)
octets = np.frombuffer(shared, np.uint8)
slots = int(sys.argv[2])
w = Writer(slots)
w.row["base"] = octets.ctypes.data + 4096
stop = octets[:8].view(np.int64)
write(w.context, 1, 0)
print("ready", flush=True)
sys.stdin.readline()
number = 1
while not stop[0]:
    write(w.context, number, 2_000)
    number += 2_000
"""


@pytest.mark.parametrize("slots", (8, 16))
def test_a_second_process_that_laps_the_reader_never_makes_it_read_a_torn_record(slots, tmp_path):
    path = tmp_path / "ring"
    path.write_bytes(bytes(4096 + 64 * slots))
    with path.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), 0)
    octets = np.frombuffer(shared, np.uint8)
    base, stop = octets.ctypes.data + 4096, octets[:8].view(np.int64)
    target = np.zeros(64 * WORDS, np.int64)
    arguments = (base, slots - 1, 1, 1, target.ctypes.data)
    read_slowly(*arguments, 0, 0)                      # compiled before the race
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(slots)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().strip() == "ready"
            process.stdin.write("\n")
            process.stdin.flush()
            number, seen, torn, lost = 1, 0, 0, 0
            until = time.monotonic() + 6
            while (seen < 5_000 or lost == 0) and time.monotonic() < until:
                for pause in (0, 3, 40):
                    found, bad, gone, number, _ = read_slowly(
                        base, slots - 1, number, 1, target.ctypes.data, 500, pause)
                    seen, torn, lost = seen + found, torn + bad, lost + gone
        finally:
            stop[0] = 1
    assert seen > 0 and lost > 0, (seen, lost)         # it was lapped, or nothing was tried
    assert torn == 0
    assert seen + lost == number - 1
