"""Waves show names: of enumerations, of fields that are one, and of states.

Method: a component with all three is traced; the file is read back value by value.
"""

import json

import pytest
from amaranth.hdl import Module
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from tickwire_sim import waves
from tickwire_sim.verilate import verilate


class Colour(enum.Enum, shape=2):
    RED = 0
    BLUE = 2


class Painter(wiring.Component):
    """Take a colour, look at it, dry."""

    i: In(data.StructLayout({"colour": Colour, "shade": 3}))
    o: Out(Colour)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.i.colour)
        with m.FSM(name="brush"):
            with m.State("Is-Wet"), m.If(self.i.shade[0]):
                m.next = "Is-Dry"
            with m.State("Is-Dry"):
                m.next = "Is-Wet"
        return m


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    path = tmp_path_factory.mktemp("waves") / "painter.vcd"
    model = verilate(Painter(), trace=path)
    rows = model.rows(6)
    model.put(rows, "i", colour=[0, 2, 3, 1, 0, 0], shade=[0, 1, 2, 3, 4, 5])
    model.run(rows)
    model.close()
    assert waves.main([str(path.parent)]) == 0
    return path, path.read_text().splitlines()


def changes(lines, signal):
    """Values of a signal in the order in which it takes them."""
    [code] = {line.split()[3] for line in lines
              if line.strip().startswith("$var") and line.split()[4] == signal}
    found = []
    for line in lines[lines.index("$enddefinitions $end") + 1:]:
        if line.startswith(("s", "b")) and line.split()[1] == code:
            found.append(line.split()[0][1:])
        elif line[:1] in ("0", "1") and line[1:] == code:
            found.append(line[0])
    return found


def test_enumerations_are_strings_and_what_has_no_name_is_a_number(lines):
    _, text = lines
    assert changes(text, "i.colour") == ["RED", "BLUE", "0x3", "0x1", "RED"]
    assert changes(text, "o")[:2] == ["RED", "BLUE"]


def test_states_are_strings(lines):
    _, text = lines
    [state] = {line.split()[4] for line in text if "brush" in line and "$var string" in line}
    assert changes(text, state)[:3] == ["Is-Wet", "Is-Dry", "Is-Wet"]


def test_numbers_stay_numbers_and_nameless_signals_are_gone(lines):
    _, text = lines
    assert changes(text, "i.shade") == ["000", "001", "010", "011", "100", "101"]
    assert not any(line.split()[4].startswith("$") for line in text
                   if line.strip().startswith("$var"))


def test_the_viewer_opens_with_the_ports(lines):
    path, _ = lines
    saved = path.with_suffix(".gtkw").read_text()
    assert f'[dumpfile] "{path.name}"' in saved
    assert "top.painter.clk\n" in saved and "top.painter.o\n" in saved


def test_a_second_simulation_does_not_overwrite_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(waves, "FOLDER", str(tmp_path / "waves"))
    for number in range(2):
        model = verilate(Painter())
        model.run(model.rows(number + 1))
        model.close()
    assert sorted(path.name for path in (tmp_path / "waves").glob("*.vcd")) == \
        ["painter.vcd", "painter1.vcd"]
    assert json.loads((tmp_path / "waves" / "painter1.names.json").read_text())["top"] == "painter"
