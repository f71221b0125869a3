"""The refinement of a placement: delays, paths, tiles that stay legal, copies that say the same.

Method: small designs as nextpnr writes them, their paths added up by hand.
"""

import copy

import numpy as np
import pytest

from tests.gateware.drawing import CLOCK_TO_OUTPUT, NEEDS, TABLE_PS, Drawing
from tickwire_hw.platform import placement
from tickwire_hw.platform.placement import copies, moves, placed, times
from tickwire_hw.platform.placement.delays import read

STAGES = (placement.Stage(400, 2.0, 0.1, 20.0),
          placement.Stage(400, 0.1, 0.01, 8.0, tolerance=200.0, copies=True, crowded=True))

SDF = r'''(DELAYFILE
  (SDFVERSION "3.0")
  (CELL
    (CELLTYPE "top")
    (INSTANCE )
    (DELAY
      (ABSOLUTE
        (INTERCONNECT a\[0\]_Q/Q component.b\$x/D (1:2:372) (1:2:372))
      )
    )
  )
  (CELL
    (CELLTYPE "TRELLIS_COMB")
    (INSTANCE component.b\$x)
    (DELAY
      (ABSOLUTE
        (IOPATH D F (153:166:180) (153:166:180))
      )
    )
  )
  (CELL
    (CELLTYPE "TRELLIS_FF")
    (INSTANCE a\[0\]_Q)
    (DELAY
      (ABSOLUTE
        (IOPATH CLK Q (329:362:395) (329:362:395))
      )
    )
    (TIMINGCHECK
      (SETUPHOLD (posedge M) (posedge CLK) (-3:-2:-1) (196:213:231))
      (SETUPHOLD (negedge M) (posedge CLK) (-3:-2:-1) (196:213:231))
    )
  )
)
'''


def filler(drawing):
    """Draw registers over all of the device, so that its rows and columns are known as fabric."""
    bit = "0"
    for place in range(3, 90):
        bit = drawing.register(f"X{place}/Y{place}/SLICED.FF1", bit)


def longest(netlist, delays):
    return max(placement.Work(netlist, delays, 8_000).ends)


def test_delays_are_the_longest_of_those_that_nextpnr_writes(tmp_path):
    path = tmp_path / "placed.sdf"
    path.write_text(SDF)
    found = read(path)
    assert found.cells == {"component.b$x": [("D", "F", 180)], "a[0]_Q": [("CLK", "Q", 395)]}
    assert found.setups == {"a[0]_Q": [("M", -1)]}
    assert found.wires == {(("a[0]_Q", "Q"), ("component.b$x", "D")): 372}


@pytest.mark.parametrize(("kind", "across", "down", "ps"), [
    (times.WIRE, 0, 0, 280), (times.WIRE, 1, 0, 394 + 68), (times.WIRE, 0, -1, 394 + 89),
    (times.WIRE, -5, 5, 394 + 5 * 68 + 5 * 89), (times.FREE, 7, 0, 0),
    (times.WIRE, 6, -7, 394 + 5 * 68 + 37 + 5 * 89 + 2 * 39)])
def test_a_wire_takes_what_it_did_once_routed(kind, across, down, ps):
    assert times.wire_delay(kind, 20, 20, 20 + across, 20 + down) == ps


def test_a_path_is_the_sum_of_its_steps():
    drawing = Drawing()
    begin = drawing.register("X20/Y20/SLICEA.FF0", "0")
    middle = drawing.table("X21/Y20/SLICEA.K0", begin)             # 462
    end = drawing.table("X21/Y20/SLICEC.K1", middle, begin)        # 280, of its tile
    drawing.register("X27/Y20/SLICEA.FF0", end)                    # 771
    work = placement.Work(drawing.netlist(), drawing.delays, 2_000)
    expected = CLOCK_TO_OUTPUT + 462 + TABLE_PS + 280 + TABLE_PS + 771 + NEEDS
    assert work.ends.max() == expected
    assert work.slack[work.design.graph.kind != times.INSIDE].min() == 2_000 - expected


def test_groups_are_urgent_where_a_path_is_too_long_or_almost():
    drawing, found = Drawing(), {}
    for row, x in ((20, 90), (30, 24), (40, 21)):
        begin = drawing.register(f"X20/Y{row}/SLICEA.FF0", "0")
        drawing.register(f"X{x}/Y{row}/SLICEA.FF0", begin)
    for period in (2_000, 1_200, 1_000):
        work = placement.Work(drawing.netlist(), drawing.delays, period)
        rows = work.design.cells.y[np.isin(work.design.cells.group, work.urgent)]
        found[period] = sorted(set(rows.tolist()))
    # The paths take 3,541, 1,068 and 864 ps.
    assert found == {2_000: [20], 1_200: [20, 30], 1_000: [20, 30, 40]}


def test_tables_that_lead_around_are_refused():
    drawing = Drawing()
    drawing.table("X20/Y20/SLICEA.K0", 4)
    drawing.table("X20/Y20/SLICEA.K1", 3)
    with pytest.raises(ValueError, match="around in a circle"):
        drawing.placed()


def tile(*drawn):
    """Draw a tile; return whether it is legal."""
    drawing = Drawing()
    for method, *arguments in drawn:
        getattr(drawing, method)(*arguments)
    design = drawing.placed()
    where = moves.floor(design)
    assert moves.count_illegal(where, design.cells) in (0, 1)
    return moves.is_legal(20, 20, where.holds, design.cells)


@pytest.mark.parametrize(("legal", "illegal"), [
    ([("register", "FF0", "0", "M", 90), ("register", "FF1", "0", "M", 90)],
     [("register", "FF0", "0", "M", 90), ("register", "FF1", "0", "M", 91)]),
    ([("register", "FF0", "0", "M", 90, 80), ("register", "B.FF1", "0", "M", 91, 80)],
     [("register", "FF0", "0", "M", 90, 80), ("register", "B.FF1", "0", "M", 91, 81)]),
    ([("carry", "K0", 90), ("carry", "K1", 91)], [("carry", "K0", 90), ("table", "K1", 91)]),
    ([("join", "K0", "F1")], [("join", "K1", "F1")]),
    ([("join", "K1", "FXA")], [("join", "K0", "FXA")]),
    ([("join", "K0", "F1"), ("register", "FF1", 90)],
     [("join", "K0", "F1"), ("register", "FF0", 90)]),
    ([("memory", "B.K0", "WRE")], [("memory", "C.K0", "WRE")]),
    ([("memory", "A.K0", "WRE"), ("register", "D.FF0", 90)],
     [("memory", "A.K0", "INV"), ("register", "D.FF0", 90)]),
    ([("memory", "A.K0", "WRE"), ("memory", "A.K1", "WRE")],
     [("memory", "A.K0", "WRE"), ("memory", "A.K1", "INV")]),
    ([("table", "C.K0", 90)], [("table", "C.K0", 90), ("writer", "C.RAMW")]),
], ids=["enable", "reset", "carry", "join", "join more", "input m", "memory", "write enable",
        "two memories", "writer"])
def test_what_a_tile_may_hold(legal, illegal, monkeypatch):
    def join(self, bel, pin):
        self.add("TRELLIS_COMB", bel, ["OFX"], {pin: 90, "M": 91}, {})

    def memory(self, bel, enable):
        self.add("TRELLIS_COMB", bel, ["F"], {"A": 90}, {"MODE": "DPRAM", "WREMUX": enable})

    def writer(self, bel):
        self.add("TRELLIS_RAMW", bel, ["WDO0"], {"A0": 90}, {})

    for method in (join, memory, writer):
        monkeypatch.setattr(Drawing, method.__name__, method, raising=False)

    def at(drawn):
        return [(method, f"X20/Y20/SLICE{bel if '.' in bel else f'A.{bel}'}", *rest)
                for method, bel, *rest in drawn]

    assert tile(*at(legal))
    assert not tile(*at(illegal))


@pytest.fixture(scope="module")
def scattered():
    """Paths through tables, a pair and a carry chain that lie all over the device."""
    drawing = Drawing()
    filler(drawing)
    for row in range(12):
        begin = drawing.register(f"X{5 + row}/Y{3 + row}/SLICEA.FF0", "0")
        near = drawing.table(f"X{100 - row}/Y{80 - row}/SLICEA.K0", begin)
        far = drawing.table(f"X{9 + row}/Y{90 - row}/SLICEA.K0", near, begin)
        drawing.register(f"X{9 + row}/Y{90 - row}/SLICEA.FF0", far, "DI")
        carried = None
        for place in range(24):
            x, piece = 30 + place // 8, "ABCD"[place % 8 // 2]
            out, carried = drawing.carry(f"X{x}/Y{2 + row}/SLICE{piece}.K{place % 2}",
                                         far if place else begin, carried)
        drawing.register(f"X{100 - row}/Y{3 + row}/SLICEB.FF0", out)
    return drawing


def chains(netlist):
    """Return where the cells of each carry chain lie, as steps from its first."""
    cells = netlist["modules"]["top"]["cells"].values()
    spots = []
    for cell in cells:
        if cell["parameters"].get("MODE") == "CCU2":
            x, y, bel = cell["attributes"]["NEXTPNR_BEL"].split("/")
            spots.append((int(x[1:]), int(y[1:]), bel))
    return [[(x - spots[first][0], y - spots[first][1], bel)
             for x, y, bel in spots[first:first + 24]] for first in range(0, len(spots), 24)]


def test_a_placement_is_refined_to_shorter_paths_and_stays_legal(scattered):
    netlist, said = scattered.netlist(), []
    before = longest(netlist, scattered.delays)
    delays = copy.deepcopy(scattered.delays)
    design = placement.refine(netlist, delays, STAGES, period=7_000, say=said.append)
    again = placed.Placed(design.netlist, delays)
    assert moves.count_illegal(moves.floor(again), again.cells) == 0
    assert longest(design.netlist, delays) < before / 2 and len(said) == 4
    assert f"{before / 1000:.2f} ns" in said[0]
    assert chains(netlist) == chains(scattered.netlist())
    for name, cell in netlist["modules"]["top"]["cells"].items():
        if "DI" in cell["connections"]:
            table = next(other for other in netlist["modules"]["top"]["cells"].values()
                         if other["connections"].get("F") == cell["connections"]["DI"])
            assert (table["attributes"]["NEXTPNR_BEL"].replace("K", "FF")
                    == cell["attributes"]["NEXTPNR_BEL"]), name


def test_the_same_seed_gives_the_same_placement(scattered):
    found = []
    for seed in (1, 1, 2):
        netlist = scattered.netlist()
        placement.refine(netlist, copy.deepcopy(scattered.delays), STAGES, period=7_000,
                         seed=seed)
        found.append(netlist)
    assert found[0] == found[1] != found[2]


def meaning(netlist, bit):
    """Return what drives a bit, through its copies: names without the copies' part."""
    for name, cell in netlist["modules"]["top"]["cells"].items():
        for pin, direction in cell["port_directions"].items():
            if direction == "output" and cell["connections"].get(pin) == [bit]:
                return name.partition("$copy")[0], pin
    return bit


@pytest.mark.parametrize("kind", [placed.TABLE, placed.REGISTER])
def test_a_copy_says_the_same_and_only_to_those_that_are_near(kind):
    drawing = Drawing()
    filler(drawing)
    begin = drawing.register("X20/Y20/SLICEA.FF0", "0")
    if kind == placed.TABLE:
        driver = drawing.table("X21/Y20/SLICEA.K0", begin, begin)
    else:
        inner = drawing.table("X21/Y20/SLICEA.K0", begin)
        driver = drawing.register("X21/Y20/SLICEA.FF0", inner, "DI")
    for x in (22, 23, 80, 81):
        drawing.register(f"X{x}/Y20/SLICEA.FF0", drawing.table(f"X{x}/Y20/SLICEB.K0", driver))
    netlist, delays = drawing.netlist(), copy.deepcopy(drawing.delays)
    work = placement.Work(netlist, delays, 2_000)
    assert copies.copy_drivers(work.design, work.where, work.slack, 0, kind) == 1
    again = placement.Work(netlist, delays, 2_000)
    assert moves.count_illegal(again.where, again.design.cells) == 0
    cells = netlist["modules"]["top"]["cells"]
    [name] = [name for name in cells if "$copy" in name]
    original, made = cells[name.partition("$copy")[0]], cells[name]
    given = [{pin: bits for pin, bits in cell["connections"].items()
              if cell["port_directions"][pin] == "input"} for cell in (original, made)]
    if kind == placed.REGISTER:
        assert made["parameters"]["SD"].strip() == "0" and ("M", NEEDS) in delays.setups[name]
        given[1]["DI"] = given[1].pop("M")
    assert given[0] == given[1]
    for (cell, was), now in zip(drawing.cells.items(), cells.values(), strict=False):
        for pin, bits in was["connections"].items():
            if was["port_directions"][pin] == "input" and isinstance(bits[0], int):
                assert (meaning(netlist, now["connections"][pin][0])
                        == meaning(drawing.netlist(), bits[0])), (cell, pin)
    [bit] = made["connections"]["F" if kind == placed.TABLE else "Q"]
    ends = [cell["attributes"]["NEXTPNR_BEL"].split("/")[0] for cell in cells.values()
            if any(bits == [bit] and cell["port_directions"][pin] == "input"
                   for pin, bits in cell["connections"].items())]
    assert sorted(ends) == ["X80", "X81"]


@pytest.mark.parametrize("places, copied", [((), 0), ((30, 80, 81), 1)])
def test_what_a_register_enables_stays_with_it(places, copied):
    drawing = Drawing()
    filler(drawing)
    begin = drawing.register("X20/Y20/SLICEA.FF0", "0")
    for x in (22, 78, 79):
        drawing.register(f"X{x}/Y20/SLICEA.FF0", "0", "M", begin)
        drawing.delays.setups[f"trellis_ff_{len(drawing.cells) - 1}"].append(("CE", NEEDS))
    for x in places:
        drawing.register(f"X{x}/Y20/SLICEC.FF0", drawing.table(f"X{x}/Y20/SLICED.K0", begin))
    netlist = drawing.netlist()
    work = placement.Work(netlist, drawing.delays, 1_000)
    found = copies.copy_drivers(work.design, work.where, work.slack, 0, placed.REGISTER)
    assert found == copied
    cells = netlist["modules"]["top"]["cells"].values()
    assert sum(cell["connections"].get("CE") == [begin] for cell in cells) == 3
    assert sum(cell["connections"].get("D") == [begin] for cell in cells) == bool(copied)


def test_a_memory_moves_to_a_place_for_memories():
    drawing = Drawing()
    filler(drawing)
    [out] = drawing.add("DP16KD", "X4/Y22/EBR0", ["DOA0"], {"CLKA": 2}, {},
                        paths=[("CLKA", "DOA0", 600)])
    drawing.register("X80/Y80/SLICEA.FF0", drawing.table("X80/Y79/SLICEA.K0", out))
    netlist = drawing.netlist()
    before = longest(netlist, drawing.delays)
    placement.refine(netlist, drawing.delays, STAGES, period=2_000)
    cells = netlist["modules"]["top"]["cells"]
    [memory] = [cell["attributes"]["NEXTPNR_BEL"] for cell in cells.values()
                if cell["type"] == "DP16KD"]
    x, y, place = memory.split("/")
    assert int(y[1:]) in (22, 46, 70, 82) and place[:3] == "EBR" and int(x[1:]) in range(4, 121)
    assert longest(netlist, drawing.delays) < before
    assert np.all(placed.Placed(netlist, drawing.delays).cells.x >= 0)
