"""Whole intents come out of the window once, in order and as the kernel judges them.

Method: intents are cut into stores of any size, shuffled within what may be outstanding, and given
at random times. What the window says of them is compared with the records of the kernels for the
same slots. Stores that never complete a slot, or are smaller than a word, are made on purpose.
"""

import itertools
import random

import pytest

from tests.gateware.cycle_rig import Cycles
from tests.order_rig import Rig as KernelRig
from tests.order_rig import crc32c, sealed
from tickwire.kernels import order_path
from tickwire.spec import wire
from tickwire.spec.intents import INTENT, PARTIAL_NS, WINDOW_SLOTS, IntentError, Operation
from tickwire.spec.records import RecordType
from tickwire_hw.intent_window import COMMIT_AGE, IntentWindow
from tickwire_sim.verilate import verilate

EPOCH = 1
U32 = 0xFFFF_FFFF


@pytest.fixture(scope="module")
def model():
    return verilate(IntentWindow())


class Rig:
    """The window, and what it gave."""

    def __init__(self, model, epoch=EPOCH):
        self.cycles = Cycles(model)
        self.given = []
        self.now = 10_000
        for name, value in (("epoch", epoch), ("has_room", 1), ("o__ready", 1)):
            self.cycles.set(name, value)
        self.step()

    def step(self, store=None, ready=True):
        """One cycle, with a store (octet address, octets, enables or None) in it."""
        c = self.cycles
        c.set("i__valid", store is not None)
        if store:
            address, octets, enables = store
            lead = address % 4
            enables = (1 << len(octets)) - 1 if enables is None else enables
            c.set("i__payload", address=address // 4, is_read=0, bar=2,
                  data=int.from_bytes(octets, "little") << 8 * lead, enables=enables << lead)
        c.set("now", self.now)
        c.set("o__ready", int(ready))
        self.found = found = c.cycle()
        self.now += 4
        if c.get(found, "o__valid") and ready:
            self.given.append({name: c.get(found, "o__payload", name) for name in (
                "error", "slot", "expected", "received", "is_old", "age")}
                              | {"intent": self._intent(found)})
        return c.get(found, "o__valid")

    def _intent(self, found):
        word = self.cycles.get(found, "o__payload")
        return (word & (1 << 512) - 1).to_bytes(64, "little")

    def drain(self, cycles=40):
        for _ in range(cycles):
            self.step()


def intent(chance, sequence, epoch=EPOCH, **fields):
    octets = wire.encode(INTENT, {
        "timestamp": chance.getrandbits(60), "intent_id": chance.getrandbits(32),
        "locate": chance.getrandbits(16), "operation": Operation.NOP, "flags": 0,
        "price": chance.getrandbits(31), "quantity": chance.getrandbits(31), "token": 0,
        "book_version": chance.getrandbits(32), "max_version_lag": 0, "ttl_ns": 0, "session": 0,
        "strategy": 0, "reserved_1": 0, "reserved_2": 0, "crc": 0, "epoch": 0, "sequence": 0,
        **fields})
    return sealed(octets, epoch, sequence & U32)


def place(sequence):
    return 64 * ((sequence - 1) % WINDOW_SLOTS)


def cut(chance, octets, address, size=4):
    """Cut a slot into stores of whole words."""
    places = sorted({0, 64, *(size * chance.randrange(64 // size)
                              for _ in range(chance.randrange(9)))})
    return [(address + a, octets[a:b], None) for a, b in itertools.pairwise(places)]


def test_stores_in_any_order_and_size_commit_every_intent_once_and_in_order(model):
    chance = random.Random(11)
    rig = Rig(model)
    sent, waiting, number = [], [], 0
    while len(rig.given) < 400:
        assert rig.now < 1_000_000
        if number < 400 and number - len(rig.given) < WINDOW_SLOTS and len(waiting) < 40:
            number += 1
            sent.append(intent(chance, number))
            waiting += cut(chance, sent[-1], place(number))
            chance.shuffle(waiting)
        store = waiting.pop() if waiting and chance.random() < 0.7 else None
        rig.step(store, ready=chance.random() < 0.8)
    rig.drain()
    assert [given["intent"] for given in rig.given] == sent
    assert not any(given["error"] for given in rig.given)
    assert [given["slot"] for given in rig.given] == [n % 64 for n in range(400)]
    assert rig.cycles.get(rig.found, "consumed") == 400


def test_stores_that_lie_across_slots_fill_both(model):
    chance = random.Random(12)
    rig = Rig(model)
    sent = [intent(chance, number) for number in range(1, WINDOW_SLOTS + 1)]
    octets = b"".join(sent)
    rig.step((0, octets[:32], None))
    for start in range(32, len(octets) - 32, 64):
        rig.step((start, octets[start:start + 64], None))
    rig.step((len(octets) - 32, octets[-32:], None))
    rig.drain(400)
    assert [given["intent"] for given in rig.given] == sent


def test_an_intent_is_given_some_cycles_after_its_last_word(model):
    rig = Rig(model)
    octets = intent(random.Random(1), 1)
    for first in (0, 1):
        rig.step((32 * first, octets[32 * first:32 * first + 32], None))
    assert [rig.step() for _ in range(COMMIT_AGE)] == [0] * (COMMIT_AGE - 1) + [1]


@pytest.mark.parametrize("missing", range(16))
def test_a_slot_that_lacks_a_word_is_reported_emptied_and_can_be_written_again(model, missing):
    rig = Rig(model)
    octets = intent(random.Random(missing), 1)
    for word in range(16):
        if word != missing:
            rig.step((4 * word, octets[4 * word:4 * word + 4], None))
    begin = rig.now
    while not rig.given:
        rig.step()
        assert rig.now < begin + PARTIAL_NS + 100
    assert rig.now >= begin + PARTIAL_NS - 100
    told = rig.given.pop()
    assert (told["error"], told["slot"], told["expected"], told["received"]) == (
        IntentError.PARTIAL_TIMEOUT, 0, 0xFFFF, 0xFFFF & ~(1 << missing))
    rig.step((4 * missing, octets[4 * missing:4 * missing + 4], None))
    rig.drain()
    assert not rig.given                               # the others were discarded
    rig.step((0, octets, None))
    rig.drain()
    assert [given["intent"] for given in rig.given] == [octets]


def test_stores_smaller_than_a_word_fill_nothing_and_are_reported(model):
    rig = Rig(model)
    octets = intent(random.Random(1), 1)
    rig.step((0, octets[:60], None))
    for at in range(60, 64):
        rig.step((at, octets[at:at + 1], None))
    rig.drain(PARTIAL_NS // 4 + 20)
    assert [given["error"] for given in rig.given] == [IntentError.PARTIAL_TIMEOUT]
    rig.step((2, octets[2:4], None))                   # begun by half a word alone
    rig.drain(PARTIAL_NS // 4 + 20)
    assert [given["received"] for given in rig.given] == [0x7FFF, 0]


def test_nothing_is_given_without_room_and_nothing_times_out(model):
    rig = Rig(model)
    octets = intent(random.Random(1), 1)
    rig.cycles.set("has_room", 0)
    rig.step((0, octets, None))
    rig.drain(PARTIAL_NS // 4 + 40)
    assert not rig.given
    rig.cycles.set("has_room", 1)
    rig.drain()
    assert [given["intent"] for given in rig.given] == [octets]


def test_an_age_is_told_either_way_and_saturates(model):
    chance = random.Random(5)
    rig = Rig(model)
    cases = [(-5_000, 4_000, 1), (-5_000, 6_000, 0), (5_000, 4_000, 1), (5_000, 6_000, 0),
             (-(1 << 40), 1, 1), (1 << 40, 0, 0), (1 << 40, U32, 1)]
    for number, (offset, ttl, is_old) in enumerate(cases, 1):
        rig.now = 1 << 50
        rig.step((place(number), intent(chance, number, ttl_ns=ttl,
                                        timestamp=rig.now + offset), None))
        rig.drain(12)
        told = rig.given[-1]
        assert told["is_old"] == is_old and not told["error"]
        assert abs(told["age"] - min(abs(offset), U32)) <= 100


def test_what_waits_to_be_taken_grows_old(model):
    for offset, is_old_at in ((0, 1_000), (-500, 500), (500, 1_500)):
        for age in (is_old_at - 4, is_old_at + 24):
            rig = Rig(model)
            begin = rig.now
            octets = intent(random.Random(1), 1, timestamp=begin + offset, ttl_ns=1_000)
            rig.step((0, octets, None), ready=False)
            while rig.now < begin + age:
                rig.step(ready=False)
            rig.step()
            (told,) = rig.given
            assert (told["error"], told["is_old"]) == (0, age > is_old_at)
            assert 0 <= abs(age - offset) - told["age"] <= 16


def test_what_waits_to_be_taken_is_refused_when_the_device_is_armed_anew(model):
    rig = Rig(model)
    rig.step((0, intent(random.Random(1), 1), None), ready=False)
    for _ in range(40):
        rig.step(ready=False)
    rig.cycles.set("epoch", EPOCH + 1)
    for _ in range(2):
        rig.step(ready=False)
    rig.drain()
    (told,) = rig.given
    assert (told["error"], told["expected"], told["received"]) == (
        IntentError.EPOCH, EPOCH + 1, EPOCH)


def kernel_says(slots):
    """What the kernels make of slots, one written after the other: errors, and ids taken."""
    rig = KernelRig()
    rig.path.context["epoch"] = EPOCH
    window = rig.path.arena.view("window")
    said = []

    def read():
        found = rig.records()
        for kind, record in found:
            assert kind == RecordType.INTENT_ERROR
            said.append((record["error"], record["intent_id"], record["slot"],
                         record["expected"], record["received"]))
        return found

    for address, octets in slots:
        window[address:address + 64] = list(octets)
        found = order_path.ready(rig.address, 0)
        read()
        if found:
            order_path.execute(rig.address, found, 0)
            if not read():
                said.append((0, int.from_bytes(octets[8:12], "little")))
    return said


def test_what_is_wrong_with_an_intent_is_what_the_kernel_says(model):
    chance = random.Random(21)
    slots, number = [], 1
    for _ in range(300):
        octets, at = bytearray(intent(chance, number)), place(number)
        what = chance.randrange(7)
        if what == 0:                                  # one bit
            octets[chance.randrange(56)] ^= 1 << chance.randrange(8)
            number += 1
        elif what == 1:
            octets = intent(chance, number, epoch=EPOCH + chance.randrange(1, 5))
            number += 1
        elif what == 2:                                # of another turn, once or twice
            wrong = number + chance.choice((-1, 1, 63, 64, 128))
            octets = intent(chance, wrong)
            slots += [(at, bytes(octets))] * chance.randrange(1, 3)
            continue
        elif what == 3:                                # of the lap before: not worth a word
            octets = intent(chance, number - WINDOW_SLOTS)
        else:
            number += 1
        slots.append((at, bytes(octets)))
    rig, said = Rig(model), []
    for address, octets in slots:
        rig.step((address, octets, None))
        rig.drain(14)
    for told in rig.given:
        told_id = int.from_bytes(told["intent"][8:12], "little")
        said.append((told["error"], told_id, told["slot"], told["expected"], told["received"])
                    if told["error"] else (0, told_id))
    expected = kernel_says(slots)
    assert {entry[0] for entry in expected} == {0, IntentError.CRC, IntentError.EPOCH,
                                                IntentError.SEQUENCE}
    assert said == expected
    assert crc32c(b"123456789") == 0xE3069283
