"""Frames of the host come as they were stored, and nothing comes that was not asked for.

Method: stores and sends at random, some of them not whole or not allowed, against a model of the
page in Python; words and the cycle of each are compared. The order line holds words back at random.
"""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.spec.registers import FRAME_OFFSET, FRAME_PAGE, FRAME_TO_ORDERS
from tickwire_hw.host_frame import HostFrame
from tickwire_hw.stream import LANES
from tickwire_sim.verilate import verilate

PAGE = FRAME_OFFSET // 4
WHOLE = 15
FIRST = 3                                      # cycles from a send to the first word
FIRST_ORDER = 4                                # the same for the order line
SIZES = (1, 7, 8, 9, 60, 64, 1_514, FRAME_PAGE - 1, FRAME_PAGE)


@pytest.fixture(scope="module")
def model():
    return verilate(HostFrame())


def store(model, address, words, enables=WHOLE, is_read=0):
    """Store 32-bit words from a word address on, one a cycle."""
    rows = model.rows(len(words), access__valid=1)
    model.put(rows, "access__payload", address=address + np.arange(len(words)) & 0x3FFF,
              data=np.array(words, np.uint64), enables=enables, is_read=is_read)
    assert not model.run(rows)["o__valid"].any()


def send(model, octets):
    """Ask for a frame; return the rows of its cycles and of some behind it."""
    rows = model.rows(FIRST + min(octets, FRAME_PAGE) // LANES + 4)
    rows["send__valid"][0], rows["send__payload"][0] = 1, octets
    return model.run(rows)


def frame_of(model, found, port="o"):
    """Octets of the words that came, which are one frame."""
    words = found[found[f"{port}__valid"] == 1]
    data, keep, first, last = (model.get(words, f"{port}__payload", name)
                               for name in ("data", "keep", "first", "last"))
    assert first.tolist() == [1] + [0] * (len(words) - 1)
    assert last.tolist() == [0] * (len(words) - 1) + [1]
    assert (keep[:-1] == 0xFF).all() and not model.get(words, f"{port}__payload", "error").any()
    used = int(keep[-1]).bit_count()
    assert int(keep[-1]) == (1 << used) - 1
    return data.astype("<u8").tobytes()[:LANES * (len(words) - 1) + used]


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_comes_as_it_was_stored(model, size):
    model.restart()
    octets = random.Random(size).randbytes(size)
    store(model, PAGE, np.frombuffer(octets.ljust(-(-size // 8) * 8, b"\0"), "<u4"))
    for _ in range(2):                          # the page keeps what it has
        found = send(model, size)
        words = -(-size // LANES)
        came = np.flatnonzero(found["o__valid"])
        assert came.tolist() == list(range(FIRST, FIRST + words))
        assert found["is_busy"].tolist() == [
            int(0 < cycle < FIRST + words) for cycle in range(len(found))]
        assert frame_of(model, found) == octets


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(
    st.integers(PAGE - 2, PAGE + 40), st.sampled_from((WHOLE, WHOLE, WHOLE, 0, 7, 8)),
    st.integers(0, 1), st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=8))),
    st.integers(1, 200))
def test_only_whole_words_of_the_page_are_kept(model, stores, size):
    model.restart()
    page = np.zeros(FRAME_PAGE // 4, "<u4")
    for address, enables, is_read, words in stores:
        store(model, address, words, enables, is_read)
        for place, word in enumerate(words, address - PAGE):
            if enables == WHOLE and not is_read and place >= 0:
                page[place] = word
    assert frame_of(model, send(model, size)) == page.tobytes()[:size]


@pytest.mark.parametrize("size", (0, FRAME_PAGE + 1, 1 << 30, (1 << 31) - 1))
@pytest.mark.parametrize("way", (0, FRAME_TO_ORDERS))
def test_nothing_and_what_the_page_does_not_hold_is_ignored(model, size, way):
    model.restart()
    found = send(model, size | way)
    assert not found["o__valid"].any() and not found["o_order__valid"].any()
    assert not found["is_busy"].any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pause", (0, 1, 2, 3, 4, 5, 20))
def test_a_frame_for_the_order_line_waits_there_and_then_goes_on_without_a_gap(model, size, pause):
    model.restart()
    octets = random.Random(size).randbytes(size)
    store(model, PAGE, np.frombuffer(octets.ljust(-(-size // 8) * 8, b"\0"), "<u4"))
    words = -(-size // LANES)
    for _ in range(2):
        rows = model.rows(FIRST_ORDER + pause + words + 4)
        rows["send__valid"][0], rows["send__payload"][0] = 1, size | FRAME_TO_ORDERS
        rows["o_order__ready"][FIRST_ORDER + pause:] = 1
        found = model.run(rows)
        assert not found["o__valid"].any()
        came = np.flatnonzero(found["o_order__valid"])
        assert came.tolist() == list(range(FIRST_ORDER, FIRST_ORDER + pause + words))
        assert found["is_busy"].tolist() == [
            int(0 < cycle < FIRST_ORDER + pause + words) for cycle in range(len(found))]
        assert frame_of(model, found[FIRST_ORDER + pause:], "o_order") == octets


@pytest.mark.parametrize("seed", range(8))
def test_a_line_that_holds_words_back_gets_each_once(model, seed):
    model.restart()
    chance = np.random.default_rng(seed)
    for size in (1, 8, 9, 30, 41, 64, 100, 1_514):
        octets = chance.bytes(size)
        store(model, PAGE, np.frombuffer(octets.ljust(-(-size // 8) * 8, b"\0"), "<u4"))
        rows = model.rows(40 + size)
        rows["send__valid"][0], rows["send__payload"][0] = 1, size | FRAME_TO_ORDERS
        rows["o_order__ready"] = chance.random(len(rows)) < (0.3 if size < 100 else 0.7)
        rows["o_order__ready"][-20:] = 1
        found = model.run(rows)
        taken = found[(found["o_order__valid"] & rows["o_order__ready"]) == 1]
        assert frame_of(model, taken, "o_order") == octets
        assert not found["is_busy"][-1]


def test_one_frame_goes_one_way_and_the_next_one_the_other(model):
    model.restart()
    store(model, PAGE, list(range(4)))
    rows = model.rows(40, o_order__ready=1)
    for at, way in ((0, FRAME_TO_ORDERS), (12, 0), (24, FRAME_TO_ORDERS)):
        rows["send__valid"][at], rows["send__payload"][at] = 1, 16 | way
    found = model.run(rows)
    assert np.flatnonzero(found["o__valid"]).tolist() == [12 + FIRST, 13 + FIRST]
    assert np.flatnonzero(found["o_order__valid"]).tolist() == [
        FIRST_ORDER, 1 + FIRST_ORDER, 24 + FIRST_ORDER, 25 + FIRST_ORDER]


def test_a_send_in_mid_frame_is_ignored(model):
    model.restart()
    rows = model.rows(64)
    rows["send__valid"][:20], rows["send__payload"][:20] = 1, 100
    found = model.run(rows)
    last = np.flatnonzero(model.get(found, "o__payload", "last") & found["o__valid"])
    assert last.tolist() == [FIRST + 12, FIRST + 12 + 13 + FIRST]
