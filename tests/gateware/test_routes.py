"""Routing once more: what is late, which nets are freed for it, and when that ends.

Method: a path of two wires whose delays are given; nextpnr is played by what it would have written.
"""

import json

import pytest

from tests.gateware.drawing import Drawing
from tickwire_hw.platform import ecp5
from tickwire_hw.platform.placement import routes


@pytest.fixture
def routed_path():
    """Return a register, a table and a register with 1,000 and 2,000 ps of wires between them."""
    drawing = Drawing()
    begin = drawing.register("X20/Y20/SLICEA.FF0", "0")
    drawing.register("X27/Y20/SLICEA.FF0", drawing.table("X21/Y20/SLICEA.K0", begin))
    first, table, end = drawing.cells
    return drawing, {((first, "Q"), (table, "D")): 1_000, ((table, "F"), (end, "M")): 2_000}


def test_a_routed_path_is_of_the_wires_that_were_routed(routed_path):
    drawing, wires = routed_path
    first, table, end = drawing.cells
    design = drawing.placed()
    found = routes.Routed(design, wires)
    routes.Routed(design, dict.fromkeys(wires, 1))      # what else is found leaves this as it is
    assert found.path() == [
        ("clk-to-q", first, 395), ("routing", table, 1_000), ("logic", table, 180),
        ("routing", end, 2_000), ("setup", end, 7)]
    assert found.lateness(3_581) == (1, 3_582)
    assert found.lateness(3_582) == (0, 3_582)
    del wires[(first, "Q"), (table, "D")]
    with pytest.raises(KeyError, match="trellis_ff_0"):
        routes.Routed(drawing.placed(), wires)


@pytest.mark.parametrize(("first_ps", "period", "freed"), [
    (1_000, 3_581, [3, 4]),       # both wires take longer than such ones do, 462 and 771 ps
    (462, 3_043, [4]),            # the first does not
    (462, 3_044, []),             # nothing is late
    (1_000, 3_582, [])])
def test_only_nets_of_late_paths_that_take_detours_are_routed_again(routed_path, first_ps, period,
                                                                    freed):
    drawing, wires = routed_path
    first, table, _ = drawing.cells
    wires[(first, "Q"), (table, "D")] = first_ps
    netlist = drawing.netlist()
    nets = netlist["modules"]["top"]["netnames"]
    for net in nets.values():
        net["attributes"]["ROUTING"] = "X20/Y20/Q0;;1"
    nets["net_3"]["bits"].append(99)
    nets["another name of net_4"] = {"bits": [4], "attributes": {}}
    assert routes.Routed(drawing.placed(), wires).release(netlist, period) == len(freed)
    assert [name for name, net in nets.items() if net["attributes"].get("ROUTING") == " "] == [
        f"net_{bit}" for bit in freed]
    assert nets["another name of net_4"]["attributes"] == {}


@pytest.mark.parametrize(("takes", "runs", "kept"), [
    ([1_400], 1, 0),                        # in time at once: 2,982 ps for 3,000
    ([2_000, 1_400, 1_300], 2, 1),          # in time after one turn
    ([2_000, 1_500, 1_600, 1_500, 1_400], 5, 4),        # what turns did not gain, another may
    ([2_000, 1_500, 1_500, 1_600, 1_500], 5, 1),        # three that do not are the last
    (list(range(2_000, 1_800, -5)), 25, 24)])
def test_it_routes_once_more_as_long_as_that_helps(takes, runs, kept, routed_path, tmp_path,
                                                   monkeypatch):
    drawing, wires = routed_path
    last, ran = list(wires)[-1], 0

    def nextpnr(folder, _mhz, *arguments):
        nonlocal ran
        given = {option: arguments[arguments.index(option) + 1]
                 for option in ("--json", "--write", "--sdf", "--report", "--textcfg")}
        assert given["--json"] == ("freed.json" if ran else "refined.json")
        if ran:
            nets = json.loads((folder / "freed.json").read_text())["modules"]["top"]["netnames"]
            assert nets["net_4"]["attributes"]["ROUTING"] == " "
            assert arguments[arguments.index("--seed") + 1] == ran      # never the same again
        netlist = drawing.netlist()
        for net in netlist["modules"]["top"]["netnames"].values():
            net["attributes"]["ROUTING"] = "X20/Y20/Q0;;1"
        (folder / given["--write"]).write_text(json.dumps(netlist))
        (folder / given["--sdf"]).write_text("".join(
            f"(INTERCONNECT {source}/{output} {target}/{pin} ({ps}:{ps}:{ps}))\n"
            for ((source, output), (target, pin)), ps in {**wires, last: takes[ran]}.items()))
        (folder / given["--textcfg"]).write_text(str(ran))
        (folder / given["--report"]).write_text(str(ran))
        ran += 1

    monkeypatch.setattr(ecp5, "_nextpnr", nextpnr)
    path = ecp5.route(tmp_path, 1e6 / 3_000, drawing.placed())
    assert ran == runs
    assert ("routing", last[1][0], takes[kept]) in path
    for name in ("top.config", "report.json"):
        assert (tmp_path / name).read_text() == str(kept)
