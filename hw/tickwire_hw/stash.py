"""Entries that found no place in their buckets: few, and compared all at once."""

from amaranth.hdl import Array, Cat, Module, Mux, ShapeLike, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire_hw.logic import encode, equal_pieces, lowest, stages


class Stash(wiring.Component):
    """Content-addressed entries: keys in registers, values in distributed RAM.

    A search takes three cycles, and one begins in every cycle. It sees what was written before it
    began; an entry that is written while it is under way may show either value.

    Members
    -------
    key : ``In(key)``
        Key to find.
    o : ``Out({is_hit, slot, value})``
        The entry that holds it, three cycles later.
    o_soon : ``Out(1)``
        Two cycles after the key: whether there will be a hit.
    i : ``In(stream.Signature({exists, slot, key, value}, always_ready=True))``
        An entry to write or, if it does not exist, to free.
    is_last : ``In(1)``
        Whether the payload of ``i``, valid or not, is or was the newest of all entries.
    has_room, free : ``Out``
        Whether there is a free slot, and the lowest one, one cycle after the payload of ``i``, and
        as if that were already written when ``is_last`` says so.
    """

    def __init__(self, *, key: int, value: ShapeLike, slots: int) -> None:
        self._key, self._value, self._slots = key, value, slots
        slot = ceil_log2(slots)
        super().__init__({
            "key": In(key),
            "o": Out(data.StructLayout({"is_hit": 1, "slot": slot, "value": value})),
            "o_soon": Out(1), "i": In(stream.Signature(data.StructLayout(
                {"exists": 1, "slot": slot, "key": key, "value": value}), always_ready=True)),
            "is_last": In(1), "has_room": Out(1), "free": Out(slot)})

    def elaborate(self, platform):
        """Return the entries; a number behind a name is the age of the search."""
        m = Module()

        used = Signal(self._slots)
        keys = Array(Signal(self._key, name=f"key_{slot}") for slot in range(self._slots))
        m.submodules.values = values = memory.Memory(shape=self._value, depth=self._slots, init=[])
        write, read = values.write_port(), values.read_port(domain="comb")
        entry = self.i.p
        m.d.comb += [write.en.eq(self.i.valid), write.addr.eq(entry.slot),
                     write.data.eq(entry.value)]
        with m.If(self.i.valid):
            m.d.sync += [used.bit_select(entry.slot, 1).eq(entry.exists),
                         keys[entry.slot].eq(entry.key)]

        same_1 = [stages(m, Cat(equal_pieces(self.key, key), used[slot]), 1, f"same_{slot}")[1]
                  for slot, key in enumerate(keys)]
        hits_2 = stages(m, Cat(same.all() for same in same_1), 1, "hits")[1]
        m.d.comb += [read.addr.eq(encode(hits_2)), self.o_soon.eq(hits_2.any())]
        m.d.sync += [self.o.is_hit.eq(hits_2.any()), self.o.slot.eq(read.addr),
                     self.o.value.eq(read.data)]

        free, first = Signal(self._slots), Signal(self._slots)
        m.d.comb += [
            free.eq(Cat(~Mux(self.is_last & (entry.slot == slot), entry.exists, used[slot])
                        for slot in range(self._slots))),
            first.eq(lowest(free))]
        m.d.sync += [self.has_room.eq(free.any()), self.free.eq(encode(first))]

        return m
