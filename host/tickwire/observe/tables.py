"""Best bid and offer, and price levels, as tables on disk: Parquet, or CSV by its extension.

Records go in as the ring holds them; columns are made of whole batches, and a thread writes one
row group while the next is filled. Prices are integers in ten-thousandths of a dollar, 0 where
there is none.
"""

import contextlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

from tickwire.errors import TickwireError
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import copy, load8
from tickwire.observe.ladder import Ladder
from tickwire.spec.geometry import MAX_DEPTH
from tickwire.spec.records import BBO, LEVEL, RECORD_SIZE, RecordType
from tickwire.spec.render import dtype

ROWS = 1 << 18
"""Rows of a row group: 16 MiB of records, twice."""

_TYPE_OFFSET = BBO.field("record_type")[1]
_LINE = np.dtype(("V", RECORD_SIZE))
_TEXT = pa.dictionary(pa.int32(), pa.string())
_SIDE = pa.dictionary(pa.int8(), pa.string())
_COMMON = [("timestamp_ns", pa.int64()), ("instrument", pa.int32()), ("symbol", _TEXT),
           ("sequence", pa.int64())]
_RISING = ("timestamp_ns", "sequence")     # small differences: a quarter of the size
_UNITS = {"timestamp_ns": "ns", "price": "1e-4 dollars", "quantity": "shares", "orders": "orders",
          "flags": "BookFlag bits"}


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    """Schema whose columns tell their unit, named by the last word of their name, as metadata."""
    units = [_UNITS.get(name) or _UNITS.get(name.rpartition("_")[2]) for name, _ in columns]
    return pa.schema([pa.field(name, kind, metadata={"unit": unit} if unit else None)
                      for (name, kind), unit in zip(columns, units, strict=True)])


@kernel
def gather(source, count, record_type, target, room):
    """Copy records of one type among ``count`` at ``source`` to ``target``, up to ``room``.

    Returns (records looked at, records copied).
    """
    taken = 0
    for n in range(count):
        if taken == room:
            return n, taken
        record = source + n * RECORD_SIZE
        if load8(record + _TYPE_OFFSET) == record_type:
            copy(target + taken * RECORD_SIZE, record, RECORD_SIZE)
            taken += 1
    return count, taken


class Directory:
    """Names of the instruments: dense number by stock locate, symbol by dense number.

    ``instruments`` are 65,536 integers, ``symbols`` an ``S8`` array, blank-padded; an instrument
    without a symbol has a null in the table. The owner may fill them while a table is written:
    they are read when rows go to disk.
    """

    def __init__(self, instruments: np.ndarray, symbols: np.ndarray) -> None:
        self.instruments, self.symbols = instruments, symbols

    def columns(self, instruments: np.ndarray) -> tuple[pa.Array, pa.Array]:
        """Return the columns instrument and symbol of rows of these instruments."""
        instrument = instruments.astype(np.int32)
        is_used = np.zeros(len(self.symbols), bool)
        is_used[instrument] = True
        used = np.flatnonzero(is_used)
        names, number = np.unique(np.char.strip(self.symbols[used]), return_inverse=True)
        place = np.zeros(len(self.symbols), np.int32)
        place[used] = number
        index = place[instrument]
        # An empty name sorts first: it becomes null and leaves the dictionary.
        is_unnamed = len(names) > 0 and not names[0]
        if is_unnamed:
            names, index = names[1:], index - 1
        texts = pa.array([name.decode("latin-1") for name in names.tolist()], pa.string())
        indices = pa.array(index, mask=index < 0 if is_unnamed else None)
        return pa.array(instrument), pa.DictionaryArray.from_arrays(indices, texts)


class Table:
    """One table being written. Use it in a ``with``: also after an error its file is whole.

    Attributes
    ----------
    rows : int
        Rows so far; in the end, those of the file.
    """

    record_type: ClassVar[RecordType]
    record: ClassVar[np.dtype]
    schema: ClassVar[pa.Schema]

    def __init__(self, path: str | os.PathLike[str], directory: Directory,
                 rows_per_group: int = ROWS) -> None:
        """Create the file; raises :class:`TickwireError` when it cannot be written."""
        self.path, self.rows, self._taken = Path(path), 0, 0
        self._directory, self._fill = directory, 0
        self._stages = [np.empty(rows_per_group, _LINE) for _ in range(2)]
        self._pending: Future[None] | None = None
        self._is_failed = False
        if self.path.suffix not in (".parquet", ".csv"):
            raise TickwireError(f"A table's name must end in .parquet or .csv, not {self.path}.")
        try:
            self._file = open(self.path, "wb")  # noqa: SIM115 - closed with the table
        except (OSError, ValueError) as error:
            raise self._cannot(error) from None
        self._writer = _writer(self._file, self.path.suffix, self.schema)
        self._thread = ThreadPoolExecutor(1, "tickwire-table")

    def columns(self, records: np.ndarray) -> list[pa.Array]:
        """Return the columns of ``records``, in the order of the schema."""
        raise NotImplementedError

    def write(self, records: np.ndarray) -> int:
        """Take the records of this table's type among ``records``; returns how many.

        ``records`` is any contiguous array of whole 64-octet records; it is copied.
        """
        lines = np.ascontiguousarray(records).reshape(-1).view(_LINE)
        place, before = 0, self._taken
        while place < len(lines):
            stage = self._stages[0]
            used, taken = gather(lines.ctypes.data + place * RECORD_SIZE, len(lines) - place,
                                 int(self.record_type), stage[self._fill:].ctypes.data,
                                 len(stage) - self._fill)
            place, self._fill, self._taken = place + used, self._fill + taken, self._taken + taken
            if self._fill == len(stage):
                self._flush()
        return self._taken - before

    def flush(self) -> None:
        """Write what came so far, with the names as they are now; no message goes on behind it."""
        if self._fill:
            self._flush()
        self._wait()
        try:
            self._finish()
        except (OSError, pa.ArrowException) as error:
            raise self._cannot(error) from None

    def close(self) -> None:
        """Write what is left and the end of the file; raises :class:`TickwireError`."""
        if self._file.closed:
            return
        was_failed = self._is_failed
        try:
            if self._fill:
                self._flush()
            self._wait()
            self._finish()
            self._writer.close()
            self._file.close()
        except (OSError, pa.ArrowException, TickwireError) as error:
            if not was_failed:             # else the first error has been told
                raise self._cannot(error) from None
        finally:
            self._thread.shutdown()
            with contextlib.suppress(OSError, pa.ArrowException):
                self._writer.close()
            with contextlib.suppress(OSError):
                self._file.close()

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def _flush(self) -> None:
        """Give the filled stage to the thread, once it is done with the other one."""
        self._wait()
        lines, self._fill = self._stages[0][:self._fill], 0
        self._stages.reverse()
        self._pending = self._thread.submit(self._put, lines)

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        try:
            if pending:
                pending.result()
        except (OSError, pa.ArrowException) as error:
            raise self._cannot(error) from None

    def _put(self, lines: np.ndarray) -> None:
        self._write(lines.view(self.record))

    def _finish(self) -> None:
        """Write what only the end of the records shows."""

    def _write(self, records: np.ndarray) -> None:
        """Write a row group."""
        if len(records):
            self._writer.write_table(
                pa.Table.from_arrays(self.columns(records), schema=self.schema))
            self.rows += len(records)

    def _cannot(self, error: Exception) -> TickwireError:
        self._is_failed = True
        if isinstance(error, TickwireError):
            return error
        reason = getattr(error, "strerror", None) or str(error)
        return TickwireError(f"Cannot write {self.path}: {reason}.")


class BBOTable(Table):
    """One row for each change of a best bid or offer."""

    record_type = RecordType.BBO
    record = dtype(BBO)
    schema = _schema(
        *_COMMON,
        ("bid_price", pa.int64()), ("bid_quantity", pa.int64()), ("bid_orders", pa.int32()),
        ("ask_price", pa.int64()), ("ask_quantity", pa.int64()), ("ask_orders", pa.int32()),
        ("flags", pa.uint8()),
    )

    def columns(self, records: np.ndarray) -> list[pa.Array]:
        """Return the columns of BBO records."""
        return [
            _column(records, "timestamp", np.int64),
            *self._directory.columns(self._directory.instruments[records["locate"]]),
            _column(records, "feed_sequence", np.int64),
            *(_column(records, f"{side}_{name}", kind) for side in ("bid", "ask")
              for name, kind in (("price", np.int64), ("quantity", np.int64),
                                 ("orders", np.int32))),
            _column(records, "flags", np.uint8),
        ]

    def _put(self, lines: np.ndarray) -> None:
        # Locate 0: a flag of a chosen stock that the directory has not named, and nobody can.
        records = lines.view(self.record)
        self._write(records[records["locate"] != 0])


class LevelTable(Table):
    """One row for each of the first positions of a side that a message changed; level 0 is best."""

    record_type = RecordType.LEVEL
    record = dtype(LEVEL)
    schema = _schema(
        *_COMMON, ("side", _SIDE), ("level", pa.uint8()),
        ("price", pa.int64()), ("quantity", pa.int64()), ("orders", pa.int32()),
    )

    def __init__(self, path: str | os.PathLike[str], directory: Directory,
                 rows_per_group: int = ROWS, *, depth: int = MAX_DEPTH) -> None:
        """Create the file for the first ``depth`` positions of each side, 1 to 255."""
        self._ladder = Ladder(depth)
        super().__init__(path, directory, rows_per_group)

    def columns(self, records: np.ndarray) -> list[pa.Array]:
        """Return the columns of rows of a ladder, whose locate is the instrument's number."""
        return [
            _column(records, "timestamp", np.int64), *self._directory.columns(records["locate"]),
            _column(records, "sequence", np.int64),
            pa.DictionaryArray.from_arrays(_column(records, "side", np.int8),
                                           pa.array(["B", "S"])),
            _column(records, "level", np.uint8), _column(records, "price", np.int64),
            _column(records, "quantity", np.int64), _column(records, "orders", np.int32),
        ]

    def _put(self, lines: np.ndarray) -> None:
        # By instrument: its locate may be another one from day to day, its levels stay.
        records = lines.view(self.record)
        records["locate"] = self._directory.instruments[records["locate"]]
        for rows in self._ladder.take(lines):
            self._write(rows)

    def _finish(self) -> None:
        self._write(self._ladder.finish())


def _column(records: np.ndarray, name: str, kind: Any) -> pa.Array:
    return pa.array(records[name].astype(kind))


class _CSVWriter:
    """CSV with a line of names; text in quotes, dictionaries as their text."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._schema = pa.schema([
            (field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type)
            for field in schema])
        file.write(",".join(schema.names).encode() + b"\n")
        options = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")
        self._writer = arrow_csv.CSVWriter(file, self._schema, write_options=options)

    def write_table(self, table: pa.Table) -> None:
        self._writer.write_table(table.cast(self._schema))

    def close(self) -> None:
        self._writer.close()


def _writer(file: IO[bytes], suffix: str, schema: pa.Schema) -> Any:
    """Return what writes tables of ``schema`` in the format that ``suffix`` names."""
    if suffix == ".csv":
        return _CSVWriter(file, schema)
    return parquet.ParquetWriter(
        file, schema, compression="snappy",
        use_dictionary=[name for name in schema.names if name not in _RISING],
        column_encoding=dict.fromkeys(_RISING, "DELTA_BINARY_PACKED"))
