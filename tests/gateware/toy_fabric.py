"""A small device as nextpnr's chip database has one, of places that are all alike.

A place has two slots for tables and registers, and tracks to its four neighbours: each a fast
one and a slow one. Structures are those of ``ecp5/arch.h`` of nextpnr 0.11.
"""

import struct

COLUMNS, ROWS = 6, 2
PIN_PS, FAST_PS, SLOW_PS, MORE_PS = 50, 300, 700, 10
"""Picoseconds of a pip to a pin or between inputs, to a track, and for each that a track drives."""
TRACKS = {f"{way}{track:04}": (x, y, 1 + (track == 3))
          for way, x, y in (("H01E", 1, 0), ("H01W", -1, 0), ("V01S", 0, 1), ("V01N", 0, -1))
          for track in (1, 3)}
"""Columns, rows and timing class of each track; a track belongs to the place where it ends."""
SOURCES = [f"{pin}{z}_SLICE" for pin in "QF" for z in (0, 1)]
INPUTS = [f"{pin}{z}" for pin in "DC" for z in (0, 1)]
PINS = [f"{pin}{z}_SLICE" for pin in "DCM" for z in (0, 1)]
WIRES = [*SOURCES, *TRACKS, *INPUTS, *PINS, "G_HPBX0000"]
_PERMUTED = 1 << 14


def pips():
    """Yield source, target, columns and rows between them, timing class and flags."""
    for source in (*SOURCES, *TRACKS):
        for target, (x, y, timing) in TRACKS.items():
            yield source, target, x, y, timing, 0
    for track in TRACKS:
        for target in (*INPUTS, "M0_SLICE", "M1_SLICE"):
            yield track, target, 0, 0, 0, 0
    for source in SOURCES:
        yield source, "G_HPBX0000", 0, 0, 0, 0
    yield "G_HPBX0000", "D0", 0, 0, 0, 0
    for z in "01":
        for number, outside in enumerate("CD", 2):
            for within, inside in enumerate("CD", 2):
                yield (f"{outside}{z}", f"{inside}{z}_SLICE", 0, 0, 0,
                       _PERMUTED | number << 2 | within)


class Blob(bytearray):
    """Structures, each of which comes after what it refers to."""

    def put(self, *values):
        """Append numbers, and offsets to what a one-tuple or a list's pair says; return where."""
        where = len(self)
        for value in values:
            if isinstance(value, tuple):
                self.extend(struct.pack("<i", value[0] - len(self)))
                self.extend(struct.pack("<I", value[1]) if len(value) == 2 else b"")
            else:
                self.extend(value if isinstance(value, bytes) else struct.pack("<i", value))
        return where


def database():
    """Return the database; a list without entries points nowhere that is in it."""
    blob, edges, nothing = Blob(4), list(pips()), (1 << 30, 0)
    names = {name: blob.put(name.encode() + b"\0") for name in WIRES}
    listed = blob.put(*(struct.pack(
        "<7h2b2h", 0, 0, x, y, WIRES.index(source), WIRES.index(target), timing, 0, 0, flags, 0)
        for source, target, x, y, timing, flags in edges))
    steps = {name: [number for number, edge in enumerate(edges) if edge[0] == name]
             for name in WIRES}
    down = {name: blob.put(*(struct.pack("<2hi", 0, 0, number) for number in steps[name]))
            for name in WIRES}
    wires = blob.put(*(each for name in WIRES for each in (
        (names[name],), 0, nothing,
        (down[name], len(steps[name])) if steps[name] else nothing, nothing)))
    types = blob.put(nothing, (wires, len(WIRES)), (listed, len(edges)))
    kinds = blob.put(*([0] * COLUMNS * ROWS))
    classes = (PIN_PS, 0), (FAST_PS, MORE_PS), (SLOW_PS, MORE_PS)
    delays = blob.put(*(value for base, more in classes for value in (0, base, 0, more)))
    grades = blob.put(nothing, (delays, 3))
    root = blob.put(COLUMNS, ROWS, COLUMNS * ROWS, 0, (types, 1), (kinds, COLUMNS * ROWS),
                    nothing, nothing, nothing, nothing, nothing, (grades, 1))
    blob[:4] = struct.pack("<i", root)
    return bytes(blob)
