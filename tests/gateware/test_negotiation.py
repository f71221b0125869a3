"""Nets that want the same wires: all get ways in the end, and the urgent ones the fast ones.

Method: a toy device whose places have one fast track and one slow one each way; routes are read by
their names, and delays added up here from what the database says of each pip.
"""

from collections import Counter
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateware import toy_fabric as toy
from tests.gateware.drawing import CLOCK_TO_OUTPUT, NEEDS, TABLE_PS, Drawing
from tests.gateware.toy_routes import FABRIC, takes, tree
from tickwire_hw.platform.placement import placed
from tickwire_hw.platform.routing.fabric import Fabric
from tickwire_hw.platform.routing.negotiation import Negotiation
from tickwire_hw.platform.routing.pins import is_network, wire_at

FAST, SLOW, PIN = toy.FAST_PS + toy.MORE_PS, toy.SLOW_PS + toy.MORE_PS, toy.PIN_PS
BETWEEN = CLOCK_TO_OUTPUT + NEEDS


class Design:
    """Cells of the toy, and what their nets lead to."""

    def __init__(self):
        self.drawing, self.ends = Drawing(), {}

    def register(self, x, y, z, bit="0"):
        """Draw a register behind ``bit``; return the bit that it drives."""
        if bit != "0":
            self.ends[bit].append(f"X{x}/Y{y}/M{z}_SLICE")
        found = self.drawing.register(f"X{x}/Y{y}/SLICEA.FF{z}", bit)
        self.ends[found] = []
        return found

    def table(self, x, y, z, *bits):
        """Draw a table behind bits, inputs D and C."""
        for pin, bit in zip("DC", bits, strict=False):
            self.ends[bit].append(f"X{x}/Y{y}/{pin}{z}_SLICE")
        found = self.drawing.table(f"X{x}/Y{y}/SLICEA.K{z}", *bits)
        self.ends[found] = []
        return found

    def routes(self, period):
        """Route the design; return what is still shared, and the routes, which must be right."""
        design, said = self.drawing.placed(), []
        negotiation = Negotiation(design, FABRIC)
        shared = negotiation.run(period, said.append)
        written = negotiation.write(design.module)
        nets = design.module["netnames"]
        found = {bit: nets[f"net_{bit}"]["attributes"]["ROUTING"] for bit in self.ends
                 if "ROUTING" in nets.get(f"net_{bit}", {"attributes": {}})["attributes"]}
        trees = {bit: tree(text) for bit, text in found.items()}
        assert len(found) == written
        for bit, each in trees.items():
            assert set(each) - set(each.values()) == set(self.ends[bit])
            assert not any("G_HPBX" in wire for wire in each)
        holders = Counter(wire for each in trees.values() for wire in each)
        assert not holders or max(holders.values()) == 1
        assert len(said) == 1 or shared or "0 wires shared" in said[-1]
        wanted = {bit for bit, ends in self.ends.items() if ends}
        assert set(found) <= wanted
        assert shared or set(found) == wanted
        return shared, found


def test_a_net_alone_has_the_fastest_way():
    design = Design()
    bit = design.register(0, 0, 0)
    design.register(3, 1, 0, bit)
    shared, found = design.routes(5_000)
    assert shared == 0
    assert takes(found[bit], "X3/Y1/M0_SLICE") == 4 * FAST + PIN


def test_who_can_wait_gives_the_fast_track_to_who_cannot():
    design = Design()
    urgent = design.register(0, 0, 0)
    table = design.table(3, 0, 0, urgent)
    calm = design.register(0, 0, 1)
    design.register(3, 0, 1, calm)
    design.register(5, 0, 0, table)
    long = BETWEEN + 3 * FAST + 100 + TABLE_PS + 2 * FAST + PIN
    shared, found = design.routes(long + 60)
    assert shared == 0
    assert takes(found[urgent], "X3/Y0/D0_SLICE") == 3 * FAST + 100
    assert takes(found[table], "X5/Y0/M0_SLICE") == 2 * FAST + PIN
    assert takes(found[calm], "X3/Y0/M1_SLICE") > 3 * FAST + PIN


def test_one_tree_leads_to_many_ends():
    design = Design()
    bit = design.register(0, 0, 0)
    ends = [(x, y, z) for x in range(1, toy.COLUMNS) for y in range(toy.ROWS) for z in (0, 1)]
    for x, y, z in ends:
        design.register(x, y, z, bit)
    shared, found = design.routes(20_000)
    assert shared == 0
    assert len(tree(found[bit])) < 4 * len(ends)


def test_what_a_path_takes_is_told_with_all_that_its_wires_drive():
    design, said = Design(), []
    bit = design.register(0, 0, 0)
    ends = [(x, y, z) for x in (2, 3, 4) for y in range(toy.ROWS) for z in (0, 1)]
    for x, y, z in ends:
        design.register(x, y, z, bit)
    found = design.drawing.placed()
    negotiation = Negotiation(found, FABRIC)
    assert negotiation.run(20_000, said.append) == 0
    negotiation.write(found.module)
    text = found.module["netnames"][f"net_{bit}"]["attributes"]["ROUTING"]
    longest = max(takes(text, f"X{x}/Y{y}/M{z}_SLICE") for x, y, z in ends)
    assert negotiation.lateness(1)[1] == BETWEEN + longest
    assert f"longest path {(BETWEEN + longest) / 1000:.2f} ns" in said[-1]


def test_inputs_of_a_table_change_places_when_both_want_one():
    design = Design()
    first, second = design.register(0, 0, 0), design.register(2, 0, 0)
    design.table(1, 0, 0, first, second)
    shared, found = design.routes(5_000)
    assert shared == 0
    inputs = {wire for text in found.values() for wire in tree(text)} & {"X1/Y0/D0", "X1/Y0/C0"}
    assert inputs == {"X1/Y0/D0", "X1/Y0/C0"}


def test_what_only_a_neighbour_leads_to_is_left_to_nextpnr():
    design = Design()
    bit = design.register(0, 0, 0)
    _, carried = design.drawing.carry("X1/Y0/SLICEA.K0", bit)
    design.ends[bit].append("X1/Y0/A0_SLICE")
    design.drawing.carry("X1/Y0/SLICEA.K1", "0", carried)
    negotiation = Negotiation(design.drawing.placed(), FABRIC)
    assert negotiation.run(5_000, lambda _: None) == 0
    assert negotiation.write(design.drawing.placed().module) == 0   # nor has the toy an input A


def test_too_many_for_a_place_share_and_are_left_to_nextpnr(monkeypatch):
    monkeypatch.setattr("tickwire_hw.platform.routing.negotiation._TURNS", 12)
    design = Design()
    for z in (0, 1):                                           # eight into one place by six tracks
        bits = [design.register(x, 0, z) for x in (0, 2)]
        design.table(1, 0, z, *bits)
        design.register(1, 0, z, design.register(3, 0, z))
        other = design.register(1, 1, z)
        design.ends[other].append(f"X1/Y0/M{z}_SLICE")
        design.drawing.register(f"X1/Y0/SLICEA.FF{z}", other)
    shared, found = design.routes(5_000)
    assert shared > 0
    assert len(found) < 8


def test_a_net_that_has_no_way_to_an_end_is_left_to_nextpnr():
    design, fabric = Design(), Fabric(toy.database(), 0)
    fabric.graph.is_usable[toy.WIRES.index("M1_SLICE")] = False
    first, second = design.register(0, 0, 0), design.register(0, 1, 0)
    design.register(2, 0, 0, first)
    design.register(2, 1, 0, second)
    design.register(3, 1, 1, second)
    found = design.drawing.placed()
    negotiation = Negotiation(found, fabric)
    assert negotiation.run(5_000, lambda _: None) == 0
    assert negotiation.write(found.module) == 1
    routed = [name for name, net in found.module["netnames"].items()
              if "ROUTING" in net["attributes"]]
    assert routed == [f"net_{first}"]


@pytest.mark.parametrize(("kind", "bel", "pin", "wire"), [
    ("DCCA", "X67/Y0/TDCC0", "CLKI", "X0/Y0/G_CLKI_TDCC0"),
    ("DCCA", "X67/Y0/TDCC0", "CLKO", None),
    ("GSR", "X4/Y94/GSR", "GSR", "X4/Y94/JGSR_GSR"),
    ("GSR", "X4/Y94/GSR", "CLK", None),
    ("TRELLIS_IO", "X15/Y95/PIOB", "O", "X15/Y95/JPADDIB_PIO"),
    ("TRELLIS_IO", "X60/Y0/PIOA", "I", "X60/Y0/PADDOA_PIO"),
])
def test_what_is_no_table_has_its_wires_where_the_database_has_them(kind, bel, pin, wire):
    design = SimpleNamespace(
        cells=SimpleNamespace(kind=[placed.OTHER], z=[0]),
        entry=lambda _: {"type": kind, "attributes": {"NEXTPNR_BEL": bel}})
    names = SimpleNamespace(find=lambda x, y, name: f"X{x}/Y{y}/{name}")
    assert wire_at(design, names, 0, pin) == wire
    assert is_network(design, 0) == (kind == "DCCA")


@st.composite
def designs(draw):
    """Draw nets between registers at random."""
    random, design = Random(draw(st.integers(0, 1 << 32))), Design()
    spots = [(x, y, z) for x in range(toy.COLUMNS) for y in range(toy.ROWS) for z in (0, 1)]
    random.shuffle(spots)
    for _ in range(draw(st.integers(1, len(spots) // 3))):
        first, *lasts = [spots.pop() for _ in range(random.choice((2, 2, 3)))]
        bit = design.register(*first)
        for last in lasts:
            design.register(*last, bit)
    return design


@settings(deadline=None, max_examples=100)
@given(designs(), st.integers(500, 6_000))
def test_whatever_the_nets_are_their_routes_are_ways_that_nobody_shares(design, period):
    design.routes(period)


@pytest.mark.parametrize("period", [1, 5_000])
def test_the_same_design_has_the_same_routes(period):
    design = Design()
    for number in range(6):
        bit = design.register(number % 3, number % 2, number // 3)
        design.register(3 + number % 3, number % 2, number // 3, bit)
    assert design.routes(period) == design.routes(period)
