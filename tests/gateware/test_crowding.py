"""What tiles are asked for: demand and prices, added up tile by tile, and what wires cost by them.

Method: wires at random between tiles; each tile's part of each is added up one by one.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateware.drawing import Drawing
from tickwire_hw.platform import placement
from tickwire_hw.platform.placement import crowding, placed, times

TILES = st.tuples(st.integers(0, placed.WIDTH - 1), st.integers(0, placed.HEIGHT - 1))
WIRES = st.lists(st.tuples(TILES, TILES, st.sampled_from([0.25, 1.0]),
                           st.sampled_from([times.INSIDE, times.FREE, times.WIRE])), min_size=1,
                 max_size=8)


def looked(wires):
    """Return the crowding of wires: two ends, share and kind."""
    ends = np.array([end for first, last, _, _ in wires for end in (first, last)], np.int32)
    count = len(wires)
    numbers = np.arange(2 * count, dtype=np.int32)
    nothing = np.zeros(2 * count, np.int32)
    graph = times.Graph(numbers[::2], numbers[1::2], np.array([w[3] for w in wires], np.int8),
                        nothing[:count], numbers, nothing, nothing)
    found = crowding.Crowding(np.array([share for _, _, share, _ in wires]))
    found.look(graph, ends[:, 0].copy(), ends[:, 1].copy())
    return found


def between(first, last):
    """Return rows and columns of the tiles between two."""
    (x, y), (to_x, to_y) = first, last
    return slice(min(y, to_y), max(y, to_y) + 1), slice(min(x, to_x), max(x, to_x) + 1)


def added_up(wires):
    """Return each tile's demand."""
    demand = np.zeros((placed.HEIGHT, placed.WIDTH))
    for first, last, share, kind in wires:
        if kind != times.INSIDE:
            tiles = demand[between(first, last)]
            length = sum(tiles.shape) - 2
            tiles += share * length / tiles.size
    return demand


@given(WIRES)
def test_a_tile_is_asked_for_its_part_of_each_wire(wires):
    found = looked(wires)
    assert np.allclose(found.demand, added_up(wires))
    assert found.fullest == pytest.approx(np.sort(added_up(wires).ravel())[
        -added_up(wires).size // 20])


@given(WIRES, TILES, TILES)
def test_a_wire_costs_more_by_the_mean_of_the_tiles_between(wires, first, last):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crowding, "_ROOM", 0.01)
        found = looked(wires)
        more = crowding._PRICE * np.maximum(added_up(wires) / 0.01 - 1, 0)
    assert crowding.crowd(found.price, *first, *last) == pytest.approx(
        more[between(first, last)].mean(), abs=1e-6)


def test_where_there_is_room_a_wire_costs_no_more():
    found = looked([((3, 4), (9, 8), 1.0, times.WIRE)])
    assert 0 < found.demand.max() < crowding._ROOM
    assert not found.price.any()


def costs(monkeypatch, price):
    """Return a placement's work, and what each of its wires costs if tiles have that price."""
    monkeypatch.setattr(crowding, "_ROOM", 0.5)
    monkeypatch.setattr(crowding, "_PRICE", price)
    drawing = Drawing()
    for x in range(20, 28):
        bit = drawing.register(f"X{x}/Y20/SLICEA.FF0", "0")
        for y in (21, 24, 30):
            bit = drawing.register(f"X{50 - x}/Y{y}/SLICEB.FF1", bit)
    work = placement.Work(drawing.placed().netlist, drawing.delays, 7_000)
    return work, work._wish.cost.copy()


def test_a_placement_s_wires_cost_more_where_tiles_are_full(monkeypatch):
    _, plain = costs(monkeypatch, 0.0)
    work, full = costs(monkeypatch, 4.0)
    graph, cells = work.design.graph, work.design.cells
    more = np.zeros(plain.size)
    for arc in np.flatnonzero(graph.kind != times.INSIDE):
        here, there = graph.cell[graph.source[arc]], graph.cell[graph.target[arc]]
        more[arc] = work._wish.weight[arc] * graph.delay[arc] * crowding.crowd(
            work.crowding.price, cells.x[here], cells.y[here], cells.x[there], cells.y[there])
    assert more.max() > 0.5
    assert np.allclose(full - plain, more)
