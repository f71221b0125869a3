"""A component runs the same as a batch model as its Python model here says, cycle for cycle.

Method: one small component with everything that ports and state can be (a structure of 75 bits,
400 bits, arrays, names that C++ reserves, memories with and without contents, a combinational
path), random rows, and a model in plain Python. The cache is looked at from outside.
"""

import threading
from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire.errors import TickwireError
from tickwire_hw.ports import ports
from tickwire_sim import bits, build
from tickwire_sim.model import row_type
from tickwire_sim.verilate import RECIPE, verilate

DEPTH = 16
INITIAL = [7, 0, 1_000_000]


class Beat(data.Struct):
    data: 64
    keep: 8
    last: 1
    lanes: data.ArrayLayout(3, 2)


class Toy(wiring.Component):
    """Count, add, remember; every output but two is registered."""

    i: In(stream.Signature(Beat, always_ready=True))
    wide: In(400)
    short: In(33)
    pair: In(wiring.Signature({"delete": Out(1), "level": Out(7)})).array(2)
    o: Out(stream.Signature(Beat, always_ready=True))
    rotated: Out(400)
    total: Out(40)
    is_odd: Out(1)
    stored: Out(20)
    register: Out(9)

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = store = memory.Memory(shape=20, depth=DEPTH, init=INITIAL)
        write, read = store.write_port(), store.read_port()
        address = self.pair[0].level[:4]
        m.d.comb += [
            write.addr.eq(address), write.data.eq(self.short), write.en.eq(self.pair[0].delete),
            read.addr.eq(address), read.en.eq(1), self.stored.eq(read.data),
            self.is_odd.eq(self.short[0] ^ self.total[0]),
            self.register.eq(self.pair[0].level + self.pair[1].level),
        ]
        m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload),
                     self.rotated.eq(self.wide.rotate_left(8))]
        with m.If(self.i.valid):
            m.d.sync += self.total.eq(self.total + self.short)
        return m


class Sum(wiring.Component):
    """No clock at all."""

    a: In(8)
    b: In(8)
    o: Out(9)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(self.a + self.b)
        return m


@pytest.fixture(scope="module")
def toy():
    return verilate(Toy(), has_reset=True)


def random_rows(model, count, seed):
    source = np.random.default_rng(seed)
    rows = model.rows(count)
    for name in model.inputs.names:
        width = model.ports[name].width
        octets = np.zeros((count, 8 * -(-width // 64)), np.uint8)
        octets[:, :-(-width // 8)] = source.integers(256, size=(count, -(-width // 8)))
        octets[:, (width - 1) // 8] &= 0xFF >> -width % 8
        column = octets.view("<u8")
        rows[name] = column if width > 64 else column[:, 0]
    return rows


def expected(rows, store=None):
    """Outputs of Toy from its description, from the state after reset."""
    store = [*INITIAL, *[0] * (DEPTH - len(INITIAL))] if store is None else store
    total, beat, valid, rotated, stored = 0, 0, 0, 0, None
    for row in rows:
        short, level = int(row["short"]), int(row["pair__0__level"])
        yield {"o__valid": valid, "o__payload": beat, "rotated": rotated, "total": total,
               "stored": stored, "is_odd": (short ^ total) & 1,
               "register": level + int(row["pair__1__level"])}
        wide = bits.integer(row["wide"])
        valid, beat = int(row["i__valid"]), bits.integer(row["i__payload"])
        rotated = (wide << 8 | wide >> 392) % (1 << 400)
        total = (total + short * valid) % (1 << 40)
        stored = store[level % DEPTH]
        if row["pair__0__delete"]:
            store[level % DEPTH] = short % (1 << 20)


def agrees(found, rows, store=None):
    want = list(expected(rows, store))
    assert len(found) == len(want)
    for number, (row, outputs) in enumerate(zip(found, want, strict=True)):
        assert row["cycle"] == number
        for name, value in outputs.items():
            if value is not None:
                assert bits.integer(row[name]) == value, (number, name)


def test_every_output_of_every_cycle_is_that_of_the_description(toy):
    toy.restart()
    rows = random_rows(toy, 2_000, seed=1)
    agrees(toy.run(rows), rows)


def test_state_stays_from_run_to_run(toy):
    toy.restart()
    rows = random_rows(toy, 300, seed=2)
    found = np.concatenate([toy.run(rows[a:b]) for a, b in ((0, 1), (1, 1), (1, 190), (190, 300))])
    agrees(found, rows)


def test_only_the_rows_whose_flag_is_set_come_back(toy):
    rows = random_rows(toy, 70_000, seed=3)       # more than one chunk of outputs
    toy.restart()
    everything = toy.run(rows)
    for when, mask in (("is_odd", everything["is_odd"] == 1),
                       (["o__valid"], everything["o__valid"] == 1),
                       (["is_odd", "o__valid"],
                        (everything["is_odd"] | everything["o__valid"]) == 1)):
        toy.restart()
        assert np.array_equal(toy.run(rows, when=when), everything[mask])


def test_reset_clears_registers_and_keeps_memories_and_restart_clears_both(toy):
    toy.restart()
    rows = random_rows(toy, 200, seed=4)
    store = [*INITIAL, *[0] * (DEPTH - len(INITIAL))]
    agrees(toy.run(rows), rows, store)
    toy.reset()
    agrees(toy.run(rows), rows, store)
    toy.restart()
    agrees(toy.run(rows), rows)


def test_a_model_without_a_reset_says_so():
    with pytest.raises(TickwireError, match="This model has no reset"):
        verilate(Sum()).reset()


@pytest.fixture(scope="module")
def savable():
    return verilate(Toy(), is_savable=True)


def test_a_saved_state_goes_on_as_it_did_each_time_it_is_put_back(savable):
    rows = random_rows(savable, 400, seed=5)
    found = savable.run(rows[:100])
    saved = savable.save()
    expected_rows = savable.run(rows[100:])
    agrees(np.concatenate([found, expected_rows]), rows)
    for others in (random_rows(savable, 50, seed=6), rows[:0]):
        savable.run(others)
        savable.restore(saved)
        assert np.array_equal(savable.run(rows[100:]), expected_rows)
    savable.restart()
    agrees(savable.run(rows), rows)
    savable.restore(saved)
    assert np.array_equal(savable.run(rows[100:]), expected_rows)


class Large(wiring.Component):
    """A memory of half a MiB, more than Verilator writes at a time."""

    address: In(14)
    i: In(stream.Signature(256, always_ready=True))
    o: Out(256)

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = store = memory.Memory(shape=256, depth=1 << 14, init=[])
        write, read = store.write_port(), store.read_port(domain="comb")
        m.d.comb += [write.addr.eq(self.address), write.data.eq(self.i.payload),
                     write.en.eq(self.i.valid), read.addr.eq(self.address), self.o.eq(read.data)]
        return m


def test_every_word_of_a_large_memory_is_put_back(savable):
    model = verilate(Large(), is_savable=True)
    rows = model.rows(1 << 14, address=np.arange(1 << 14), i__valid=1)
    rows["i__payload"] = np.random.default_rng(7).integers(1 << 63, size=(1 << 14, 4))
    model.run(rows)
    saved = model.save()
    model.run(model.rows(1 << 14, address=np.arange(1 << 14), i__valid=1))
    model.restore(saved)
    found = model.run(model.rows(1 << 14, address=np.arange(1 << 14)))
    assert np.array_equal(found["o"], rows["i__payload"])
    with pytest.raises(TickwireError, match="saved by a model of something else"):
        savable.restore(saved)


def test_a_model_that_cannot_be_saved_says_so():
    with pytest.raises(TickwireError, match="This model cannot be saved"):
        verilate(Sum()).save()


def test_fields_packed_are_those_put(toy):
    fields = {"data": 1 << 63, "keep": 0x81, "last": 1}
    rows = toy.rows(1)
    toy.put(rows, "i__payload", **fields)
    assert np.array_equal(rows["i__payload"][0], toy.pack("i__payload", **fields))
    with pytest.raises(ValueError, match="i__payload.keep has 8 bits and cannot take 0x100"):
        toy.pack("i__payload", keep=256)


def test_a_value_that_does_not_fit_its_port_is_an_error_and_is_not_run(toy):
    toy.restart()
    for name, value in (("short", 1 << 33), ("pair__1__level", 128), ("i__valid", 2)):
        rows = toy.rows(3)
        rows[name][1] = value
        with pytest.raises(ValueError, match=f"row 1: {name} has .* cannot take {value:#x}"):
            toy.run(rows)
    rows = toy.rows(3)
    rows["wide"][2, 6] = 1 << 16
    with pytest.raises(ValueError, match="row 2: wide has 400 bits"):
        toy.run(rows)


def test_rows_and_flags_of_another_kind_are_refused(toy):
    with pytest.raises(TypeError, match="rows must be one-dimensional"):
        toy.run(np.zeros(3))
    for when in ("total", "i__valid", "nothing"):
        with pytest.raises(ValueError, match="outputs of one bit"):
            toy.run(toy.rows(1), when=when)


def test_fields_of_structures_are_put_and_got_by_name(toy):
    rows = toy.rows(3)
    toy.put(rows, "i__payload", data=[1, 1 << 63, 5], keep=0xA5, last=[0, 1, 0], lanes__1=6)
    assert list(rows["i__payload"][1]) == [1 << 63, 0xA5 | 1 << 8 | 6 << 12]
    toy.restart()
    found = toy.run(np.concatenate([rows, toy.rows(1)]))[1:]
    assert list(toy.get(found, "o__payload", "data")) == [1, 1 << 63, 5]
    assert list(toy.get(found, "o__payload", "last")) == [0, 1, 0]
    assert list(toy.get(found, "o__payload", "lanes.1")) == [6, 6, 6]
    with pytest.raises(KeyError, match="no field 'size'"):
        toy.get(found, "o__payload", "size")
    with pytest.raises(ValueError, match="more than 8 bits"):
        toy.put(rows, "i__payload", keep=256)


@pytest.mark.parametrize(("start", "width"), [(0, 1), (3, 61), (3, 62), (60, 64), (64, 64),
                                              (1, 400), (127, 129), (350, 63)])
def test_a_field_at_any_place_comes_back_and_its_neighbours_stay(start, width):
    source = np.random.default_rng(start * 1_000 + width)
    numbers = [int.from_bytes(source.bytes(52), "little") % (1 << 413) for _ in range(50)]
    values = [int.from_bytes(source.bytes(52), "little") % (1 << width) for _ in range(50)]
    column = bits.words(numbers, 413)
    bits.put(column, start, width, bits.words(values, width))
    mask = ((1 << width) - 1) << start
    assert [bits.integer(value) for value in column] == \
        [number & ~mask | value << start for number, value in zip(numbers, values, strict=True)]
    assert [bits.integer(value) for value in bits.get(column, start, width)] == values


def test_octets_are_taken_lowest_first():
    column = bits.words([0, 0], 130)
    bits.put(column, 2, 128, np.arange(32, dtype=np.uint8).reshape(2, 16))
    assert bits.integer(column[1]) == int.from_bytes(bytes(range(16, 32)), "little") << 2


def test_a_component_without_a_clock_runs_too():
    model = verilate(Sum())
    found = model.run(model.rows(3, a=[1, 2, 255], b=[3, 4, 255]))
    assert list(found["o"]) == [4, 6, 510]
    assert list(found["cycle"]) == [0, 1, 2]


def test_constant_ready_is_no_port(toy):
    assert "i__valid" in toy.ports
    assert "i__ready" not in toy.ports and "o__ready" not in toy.ports


def test_a_trace_has_every_signal_and_does_not_change_the_outputs(toy, tmp_path):
    rows = random_rows(toy, 50, seed=5)
    traced = verilate(Toy(), trace=tmp_path / "toy.vcd", has_reset=True)
    agrees(traced.run(rows), rows)
    traced.reset()
    traced.run(rows)
    traced.close()
    text = (tmp_path / "toy.vcd").read_text()
    for name in ("clk", "i__payload", "total", "rotated"):
        assert f" {name} " in text
    times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
    assert times == sorted(times) and times[-1] == 8 * 100 + 4      # 50 + reset + 50 cycles


# The cache


@pytest.fixture
def cache(toy, tmp_path, monkeypatch):
    """An empty cache, but for Verilator's own library: it takes the longest."""
    for path in build.BASE.glob("verilator-*"):
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.setattr(build, "BASE", tmp_path)
    return tmp_path


def test_a_model_is_compiled_once(cache, monkeypatch):
    verilate(Sum())
    built = sorted(cache.glob("verilated.sum-*"))
    assert len(built) == 1
    monkeypatch.setattr(build, "_make", lambda *_, **__: pytest.fail("compiled again"))
    verilate(Sum())
    assert sorted(cache.glob("verilated.sum-*")) == built
    assert not list(cache.glob(".*")), "a folder of the build is left"


def test_without_a_compiler_the_error_says_what_is_missing(cache, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler -O9")
    with pytest.raises(TickwireError, match="CXX names the C\\+\\+ compiler 'no-such-compiler'"):
        verilate(Sum())
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(cache))
    with pytest.raises(TickwireError, match="a C\\+\\+ compiler is needed; none of c\\+\\+, g"):
        verilate(Sum())
    assert not list(cache.glob("verilated.*")) and not list(cache.glob(".*"))


def test_what_the_compiler_complains_about_is_told(cache, monkeypatch, tmp_path):
    broken = tmp_path / "broken.cpp"
    broken.write_text("this is not C++\n")
    monkeypatch.setattr("tickwire_sim.verilate.RECIPE", replace(RECIPE, main=broken))
    with pytest.raises(TickwireError, match="(?s)compiler on sum failed with status 1:.*broken"):
        verilate(Sum())
    assert not list(cache.glob("verilated.*")) and not list(cache.glob(".*"))


def test_two_that_build_at_once_do_not_harm_each_other(cache):
    results, barrier = [], threading.Barrier(2)

    def work():
        barrier.wait()
        model = verilate(Sum())
        results.append(int(model.run(model.rows(1, a=2, b=3))["o"][0]))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [5, 5]
    assert len(list(cache.glob("verilated.sum-*"))) == 1 and not list(cache.glob(".*"))


def test_a_port_may_not_have_the_name_of_the_cycle_number():
    with pytest.raises(TickwireError, match="may not be called 'cycle'"):
        row_type(ports(wiring.Signature({"cycle": Out(1)}).create()), is_input=False)
