"""What the tests of operations on tables share: memory at its worst, noise, and all sequences."""

import numpy as np
import pytest
from amaranth.hdl import Module, Mux, Signal, Value

from tickwire.spec.geometry import Geometry
from tickwire_hw.ram import RAM
from tickwire_sim.model import Model

TINY = Geometry(instruments=4, orders_log2=4, order_stash=4, levels_log2=4, level_stash=4,
                window_words=4)
LARGEST = (1 << 32) - 1                     # shares


class HostileRAM(RAM):
    """A RAM that gives the opposite of every bit when a row is read and written at one edge."""

    def garbage(self, row):
        """What such a read gives, instead of the row."""
        return ~row

    def elaborate(self, platform):
        m = Module()
        m.submodules.ram = ram = RAM(self._shape, self._depth)
        collides = Signal(2)
        m.d.sync += collides.eq(collides << 1 | (
            self.write_enable & (self.write_address == self.read_address)))
        row = Value.cast(ram.read_data)
        m.d.comb += [ram.read_address.eq(self.read_address),
                     ram.write_enable.eq(self.write_enable),
                     ram.write_address.eq(self.write_address), ram.write_data.eq(self.write_data),
                     self.read_data.eq(Mux(collides[1], self.garbage(row), row))]
        return m


def sequence_of_all(symbols: int, length: int) -> list[int]:
    """De Bruijn sequence, by Lyndon words: every word of ``length`` symbols once."""
    found, word = [], [0] * (length + 1)

    def extend(at: int, period: int) -> None:
        if at > length:
            if length % period == 0:
                found.extend(word[1:period + 1])
            return
        word[at] = word[at - period]
        extend(at + 1, period)
        for symbol in range(word[at - period] + 1, symbols):
            word[at] = symbol
            extend(at + 1, at)
    extend(1, 1)
    return found + found[:length - 1]


def in_hostile_memory(modules, make):
    """What ``make`` returns while the RAMs of ``modules`` are hostile."""
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            patch.setattr(module, "RAM", HostileRAM)
        return make()


def clear(model: Model, cycles: int) -> None:
    """Wait until the tables are clear, which takes exactly so many cycles."""
    ready = model.run(model.rows(cycles + 1))["ready"]
    assert not ready[:-1].any() and ready[-1]


def noisy_rows(model: Model, count: int) -> np.ndarray:
    """Rows whose payload is noise: what is not valid may be anything."""
    rows = model.rows(count)
    payload = rows["i__payload"]
    payload[...] = np.random.default_rng(1).integers(0, 1 << 63, payload.shape, np.uint64)
    payload[:, -1] &= np.uint64((1 << model.ports["i__payload"].width % 64) - 1)
    return rows
