"""The card's market data as a model: frames in, records out, at line rate.

The words of all frames go through one port, one frame after the other, as they would from one
MAC; the destination of a frame says whose it is. Time is that of the frames: a word's clock shows
the stamp of its frame, whatever the cycle.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring

from tickwire.device.feed_memory import LINE_TIMEOUT_NS
from tickwire.errors import TickwireError
from tickwire.feed.pcap import frame_at
from tickwire.feed.source import FRAME_SIZE
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load64, store8, store64
from tickwire.spec.counters import COUNTER_SLOTS, COUNTERS
from tickwire.spec.geometry import Geometry, tick_grid
from tickwire.spec.network import FRAME_SIZE_MAX
from tickwire.spec.records import RECORD_SIZE, TRAILER_OFFSET
from tickwire.spec.registers import GapPolicy
from tickwire_hw.pipeline import Pipeline
from tickwire_hw.ports import ports
from tickwire_hw.stream import LANES
from tickwire_sim.verilate import verilate

ROWS = 1 << 15                             # cycles of one call of the model
GAP = 2                                    # idle cycles behind a frame: preamble, FCS and gap
DRAIN = 2_000                              # cycles in which all that waits comes out
_CLEAR = 1 << 18                           # cycles until all tables are clear, at most
_PICTURE = 263                             # cycles in which the counters' picture is taken
_READ_AGE = 3
_TYPE_AT = TRAILER_OFFSET + 4
_BOTH = 3
_PORT = "words__0__"
_KEEP, _FIRST, _LAST = 0xFF, 1 << 8, 1 << 9  # in the second 64 bits of a Word


@kernel
def _fill(rows, row_size, room, now_at, valid_at, word_at, address, frames, index, count):
    """Write the words of frames from ``index`` on to rows; returns (next index, rows used)."""
    used = 0
    while index < count:
        f = frame_at(frames + index * FRAME_SIZE)
        size = np.int64(f["size"])
        words = max((size + LANES - 1) // LANES, 1)
        if used + words + GAP > room:
            break
        stamp = max(np.int64(f["timestamp"]), 1)
        for word in range(words + GAP):
            target = rows + (used + word) * row_size
            store64(target + now_at, stamp)
            if word >= words:
                store8(target + valid_at, 0)
                continue
            left = size - LANES * word
            octets = load64(address + np.int64(f["offset"]) + LANES * word)
            keep = _KEEP
            if left < LANES:
                octets &= (1 << 8 * left) - 1
                keep = (1 << left) - 1
            flags = (_FIRST if word == 0 else 0) | (_LAST if word == words - 1 else 0)
            store8(target + valid_at, 1)
            store64(target + word_at, octets)
            store64(target + word_at + 8, keep | flags)
        used += words + GAP
        index += 1
    return index, used


class Registered(wiring.Component):
    """A component with a register at every input: what comes has its effect a cycle later.

    Verilator evaluates what depends on inputs twice a cycle; behind registers nothing does.
    """

    def __init__(self, inner: wiring.Component) -> None:
        """Have the same members as ``inner``."""
        self._inner = inner
        super().__init__(dict(inner.signature.members))

    def elaborate(self, platform: object) -> Module:
        """Return the component and the registers."""
        m = Module()
        m.submodules.inner = self._inner
        inner = ports(self._inner)
        for name, port in ports(self).items():
            if port.is_input:
                m.d.sync += inner[name].value.eq(port.value)
            else:
                m.d.comb += port.value.eq(inner[name].value)
        return m


class Card:
    """The compiled pipeline of ``geometry``. :meth:`start` it, then :meth:`send` frames.

    Attributes
    ----------
    cycles : int
        Clock cycles so far.
    """

    def __init__(self, geometry: Geometry) -> None:
        """Compile the model, or load it; the first time takes a minute and more."""
        self.geometry = geometry
        self.model = verilate(Registered(Pipeline(geometry)), f"card_{geometry.instruments}",
                              parameters=repr(geometry) + Path(__file__).read_text())
        port = self.model.ports[f"{_PORT}payload"]
        assert [port.bits(name) for name in ("data", "keep", "first", "last")] == [
            (0, 64), (64, 8), (72, 1), (73, 1)]
        self.cycles, self._now = 0, 1
        self._line = self.model.rows(1)
        self._rows = self.model.rows(ROWS)
        fields = self.model.inputs.fields
        self._places = [fields[name][1] for name in ("now", f"{_PORT}valid", f"{_PORT}payload")]

    def start(self, lines: Sequence[tuple[str, int]], symbols: Mapping[str, int] | None = None,
              tick: int = 0, *, first: int = 1, policy: GapPolicy = GapPolicy.WAIT) -> None:
        """Begin anew with empty tables.

        ``lines`` are group and port of line A and, where there is one, of line B. ``symbols`` maps
        what is watched to tick sizes; without it every locate below the number of instruments is,
        with ``tick``. ``first`` is the first number of the session, 0 for any.
        """
        model, instruments = self.model, self.geometry.instruments
        model.restart()
        one = self._line = model.rows(1)
        for number, (group, port) in enumerate(lines):
            model.put(one, "keys", **{
                f"{number}.is_set": 1, f"{number}.port": port,
                f"{number}.group": int(ipaddress.IPv4Address(group))})
        for name, value in (
                ("size_max", FRAME_SIZE_MAX), ("check_udp", 0), ("accept_session", 1),
                ("lines", _BOTH if len(lines) == 2 else 1), ("start", first), ("policy", policy),
                ("line_timeout_ns", LINE_TIMEOUT_NS), ("watch_all", symbols is None)):
            one[name] = value
        rows = self._idle(instruments)
        rows["i_grid__valid"] = 1
        ticks = [tick] * instruments
        for number, (symbol, size) in enumerate((symbols or {}).items()):
            rows["i_watch__valid"][number], ticks[number] = 1, size
            model.put(rows[number:number + 1], "i_watch__payload", instrument=number,
                      symbol=int.from_bytes(symbol.encode().ljust(8), "big"))
        for number, size in enumerate(ticks):
            model.put(rows[number:number + 1], "i_grid__payload", instrument=number,
                      **{f"row.{name}": value for name, value in tick_grid(size).items()})
        rows["restart"][0] = 1
        model.run(rows)
        for _ in range(_CLEAR // 256):
            if model.run(self._idle(256))["ready"][-1]:
                break
        else:
            raise TickwireError("The model of the card never got ready.")
        self._rows[...] = self._line

    def _idle(self, count: int) -> np.ndarray:
        rows = self.model.rows(count)
        rows[...] = self._line
        rows["now"] = self._now
        return rows

    def send(self, address: int, frames: np.ndarray) -> np.ndarray:
        """Send frames, :data:`tickwire.feed.source.FRAME` rows of octets at ``address``.

        Returns the records that came, (n, 64) octets whose trailers have nothing but the type.
        Returns when nothing waits any more.
        """
        index, found = 0, []
        now_at, valid_at, word_at = self._places
        while index < len(frames):
            index, used = _fill(self._rows.ctypes.data, self._rows.itemsize, ROWS, now_at,
                                valid_at, word_at, address, frames.ctypes.data, index,
                                len(frames))
            if not used:
                raise TickwireError(f"A frame of {frames[index]['size']:,} octets is too large "
                                    "for the model.")
            found.append(self._records(self._rows[:used]))
        if len(frames):
            self._now = max(int(frames[-1]["timestamp"]), 1)
        found.append(self._records(self._idle(DRAIN)))
        return np.concatenate(found)

    def _records(self, rows: np.ndarray) -> np.ndarray:
        found = self.model.run(rows, when="records__valid")
        self.cycles += len(rows)
        records = np.zeros((len(found), RECORD_SIZE), np.uint8)
        if len(found):
            octets = self.model.get(found, "records__payload", "octets")
            records[:, :TRAILER_OFFSET] = np.ascontiguousarray(octets).view(np.uint8)[
                :, :TRAILER_OFFSET]
            records[:, _TYPE_AT] = self.model.get(found, "records__payload", "kind")
        return records

    @property
    def awaited(self) -> tuple[int, int]:
        """Number that the feed awaits, and the one after the greatest that it has shown."""
        last = self.model.run(self._idle(1))[-1]
        return int(last["expected"]), int(last["highest"])

    def counters(self) -> dict[str, int]:
        """Return the counters that are not 0."""
        rows = self._idle(_PICTURE + COUNTER_SLOTS + _READ_AGE)
        rows["counters__take"][0] = 1
        rows["counters__address"][_PICTURE:-_READ_AGE] = np.arange(COUNTER_SLOTS)
        values = self.model.run(rows)["counters__value"][_PICTURE + _READ_AGE:].tolist()
        return {counter.name: value for counter, value in zip(COUNTERS, values, strict=False)
                if value}
