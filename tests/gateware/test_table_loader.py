"""A limits table is put in force, or refused, as the kernel does it.

Method: tables that are right, and wrong in one value at the edge of its range, are loaded into the
compiled loader and committed; the kernels judge the same octets.
"""

import ctypes
import random
import struct

import numpy as np
import pytest

from tests.order_rig import Rig, crc32c
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
from tickwire_hw.table_loader import TableLoader
from tickwire_sim.verilate import verilate

INSTRUMENTS = 4                            # as the rig of the kernels has


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
    rows = model.rows(len(words) + 2, is_idle=1)
    rows["begin__valid"][0], rows["begin__payload"][0] = 1, start
    rows["word__valid"][1:-1], rows["word__payload"][1:-1] = 1, words
    return model.run(rows)


def commit(model, version, crc):
    """Commit; return the outputs of the cycle of the answer, the second one after."""
    rows = model.rows(4, is_idle=1)
    rows["commit__valid"][0], rows["commit__payload"][0] = 1, version | crc << 32
    outputs = model.run(rows)
    assert list(outputs["answer__valid"]) == [0, 0, 1, 0]
    assert model.get(outputs, "answer__payload", "version")[2] == version
    return outputs[2:3]


def reason_of(model, outputs):
    return int(model.get(outputs, "answer__payload", "reason")[0])


def words_of(octets):
    return np.frombuffer(octets, "<u8")


def test_commits_end_as_the_kernel_says(model):
    rounds, said, banks = list(cases()), [], {0: {}, 1: {}}
    model.reset()
    version = 0
    for octets, step, is_right in rounds:
        outputs, crc = load(model, words_of(octets)), crc32c(octets)
        assert outputs["running_crc"][-1] == crc
        written = outputs[outputs["write__valid"] == 1]
        for bank, index, word in zip(*(model.get(written, "write__payload", name)
                                       for name in ("bank", "index", "word")), strict=True):
            banks[int(bank)][int(index)] = int(word)
        answer = commit(model, (version + step) & 0xFFFF_FFFF, crc ^ (not is_right))
        version = int(answer["version"][0])
        said.append((reason_of(model, answer), version, int(answer["crc"][0])))
        if said[-1][0] == LimitsError.NONE:
            held = banks[int(answer["bank"][0])]
            assert struct.pack(f"<{len(held)}Q", *(held[at] for at in sorted(held))) == octets
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
            answer = commit(model, version + 1, int(outputs["running_crc"][-1]))
            version = int(answer["version"][0])
            said.append(reason_of(model, answer))
    assert said == [LimitsError.NONE] + [LimitsError.CRC] * 5


def test_a_commit_waits_until_no_intent_is_being_checked(model):
    model.reset()
    octets = table(random.Random(2))
    load(model, words_of(octets))
    rows = model.rows(12)
    rows["commit__valid"][0], rows["commit__payload"][0] = 1, 1 | crc32c(octets) << 32
    rows["is_idle"][8:] = 1
    outputs = model.run(rows)
    assert list(np.flatnonzero(outputs["answer__valid"])) == [9]
    assert list(outputs["bank"]) == [0] * 9 + [1] * 3
