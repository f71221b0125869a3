"""The end of the book's pipeline beside the kernels: what drives both, and what compares them.

One book is the oracle: it takes messages and events as the device does. A second one, of the same
state, is taken through the same messages in the steps of the card's pipeline, and what each step
does to it becomes the operation that the card is given.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tickwire.device.book_memory import BookMemory
from tickwire.kernels import feed_state, level_table, order_table
from tickwire.kernels.arbiter_layout import ARBITER, arbiter_at
from tickwire.kernels.book import add, publish, reduce, sweep_step
from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import EMPTY, book_at, header_at, side_at
from tickwire.kernels.memory import load8, load32, load64, load_be16, load_be32, load_be64, view
from tickwire.kernels.messages import (
    LOCATE,
    NEW_REFERENCE,
    REFERENCE,
    REPLACE_PRICE,
    REPLACE_SHARES,
    A,
    B,
    C,
    D,
    E,
    F,
    P,
    Q,
    U,
    X,
    _order_message,
    _trade_message,
    find_order,
    level_bucket_of,
    message,
)
from tickwire.kernels.ring import ring_at
from tickwire.kernels.status import WATCHED, other_message
from tickwire.spec.geometry import SWEEP_PERIOD, Geometry
from tickwire.spec.records import (
    BBO,
    RECORD_SIZE,
    STATE_LINE,
    TRAILER_OFFSET,
    BookFlag,
    RecordType,
)
from tickwire_hw.blocks_port import MESSAGE_SIZE_MAX
from tickwire_hw.publish import AHEAD, LATENCY_AGE, RECORD_AGE, Publish
from tickwire_hw.publish_port import PublishKind
from tickwire_sim.verilate import verilate

MESSAGE, UNREADABLE, FLAGS, DESYNC_ALL, TELL, POKE = range(6)
"""What comes: a message, and what else the kernels are told; POKE sets a side to anything."""
EVENT = np.dtype([(name, "i8") for name in (
    "what", "at", "sequence", "stamp", "flags", "instrument", "line", "state", "received",
    "session_0", "session_1", "side", "price", "value", "hidden", "desync", "checksum",
    "is_last")], align=True)
OPERATION = np.dtype([(name, "i8") for name in (
    "kind", "is_last", "is_watched", "sequence", "timestamp", "feed_flags", "at", "instrument",
    "is_touched", "touched_side", "has_best", "best_price", "best_value", "is_hidden", "is_desync",
    "checksum", "is_found", "price", "side", "is_desync_all", "line", "state", "received",
    "session_0", "session_1", "records", "lines")], align=True)
LINE = np.dtype([("instrument", "i8"), ("words", "i8", 8)], align=True)
LONGEST = (1 << 32) - 1
PASSED = np.array((-1 << 63, -1, 0, 1, 47, 300, LONGEST - 1, LONGEST, LONGEST + 1, (1 << 63) - 1))
_LATENCY = slice(BBO.field("latency_ns")[1], BBO.field("latency_ns")[1] + 4)
MARKED, MAY_MARK = 1, 2                     # a book that is marked may be marked again
(NONE, ORDER, EXECUTE, PRINT, OTHER, STEP, SHOW, FEED, UNREADABLE_ONE) = (
    kind.value for kind in PublishKind)
_EVENT_SIZE, _OPERATION_SIZE, _LINE_SIZE = EVENT.itemsize, OPERATION.itemsize, LINE.itemsize
_event_at, _operation_at, _line_at = view(EVENT), view(OPERATION), view(LINE)
_FLAGS_AT = STATE_LINE.field("flags")[1]
_DESYNCED, _BID_HIDDEN = BookFlag.DESYNCED.value, BookFlag.BID_HIDDEN.value


# The oracle


@kernel
def _dispatch(book, address, sequence):
    """``messages.message`` without the step of a sweep behind it."""
    b = book_at(book)
    kind = load8(address)
    entry = load32(b["filter"] + 4 * load_be16(address + LOCATE))
    b["sequence"] = sequence
    b["timestamp"] = b["stamp"] if b["stamp"] else load_be64(address + LOCATE + 2) & ((1 << 48) - 1)
    if kind == A or kind == D or kind == U or kind == E or kind == F or kind == X or kind == C:
        if entry & WATCHED:
            level_bucket = 0
            if kind == A or kind == F:
                level_bucket = level_bucket_of(book, address, entry)
            bucket = order_table.left_bucket(book, load_be64(address + REFERENCE))
            _order_message(book, entry & 0xFFFF, address, kind, bucket, level_bucket)
    elif kind == P or kind == Q or kind == B:
        if entry & WATCHED:
            _trade_message(book, entry & 0xFFFF, address, kind)
    else:
        other_message(book, address, kind, load_be16(address + LOCATE), entry)


@kernel
def _event(arbiter, book, e):
    """Apply what is not a message."""
    b = book_at(book)
    b["stamp"] = e["stamp"]
    if e["what"] == UNREADABLE:
        if load32(b["filter"] + 4 * e["instrument"]) & WATCHED:
            feed_state.desync_one(book, e["instrument"], e["sequence"])
    elif e["what"] == FLAGS:
        feed_state.set_flags(book, e["flags"])
    elif e["what"] == DESYNC_ALL:
        feed_state.desync_all(book, e["sequence"], e["flags"])
    elif e["what"] == TELL:
        a = arbiter_at(arbiter)
        a["expected"] = e["sequence"]
        a["session"][0], a["session"][1] = e["session_0"], e["session_1"]
        feed_state.tell(arbiter, book, e["line"], e["state"], e["state"], e["received"],
                        e["stamp"])


@kernel
def _plain(arbiter, book, octets, events, count):
    """Apply everything as the device does, a message as one."""
    for number in range(count):
        e = _event_at(events + number * _EVENT_SIZE)
        if e["what"] == MESSAGE:
            book_at(book)["stamp"] = e["stamp"]
            message(book, octets + e["at"], e["sequence"])
        else:
            _event(arbiter, book, e)


# The operations


@kernel
def _best_of(book, instrument, side):
    s = side_at(book_at(book)["sides"] + (instrument * 2 + side) * 64)
    best = np.int64(s["best"])
    price = 0 if best == EMPTY else (-best if side else best)
    flags = header_at(book_at(book)["sides"] + instrument * 128)["flags"]
    return price, s["best_value"], 1 if flags & (_BID_HIDDEN << side) else 0


@kernel
def _snap(book, instrument, kept):
    for side in range(2):
        (kept[4 * side], kept[4 * side + 1], kept[4 * side + 2]) = _best_of(book, instrument, side)
    sides = book_at(book)["sides"] + instrument * 128
    kept[3] = side_at(sides)["checksum"] + side_at(sides + 64)["checksum"]
    kept[7] = header_at(book_at(book)["sides"] + instrument * 128)["flags"] & _DESYNCED


@kernel
def _differ(book, instrument, kept, o):
    """Tell in ``o`` what has happened to the instrument since it was kept."""
    before = kept.copy()
    _snap(book, instrument, kept)
    o["touched_side"] = o["sequence"] & 1
    for side in range(2):
        at = 4 * side
        if (kept[at] != before[at] or kept[at + 1] != before[at + 1]
                or kept[at + 2] != before[at + 2]):
            o["is_touched"], o["touched_side"] = 1, side
    o["checksum"] = kept[3] - before[3]
    o["is_desync"] = MARKED if kept[7] != before[7] else MAY_MARK if kept[7] else 0
    at = 4 * o["touched_side"]
    o["has_best"] = 1 if kept[at] else 0
    o["best_price"], o["best_value"], o["is_hidden"] = kept[at], kept[at + 1], kept[at + 2]


@kernel
def _begin(book, operations, number, kind, instrument, is_watched):
    b = book_at(book)
    o = _operation_at(operations + number * _OPERATION_SIZE)
    o["kind"], o["instrument"], o["is_watched"], o["is_last"] = kind, instrument, is_watched, 1
    o["sequence"], o["timestamp"], o["feed_flags"] = b["sequence"], b["timestamp"], b["feed_flags"]
    return o


@kernel
def _derive(book, address, sequence, at, operations, number, kept):
    """Take the second book through a message; return the number of operations that it is."""
    b = book_at(book)
    kind = load8(address)
    entry = load32(b["filter"] + 4 * load_be16(address + LOCATE))
    instrument, watched = entry & 0xFFFF, 1 if entry & WATCHED else 0
    b["sequence"] = sequence
    b["timestamp"] = b["stamp"] if b["stamp"] else load_be64(address + LOCATE + 2) & ((1 << 48) - 1)
    if kind == U:
        first = _begin(book, operations, number, ORDER, instrument, watched)
        second = _begin(book, operations, number + 1, ORDER, instrument, watched)
        first["is_last"] = 0
        if watched:
            reference = load_be64(address + REFERENCE)
            _snap(book, instrument, kept)
            entry = find_order(book, instrument, order_table.left_bucket(book, reference),
                               reference)
            side = 0
            if entry != order_table.NONE:
                level = level_table.entry_of(book, order_table.level_of(entry))
                side = (load64(level) >> 32) & 1
                reduce(book, instrument, entry, reference, order_table.quantity_of(entry))
            _differ(book, instrument, kept, first)
            if entry != order_table.NONE:
                add(book, instrument, side, load_be64(address + NEW_REFERENCE),
                    load_be32(address + REPLACE_SHARES), load_be32(address + REPLACE_PRICE))
            _differ(book, instrument, kept, second)
        return 2
    is_execute = kind == E or kind == C
    is_order = kind == A or kind == F or kind == D or kind == X
    is_print = kind == P or kind == Q or kind == B
    o = _begin(book, operations, number, ORDER if is_order else EXECUTE if is_execute
               else PRINT if is_print else OTHER, instrument, watched)
    o["at"] = at
    if is_execute and watched:
        reference = load_be64(address + REFERENCE)
        if reference != 0:
            entry = order_table.find(book, order_table.left_bucket(book, reference), reference)
            if entry != order_table.NONE:
                key = level_table.stored_key(
                    level_table.entry_of(book, order_table.level_of(entry)))
                o["is_found"] = 1 if key >> 33 == instrument else 0
                o["price"], o["side"] = key & 0x7FFFFFFF, (key >> 32) & 1
    if watched and (is_order or is_execute):
        _snap(book, instrument, kept)
        _dispatch(book, address, sequence)
        _differ(book, instrument, kept, o)
    else:
        _dispatch(book, address, sequence)
    return 1


@kernel
def _poke(book, e):
    """Set a side to anything at all."""
    h = header_at(book_at(book)["sides"] + e["instrument"] * 128)
    s = side_at(book_at(book)["sides"] + (e["instrument"] * 2 + e["side"]) * 64)
    s["best"] = EMPTY if e["price"] == 0 else (-e["price"] if e["side"] else e["price"])
    s["best_value"] = e["value"] if e["price"] else 0
    s["checksum"] += e["checksum"]
    hidden = _BID_HIDDEN << e["side"]
    h["flags"] = (h["flags"] & ~hidden) | (hidden if e["hidden"] else 0)
    if e["desync"]:
        h["flags"] |= _DESYNCED


@kernel
def _version(book, instrument):
    return header_at(book_at(book)["sides"] + instrument * 128)["version"]


@kernel
def _note(book, instrument, versions, o, written, lines, count):
    """Note what the oracle wrote for an operation; return the number of lines so far."""
    r = ring_at(book_at(book)["ring"])
    o["records"] = r["written"] - written
    if _version(book, instrument) == versions[instrument]:
        return count
    versions[instrument] = _version(book, instrument)
    o["lines"] = 1
    line = _line_at(lines + count * _LINE_SIZE)
    line["instrument"] = instrument
    for word in range(8):
        line["words"][word] = load64(book_at(book)["state"] + 64 * instrument + 8 * word)
    return count + 1


@kernel
def _run(arbiter, oracle, book, octets, events, count, operations, lines, versions, kept):
    """Take both books through all events; return the numbers of operations and of lines."""
    b = book_at(oracle)
    ring = ring_at(b["ring"])
    done = 0
    told = 0
    for number in range(count):
        e = _event_at(events + number * _EVENT_SIZE)
        written = ring["written"]
        b["stamp"] = e["stamp"]
        book_at(book)["stamp"] = e["stamp"]
        if e["what"] == MESSAGE:
            address = octets + e["at"]
            _dispatch(oracle, address, e["sequence"])
            done += _derive(book, address, e["sequence"], e["at"], operations, done, kept)
            o = _operation_at(operations + (done - 1) * _OPERATION_SIZE)
            told = _note(oracle, o["instrument"], versions, o, written, lines, told)
            if e["sequence"] & (SWEEP_PERIOD - 1) == 0:
                written = ring["written"]
                swept = max(b["sweep"], 0) >> 1
                sweep_step(oracle)
                o = _begin(book, operations, done, STEP, swept, 0)
                _snap(book, swept, kept)
                sweep_step(book)
                _differ(book, swept, kept, o)
                done += 1
                told = _note(oracle, swept, versions, o, written, lines, told)
        elif e["what"] == POKE:
            instrument = e["instrument"]
            b["sequence"], b["timestamp"] = e["sequence"], e["stamp"]
            book_at(book)["sequence"], book_at(book)["timestamp"] = e["sequence"], e["stamp"]
            if kept[8] == 0:
                _snap(oracle, instrument, kept)
            before = kept[:8].copy()
            _poke(oracle, e)
            o = _begin(book, operations, done, ORDER, instrument, 1)
            _snap(book, instrument, kept)
            _poke(book, e)
            _differ(book, instrument, kept, o)
            o["is_touched"], o["touched_side"], o["is_last"] = 1, e["side"], e["is_last"]
            o["has_best"] = 1 if e["price"] else 0
            o["best_price"], o["best_value"], o["is_hidden"] = _best_of(
                book, instrument, e["side"])
            kept[8] = 1 - e["is_last"]
            if e["is_last"]:
                _snap(oracle, instrument, kept)
                b["changed"] = 0
                for place in range(8):
                    if place != 3 and kept[place] != before[place]:
                        b["changed"] = 1
                if b["changed"]:
                    publish(oracle, instrument)
            else:
                kept[:8] = before
            done += 1
            told = _note(oracle, instrument, versions, o, written, lines, told)
        else:
            fallen = b["feed_flags"] & ~e["flags"]
            _event(arbiter, oracle, e)
            _event(arbiter, book, e)
            if e["what"] == TELL:
                o = _begin(book, operations, done, FEED, 0, 0)
                o["sequence"], o["timestamp"], o["received"] = (
                    e["sequence"], e["stamp"], e["received"])
                o["line"], o["state"] = e["line"], e["state"]
                o["session_0"], o["session_1"] = e["session_0"], e["session_1"]
                o["records"] = ring["written"] - written
                done += 1
            elif e["what"] == UNREADABLE:
                is_watched = 1 if load32(b["filter"] + 4 * e["instrument"]) & WATCHED else 0
                o = _begin(book, operations, done, UNREADABLE_ONE, e["instrument"], is_watched)
                o["sequence"], o["timestamp"] = e["sequence"], e["stamp"]
                told = _note(oracle, e["instrument"], versions, o, written, lines, told)
                done += 1
            elif e["what"] == DESYNC_ALL or fallen or e["received"] & 1:
                for instrument in range(b["instruments"]):
                    o = _begin(book, operations, done, SHOW, instrument, 1 if instrument else 0)
                    o["timestamp"] = e["stamp"]
                    o["is_desync_all"] = 1 if e["what"] == DESYNC_ALL else 0
                    told = _note(oracle, instrument, versions, o, written, lines, told)
                    o["records"] = o["lines"]
                    done += 1
    return done, told


def events_of(messages: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Events of messages, numbered from 1, and the octets that they point into."""
    octets = np.zeros((len(messages), 64), np.uint8)
    for number, one in enumerate(messages):
        octets[number, :len(one)] = np.frombuffer(one, np.uint8)
    events = np.zeros(len(messages), EVENT)
    events["at"] = np.arange(len(messages)) * 64
    events["sequence"] = np.arange(len(messages)) + 1
    return events, octets


class Kernels:
    """What the kernels make of events: operations, records and state lines, all in order."""

    def __init__(self, geometry: Geometry, events: np.ndarray, octets: np.ndarray) -> None:
        shows = int(np.isin(events["what"], (FLAGS, DESYNC_ALL)).sum())
        room = 3 * len(events) + shows * geometry.instruments
        ring_log2 = max(4, (2 * room).bit_length())
        oracle, book, plain = (BookMemory(geometry, huge=False, ring_log2=ring_log2)
                               for _ in range(3))
        arbiter, word = np.zeros(1, ARBITER), np.zeros(1, np.int64)
        arbiter["feed_state"] = word.ctypes.data
        events, octets = np.ascontiguousarray(events), np.ascontiguousarray(octets)
        operations, lines = np.zeros(room, OPERATION), np.zeros(room, LINE)
        done, told = _run(arbiter.ctypes.data, oracle.address, book.address, octets.ctypes.data,
                          events.ctypes.data, len(events), operations.ctypes.data,
                          lines.ctypes.data, np.zeros(geometry.instruments, np.int64),
                          np.zeros(9, np.int64))
        self.operations, self.lines = operations[:done], lines[:told]
        self.records = oracle.records[:oracle.records_written].copy()
        self.octets = octets
        if not (events["what"] == POKE).any():
            # The oracle is the device's own path, taken apart.
            _plain(arbiter.ctypes.data, plain.address, octets.ctypes.data, events.ctypes.data,
                   len(events))
            assert (plain.records[:plain.records_written] == self.records).all()
            assert (plain.arena.view("state") == oracle.arena.view("state")).all()


class Card:
    """The compiled component, empty and ready."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.model = verilate(Publish(geometry), f"publish_{geometry.instruments}")

    def _put_times(self, rng: np.random.Generator, rows: np.ndarray, cycles: np.ndarray,
                   stamps: np.ndarray) -> None:
        """Let the clock say anything, but crowd the bounds of a latency where one ends."""
        rows["now"] = rng.integers(0, 1 << 63, len(rows), np.uint64) << np.uint64(1)
        passed = rng.choice(PASSED, len(cycles))
        rows["now"][cycles + AHEAD + LATENCY_AGE] = stamps.view(np.uint64) + passed.view(np.uint64)
        self.latencies = np.clip(passed, 0, LONGEST)

    def results(self, operations: np.ndarray, octets: np.ndarray, gaps: Sequence[int],
                seed: int = 1) -> np.ndarray:
        """Run operations, ``gaps`` cycles apart; return the rows with a record or a state line.

        Whatever an operation does not mean is noise. Cycle 0 is that of the first operation.
        """
        self.model.restart()
        wait = 1 << max(1, (self.geometry.instruments - 1).bit_length())
        rng = np.random.default_rng(seed)
        early = self.model.rows(wait + 1, watch_all=1)      # what comes too early is ignored
        for name in ("i__payload", "i_ahead__payload"):
            self._fill_with_noise(rng, early, name)
        early["i_ahead__valid"][:wait - AHEAD:2] = 1
        early["i__valid"][AHEAD:wait:2] = 1
        self.model.put(early[AHEAD:wait:2], "i__payload", kind=STEP, is_touched=1, has_best=1)
        found = self.model.run(early)
        assert found["ready"].tolist() == [0] * wait + [1] and not found["o__valid"].any()
        gap = rng.choice(gaps, len(operations))
        self.cycles = np.cumsum(gap) - gap
        rows = self.model.rows(int(self.cycles[-1]) + AHEAD + RECORD_AGE + 3, watch_all=1)
        for name in ("i__payload", "i_ahead__payload"):
            self._fill_with_noise(rng, rows, name)
        rows["i_ahead__valid"][self.cycles] = 1
        ahead = rng.integers(0, self.geometry.instruments, len(operations))
        rows["i_ahead__payload"][self.cycles] = np.where(
            np.isin(operations["kind"], (FEED, NONE)), ahead, operations["instrument"])
        rows["i__valid"][self.cycles + AHEAD] = 1
        self._put_times(rng, rows, self.cycles, operations["timestamp"])
        given = rows[self.cycles + AHEAD]
        self._put(rng, given, operations, octets)
        rows[self.cycles + AHEAD] = given
        found = self.model.run(rows, when=("o__valid", "state__valid", "applied__valid"))
        found["cycle"] -= np.uint64(wait + 1 + AHEAD)
        return found

    def _fill_with_noise(self, rng: np.random.Generator, rows: np.ndarray, name: str) -> None:
        column, width = rows[name], self.model.ports[name].width
        if column.ndim == 1:
            column[...] = rng.integers(0, 1 << width, column.shape)
        else:
            column[...] = rng.integers(0, 1 << 63, column.shape, np.uint64) << np.uint64(1)
            column[:, -1] >>= np.uint64(-width % 64)

    def _put(self, rng: np.random.Generator, given: np.ndarray, operations: np.ndarray,
             octets: np.ndarray) -> None:
        kind = operations["kind"]
        is_watched = operations["is_watched"] != 0
        books = np.isin(kind, (ORDER, EXECUTE)) & is_watched
        said = np.isin(kind, (EXECUTE, PRINT, OTHER))
        # A side that an operation did not change may be told too.
        is_touched = (operations["is_touched"] != 0) | (rng.random(len(kind)) < .5)
        is_desync = (operations["is_desync"] == MARKED) | (
            (operations["is_desync"] == MAY_MARK) & (rng.random(len(kind)) < .5))
        touched = (books | (kind == STEP)) & is_touched
        found = (kind == EXECUTE) & (operations["is_found"] != 0) & is_watched
        feed, best = kind == FEED, touched & (operations["has_best"] != 0)
        always = np.ones(len(kind), bool)
        data = np.zeros((len(kind), 56), np.uint8)
        data[:, :MESSAGE_SIZE_MAX] = octets[operations["at"] // 64, :MESSAGE_SIZE_MAX]
        session = np.stack((operations["session_0"], operations["session_1"] & 0xFFFF), axis=1)
        for field, values, where in (
                ("kind", kind, always), ("is_last", operations["is_last"], kind == ORDER),
                ("is_watched", operations["is_watched"], ~np.isin(kind, (NONE, STEP, FEED))),
                ("sequence", operations["sequence"], always),
                ("timestamp", operations["timestamp"], always),
                ("feed_flags", operations["feed_flags"], always),
                ("data", data.view("<u8"), said),
                ("is_touched", touched, always),
                ("touched_side", operations["touched_side"], touched),
                ("has_best", operations["has_best"], touched),
                ("best_price", operations["best_price"], best),
                ("best_value", operations["best_value"], best),
                ("is_hidden", operations["is_hidden"], touched),
                ("is_desync", is_desync & (books | (kind == STEP)), always),
                ("checksum", np.where(books, operations["checksum"], 0).view(np.uint64), always),
                ("is_found", operations["is_found"], (kind == EXECUTE) & is_watched),
                ("price", operations["price"], found), ("side", operations["side"], found),
                ("is_desync_all", operations["is_desync_all"], kind == SHOW),
                ("line", operations["line"], feed), ("state", operations["state"], feed),
                ("received", operations["received"].view(np.uint64), feed),
                ("session", session.view(np.uint64), feed)):
            noise = self.model.get(given, "i__payload", field)
            where = where.reshape(-1, *[1] * (noise.ndim - 1))
            self.model.put(given, "i__payload", **{field: np.where(
                where, np.asarray(values).astype(np.uint64), noise.astype(np.uint64))})


def compare(card: Card, events: np.ndarray, octets: np.ndarray, gaps: Sequence[int] = (2,),
            nothing: float = 0) -> Counter:
    """Compare everything, cycle by cycle; count records by type, and state lines by flag.

    ``nothing`` is the part of operations that has one of kind NONE before it.
    """
    expected = Kernels(card.geometry, events, octets)
    operations, rng = expected.operations, np.random.default_rng(2)
    if nothing:
        at = np.flatnonzero((rng.random(len(operations)) < nothing)
                            & np.r_[True, operations["is_last"][:-1] != 0])
        operations = np.insert(operations, at, np.zeros(1, OPERATION))
    found = card.results(operations, expected.octets, gaps)
    is_record, is_line = found["o__valid"] == 1, found["state__valid"] == 1
    _compare_applied(card, operations, found[found["applied__valid"] == 1])
    records, told = found[is_record], found[is_line]
    if not len(found):
        assert not len(expected.records) and not len(expected.lines)
        return Counter()
    octets_found = card.model.get(found, "o__payload", "octets").view(np.uint8)[is_record]
    kinds = card.model.get(found, "o__payload", "kind")[is_record]
    count = min(len(records), len(expected.records))
    wanted = expected.records.copy()
    assert not wanted[:, _LATENCY].any()       # kernels without a clock tell none
    wanted[:, _LATENCY] = np.repeat(card.latencies, operations["records"]).astype("<u4").view(
        np.uint8).reshape(-1, 4)
    wanted = wanted[:count]
    wrong = np.flatnonzero((octets_found[:count] != wanted[:, :TRAILER_OFFSET]).any(axis=1)
                           | (kinds[:count] != wanted[:, TRAILER_OFFSET + 4]))
    first = np.repeat(card.cycles + RECORD_AGE, operations["records"])
    places = np.arange(len(first)) - np.repeat(
        np.cumsum(operations["records"]) - operations["records"], operations["records"])
    if len(wrong):
        at = wrong[0]
        who = np.repeat(np.arange(len(operations)), operations["records"])[at]
        raise AssertionError(
            f"record {at}: type {kinds[at]}, not {wanted[at, TRAILER_OFFSET + 4]}:\n"
            f"{octets_found[at].tobytes().hex(' ', 8)}, not\n{wanted[at].tobytes().hex(' ', 8)}, "
            f"after\n{OPERATION.names}\n{operations[max(0, who - 5):who + 1]}")
    assert len(records) == len(expected.records), (len(records), len(expected.records))
    assert (records["cycle"] == (first + places).astype(np.uint64)).all()

    assert len(told) == len(expected.lines)
    assert (told["cycle"] == (card.cycles + RECORD_AGE)[operations["lines"] != 0]).all()
    instruments = card.model.get(found, "state__payload", "instrument")[is_line]
    assert (instruments == expected.lines["instrument"]).all()
    words = card.model.get(found, "state__payload", "line")[is_line]
    wrong = np.flatnonzero((words != expected.lines["words"].view(np.uint64)).any(axis=1))
    assert not len(wrong), (wrong[0], words[wrong[0]], expected.lines[wrong[0]])
    seen = Counter(RecordType(kind).name for kind in kinds)
    flags = expected.lines["words"].view(np.uint8).reshape(-1, RECORD_SIZE)[:, _FLAGS_AT]
    return seen + Counter({flag.name: int((flags & flag != 0).sum()) for flag in BookFlag})


def _compare_applied(card: Card, operations: np.ndarray, applied: np.ndarray) -> None:
    """Compare what goes to the histogram with the messages that books have taken."""
    kind = operations["kind"]
    is_message = (operations["is_watched"] != 0) & (
        (kind == ORDER) & (operations["is_last"] != 0) | (kind == EXECUTE))
    assert applied["cycle"].tolist() == (card.cycles + RECORD_AGE)[is_message].tolist()
    assert applied["applied__payload"].tolist() == card.latencies[is_message].tolist()
