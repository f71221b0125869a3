"""Exported components have plain ports and do what they do inside.

Method: a component with every kind of port runs behind its plain ports as a batch model, beside
expectations that are written out; Verilog is read as text; the harness for few pins is stepped
beside a few lines of Python.
"""

import copy
import gc
import re

import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.cdc import AsyncFFSynchronizer, FFSynchronizer
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from tickwire_hw import catalogue, export
from tickwire_hw.plain import Plain, fields
from tickwire_hw.platform import ecp5, floorplan, ultrascale
from tickwire_hw.platform.output_register import absorb
from tickwire_hw.platform.pins import FOLD, ThreePins
from tickwire_hw.platform.yowasp import ToolError, write_netlist
from tickwire_hw.skid import Skid
from tickwire_hw.stream import Word
from tickwire_sim.verilate import verilate


class Limits(data.Struct):
    low: 5
    high: data.ArrayLayout(4, 2)


Note = data.StructLayout({"limits": Limits, "either": data.UnionLayout({"a": 3, "b": 7}),
                          "nothing": 0, "flag": 1})


class Everything(wiring.Component):
    """Words pass in their cycle, a note is held; ``firsts`` counts words that are first."""

    words: In(stream.Signature(Word))
    o: Out(stream.Signature(Word, always_ready=True))
    note: In(stream.Signature(Note, always_ready=True))
    noted: Out(stream.Signature(16, always_ready=True)).array(2)
    limits: In(Limits)
    sum: Out(8)
    firsts: Out(8)

    def elaborate(self, platform):
        m = Module()
        busy = Signal()
        m.d.sync += busy.eq(~busy)
        taken = self.words.valid & self.words.ready
        m.d.comb += [self.words.ready.eq(~busy), self.o.valid.eq(taken),
                     self.o.payload.eq(self.words.payload),
                     self.sum.eq(self.limits.low + self.limits.high[1])]
        with m.If(taken & self.words.payload.first):
            m.d.sync += self.firsts.eq(self.firsts + 1)
        for number, noted in enumerate(self.noted):
            m.d.sync += [noted.valid.eq(self.note.valid),
                         noted.payload.eq(self.note.payload.as_value() + number)]
        return m


@pytest.fixture(scope="module")
def plain():
    return verilate(Plain(Everything()), name="everything")


def test_streams_become_axi_streams_and_structures_single_ports(plain):
    inputs = {name: port.width for name, port in plain.ports.items() if port.is_input}
    outputs = {name: port.width for name, port in plain.ports.items() if not port.is_input}
    assert inputs == {
        "words_tvalid": 1, "words_tdata": 64, "words_tkeep": 8, "words_tlast": 1, "words_tuser": 1,
        "note_tvalid": 1, "note_tdata": 21, "limits_low": 5, "limits_high_0": 4,
        "limits_high_1": 4}
    assert outputs == {
        "words_tready": 1, "o_tvalid": 1, "o_tdata": 64, "o_tkeep": 8, "o_tlast": 1, "o_tuser": 1,
        "noted_0_tvalid": 1, "noted_0_tdata": 16, "noted_1_tvalid": 1, "noted_1_tdata": 16,
        "sum": 8, "firsts": 8}


def test_the_component_behind_its_plain_ports_does_what_it_does(plain):
    plain.restart()
    rows = plain.rows(8, words_tvalid=1, words_tdata=range(8), words_tkeep=255,
                      words_tuser=[0, 0, 0, 0, 1, 1, 0, 0], words_tlast=[0, 0, 1, 1, 1, 0, 1, 0],
                      limits_low=3, limits_high_1=9, note_tvalid=1, note_tdata=0xABCD)
    found = plain.run(rows)
    assert list(found["words_tready"]) == [1, 0] * 4
    taken = found[found["o_tvalid"] == 1]
    assert list(taken["o_tdata"]) == [0, 2, 4, 6] and list(taken["o_tuser"]) == [0, 0, 1, 0]
    assert list(taken["o_tlast"]) == [0, 1, 1, 1]
    # Words 0, 4 and 6 are first: each follows a last word that was taken, or nothing.
    assert list(found["firsts"]) == [0, 1, 1, 1, 1, 2, 2, 3]
    assert set(found["sum"]) == {12}
    assert [int(found[f"noted_{number}_tdata"][1]) for number in range(2)] == [0xABCD, 0xABCE]


def test_the_fields_of_a_payload_are_told_by_their_bits():
    assert list(fields(Note)) == [("limits.low", 0, 5), ("limits.high.0", 5, 4),
                                  ("limits.high.1", 9, 4), ("either", 13, 7), ("flag", 20, 1)]
    assert list(fields(7)) == []


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_two_ports_of_one_name_are_refused():
    class Clash(wiring.PureInterface):
        def __init__(self):
            super().__init__(wiring.Signature({
                "a_b": Out(1), "a": Out(wiring.Signature({"b": Out(1)}))}))

    with pytest.raises(ValueError, match="two ports would be called a_b"):
        Plain(Clash())
    gc.collect()                           # the warning is given now, where it is awaited


def test_verilog_tells_what_it_is_and_what_a_payload_carries(tmp_path, capsys):
    target = tmp_path / "new" / "filter.v"
    assert export.main(["instrument_filter", "-o", str(target)]) == 0
    text = target.read_text()
    assert re.match(r"// tickwire instrument_filter, geometry small, tables [0-9a-f]{16}\n", text)
    assert "// i_watch_tdata[65:2] symbol\n" in text
    assert re.search(r"^module instrument_filter\(.*\bi_watch_tvalid\b", text,
                     re.MULTILINE | re.DOTALL)
    assert "tready" not in text, "nothing in the filter exerts backpressure"
    assert capsys.readouterr().out == f"{target}\n"


@pytest.mark.parametrize(("arguments", "complaint"), [
    (["no_such"], "there is no component 'no_such'; there are .*instrument_filter"),
    (["skid"], "skid cannot stand alone: it needs shape"),
    (["receive", "arbiter", "-o", "x.v"], "--output is for one component, not 2"),
    (["receive", "--geometry", "huge"], "invalid choice: 'huge'")])
def test_what_cannot_be_exported_is_refused_with_a_sentence(arguments, complaint, capsys):
    with pytest.raises(SystemExit) as caught:
        export.main(arguments)
    assert caught.value.code == 2
    assert re.search(complaint, capsys.readouterr().err)


def test_the_catalogue_has_what_needs_at_most_a_geometry(capsys):
    assert export.main(["--list"]) == 0
    listed = capsys.readouterr().out.split()
    assert {"receive", "commit"} <= set(listed) and "skid" not in listed
    assert listed == catalogue.names()


class Synchronized(wiring.Component):
    """A bit from anywhere, and another one that is set at once."""

    i: In(2)
    o: Out(2)

    def elaborate(self, platform):
        m = Module()
        m.submodules.plain = FFSynchronizer(self.i[0], self.o[0])
        m.submodules.at_once = AsyncFFSynchronizer(self.i[1], self.o[1])
        return m


def test_registers_between_clocks_are_marked_for_the_tools(monkeypatch):
    monkeypatch.setattr(export, "component", lambda name, geometry: Synchronized())
    text = export.export("synchronized", "small")
    marked = re.findall(r"\(\* ASYNC_REG = \"TRUE\" \*\)\s+reg \[1:0\] stages = (.*);", text)
    assert sorted(marked) == ["2'h0", "2'h3"]


class Swap(wiring.Component):
    """Six bits in, eleven out."""

    a: In(2)
    b: In(4)
    x: Out(5)
    y: Out(6)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.x.eq(Cat(self.b, self.a[1])), self.y.eq(self.a * self.b)]
        return m


def test_few_pins_reach_every_input_and_see_every_output():
    dut = ThreePins(Swap())
    pattern = [int(bit) for bit in f"{0x9E3779B97F4A7C15F39CC060:096b}"]

    def outputs(value):
        a, b = value & 3, value >> 2
        word = (b | a >> 1 << 4) | (a * b % 64) << 5
        return [word >> bit & 1 for bit in range(11)]

    async def bench(ctx):
        chain, levels, seen = 0, [[0] * 11, [0] * 3], 0
        for bit in pattern:
            ctx.set(dut.i, bit)
            ctx.set(dut.clk, 1)
            ctx.set(dut.clk, 0)
            folded = [[sum(level[at:at + FOLD]) % 2 for at in range(0, len(level), FOLD)]
                      for level in levels]
            seen, levels = folded[1][0], [outputs(chain), folded[0]]
            chain = (chain << 1 | bit) % 64
            assert ctx.get(dut.o) == seen

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
    assert dut.harness_registers == 6 + 11 + 3 + 1


def test_the_reset_of_ecp5_reaches_no_register_that_it_comes_through(tmp_path):
    dut = ecp5.Pins(Swap())
    netlist = write_netlist(dut, tmp_path).read_text()
    cells = re.findall(r"cell \\(\w+) [^\n]*\n((?: +(?:parameter|connect) [^\n]*\n)*)", netlist)
    registers = [body for kind, body in cells if kind == "FD1S3AX"]
    assert len(registers) == 2 and all('\\GSR "DISABLED"' in body for body in registers)
    [(_, reset)] = [cell for cell in cells if cell[0] == "SGSR"]
    [source] = re.findall(r"\\GSR (\S+)", reset)
    assert any(f"\\Q {source}\n" in body for body in registers)
    assert dut.harness_registers == 6 + 11 + 3 + 1 + 2


PLANNED = {prefix: len(sites) for prefix, sites in floorplan.PLAN.items()}


def netlist_of(counts):
    cells = {f"component.{prefix}rows.0.{number}": {"type": "DP16KD"}
             for prefix, count in counts.items() for number in range(count)}
    cells["component.port_0.walker_TRELLIS_FF_Q"] = {"type": "TRELLIS_FF"}
    return {"modules": {"top": {"cells": cells}}}


def test_every_memory_of_the_pipeline_has_a_site_of_its_own():
    netlist = netlist_of(PLANNED)
    assert floorplan.place(netlist) == sum(PLANNED.values())
    sites = [cell["attributes"]["BEL"] for cell in netlist["modules"]["top"]["cells"].values()
             if cell["type"] == "DP16KD"]
    assert len(set(sites)) == len(sites) <= 208
    assert all(re.fullmatch(r"X\d+/Y(22|46|70|82)/EBR[0-3]", site) for site in sites)


def test_other_components_are_placed_freely():
    netlist = netlist_of({"orders.": 32, "levels.": 24})
    assert floorplan.place(netlist) == 0
    assert not any("attributes" in cell for cell in netlist["modules"]["top"]["cells"].values())


def test_a_memory_that_the_plan_has_no_site_for_is_refused():
    with pytest.raises(ToolError, match="book.commit.orders has 33 block RAMs, and the floorplan "
                                        "32 places"):
        floorplan.place(netlist_of(PLANNED | {"book.commit.orders.": 33}))


def test_a_report_of_place_and_route_is_read():
    step = {"from": {"cell": "a"}, "to": {"cell": "b"}, "type": "logic"}
    report = {
        "fmax": {"clk": {"achieved": 100.0, "constraint": 125.0}},
        "utilization": {"TRELLIS_COMB": {"used": 70}, "TRELLIS_FF": {"used": 50},
                        "DP16KD": {"used": 3}},
        "critical_paths": [
            {"from": "posedge $glbnet$clk", "to": "posedge $glbnet$clk", "path": [
                {**step, "delay": 0.5, "type": "clk-to-q"},
                {**step, "delay": 0.02, "net": "component.x_LUT4_A"},
                {**step, "delay": 0.03, "net": "component.y_CCU2C_S0_LUT4_Z"},
                {**step, "delay": 1.25, "net": "component.z_LUT4_Z_3", "type": "routing"}]},
            {"from": "<async>", "to": "posedge $glbnet$clk", "path": [{**step, "delay": 99.0}]}]}
    found = ecp5.read(report, 125.0, ff_harness=20)
    assert (found.lut, found.ff, found.ff_harness, found.ebr) == (70, 50, 20, 3)
    assert found.slack_ns == pytest.approx(-2.0)
    assert [line.split(maxsplit=2) for line in found.path] == [
        ["0.50", "ns", "clk-to-q  b"], ["1.25", "ns", "routing   component.z"],
        ["0.05", "ns", "in shorter steps, carry chains for the most part"]]
    assert "slack -2.00 ns" in found.text()
    with pytest.raises(ToolError, match="no register"):
        ecp5.read({**report, "fmax": {}}, 125.0)


def register(bit, given, **changes):
    parameters = {"CEMUX": "1 ", "CLKMUX": "CLK", "REGSET": "RESET", "LSRMUX": "LSR"}
    wires = {"CLK": [2], "DI": [bit], "Q": [given], "LSR": ["0"]}
    parameters.update({key: value for key, value in changes.items() if key in parameters})
    wires.update({key: value for key, value in changes.items() if key in wires})
    return {"type": changes.get("type", "TRELLIS_FF"), "parameters": parameters,
            "connections": wires, "port_directions": {**dict.fromkeys(wires, "input"),
                                                      "Q": "output"}}


def netlist(**changes):
    """A memory that gives bits 10 and 11, two registers on the first, one on the second."""
    memory = {"type": "DP16KD", "parameters": {"REGMODE_A": "NOREG", "REGMODE_B": "NOREG"},
              "connections": {"CLKA": [2], "CLKB": [2], "DOA0": [10], "DOB17": [11], "DOA1": [12],
                              "OCEA": ["0"], "OCEB": ["1"]}}
    memory["port_directions"] = {pin: "output" if pin.startswith("DO") else "input"
                                 for pin in memory["connections"]}
    reader = {"type": "LUT4", "parameters": {}, "connections": {"A": [20], "B": [21], "C": [22]},
              "port_directions": dict.fromkeys("ABC", "input")}
    cells = {"memory": memory, "reader": reader, "a": register(10, 20, **changes),
             "b": register(10, 21), "c": register(11, 22)}
    return {"modules": {"top": {
        "cells": cells, "ports": {"o": {"direction": "output", "bits": [21]}},
        "netnames": {"n": {"bits": [20, 21, 22]}}}}}


def test_registers_behind_block_ram_move_into_it():
    found = netlist()
    assert absorb(found) == 3
    top = found["modules"]["top"]
    memory, reader = top["cells"]["memory"], top["cells"]["reader"]
    assert set(top["cells"]) == {"memory", "reader"}
    assert memory["parameters"] == {"REGMODE_A": "OUTREG", "REGMODE_B": "OUTREG"}
    assert memory["connections"]["OCEA"] == memory["connections"]["OCEB"] == ["1"]
    [first], [second] = memory["connections"]["DOA0"], memory["connections"]["DOB17"]
    assert first != second
    assert reader["connections"] == {"A": [first], "B": [first], "C": [second]}
    assert top["ports"]["o"]["bits"] == [first]
    assert top["netnames"]["n"]["bits"] == [first, first, second]


def multiplier(**changes):
    """The netlist with a multiplier in the memory's place."""
    found = netlist(**changes)
    wires = {"A0": [2], "P0": [10], "P1": [11], "P2": [12]}
    found["modules"]["top"]["cells"]["memory"] = {
        "type": "MULT18X18D", "parameters": {}, "connections": wires,
        "port_directions": {pin: "output" if pin.startswith("P") else "input" for pin in wires}}
    return found


def test_registers_behind_a_multiplier_move_into_it():
    found = multiplier()
    assert absorb(found) == 3
    cells = found["modules"]["top"]["cells"]
    assert set(cells) == {"memory", "reader"}
    block, wires = cells["memory"], cells["memory"]["connections"]
    assert block["parameters"] == {"REG_OUTPUT_CLK": "CLK0", "REG_OUTPUT_CE": "CE0",
                                   "REG_OUTPUT_RST": "RST0"}
    assert (wires["CLK0"], wires["CE0"], wires["RST0"]) == ([2], ["1"], ["0"])
    assert all(block["port_directions"][pin] == "input" for pin in ("CLK0", "CE0", "RST0"))
    assert cells["reader"]["connections"] == {
        "A": wires["P0"], "B": wires["P0"], "C": wires["P1"]}


@pytest.mark.parametrize("changes", [
    {"LSR": [9]}, {"CLK": [3]}, {"CEMUX": "CE"}, {"REGSET": "SET"}, {"CLKMUX": "INV"},
    {"type": "LUT4"}], ids=str)
@pytest.mark.parametrize("make", [netlist, multiplier])
def test_a_register_that_a_block_has_not_stays_and_all_beside_it(make, changes):
    found = make(**changes)
    before = copy.deepcopy(found)
    assert absorb(found) == 0 and found == before


def test_a_memory_of_two_clocks_or_with_an_unregistered_bit_is_left_alone():
    for pin, bits in (("CLKB", [3]), ("DOA1", [22])):
        found = netlist()
        found["modules"]["top"]["cells"]["memory"]["connections"][pin] = bits
        before = copy.deepcopy(found)
        assert absorb(found) == 0 and found == before


def test_a_report_of_synthesis_is_read():
    cells = {"LUT2": 3, "LUT6": 4, "LUT6_2": 1, "FDRE": 9, "FDSE": 1, "RAMB36E2": 2, "URAM288": 1,
             "CARRY4": 5, "RAM32M": 6, "SRL16E": 2, "DSP48E2": 1, "GND": 1}
    found = ultrascale.read({"design": {"num_cells_by_type": cells}},
                            "Longest topological path in top (length=13):")
    assert dict(found.cells) == {"LUT": 8, "LUTRAM": 6, "SRL": 2, "CARRY": 5, "MUXF": 0, "FF": 10,
                                 "BRAM36": 2, "BRAM18": 0, "URAM": 1, "DSP": 1}
    assert found.depth == 13


def test_a_register_between_streams_loses_nothing():
    model = verilate(Skid(8))
    rows = model.rows(300, i__valid=1)
    rows["o__ready"] = [number * 7 % 5 > 1 for number in range(300)]
    sent, index, seen = list(range(200)), 0, []
    for row in rows:                       # a row at a time: what is offered depends on ready
        row["i__payload"] = sent[index % 200]
        outputs = model.run(row[None])[0]
        if outputs["o__valid"] and row["o__ready"]:
            seen.append(int(outputs["o__payload"]))
        index += int(outputs["i__ready"])
    assert seen == [number % 200 for number in range(len(seen))]
    assert len(seen) >= sum(rows["o__ready"]) - 2, "every ready cycle but the first takes one"
