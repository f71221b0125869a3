"""What the tests of the hashed tables share: memory at its worst, and sequences of everything."""

from amaranth.hdl import Module, Mux, Signal, Value

from tickwire_hw.ram import RAM


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
