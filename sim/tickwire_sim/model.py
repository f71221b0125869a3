"""A compiled component: rows of inputs in, rows of outputs out, one row a clock cycle.

Row types follow from the ports. A port of up to 64 bits is an unsigned column of 1, 2, 4 or 8
octets, a wider one an array of little-endian 64-bit words, whatever the port's shape is.
"""

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tickwire.errors import TickwireError
from tickwire_hw.ports import Port
from tickwire_sim import bits

CYCLE = "cycle"
"""Field of every output row: number of the cycle, from 0 at the last reset."""
_CHUNK = 1 << 16                           # output rows that are made room for at a time
_FLAGS_MAX = 64                            # MAX_FLAGS of verilated.cpp


def row_type(ports: Mapping[str, Port], *, is_input: bool) -> np.dtype:
    """Return the type of an input or output row."""
    if CYCLE in ports:
        raise TickwireError(f"A port of a simulated component may not be called {CYCLE!r}.")
    fields = [(name, *bits.column_type(port.width)) for name, port in ports.items()
              if port.is_input == is_input]
    if not is_input:
        fields.append((CYCLE, "u8"))
    return np.dtype(fields, align=True)


class Model:
    """A component that runs in this process; calls release the GIL, models share nothing."""

    def __init__(self, library: Path, ports: Mapping[str, Port],
                 trace: str | Path | None = None) -> None:
        self.ports = dict(ports)
        self.inputs = row_type(ports, is_input=True)
        self.outputs = row_type(ports, is_input=False)
        self._places: dict[tuple[str, str], tuple[int, int]] = {}
        self._trace = None if trace is None else Path(trace).absolute()
        self._path, self._library = library, _load(library)
        self._handle = ctypes.c_void_p()
        self.restart()

    def rows(self, count: int, **values: Any) -> np.ndarray:
        """Return ``count`` input rows, zero except for the ports in ``values``."""
        rows = np.zeros(count, self.inputs)
        for name, value in values.items():
            rows[name] = value
        return rows

    def run(self, rows: np.ndarray, when: str | Sequence[str] | None = None) -> np.ndarray:
        """Run one cycle for each row and return the outputs of these cycles.

        Outputs are sampled before the clock edge: they follow the inputs of the same row and the
        registers. With ``when``, the name of an output of one bit or several such names, only the
        rows in which one of them is set are returned. State stays from run to run.
        """
        if rows.dtype != self.inputs or rows.ndim != 1:
            raise TypeError(f"rows must be one-dimensional with the type {self.inputs}, "
                            f"not {rows.dtype}; model.rows(count) makes them")
        rows = np.ascontiguousarray(rows)
        flags = self._flags([when] if isinstance(when, str) else when or [])
        chunks, start = [], 0
        while start < len(rows):
            chunk = np.empty(min(_CHUNK, len(rows) - start), self.outputs)
            done = ctypes.c_uint64()
            kept = self._library.model_run(
                self._handle, rows[start:].ctypes.data, len(rows) - start, flags, len(flags),
                chunk.ctypes.data, len(chunk), ctypes.byref(done))
            chunks.append(chunk[:kept])
            start += done.value
            if start < len(rows) and kept < len(chunk):
                raise ValueError(self._misfit(rows[start], start))
        return np.concatenate(chunks) if chunks else np.empty(0, self.outputs)

    def reset(self) -> None:
        """Hold reset for one cycle; memories keep what they hold, as in hardware.

        Raises :class:`TickwireError` for a model without a reset, see ``verilate``.
        """
        if not self._library.model_has_reset():
            raise TickwireError("This model has no reset; verilate(..., has_reset=True) has.")
        self._library.model_reset(self._handle)

    def save(self) -> "Saved":
        """Return the state that :meth:`restore` puts back: registers, memories, cycle.

        Raises :class:`TickwireError` for a model that cannot, see ``verilate``.
        """
        if not self._library.model_is_savable():
            raise TickwireError("This model cannot be saved; verilate(..., is_savable=True) can.")
        return Saved(self._library, self._path, self._library.model_save(self._handle))

    def restore(self, saved: "Saved") -> None:
        """Put back the state that this model, or another of the same component, was saved in."""
        if saved.path != self._path:
            raise TickwireError("This state was saved by a model of something else.")
        self._library.model_restore(self._handle, saved.handle)

    def restart(self) -> None:
        """Begin anew as after configuration: registers and memories at their initial values.

        A trace begins anew too.
        """
        self.close()
        path = None if self._trace is None else str(self._trace).encode()
        self._handle = ctypes.c_void_p(self._library.model_new(path))
        self._free = weakref.finalize(self, self._library.model_free, self._handle)

    def close(self) -> None:
        """Free the model and end its trace; only :meth:`restart` may follow."""
        if self._handle:
            self._free()
            self._handle = ctypes.c_void_p()

    def put(self, rows: np.ndarray, port: str, **fields: Any) -> None:
        """Set fields of a structured port in every row; ``a__b`` is field b of field a.

        A value is a column of integers, or of octets or 64-bit words for what is wider.
        """
        for name, values in fields.items():
            bits.put(rows[port], *self._place(port, name.replace("__", ".")), values)

    def pack(self, port: str, **fields: int) -> Any:
        """Return an element of a structured port's column with these fields, and zeros."""
        value = 0
        for name, number in fields.items():
            start, width = self._place(port, name.replace("__", "."))
            if number >> width:
                raise ValueError(f"{port}.{name} has {width} bits and cannot take {number:#x}")
            value |= number << start
        return bits.words([value], self.ports[port].width)[0]

    def get(self, rows: np.ndarray, port: str, field: str) -> np.ndarray:
        """Return a field of a structured port, ``a.b`` or ``a.3``, as a column."""
        return bits.get(rows[port], *self._place(port, field))

    def _place(self, port: str, field: str) -> tuple[int, int]:
        """First bit and width of a field; to ask the port takes longer than to write the field."""
        key = port, field
        if key not in self._places:
            self._places[key] = self.ports[port].bits(field)
        return self._places[key]

    def _flags(self, names: Sequence[str]) -> "ctypes.Array[ctypes.c_int32]":
        order = list(self.ports)
        for name in names:
            port = self.ports.get(name)
            if port is None or port.is_input or port.width != 1:
                raise ValueError(f"when must name outputs of one bit, not {name!r}")
        if len(names) > _FLAGS_MAX:
            raise ValueError(f"when may name {_FLAGS_MAX} outputs, not {len(names)}")
        return (ctypes.c_int32 * len(names))(*map(order.index, names))

    def _misfit(self, row: np.void, number: int) -> str:
        for name, port in self.ports.items():
            if port.is_input:
                value = bits.integer(row[name])
                if value >> port.width:
                    return (f"row {number}: {name} has {port.width} bits and cannot take "
                            f"{value:#x}")
        raise AssertionError("the model stopped at a row that fits")


class Saved:
    """State of a model, in memory."""

    def __init__(self, library: ctypes.CDLL, path: Path, handle: int) -> None:
        self.path, self.handle = path, ctypes.c_void_p(handle)
        weakref.finalize(self, library.model_forget, self.handle)


def _load(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise TickwireError(f"The compiled model {path} cannot be loaded: {error}.") from None
    pointer, number = ctypes.c_void_p, ctypes.c_uint64
    library.model_new.restype = pointer
    library.model_new.argtypes = [ctypes.c_char_p]
    library.model_free.argtypes = library.model_reset.argtypes = [pointer]
    library.model_free.restype = library.model_reset.restype = None
    for asked in (library.model_has_reset, library.model_is_savable):
        asked.argtypes, asked.restype = [], ctypes.c_int32
    library.model_save.restype, library.model_save.argtypes = pointer, [pointer]
    library.model_restore.restype, library.model_restore.argtypes = None, [pointer, pointer]
    library.model_forget.restype, library.model_forget.argtypes = None, [pointer]
    library.model_run.restype = number
    library.model_run.argtypes = [pointer, pointer, number, pointer, ctypes.c_int32, pointer,
                                  number, pointer]
    return library
