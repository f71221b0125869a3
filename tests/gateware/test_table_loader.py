"""A limits table is put in force, or refused, as the kernel does it.

Method: tables that are right, and wrong in one value at the edge of its range, are loaded into the
compiled loader and committed; the kernels judge the same octets. The rows of the gate are worked
out again with Python's integers (``risk_rig.row_of``).
"""

import ctypes
import random

import numpy as np
import pytest

from tests.order_rig import Rig, crc32c
from tests.risk_rig import bits_of, row_of
from tickwire.kernels import order_path
from tickwire.spec.checks import ALWAYS_HARD
from tickwire.spec.geometry import Geometry
from tickwire.spec.limits import (
    FIRM_LIMITS,
    INSTRUMENT_LIMITS,
    LIMITS_ROW,
    NOTIONAL_LIMIT_MAX,
    SESSION_LIMITS,
    STRATEGIES,
    STRATEGY_LIMITS,
    UNLIMITED,
    LimitsError,
    limits_rows,
)
from tickwire.spec.wire import decode
from tickwire_hw.limit_rows import ROW_CYCLES
from tickwire_hw.risk import ROWS, Table
from tickwire_hw.table_loader import TableLoader
from tickwire_sim.bits import integer
from tickwire_sim.verilate import verilate

INSTRUMENTS = 4                            # as the rig of the kernels has
ANSWERED = ROW_CYCLES * limits_rows(INSTRUMENTS) + 5
"""Cycles from a commit until its answer was taken."""


def message_of(row):
    """What a row of the table is."""
    kinds = (FIRM_LIMITS, *[INSTRUMENT_LIMITS] * INSTRUMENTS, *[STRATEGY_LIMITS] * STRATEGIES)
    return kinds[row] if row < len(kinds) else SESSION_LIMITS


def table(chance, change=None):
    """A table that is right, but for the field of a row that ``change`` sets."""
    rows = []
    for row in range(limits_rows(INSTRUMENTS)):
        message = message_of(row)
        octets = bytearray(LIMITS_ROW)
        for field, offset in message.placed():
            if field.name.startswith("reserved"):
                continue
            most = UNLIMITED if field.size == 4 else NOTIONAL_LIMIT_MAX
            value = chance.choice((1, most, chance.randrange(1, most)))
            if field.name == "flags":
                value = chance.choice((0, 1))
            if field.name == "soft_checks":
                value = chance.getrandbits(32) & ~ALWAYS_HARD
            if change and change[:2] == (row, field.name):
                value = change[2]
            octets[offset:offset + field.size] = value.to_bytes(field.size, "little")
        rows.append(bytes(octets))
    return b"".join(rows)


def cases():
    """Tables, versions to commit them with, and whether the CRC is right."""
    chance = random.Random(5)
    changes = [None]
    for row in (0, 1, INSTRUMENTS, 1 + INSTRUMENTS, limits_rows(INSTRUMENTS) - 1):
        for field, _ in message_of(row).placed():
            if field.name.startswith("reserved"):
                continue
            most = UNLIMITED if field.size == 4 else NOTIONAL_LIMIT_MAX
            changes += [(row, field.name, value) for value in (0, most, most + 1)]
    changes += [(0, "soft_checks", 1 << bit) for bit in range(32)]
    chance.shuffle(changes)
    for change in changes:
        yield table(chance, change), chance.choice((1, 1, 1, 0, 2)), chance.random() < 0.9


def kernel_says(rounds):
    rig = Rig(is_ready=False)
    said = []
    for octets, step, is_right in rounds:
        ctypes.memmove(int(rig.path.gate["staging"]), octets, len(octets))
        version = (int(rig.path.gate["version"]) + step) & 0xFFFF_FFFF
        crc = crc32c(octets) ^ (not is_right)
        error = order_path.commit(rig.address, version, crc, 0)
        said.append((error, int(rig.path.gate["version"]), int(rig.path.gate["crc"])))
        rig.records()
    return said


@pytest.fixture(scope="module")
def model():
    geometry = Geometry(instruments=INSTRUMENTS, lookups=1)
    return verilate(TableLoader(geometry), "table_loader_small", has_reset=True)


def load(model, words, start=0):
    """Set the index and store words; return the outputs of the last of these cycles."""
    rows = model.rows(len(words) + 2)
    rows["begin__valid"][0], rows["begin__payload"][0] = 1, start
    rows["word__valid"][1:-1], rows["word__payload"][1:-1] = 1, words
    return model.run(rows)


def commit(model, version, crc, **columns):
    """Commit and take the answer; return it, and the rows that came before it."""
    rows = model.rows(ANSWERED, answer__ready=1)
    rows["commit__valid"][0], rows["commit__payload"][0] = 1, version | crc << 32
    for name, (cycle, value) in columns.items():
        rows[name][cycle] = value
    outputs = model.run(rows)
    cycle, = np.flatnonzero(outputs["answer__valid"])
    answer, told = outputs[cycle:cycle + 1], outputs[outputs["o__valid"] == 1]
    assert model.get(answer, "answer__payload", "version")[0] == version
    assert cycle == (ANSWERED - 2 if len(told) else 2)
    return answer, outputs[-1:], told


def reason_of(model, outputs):
    return int(model.get(outputs, "answer__payload", "reason")[0])


def words_of(octets):
    return np.frombuffer(octets, "<u8")


def kind_of(row):
    """Table of a row, and its number there."""
    for kind, count in ((Table.FIRM, 1), (Table.INSTRUMENT, INSTRUMENTS),
                        (Table.STRATEGY, STRATEGIES)):
        if row < count:
            return kind, row
        row -= count
    return Table.SESSION, row


def expected_rows(octets):
    """What the gate gets for a table."""
    for row in range(limits_rows(INSTRUMENTS)):
        kind, number = kind_of(row)
        limits = decode(message_of(row), octets[LIMITS_ROW * row:LIMITS_ROW * (row + 1)])
        yield kind, number, bits_of(ROWS[kind], row_of(kind, limits))


def found_rows(model, outputs):
    kinds, numbers, rows = (model.get(outputs, "o__payload", name)
                            for name in ("table", "number", "row"))
    for kind, number, row in zip(kinds, numbers, rows, strict=True):
        yield Table(int(kind)), int(number), integer(row)


def test_commits_end_as_the_kernel_says(model):
    rounds, said = list(cases()), []
    model.reset()
    version = 0
    for octets, step, is_right in rounds:
        outputs, crc = load(model, words_of(octets)), crc32c(octets)
        assert outputs["running_crc"][-1] == crc
        answer, after, told = commit(model, (version + step) & 0xFFFF_FFFF, crc ^ (not is_right))
        version = int(after["version"][0])
        said.append((reason_of(model, answer), version, int(after["crc"][0])))
        is_in_force = said[-1][0] == LimitsError.NONE
        assert list(found_rows(model, told)) == list(expected_rows(octets)) * is_in_force
    assert said == kernel_says(rounds)
    assert {reason for reason, *_ in said} == set(LimitsError)


def test_what_is_loaded_out_of_order_or_twice_is_no_table(model):
    words, said = words_of(table(random.Random(1))), []
    model.reset()
    version = 0
    for skipped in (None, 3, len(words) - 1):
        outputs = load(model, words[:skipped])
        if skipped is not None:
            outputs = load(model, words[skipped + 1:], skipped + 1)
        for _ in range(2):                         # the second one finds the table spent
            answer, after, _ = commit(model, version + 1, int(outputs["running_crc"][-1]))
            version = int(after["version"][0])
            said.append(reason_of(model, answer))
    assert said == [LimitsError.NONE] + [LimitsError.CRC] * 5


@pytest.mark.parametrize("port", ["word", "begin"])
@pytest.mark.parametrize("cycle", [1, 2, ANSWERED // 2, ANSWERED - 2])
def test_what_is_loaded_before_the_answer_changes_nothing_and_is_no_table(model, port, cycle):
    octets = table(random.Random(2))
    model.reset()
    load(model, words_of(octets))
    _, _, told = commit(model, 1, crc32c(octets), **{
        f"{port}__valid": (cycle, 1), f"{port}__payload": (cycle, 0)})
    assert list(found_rows(model, told)) == list(expected_rows(octets))
    load(model, words_of(octets)[1:], 1)
    answer, _, told = commit(model, 2, crc32c(octets))
    assert (reason_of(model, answer), len(told)) == (LimitsError.CRC, 0)


def test_an_answer_waits_until_it_is_taken_and_the_table_before_stays_until_then(model):
    octets = table(random.Random(2))
    model.reset()
    load(model, words_of(octets))
    rows = model.rows(ANSWERED + 8)
    rows["commit__valid"][0], rows["commit__payload"][0] = 1, 1 | crc32c(octets) << 32
    rows["answer__ready"][-2] = 1
    outputs = model.run(rows)
    assert list(np.flatnonzero(outputs["answer__valid"])) == list(range(ANSWERED - 2,
                                                                        ANSWERED + 7))
    assert list(np.flatnonzero(outputs["version"])) == [ANSWERED + 7]
    assert list(np.flatnonzero(outputs["is_asked"])) == list(range(1, ANSWERED + 7))
