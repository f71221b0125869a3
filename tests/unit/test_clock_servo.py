"""A card's clock follows the host's, whatever its quartz and the bus do.

Method: the card is the clock's kernel, at cycles that a quartz with an error makes; reading it
takes time, now and then much. The host's time is the test's.
"""

import random
import statistics

import pytest

from tickwire.device.clock_servo import TURN_SECONDS, ClockServo
from tickwire.kernels import clock
from tickwire.kernels.arena import Arena
from tickwire.spec.registers import CLOCK_FRACTION_BITS

HZ = 156_250_000
CYCLES_MAX = 1 << 22


class Card:
    """A clock behind a bus."""

    def __init__(self, error: float, is_slow: float = 0.0):
        self.draw, self.error, self.is_slow = random.Random(7), error, is_slow
        self.now, self.cycles, self.killed = 1_800_000_000_000_000_000, 0.0, 1
        arena = Arena()
        self.address = arena.take_rows("clock", clock.CLOCK)
        self.row = arena.view("clock", clock.CLOCK)[0]

    def host(self) -> int:
        return self.now

    def wait(self, nanoseconds: int) -> None:
        """Let time pass."""
        self.now += nanoseconds
        self.cycles += nanoseconds * HZ * (1 + self.error) / 1e9
        while self.cycles >= 1:
            step = min(int(self.cycles), CYCLES_MAX)
            clock.advance(self.address, step)
            self.cycles -= step

    def read_register(self, name: str) -> int:
        if name == "CORE_HZ":
            return HZ
        assert name == "TIME_NOW"
        self.wait(self.draw.randrange(400, 600))
        found = int(self.row["time"])
        self.wait(self.draw.randrange(400, 600))
        if self.draw.random() < self.is_slow:
            self.wait(self.draw.randrange(1_000, 50_000))
        return found

    def write_register(self, name: str, value: int) -> None:
        assert 0 <= value < 1 << 64
        if name == "CLOCK_SET":
            clock.put(self.address, value)
        elif name == "CLOCK_SLEW":
            signed = value - (value >> 63 << 64)
            assert abs(signed) < 1 << 31
            clock.slew(self.address, signed)
        else:
            field = {"CLOCK_INCREMENT": "increment", "CLOCK_SLEW_RATE": "rate"}[name]
            assert 0 < value < 1 << 40
            self.row[field] = value


def follow(card: Card, servo: ClockServo, seconds: float) -> list[int]:
    """Let the servo work; return how far off the clock was at the end of each of its turns."""
    found = []
    for _ in range(round(seconds / TURN_SECONDS)):
        card.wait(round(TURN_SECONDS * 1e9))
        found.append(int(card.row["time"]) - card.now)
        servo.turn()
    return found


@pytest.mark.parametrize("error", [0.0, 50e-6, -50e-6, 150e-6])
def test_the_clock_follows_and_learns_the_quartz(error):
    card = Card(error)
    servo = ClockServo(card, card.host)
    off = follow(card, servo, 6)
    assert abs(off[0]) <= 1_000 + abs(error) * TURN_SECONDS * 1e9
    assert max(map(abs, off[-20:])) < 300                       # a read takes 800 to 1,200 ns
    assert servo.rate == pytest.approx(-error / (1 + error), abs=2e-6)


def test_slow_reads_are_not_believed():
    card = Card(30e-6, is_slow=0.3)
    off = follow(card, ClockServo(card, card.host), 20)
    assert statistics.median(map(abs, off[-100:])) < 300


def test_time_never_goes_back_while_it_is_corrected():
    card = Card(100e-6)
    servo, last = ClockServo(card, card.host), 0
    for _ in range(30):
        for _ in range(20):
            card.wait(5_000_000)
            assert card.row["time"] > last
            last = int(card.row["time"])
        servo.turn()


def test_it_looks_in_its_own_time_only():
    card = Card(0.0)
    servo = ClockServo(card, card.host)
    assert servo.turn() == 1 and servo.turn() == 0
    card.wait(round(TURN_SECONDS * 1e9))
    assert servo.turn() == 1


@pytest.mark.parametrize("killed", [0, 1])
@pytest.mark.parametrize("step", [3_000_000_000, -3_000_000_000, -3_600_000_000_000])
def test_a_step_of_the_hosts_time_is_set_only_while_nothing_may_trade(killed, step):
    card = Card(0.0)
    servo = ClockServo(card, card.host)
    follow(card, servo, 1)
    card.killed = killed
    card.now += step                           # somebody set the host's clock
    card.wait(round(TURN_SECONDS * 1e9))
    servo.turn()
    is_set = abs(int(card.row["time"]) - card.now) < 100_000
    assert is_set == bool(killed)
    assert card.row["increment"] == pytest.approx((10**9 << CLOCK_FRACTION_BITS) / HZ, rel=2.1e-4)


@pytest.mark.parametrize("step", [300_000, -300_000, 900_000, -100_000])
def test_a_step_of_the_hosts_time_is_no_error_of_the_quartz(step):
    card = Card(20e-6)
    servo = ClockServo(card, card.host)
    follow(card, servo, 6)
    card.killed, learned = 0, servo.rate
    card.now += step
    for _ in range(10):
        card.wait(round(TURN_SECONDS * 1e9))
        servo.turn()
        assert servo.rate == pytest.approx(learned, abs=2e-6)
    assert max(map(abs, follow(card, servo, 1))) < 300
