"""Where the block RAM of the small pipeline lies on an LFE5U-85F.

nextpnr finds a place for each of the 179 memories by itself, 86 % of the device's, and takes what
is left when its place is taken. So the memories of one table came to lie across the device, and
what goes from one to the next passed half of it, 4 to 7 ns a wire. The plan has ports at the top,
right of them the early port's orders, near the arbiter that asks for them, then the window, which
only the book asks, and below them the tables of the book and of the records; logic follows its
memories.
"""

from itertools import chain

from tickwire_hw.platform.yowasp import ToolError

ROWS = (22, 46, 70, 82)
COLUMNS = (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)
"""Where the device has block RAM: four from each column on, two tiles from one to the next."""


def _sites(row: int, *columns: int) -> tuple[str, ...]:
    """Names of the four block RAMs at each of the columns, which are numbered from the left."""
    return tuple(f"X{COLUMNS[column] + 2 * place}/Y{ROWS[row]}/EBR{place}"
                 for column in columns for place in range(4))


def _pairs(*columns: int) -> tuple[str, ...]:
    """Names of those in the two lowest rows, one above the other in turn."""
    return tuple(chain(*zip(_sites(2, *columns), _sites(3, *columns), strict=True)))


PLAN = {
    "port_0.": _sites(0, 0, 1), "port_1.": _sites(0, 2, 3), "port_2.": _sites(0, 4, 5),
    "counters.": _sites(0, 6),
    "book.sequencer.bodies.": (*_sites(1, 4)[2:], *_sites(1, 5, 6)),
    "book.sequencer.filter.": (*_sites(1, 2, 3), *_sites(1, 1)[2:], *_sites(1, 4)[:2]),
    "book.sequencer.told.": _pairs(2, 3),
    "book.window.": (*_sites(0, 11, 12), *_sites(1, 12)[:3]),
    "book.early.refill.": (*_sites(1, 12)[3:], *_sites(1, 11)),
    "book.early.orders.": (*_sites(0, 7, 8, 9, 10), *_sites(1, 7, 8, 9, 10)),
    "publish.": (*_sites(2, 0, 1), *_sites(3, 0, 1)),
    "book.contexts.": _sites(2, 4),
    "book.commit.levels.": _pairs(5, 6, 7),
    "book.commit.orders.": _pairs(8, 9, 10, 11),
}
"""Sites of each component's memories, in the order of their names."""


def place(netlist: dict) -> int:
    """Give the pipeline's memories their sites in a netlist as Yosys writes it; returns how many.

    Of any other component none. Raises :class:`ToolError` where the plan has too few.
    """
    cells = netlist["modules"]["top"]["cells"]
    memories = sorted(name for name, cell in cells.items() if cell["type"] == "DP16KD")
    found = {prefix: [name for name in memories if name.startswith(f"component.{prefix}")]
             for prefix in PLAN}
    if not all(found.values()):
        return 0
    for prefix, names in found.items():
        if len(names) > len(PLAN[prefix]):
            raise ToolError(f"{prefix[:-1]} has {len(names)} block RAMs, and the floorplan "
                            f"{len(PLAN[prefix])} places for them.")
        for name, site in zip(names, PLAN[prefix], strict=False):
            cells[name].setdefault("attributes", {})["BEL"] = site
    return sum(map(len, found.values()))
