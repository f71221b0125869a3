"""The instrument filter learns locates from the directory as the kernel does, without a pause.

Method: messages in every cycle, most of them about few locates and symbols, through the compiled
component and, one after the other, through the kernel; after each the entry of its locate is
compared.
"""

import functools
import itertools
import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import itch
from tickwire.device.book_memory import BookMemory
from tickwire.kernels.messages import message
from tickwire.spec.geometry import CARD_SMALL
from tickwire_hw.instrument_filter import ENTRY_AGE, NAMED_SIZE, InstrumentFilter
from tickwire_sim.model import Model
from tickwire_sim.verilate import verilate

WATCHED = ("AAPL", "MSFT", "AAP", "A")
SYMBOLS = (*WATCHED, "AAPLX", "B", "", "MSFT W", "\0" * 8)
LOCATES = (0, 1, 3, 4, 5, 0x0104, 0xFFFF)
STOCK_AT = 11                               # in directory and trading action alike
GEOMETRY = CARD_SMALL


@functools.cache
def model() -> Model:
    return verilate(InstrumentFilter(GEOMETRY))


def start(*, watch_all: bool) -> Model:
    """Begin anew, with four symbols watched."""
    card = model()
    card.restart()
    watch(card, watch_all=watch_all)
    return card


def watch(card: Model, *, watch_all: bool) -> None:
    """Watch four symbols."""
    rows = card.rows(len(WATCHED), watch_all=watch_all)
    rows["i_watch__valid"] = 1
    card.put(rows, "i_watch__payload", instrument=np.arange(len(WATCHED)), symbol=np.array(
        [int.from_bytes(symbol.encode().ljust(8), "big") for symbol in WATCHED], np.uint64))
    card.run(rows)


def entries(card: Model, messages: list[bytes], *, watch_all: bool) -> np.ndarray:
    """Return is_watched and instrument of every message, one a cycle."""
    rows = card.rows(len(messages) + ENTRY_AGE, watch_all=watch_all)
    octets = np.frombuffer(b"".join(one[:NAMED_SIZE].ljust(NAMED_SIZE, b"\0")
                                    for one in messages), np.uint8)
    given = rows[:len(messages)]
    card.put(given, "i", data=octets.reshape(-1, NAMED_SIZE),
             is_directory=np.array([one[:1] == b"R" for one in messages]))
    rows[:len(messages)] = given
    found = card.run(rows)[ENTRY_AGE:]
    assert found["o_taught__valid"].tolist() == [
        not watch_all and one[:1] == b"R" for one in messages]
    return np.stack([card.get(found, "o", name).astype(int) for name in (
        "is_watched", "instrument")], axis=1)


def expected(messages: list[bytes], *, watch_all: bool) -> np.ndarray:
    """Return the same of the kernel's filter."""
    symbols = None if watch_all else dict.fromkeys(WATCHED, 100)
    memory = BookMemory(GEOMETRY, huge=False, watch_symbols=symbols)
    filter_ = memory.arena.view("filter", np.uint32)
    found = []
    for number, one in enumerate(messages, 1):
        octets = np.frombuffer(one.ljust(64, b"\0"), np.uint8)
        message(memory.address, octets.ctypes.data, number)
        entry = int(filter_[struct.unpack_from(">H", one, 1)[0]])
        found.append((entry >> 31, entry & 0xFFFF))
    return np.array(found)


def halt(locate: int, symbol: str) -> bytes:
    """A message that names a symbol where the directory does."""
    return itch.action(locate, b"T")[:STOCK_AT] + itch.directory(locate, symbol)[
        STOCK_AT:STOCK_AT + 8] + itch.action(locate, b"T")[STOCK_AT + 8:]


messages = st.lists(st.one_of(
    st.builds(itch.directory, st.sampled_from(LOCATES), st.sampled_from(SYMBOLS)),
    st.builds(halt, st.sampled_from(LOCATES), st.sampled_from(SYMBOLS)),
    st.builds(itch.delete, st.sampled_from(LOCATES), st.just(1))), min_size=1, max_size=60)


@settings(max_examples=100)
@given(messages, st.booleans())
def test_entries_are_the_kernels_after_every_message(messages, watch_all):
    card = start(watch_all=watch_all)
    ours, theirs = (find(watch_all) for find in (
        lambda all_: entries(card, messages, watch_all=all_),
        lambda all_: expected(messages, watch_all=all_)))
    is_watched = theirs[:, 0] == 1
    assert (ours[:, 0] == theirs[:, 0]).all()
    assert (ours[is_watched] == theirs[is_watched]).all()


def test_of_two_entries_of_one_locate_the_newer_counts_at_every_distance():
    other = itch.delete(LOCATES[1], 1)
    for first, second in itertools.permutations((*WATCHED[:3], "B"), 2):
        for between in range(3):
            for behind in range(4):
                messages = [itch.directory(5, first), *between * [other],
                            itch.directory(5, second), *behind * [other], itch.delete(5, 1)]
                found = entries(start(watch_all=False), messages, watch_all=False)
                is_watched, instrument = found[-1]
                assert is_watched == (second in WATCHED)
                assert not is_watched or WATCHED[instrument] == second


def test_a_number_beyond_the_instruments_is_told_where_all_are_watched():
    card = start(watch_all=True)
    locates = [0, 1, GEOMETRY.instruments - 1, GEOMETRY.instruments, 0xFFFF]
    rows = card.rows(len(locates) + ENTRY_AGE, watch_all=1)
    given = rows[:len(locates)]
    card.put(given, "i", data=np.array([list(itch.delete(locate, 1)) + [0] * NAMED_SIZE
                                        for locate in locates], np.uint8)[:, :NAMED_SIZE])
    rows[:len(locates)] = given
    found = card.run(rows)[ENTRY_AGE:]
    assert card.get(found, "o", "is_beyond").tolist() == [0, 0, 0, 1, 1]
    assert card.get(found, "o", "is_watched").tolist() == [0, 1, 1, 0, 0]


def test_instruments_with_a_symbol_are_told():
    card = model()
    card.restart()
    assert not card.run(card.rows(1))["has_symbol"][0]
    assert card.run(card.rows(1, watch_all=1))["has_symbol"][0] == 0b1110
    rows = card.rows(2)
    rows["i_watch__valid"][0] = 1
    card.put(rows, "i_watch__payload", instrument=2, symbol=1)
    assert card.run(rows)["has_symbol"].tolist() == [0, 0b0100]


def test_a_reset_forgets_every_locate():
    """Locates are given anew each day, and an order of yesterday's is nobody's."""
    card = verilate(InstrumentFilter(GEOMETRY), "instrument_filter_with_reset", has_reset=True)
    card.restart()
    watch(card, watch_all=False)
    taught = [itch.directory(locate, WATCHED[0]) for locate in LOCATES]
    assert entries(card, taught, watch_all=False)[:, 0].all()
    card.reset()
    found = card.run(card.rows((1 << 16) + 1))
    assert not found["ready"][:-1].any() and found["ready"][-1]
    watch(card, watch_all=False)
    orders = [itch.add(locate, 1, b"B", 100, 10_000) for locate in LOCATES]
    assert not entries(card, orders, watch_all=False)[:, 0].any()
