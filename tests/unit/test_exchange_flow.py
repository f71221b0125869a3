"""The agents make a plausible, consistent market, and the same one for the same seed.

Method: small virtual days are replayed message by message into a dictionary book that asserts
every rule of the feed; the store and the generator of random numbers are checked on their own,
the latter against values published for its algorithm.
"""

import ctypes
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchange_reference import FORMATS, Replay, messages
from tickwire.errors import TickwireError
from tickwire.kernels.arena import Arena
from tickwire_sim import traffic
from tickwire_sim.exchange import randomness, store
from tickwire_sim.exchange.config import (
    AccountConfig,
    LineConfig,
    SymbolConfig,
    VenueConfig,
    symbols,
)
from tickwire_sim.exchange.engine import take_store
from tickwire_sim.exchange.layout import STORE
from tickwire_sim.exchange.venue import Venue


def day(count=20_000, **options):
    """A venue after its day, and the octets of the day."""
    options = {"symbols": symbols(5, 3), "seed": 7, "messages_per_second": 50, "live_orders": 150,
               "accounts": (), "order_slots": 4_096, **options}
    venue, parts = Venue(VenueConfig(**options)), []
    made = venue.run_virtual(count, lambda part: parts.append(bytes(part)))
    assert made == venue.engine.messages
    return venue, b"".join(parts)


@pytest.fixture(scope="module")
def a_day():
    return day()


def test_equal_configurations_make_equal_days(a_day):
    assert day()[1] == a_day[1]
    assert day(seed=8)[1] != a_day[1]


def test_the_store_may_be_small_without_a_change(a_day):
    assert day(store_octets=1 << 18)[1] == a_day[1]


def test_the_kernels_make_the_same_day_as_plain_python():
    options = {"symbols": symbols(3, 3), "live_orders": 60, "order_slots": 256, "depth": 64,
               "store_octets": 1 << 18}
    program = ("import sys\n"
               "from tests.unit.test_exchange_flow import day, symbols\n"
               f"sys.stdout.buffer.write(day(1_500, **{options!r})[1])\n")
    program = "from tickwire_sim.exchange.config import SymbolConfig\n" + program
    root = Path(__file__).parents[2]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(
        str(root / part) for part in ("", "host", "sim", "hw"))}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment,
                          cwd=root, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == day(1_500, **options)[1]


def test_a_day_replays_into_the_books_of_the_venue(a_day):
    venue, octets = a_day
    replay = Replay()
    for message in messages(octets):
        replay.apply(message)
    for number in range(5):
        assert replay.book(number + 1) == tuple(
            [(row.reference, row.price, row.quantity) for row in side]
            for side in venue.engine.book(number))


def test_books_never_cross_and_trades_take_the_oldest_order_of_the_best_level(a_day):
    replay, seen = Replay(), 0
    for message in messages(a_day[1])[:6_000]:
        if message.type in "EC":
            bids, asks = replay.book(message.locate)
            assert message.values[0] in (bids[0][0] if bids else 0, asks[0][0] if asks else 0)
            seen += 1
        replay.apply(message)
        if message.locate:
            bids, asks = replay.book(message.locate)
            assert not bids or not asks or bids[0][1] < asks[0][1]
    assert seen > 50


def test_a_day_has_its_phases_in_order_and_its_messages_in_time(a_day):
    found = messages(a_day[1])
    assert [row.values[0] for row in found if row.type == "S"] == [b"O", b"S", b"Q", b"M", b"E",
                                                                  b"C"]
    assert [row.locate for row in found if row.type == "R"] == [1, 2, 3, 4, 5]
    assert {row.values[1] for row in found if row.type == "H"} == {b"T"}
    hour = 3_600 * 10**9
    first, last = (next(row.timestamp for row in found if row.type == "S" and row.values[0] == code)
                   for code in (b"Q", b"M"))
    assert (first, last) == (9.5 * hour, 16 * hour)
    trading = [row.timestamp for row in found if row.type in "AFEXDU"]
    assert first <= trading[0] and trading[-1] <= last and trading[-1] > first + hour / 20


def test_the_mix_of_types_is_near_that_of_an_exchange(a_day):
    counted = Counter(row.type for row in messages(a_day[1]))
    assert set(counted) <= set(FORMATS)
    total = sum(counted.values())
    for types, least, most in (("AF", .38, .52), ("D", .35, .48), ("U", .04, .12), ("E", .01, .08),
                               ("X", .004, .03), ("P", .001, .02), ("C", .0002, .005)):
        assert least < sum(counted[kind] for kind in types) / total < most, types


def test_the_number_of_resting_orders_settles_near_its_aim(a_day):
    assert 75 < a_day[0].engine.orders_live < 300


def test_the_spread_varies_and_returns(a_day):
    replay, widths = Replay(), []
    for index, message in enumerate(messages(a_day[1])):
        replay.apply(message)
        if index % 40 == 0 and index > 2_000:
            bids, asks = replay.book(1)
            if bids and asks:
                widths.append((asks[0][1] - bids[0][1]) // 100)
    widths = np.array(widths)
    assert widths.min() <= np.median(widths) / 2 and widths.max() >= 2 * np.median(widths)
    below = widths < np.median(widths)
    assert np.count_nonzero(below[1:] != below[:-1]) > 10


@pytest.mark.parametrize(("price", "tick"), [
    (16, 1), (1_600, 100), (1_000_000_000, 100), (500_000, 25), (999_999_999, 1)])
def test_any_price_and_tick_can_trade(price, tick):
    venue, octets = day(4_000, symbols=(SymbolConfig("ODD", price, tick),), live_orders=40)
    replay = Replay()
    for message in messages(octets):
        replay.apply(message)
        if message.type in "AF":
            assert message.values[4] % tick == 0
    assert venue.engine.counters()["executions"] > 0


def test_a_venue_trades_one_day_only(a_day):
    with pytest.raises(TickwireError, match="needs a new one"):
        a_day[0].run_virtual(5_000)


def test_the_generator_is_splitmix64():
    # First outputs for the seed 1234567, as published with the reference implementation.
    state = np.array([1_234_567], np.int64)
    found = [randomness.bits(state.ctypes.data) & (1 << 64) - 1 for _ in range(5)]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423,
                     4593380528125082431, 16408922859458223821]


def test_draws_have_the_mean_that_they_promise():
    state, table = np.array([5], np.int64), randomness.quantiles()
    at, draws = state.ctypes.data, 20_000
    exponential = [randomness.exponential(at, table.ctypes.data) for _ in range(draws)]
    assert abs(np.mean(exponential) / randomness.ONE - 1) < 0.05
    bell = np.array([randomness.bell(at) for _ in range(draws)]) / randomness.ONE
    assert abs(bell.mean()) < 0.05 and abs(bell.std() - 1) < 0.05
    below = [randomness.below(at, 7) for _ in range(draws)]
    assert set(below) == set(range(7)) and max(Counter(below).values()) < draws / 6
    assert sum(randomness.chance(at, 1 << 30) for _ in range(draws)) / draws == pytest.approx(
        0.25, abs=0.03)
    assert not randomness.chance(at, 0) and randomness.chance(at, 1 << 32)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=120))
def test_a_store_holds_the_newest_messages_whole_and_forgets_the_oldest(sizes):
    arena, octets = Arena(), 1 << 18
    address = take_store(arena, "store", octets, 64)
    row, written = arena.view("store", STORE)[0], []
    for number, size in enumerate(sizes):
        target = store.reserve(address, size)
        ctypes.memset(target, number % 251, size)
        store.commit(address, size)
        written.append(bytes((number % 251,)) * size)
    held = range(int(row["oldest"]), int(row["count"]) + 1)
    assert held[-1] == len(sizes) and (len(held) >= 5 or len(held) == len(sizes))
    memory = arena.view("store octets")
    for number in held:
        offset, size, count = store.run(address, number, held[-1], 1 << 17)
        assert size <= 1 << 17 or count == 1
        place = memory[offset:offset + size].tobytes()
        for following in range(number, number + count):
            length = int.from_bytes(place[:2], "big")
            assert place[2:2 + length] == written[following - 1]
            place = place[2 + length:]
        assert place == b""


def test_the_command_writes_a_day_and_refuses_nonsense(tmp_path, capsys):
    out = tmp_path / "day.itch"
    assert traffic.main([str(out), "--messages", "2000", "--symbols", "5", "--live", "100"]) == 0
    octets = out.read_bytes()
    assert octets[-2:] == b"\0\0" and len(messages(octets)) >= 2_000
    capsys.readouterr()
    for arguments, said in (
            ((str(out), "--messages", "10"), "--messages must be 1,000 to"),
            ((str(out), "--messages", "1000", "--symbols", "1000"), "at least 4 a symbol"),
            ((str(out), "--messages", "9999", "--symbols", "0"), "venue.symbols must be"),
            ((str(tmp_path / "no" / "day"), "--messages", "1000", "--symbols", "2"),
             "Cannot write")):
        assert traffic.main(arguments) != 0
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(("options", "said"), [
    ({"symbols": ()}, "venue.symbols must be 1 to 16,384 symbols, not 0."),
    ({"seed": -1}, "venue.seed must be an integer from 0"),
    ({"messages_per_second": True}, "venue.messages_per_second must be an integer"),
    ({"session": "TOO LONG"}, "venue.session must be 1 to 10 letters or digits"),
    ({"session": "ELEVENCHARS"}, "venue.session must be 1 to 10"),
    ({"interface": "192.0.2.1"}, "venue.interface must be an IPv4 address of the loopback"),
    ({"order_port": 65_536}, "venue.order_port must be an integer from 0 to 65,535"),
    ({"store_octets": 1_000_000}, "venue.store_octets must be a power of two"),
    ({"request_loss": 1.5}, "venue.request_loss must be a number from 0 to 1"),
    ({"request_loss": float("nan")}, "venue.request_loss must be a number from 0 to 1"),
    ({"live_orders": 9, "order_slots": 8}, "venue.live_orders must be an integer from 0 to 8"),
])
def test_a_bad_configuration_is_one_sentence(options, said):
    with pytest.raises(TickwireError) as error:
        VenueConfig(**options)
    assert said in str(error.value)


@pytest.mark.parametrize(("made", "said"), [
    (lambda: SymbolConfig("TOOLONGER"), "venue.symbols.name must be 1 to 8 printable"),
    (lambda: SymbolConfig("A B"), "venue.symbols.name must be 1 to 8 printable"),
    (lambda: SymbolConfig("A", 150), "venue.symbols.A.price must be a multiple of the tick 100"),
    (lambda: SymbolConfig("A", 1_500, 100), "and at least 16 ticks, not 1500."),
    (lambda: SymbolConfig("A", 10_000, 0), "venue.symbols.A.tick must be an integer from 1"),
    (lambda: SymbolConfig("A", 2_000_000_000), "venue.symbols.A.price must be an integer"),
    (lambda: LineConfig("127.0.0.1"), "venue.line.group must be an IPv4 multicast address"),
    (lambda: LineConfig("ff02::1"), "venue.line.group must be an IPv4 multicast address"),
    (lambda: LineConfig(port=-1), "venue.line.port must be an integer from 0 to 65,535"),
    (lambda: LineConfig(loss=-0.1), "venue.line.loss must be a number from 0 to 1, not -0.1."),
    (lambda: LineConfig(reorder="x"), "venue.line.reorder must be a number from 0 to 1"),
    (lambda: LineConfig(delay_us=0.5), "venue.line.delay_us must be an integer from 0"),
    (lambda: AccountConfig("sevenxx"), "venue.accounts.username must be 1 to 6 printable"),
    (lambda: AccountConfig("a", "elevenchars"), "venue.accounts.a.password must be 0 to 10"),
    (lambda: VenueConfig(symbols=(SymbolConfig("A"), SymbolConfig("A"))),
     "venue.symbols must be different, not 'A'."),
    (lambda: VenueConfig(accounts=(AccountConfig("me"), AccountConfig("ME"))),
     "venue.accounts must be up to 32 with different user names"),
])
def test_a_bad_part_of_a_configuration_is_one_sentence(made, said):
    with pytest.raises(TickwireError) as error:
        made()
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_password_shows_nowhere():
    assert "secret" not in repr(VenueConfig(accounts=(AccountConfig("me", "secret"),)))


def test_every_default_symbol_is_different_and_trades_on_the_cent():
    made = symbols(16_384, 1)
    assert len({symbol.name for symbol in made}) == 16_384
    assert all(symbol.price % 100 == 0 and 50_000 <= symbol.price <= 5_000_000 for symbol in made)
