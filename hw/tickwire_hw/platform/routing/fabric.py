"""Wires of an ECP5, pips between them and their delays, as nextpnr's chip database has them.

The database begins with an offset to its root and holds arrays of packed structures, as ``arch.h``
of nextpnr 0.11 has them; offsets are from where they stand. Places of the device are of some
hundred types; wires and pips are listed for each type, and what they lead to is relative. A wire's
number here is ``place * slots + index``, and a place's ``row * columns + column``.
"""

import re
import struct
from typing import NamedTuple

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured
from numpy.typing import NDArray

PERMUTED = 1 << 14
"""Flag of a pip between inputs of a table: bits 0 and 1 are the input within, 2 and 3 without."""
_PIP = np.dtype([("source_x", "<i2"), ("source_y", "<i2"), ("target_x", "<i2"),
                 ("target_y", "<i2"), ("source", "<i2"), ("target", "<i2"), ("timing", "<i2"),
                 ("tile", "i1"), ("kind", "i1"), ("permutes", "<i2"), ("padding", "<i2")])
_STEP = np.dtype([("x", "<i2"), ("y", "<i2"), ("pip", "<i4")])
SOURCE_X, SOURCE_Y, TARGET_X, TARGET_Y, _, TARGET, TIMING, _, _, PERMUTES, _ = range(len(_PIP))
"""Columns of :attr:`Graph.pip`, in the order of its fields."""
_TYPES, _KINDS, _GRADES = 16, 24, 72       # lists in the root: types, each place's type, speeds
_TYPE_SIZE, _WIRE_SIZE, _GRADE_SIZE, _LIST_SIZE = 24, 32, 16, 8
_USABLE = re.compile(
    r"[VH]0[0126]\w+|[ABCDM]\d|CE\d|LSR\d|MUXLSR\d|\w+_SLICE|[NSEW]BOUNCE|[FQ]\d|DI\d"
    r"|J([ABCDFQ]|CE|LSR)\d|J\w+_(EBR|MULT18)|JMUI\w+|JMULT\w+|FX[AB][ABCD]"
    r"|J?PADD[IO][ABCD](_PIO)?|JDI[ABCD]|JGSR_GSR|G_J\w+PCLKCIB\d|G_\wDCC\d+CLKI|G_CLKI_\wDCC\d+")
_WIRE_NAME = re.compile(r"X(\d+)/Y(\d+)/(\w+)")
_PIP_NAME = re.compile(r"X(\d+)/Y(\d+)/(-?\d+)_(-?\d+)_(\w+?)->(-?\d+)_(-?\d+)_(\w+)")


class Graph(NamedTuple):
    """What a search for routes reads.

    A wire of a type leads over ``step[steps[wire]:steps[wire + 1]]``: to a pip of the place that
    lies some columns and rows away.

    Attributes:
        columns: of the device.
        slots: most wires that a place has.
        kind: type of each place, ``int32[places]``.
        wires: first wire of each type, ``int32[types + 1]``.
        pips: first pip of each type, ``int32[types + 1]``.
        steps: first step of each wire of a type, ``int32[wires + 1]``.
        step: columns, rows and number of a pip among its type's, ``int32[steps, 3]``.
        pip: :data:`SOURCE_X` and so on, ``int32[pips, 11]``.
        delay: picoseconds of a pip of a timing class, and more for each pip that its source drives,
            ``int32[classes, 2]``.
        is_usable: whether a wire of a type is the fabric's and no network's, ``bool[wires]``.
    """

    columns: int
    slots: int
    kind: NDArray[np.int32]
    wires: NDArray[np.int32]
    pips: NDArray[np.int32]
    steps: NDArray[np.int32]
    step: NDArray[np.int32]
    pip: NDArray[np.int32]
    delay: NDArray[np.int32]
    is_usable: NDArray[np.bool_]


class Fabric:
    """A device's graph, and names of its wires and pips as nextpnr writes them in JSON."""

    def __init__(self, blob: bytes, grade: int) -> None:
        """Read a chip database; ``grade`` counts its speeds, of which 2 is speed 8."""
        self._blob = blob
        root = self._offset(0)
        columns, rows = struct.unpack_from("<2i", blob, root)
        first, types = self._list(root + _TYPES)
        kinds, _ = self._list(root + _KINDS)
        grades, _ = self._list(root + _GRADES)
        classes, many = self._list(grades + grade * _GRADE_SIZE + _LIST_SIZE)
        self._names: list[list[str]] = []
        step, pip = [], []
        for at in range(first, first + types * _TYPE_SIZE, _TYPE_SIZE):
            wires, length = self._list(at + _LIST_SIZE)
            places = range(wires, wires + length * _WIRE_SIZE, _WIRE_SIZE)
            self._names.append([self._text(wire) for wire in places])
            step.extend(self._array(_STEP, wire + 2 * _LIST_SIZE) for wire in places)
            pip.append(self._array(_PIP, at + 2 * _LIST_SIZE))
        self._numbers = [{name: number for number, name in enumerate(names)}
                         for names in self._names]
        self.graph = Graph(
            columns, max(map(len, self._names)),
            np.frombuffer(blob, "<i4", rows * columns, kinds).astype(np.int32),
            _starts(self._names), _starts(pip), _starts(step),
            *(structured_to_unstructured(np.concatenate(parts), np.int32)
              for parts in (step, pip)),
            np.frombuffer(blob, "<i4", 4 * many, classes).reshape(-1, 4)[:, 1::2].copy(),
            np.array([bool(_USABLE.fullmatch(name)) for names in self._names for name in names]))

    @property
    def places(self) -> int:
        """How many places the device has."""
        return self.graph.kind.size

    def names(self, kind: int) -> list[str]:
        """Return the names of the wires of a type of place."""
        return self._names[kind]

    def wire(self, name: str) -> int:
        """Return a wire's number; raises :class:`ValueError` if there is none of the name."""
        found = _WIRE_NAME.fullmatch(name)
        if not found:
            raise ValueError(f"{name!r} is no wire of the device.")
        return self._known(int(found[1]), int(found[2]), found[3])

    def _known(self, x: int, y: int, name: str) -> int:
        number = self.find(x, y, name)
        if number is None:
            raise ValueError(f"'X{x}/Y{y}/{name}' is no wire of the device.")
        return number

    def find(self, x: int, y: int, name: str) -> int | None:
        """Return the number of the wire at a place, or None."""
        place = y * self.graph.columns + x
        if not (0 <= x < self.graph.columns and 0 <= place < self.places):
            return None
        index = self._numbers[self.graph.kind[place]].get(name)
        return None if index is None else place * self.graph.slots + index

    def name(self, wire: int) -> str:
        """Return a wire's name."""
        place, index = divmod(wire, self.graph.slots)
        return f"{self._at(place)}/{self._names[self.graph.kind[place]][index]}"

    def pip(self, name: str) -> tuple[int, int]:
        """Return a pip's place and its source; raises :class:`ValueError` for another text."""
        found = _PIP_NAME.fullmatch(name)
        if not found:
            raise ValueError(f"{name!r} is no pip's name.")
        x, y = int(found[1]), int(found[2])
        source = self._known(x + int(found[3]), y + int(found[4]), found[5])
        return y * self.graph.columns + x, source

    def pip_name(self, place: int, pip: int, source: int, target: int) -> str:
        """Return the name of a place's pip that leads from one wire to another."""
        entry = self.graph.pip[self.graph.pips[self.graph.kind[place]] + pip]
        ends = (f"{entry[x]}_{entry[y]}_{self.name(wire).rpartition('/')[2]}"
                for x, y, wire in ((SOURCE_X, SOURCE_Y, source), (TARGET_X, TARGET_Y, target)))
        return f"{self._at(place)}/{'->'.join(ends)}"

    def _at(self, place: int) -> str:
        y, x = divmod(place, self.graph.columns)
        return f"X{x}/Y{y}"

    def _offset(self, at: int) -> int:
        return at + struct.unpack_from("<i", self._blob, at)[0]

    def _list(self, at: int) -> tuple[int, int]:
        """Return where a list begins that is told at ``at``, and how many it has."""
        return self._offset(at), struct.unpack_from("<I", self._blob, at + 4)[0]

    def _text(self, at: int) -> str:
        begin = self._offset(at)
        return self._blob[begin:self._blob.index(b"\0", begin)].decode()

    def _array(self, kind: np.dtype, at: int) -> NDArray[np.void]:
        where, length = self._list(at)
        return np.frombuffer(self._blob, kind, length, where if length else 0)


def _starts(parts: list) -> NDArray[np.int32]:
    """Return where each part begins among all, and where the last ends."""
    return np.concatenate(([0], np.cumsum([len(part) for part in parts]))).astype(np.int32)
