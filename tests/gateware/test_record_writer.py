"""What the record writer puts into host memory is what the ring kernel puts there.

Method: records and lines come at random, bursts are taken at random, and every burst is laid into
memory in its order; a reader's rules are checked after each. Rings of the same records are
written by the kernels. A ring that laps, that overflows, that nobody reads and that lies where it
may not are made on purpose.
"""

import random
from collections import deque

import pytest

from tests import ring_rig
from tests.gateware.cycle_rig import Cycles
from tickwire.spec import wire
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.records import LOST, STATE_LINE, RecordType
from tickwire.spec.registers import RING_LOG2_MAX, RING_LOG2_MIN
from tickwire_hw.record_writer import RecordWriter
from tickwire_sim.verilate import verilate

DEPTH = 16
LOG2 = 6
SIZE = 64 << LOG2
EPOCH, CREDIT = 9, 513
BASES = {"market": 0x7_0000_0000, "order": 0x7_0001_0000, "capture": 0x8000_0000,
         "table": 0x12_3456_7000}
RINGS = ("market", "order", "capture")
INSTRUMENTS = CARD_SMALL.instruments


@pytest.fixture(scope="module")
def model():
    return verilate(RecordWriter(CARD_SMALL, DEPTH), "record_writer_small")


def record(chance):
    return chance.choice((2, 4, 6)), chance.randbytes(56)


def line(chance, version, instrument):
    octets = bytearray(chance.randbytes(64))
    octets[0:4] = octets[56:60] = version.to_bytes(4, "little")
    octets[4:6] = instrument.to_bytes(2, "little")
    return bytes(octets)


class Rig:
    """The writer, and host memory behind it."""

    def __init__(self, model):
        self.cycles = Cycles(model)
        self.memory = {}
        self.bursts = []
        self.orders = deque()
        self.consumed = 0
        self.taken = 0
        self.cycles.set("epoch", EPOCH)
        self.cycles.set("credit", CREDIT)
        self.cycles.set("now", 0)

    def place(self, name, base=None, log2=LOG2, enable=1):
        base = BASES[name] if base is None else base
        if name == "table":
            self.cycles.set("table", base=base, enable=enable)
        else:
            index = RINGS.index(name)
            self.cycles.set("rings", **{f"{index}__base": base, f"{index}__log2": log2,
                                        f"{index}__enable": enable})

    def start(self, *names):
        for name in names or (*RINGS, "table"):
            self.place(name)
        self.step()

    def state(self, name, field):
        if name == "table":
            return self.cycles.get(self.found, "table_state", field)
        return self.cycles.get(self.found, "states", f"{RINGS.index(name)}.{field}")

    def step(self, market=None, state=None, capture=None, ready=True):
        """One cycle with what comes in it; lays the burst down that goes out in it."""
        c = self.cycles
        for port, given in (("i_market", market), ("i_capture", capture)):
            c.set(f"{port}__valid", given is not None)
            if given:
                c.set(f"{port}__payload", kind=given[0],
                      octets=int.from_bytes(given[1], "little"))
        c.set("i_line__valid", state is not None)
        if state:
            c.set("i_line__payload", instrument=state[0], line=int.from_bytes(state[1], "little"))
        c.set("i_order__valid", bool(self.orders))
        if self.orders:
            kind, octets = self.orders[0]
            c.set("i_order__payload", kind=kind, octets=int.from_bytes(octets, "little"))
        c.set("consumed", self.consumed)
        c.set("o__ready", int(ready))
        self.found = found = c.cycle()
        if self.orders and c.get(found, "i_order__ready"):
            self.orders.popleft()
            self.taken += 1
        valid = c.get(found, "o__valid")
        offered = tuple(c.get(found, "o__payload", name) for name in ("address", "data",
                                                                      "is_word"))
        if getattr(self, "_waiting", None):
            assert valid and offered == self._waiting, "a burst changed while it waited"
        self._waiting = offered if valid and not ready else None
        if valid and ready:
            address, data, is_word = offered
            assert not is_word and address % 64 == 0
            octets = data.to_bytes(64, "little")
            self.memory[address] = octets
            self.bursts.append((address, octets))
        return bool(valid)

    def drain(self, cycles=200):
        for _ in range(cycles):
            self.step()

    def ring(self, name):
        return b"".join(self.memory.get(BASES[name] + 64 * slot, bytes(64))
                        for slot in range(1 << LOG2))


def written(records, log2=LOG2):
    """The ring as the kernels write it."""
    return ring_rig.written(records, log2, EPOCH, CREDIT)


@pytest.mark.parametrize("pause", [0.0, 0.3])
def test_three_rings_hold_what_the_kernel_writes_over_laps(model, pause):
    chance = random.Random(7 + int(10 * pause))
    rig = Rig(model)
    rig.start()
    sent = {name: [] for name in RINGS}
    lines, versions = {}, [0] * INSTRUMENTS
    for number in range(2_500):
        given = {}
        if number % 8 == 0:
            given["market"] = record(chance)
            sent["market"].append(given["market"])
            if chance.random() < 0.7:
                instrument = chance.randrange(INSTRUMENTS)
                versions[instrument] += 1
                lines[instrument] = line(chance, versions[instrument], instrument)
                given["state"] = instrument, lines[instrument]
        if chance.random() < 0.03:
            given["capture"] = record(chance)
            sent["capture"].append(given["capture"])
        if chance.random() < 0.05:
            rig.orders.append(record(chance))
            sent["order"].append(rig.orders[-1])
        rig.consumed = max(0, len(rig.bursts) and rig.state("order", "written") - 3)
        rig.step(**given, ready=chance.random() >= pause)
    rig.consumed = rig.state("order", "written")
    rig.drain()
    assert all(len(records) > 1 << LOG2 for records in (sent["market"], sent["order"]))
    for name in RINGS:
        assert rig.ring(name) == written(sent[name]), name
        assert rig.state(name, "written") == len(sent[name])
        assert rig.state(name, "drops") == 0
    for instrument, octets in lines.items():
        assert rig.memory[BASES["table"] + 64 * instrument] == octets


def test_a_line_goes_out_one_cycle_after_it_came_and_its_record_right_behind_it(model):
    rig = Rig(model)
    rig.start()
    rig.drain(10)
    chance = random.Random(1)
    state = line(chance, 1, 2)
    assert not rig.step(market=record(chance), state=(2, state))
    assert rig.step() and rig.bursts[-1] == (BASES["table"] + 128, state)
    assert rig.step() and rig.bursts[-1][0] == BASES["market"]
    assert not rig.step()


def test_a_record_that_finds_no_room_is_told_in_its_place_and_no_line_is_forgotten(model):
    chance = random.Random(3)
    rig = Rig(model)
    rig.start()
    sent, newest = [], [0] * INSTRUMENTS
    for number in range(6_000):
        given = {}
        rig.cycles.set("now", number)
        if chance.random() < 0.3:
            instrument = chance.randrange(INSTRUMENTS)
            newest[instrument] += 1
            octets = bytearray(record(chance)[1])
            octets[0:8] = len(sent).to_bytes(8, "little")
            octets[8], octets[9:13] = instrument, newest[instrument].to_bytes(4, "little")
            given = {"market": (2, bytes(octets)),
                     "state": (instrument, line(chance, newest[instrument], instrument))}
            sent.append((instrument, newest[instrument]))
        slow = number // 500 % 2
        rig.step(**given, ready=chance.random() < (0.2 if slow else 1.0))
    rig.drain(400)

    table, expected, number, losses = [0] * INSTRUMENTS, 0, 1, 0
    for address, octets in rig.bursts:
        if address >= BASES["table"]:
            instrument = (address - BASES["table"]) // 64
            version = int.from_bytes(octets[:4], "little")
            assert version >= table[instrument], "a line went back"
            table[instrument] = version
            continue
        assert address == BASES["market"] + 64 * ((number - 1) % (1 << LOG2))
        assert int.from_bytes(octets[56:60], "little") == number
        if octets[60] == RecordType.LOST:
            told = wire.decode(LOST, octets)
            assert told["first"] == number and told["count"] > 0
            losses += told["count"]
            for instrument, version in sent[expected:expected + told["count"]]:
                assert table[instrument] >= version
            expected += told["count"]
        else:
            assert int.from_bytes(octets[:8], "little") == expected
            instrument, version = octets[8], int.from_bytes(octets[9:13], "little")
            assert table[instrument] >= version, "a record before its line"
            expected += 1
        number += 1
    assert expected == len(sent) and table == newest
    assert 0 < losses == rig.state("market", "drops") < len(sent)
    assert rig.state("market", "queue_max") == DEPTH


def test_order_records_wait_for_a_reader_and_are_never_overwritten(model):
    chance = random.Random(5)
    rig = Rig(model)
    rig.start()
    sent = [record(chance) for _ in range(3 << LOG2)]
    rig.orders.extend(sent)
    rig.drain(400)
    assert rig.state("order", "written") == 1 << LOG2 and len(rig.orders) == 2 << LOG2
    assert rig.cycles.get(rig.found, "room") == 0
    market = [record(chance) for _ in range(5)]
    for given in market:
        rig.step(market=given)
    rig.drain(20)
    assert rig.state("market", "written") == 5         # the other rings go on
    for _ in range(10):
        rig.consumed += 1
        rig.drain(3)
        assert rig.state("order", "written") == (1 << LOG2) + rig.consumed
    rig.consumed = 1 << 40                             # more than was ever written
    rig.drain(20)
    assert rig.cycles.get(rig.found, "room") == 0 and rig.state("order", "written") == 74


def test_order_records_without_a_ring_do_not_block(model):
    rig = Rig(model)
    rig.start("market", "table")
    rig.orders.extend(record(random.Random(2)) for _ in range(10))
    rig.drain(20)
    assert not rig.orders and not rig.bursts


@pytest.mark.parametrize(("base", "log2", "is_right"), [
    (0x1000, 6, True), (0x2000, 7, True), (0x4000_0000, 20, True), (1 << 63, 6, True),
    (0x1800, 7, False), (0x1040, 6, False), (0x1001, 6, False), (0, 6, False),
    (0x0200_0000, 20, False), (0x1_0000_0000, RING_LOG2_MIN - 1, False),
    (0x1_0000_0000, RING_LOG2_MAX + 1, False), (0x1_0000_0000, 0, False),
    (0x1_0000_0000, 31, False)])
def test_a_ring_that_lies_where_it_may_not_is_refused(model, base, log2, is_right):
    rig = Rig(model)
    rig.place("market", base, log2)
    rig.drain(3)
    assert rig.state("market", "is_enabled") == is_right
    assert rig.state("market", "is_refused") == (not is_right)
    rig.step(market=record(random.Random(1)))
    rig.drain(5)
    assert len(rig.bursts) == is_right
    rig.place("market", base, log2, enable=0)
    rig.drain(3)
    assert not rig.state("market", "is_refused") and not rig.state("market", "is_enabled")


def test_a_ring_begins_anew_and_a_burst_that_waits_is_finished_first(model):
    chance = random.Random(4)
    rig = Rig(model)
    rig.start()
    rig.step(market=record(chance))
    for _ in range(5):
        rig.step(ready=False)
    rig.place("market", enable=0)
    for _ in range(5):
        rig.step(ready=False)
    assert rig.state("market", "is_enabled") and not rig.bursts
    rig.drain(3)
    assert not rig.state("market", "is_enabled") and len(rig.bursts) == 1
    for _ in range(3):
        rig.step(market=record(chance))
    rig.drain(5)
    assert len(rig.bursts) == 1
    rig.place("market")
    rig.drain(2)
    again = record(chance)
    rig.step(market=again)
    rig.drain(5)
    assert rig.bursts[-1] == (BASES["market"], written([again])[:64])


def test_a_table_that_is_enabled_late_gets_every_line_there_is(model):
    chance = random.Random(6)
    rig = Rig(model)
    rig.start("market")
    lines = {}
    for version in range(1, 4):
        for instrument in (0, 3):
            lines[instrument] = line(chance, version, instrument)
            rig.step(market=record(chance), state=(instrument, lines[instrument]))
    rig.drain(30)
    assert len(rig.bursts) == 6
    rig.place("table")
    rig.step(market=record(chance), ready=False)       # a record waits while the table appears
    for _ in range(6):
        rig.step(ready=False)
    rig.drain(30)
    assert {address - BASES["table"]: octets for address, octets in rig.bursts[6:]
            if address >= BASES["table"]} == {64 * i: octets for i, octets in lines.items()}
    assert len(rig.bursts) == 9
    assert STATE_LINE.size == 64


@pytest.mark.parametrize("seed", range(8))
def test_an_offered_burst_stays_whatever_is_switched_off(model, seed):
    """Neither a ring that goes off nor a new credit changes what waits to be taken."""
    chance, rig, version = random.Random(seed), Rig(model), 0
    rig.start()
    enabled = dict.fromkeys((*RINGS, "table"), 1)
    for _ in range(4_000):
        if chance.random() < 0.15:
            name = chance.choice(list(enabled))
            enabled[name] ^= 1
            rig.place(name, enable=enabled[name])
        rig.cycles.set("credit", chance.getrandbits(16))
        state = None
        if chance.random() < 0.3:
            version += 1
            place = chance.randrange(INSTRUMENTS)
            state = place, line(chance, version, place)
        if chance.random() < 0.2 and len(rig.orders) < 4:
            rig.orders.append(record(chance))
        rig.step(market=record(chance) if chance.random() < 0.5 else None, state=state,
                 capture=record(chance) if chance.random() < 0.2 else None,
                 ready=chance.random() < 0.5)
        rig.consumed = rig.state("order", "written")
    assert len(rig.bursts) > 500
