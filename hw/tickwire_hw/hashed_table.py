"""Dictionary in block RAM: two hashed tables of four-way buckets and a stash, in one pipeline.

It puts what the kernels ``order_table`` and ``level_table`` put, where they put it: into the left
bucket while that holds fewer than ``LEFT_FILL`` entries, else into the emptier of left and right
(ties to the left), else into the stash, always at the lowest free way. Both buckets are read at
once, so there is no count of what a bucket spilled.

Why there are neither stalls nor distances: when an update reads its buckets, every earlier one but
the last two is in memory, and when it is decided, the results of these two are in registers. A
result is the whole truth about its key, and about its way, until the next one; so an operation
compares itself with these two and does not care when they passed.
"""

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tickwire.spec.geometry import LEFT_FILL, WAYS
from tickwire_hw.logic import are_two, equal_pieces, lowest, select, stages
from tickwire_hw.ram import RAM
from tickwire_hw.stash import Stash

RECORD_AGE = 4
"""Cycles from a request to its record."""
assert LEFT_FILL == WAYS - 1                # so "fewer than LEFT_FILL" is: two ways are free
_NEAR = 2                                   # updates that memory may not show yet
_PART = 10                                  # bits of a tag that tell most keys apart
_TABLES = ("left", "right")


class HashedTable(wiring.Component):
    """Find a key, show its record, and take the answer: what holds for the key from now on.

    The record is shown 4 cycles after the request and answered in that same cycle. Takes an update
    every two cycles or at any greater distance, and in any cycle without one a look-up. Both see
    all updates that came two or more cycles before them, and no other. Never exerts backpressure
    and loses nothing: a key without room is refused. Clears itself within ``2**buckets_log2``
    cycles after reset.

    Parameters
    ----------
    key : number of bits of a key.
    tag : number of its high bits that, with the number of the left bucket or that of the right
        one, tell which key it is.
    value : shape of what is kept with a key.
    buckets_log2 : logarithm of the number of buckets of each of the two tables.
    stash : entries of the stash, rounded up to whole buckets, as the kernels do.
    ways : entries of a bucket, 2 or more.

    Members
    -------
    ready : ``Out(1)``
        Whether the tables are clear; what comes before is ignored.
    i : ``In(stream.Signature({key, left, right, is_look_up}, always_ready=True))``
        A key and its buckets; a look-up changes nothing.
    o : ``Out(stream.Signature({found, room, value}, always_ready=True))``
        Whether the key is in, with what value, which is 0 if it is not, and whether another key of
        its buckets has room.
    is_new : ``Out(1)``
        Two cycles after a request, so two before ``o``: the key is not in, for sure. Of a key that
        is not in this is told but for one in some hundreds, and but for those of the last two
        updates.
    o_next : ``Out(value)``
        One cycle before ``o``: the value, 0 if the key is not in.
    i_answer : ``In({exists, value})``
        In the cycle of ``o``: whether the key is in from now on, and with what value. A key that
        was not found and has no room is not. Ignored for a look-up.
    fill : ``Out(range(slots + 1))``
        Entries in the stash, from the cycle after the answer on.
    """

    def __init__(self, *, key: int, tag: int, value: ShapeLike, buckets_log2: int, stash: int,
                 ways: int = WAYS) -> None:
        if not 0 < tag <= key:
            raise ValueError(f"Tag must have 1 to {key} bits, as many as the key, not {tag}")
        self._key, self._tag, self._value, self._bits = key, tag, value, buckets_log2
        self._ways, self._slots = ways, -(-stash // ways) * ways
        place = data.StructLayout({"left": ways, "right": ways, "is_stash": 1,
                                   "slot": ceil_log2(self._slots)})
        self._result = data.StructLayout({"exists": 1, "place": place, "value": value})
        super().__init__({
            "ready": Out(1),
            "i": In(stream.Signature(data.StructLayout(
                {"key": key, "left": buckets_log2, "right": buckets_log2, "is_look_up": 1}),
                always_ready=True)),
            "o": Out(stream.Signature(data.StructLayout(
                {"found": 1, "room": 1, "value": value}), always_ready=True)),
            "is_new": Out(1), "o_next": Out(value),
            "i_answer": In(data.StructLayout({"exists": 1, "value": value})),
            "fill": Out(range(self._slots + 1))})

    def elaborate(self, platform):
        """Return the pipeline; a number behind a name is the age of the operation, 0 at ``i``."""
        m = Module()

        is_update = Signal()
        m.d.comb += is_update.eq(self.i.valid & self.ready & ~self.i.p.is_look_up)
        request = stages(m, self.i.p, RECORD_AGE + 1, "request")
        valid = stages(m, self.i.valid & self.ready, RECORD_AGE, "valid")
        update = stages(m, is_update, RECORD_AGE + 1, "update")
        results = [Signal(self._result, name=f"result_{number}") for number in range(_NEAR)]
        m.submodules.stash = stash = Stash(key=self._key, value=self._value, slots=self._slots)
        m.d.comb += stash.key.eq(self.i.p.key)

        # Ages 1 to 2: which of the last two updates was on the same key, or in the same bucket.
        near = [Signal(request[0].shape(), name=f"near_{number}") for number in range(_NEAR)]
        is_near = Signal(_NEAR)
        with m.If(update[2]):
            m.d.sync += [is_near.eq(Cat(1, is_near)), near[0].eq(request[2]), near[1].eq(near[0])]
        pieces = [Cat(equal_pieces(request[1].key, other.key), is_near[number])
                  for number, other in enumerate(near)]
        newer_2, older_2 = (stages(m, bits, 1, f"same_{number}")[1].all()
                            for number, bits in enumerate(pieces))
        is_newer_3, is_older_3, is_neither_3 = Signal(), Signal(), Signal()
        m.d.sync += [is_newer_3.eq(newer_2), is_older_3.eq(older_2 & ~newer_2),
                     is_neither_3.eq(~newer_2 & ~older_2)]
        beside_3 = {table: stages(m, Cat((request[1][table] == other[table]) & is_near[number]
                                         for number, other in enumerate(near)), 2, table)[2]
                    for table in _TABLES}

        # Ages 0 to 3: memory.
        rows = self._memory(m, request, update[5], results[0])
        part = min(_PART, self._tag)
        may_be = Cat(row.exists & (row.tag[:part] == request[2].key[-self._tag:][:part])
                     for ways in rows for row in ways)
        m.d.comb += self.is_new.eq(~newer_2 & ~older_2 & ~stash.o_soon & ~may_be.any())
        hits_3, taken_3, values_3 = Signal(len(_TABLES) * self._ways), [], []
        for table, ways in zip(_TABLES, rows, strict=True):
            for way, row in enumerate(ways):
                name = f"{table}_{way}"
                same = Cat(equal_pieces(row.tag, request[2].key[-self._tag:]), row.exists)
                is_same_3 = stages(m, same, 1, f"{name}_same")[1].all()
                is_taken_3 = stages(m, row.exists, 1, f"{name}_taken")[1]
                # What one of the last two has written here may not be what was read.
                is_here = [beside & result.place[table][way]
                           for result, beside in zip(results, beside_3[table], strict=True)]
                m.d.comb += hits_3[len(values_3)].eq(is_same_3 & is_neither_3 & ~Cat(is_here).any())
                taken_3.append(Mux(is_here[0], results[0].exists,
                                   Mux(is_here[1], results[1].exists, is_taken_3)))
                values_3.append(stages(m, row.value, 1, f"{name}_value")[1])

        # Age 3: the newest truth about the key, and the ways that are taken.
        is_stash_3, is_newer_in_3, is_older_in_3 = Signal(), Signal(), Signal()
        m.d.comb += [is_stash_3.eq(stash.o.is_hit & is_neither_3),
                     is_newer_in_3.eq(is_newer_3 & results[0].exists),
                     is_older_in_3.eq(is_older_3 & results[1].exists)]
        found_3 = data.View(self._result, Signal(self._result.size))
        m.d.comb += [
            found_3.exists.eq(hits_3.any() | is_stash_3 | is_newer_in_3 | is_older_in_3),
            found_3.value.eq(select(*zip(hits_3, values_3, strict=True),
                                    (is_stash_3, stash.o.value), (is_newer_in_3, results[0].value),
                                    (is_older_in_3, results[1].value))),
            found_3.place.eq(select((is_newer_3, results[0].place), (is_older_3, results[1].place),
                                    (is_neither_3, Cat(hits_3, is_stash_3, stash.o.slot))))]
        m.d.comb += self.o_next.eq(found_3.value)
        found = stages(m, found_3, 1, "found")[1]
        free = stages(m, ~Cat(taken_3), 1, "free")[1]
        has_free = stages(m, ~Cat(taken_3).all(), 1, "has_free")[1]

        # Age 4: the record, and what the answer makes of it.
        chosen = self._choose(m, free[:self._ways], free[self._ways:], has_free, stash)
        exists, has_room = Signal(), Signal()
        m.d.comb += has_room.eq(has_free | stash.has_room)
        m.d.comb += [exists.eq(self.i_answer.exists & (found.exists | has_room)),
                     self.o.valid.eq(valid[4]), self.o.p.found.eq(found.exists),
                     self.o.p.value.eq(found.value), self.o.p.room.eq(has_room)]
        with m.If(update[4]):
            # A key that is refused has the place that it would have got, which stays free.
            m.d.sync += [results[0].exists.eq(exists), results[0].value.eq(self.i_answer.value),
                         results[0].place.eq(Mux(found.exists, found.place, chosen)),
                         results[1].eq(results[0])]

        # Age 5: the stash is written, as the buckets are.
        last = results[0]
        fill = Signal.like(self.fill)
        was_in = stages(m, found.exists & found.place.is_stash, 1, "was_in")[1]
        is_in = last.exists & last.place.is_stash
        with m.If(update[5]):
            m.d.comb += self.fill.eq(fill + (is_in & ~was_in) - (was_in & ~is_in))
        with m.Else():
            m.d.comb += self.fill.eq(fill)
        m.d.sync += fill.eq(self.fill)
        m.d.comb += [
            stash.i.valid.eq(update[5] & last.place.is_stash), stash.i.p.exists.eq(last.exists),
            stash.i.p.slot.eq(last.place.slot), stash.i.p.key.eq(request[5].key),
            stash.i.p.value.eq(last.value), stash.is_last.eq(last.place.is_stash)]

        return m

    def _memory(self, m: Module, request: list, update_5: Signal, last: data.View) -> list:
        """Add the ways of both tables; return their rows at age 2, by table and way."""
        row = data.StructLayout({"exists": 1, "tag": self._tag, "value": self._value})
        clear = Signal(self._bits + 1)
        m.d.comb += self.ready.eq(clear[-1])
        m.d.sync += clear.eq(clear + ~self.ready)
        found = []
        for table in _TABLES:
            ways = []
            for way in range(self._ways):
                m.submodules[f"{table}_{way}"] = ram = RAM(row, 1 << self._bits)
                m.d.comb += [
                    ram.read_address.eq(self.i.p[table]),
                    ram.write_enable.eq(~self.ready | update_5 & last.place[table][way]),
                    ram.write_address.eq(Mux(self.ready, request[5][table], clear)),
                    ram.write_data.exists.eq(self.ready & last.exists),
                    ram.write_data.tag.eq(request[5].key[-self._tag:]),
                    ram.write_data.value.eq(last.value)]
                ways.append(ram.read_data)
            found.append(ways)
        return found

    def _choose(self, m: Module, left, right, has_free: Signal, stash: Stash) -> data.View:
        """Return the place of a new key, from the free ways of its buckets."""
        chosen = data.View(self._result["place"].shape, Signal(self._result["place"].width))
        is_left = Signal()
        m.d.comb += [
            is_left.eq(are_two(left) | left.any() & ~are_two(right)),
            chosen.left.eq(lowest(left) & is_left.replicate(self._ways)),
            chosen.right.eq(lowest(right) & ~is_left.replicate(self._ways)),
            chosen.is_stash.eq(~has_free & stash.has_room), chosen.slot.eq(stash.free)]
        return chosen
