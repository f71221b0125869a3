"""The order path as compiled gateware, driven by the steps that drive the kernels.

Every step runs until nothing is being executed; a pair in a hurry gives intents and answers as
soon as the card takes them. What the window and the book do in a card is done here, in Python:
intents come judged.
"""

import copy
from weakref import WeakKeyDictionary

import numpy as np

from tests.frame_rig import MACS, ends
from tests.order_rig import LOCATES, SYMBOLS, crc32c
from tests.parity.test_order_path import ORDERS_LOG2, SESSIONS, Pair
from tickwire.orders.template import template
from tickwire.spec import wire
from tickwire.spec.intents import IntentError
from tickwire.spec.limits import LIMITS_ROW, limits_rows
from tickwire.spec.records import RECORDS, RecordType
from tickwire.spec.registers import ARM_KEY
from tickwire.spec.sessions import HEADERS_SIZE, SessionOperation
from tickwire_hw.kill import ARM_LATENCY
from tickwire_hw.limit_rows import ROW_CYCLES
from tickwire_hw.order_path import OrderPath
from tickwire_hw.risk import Table
from tickwire_sim.verilate import verilate

CYCLES = 32                                # of one look at whether a step is done
LOOKS = 1_600                              # then it hangs
U32 = 0xFFFF_FFFF
_QUEUED = {"intent", "octets", "answer", "honest", "trigger"}   # steps that only intents are of
_READY = WeakKeyDictionary()               # by model and class of pair: the card that is ready


def model_of(geometry):
    """Compile the order path with as many rows as the kernels of the sequences have."""
    return verilate(OrderPath(geometry, ORDERS_LOG2), "order_path",
                    is_savable=True, parameters=f"{geometry} {ORDERS_LOG2}")


class Card:
    """Inputs that stay, and what came out."""

    RECORD, LINE, SYMBOLS = "record", "o", SYMBOLS

    def __init__(self, model, noise=None):
        self.model, self.noise = model, noise
        self.fixed = {"sessions": SESSIONS}
        self.records, self.sent, self.frame, self.version = [], b"", b"", 0
        self.strobes = {}                  # of triggers, by name: how often they were up
        model.restart()
        self.begin()
        self.run(8 * SESSIONS, dict(enumerate(
            {"i_template": dict(session=session, word=word, data=int.from_bytes(
                octets[8 * word:8 * word + 8], "little"))}
            for session, octets in enumerate(template(*ends(session), *MACS)
                                             for session in range(SESSIONS))
            for word in range(8))))
        self.run(len(self.SYMBOLS), {
            instrument: {"i_symbol": dict(instrument=instrument,
                                          symbol=int.from_bytes(symbol, "big"))}
            for instrument, symbol in enumerate(self.SYMBOLS)})
        for session in range(SESSIONS):
            self.give(i_session=dict(session=session, operation=SessionOperation.LEASE,
                                     sequence=1_000, acknowledgment=2_000, window=500))

    def begin(self):
        """Tell what the book of a card would."""
        self.market = [dict.fromkeys(("bid", "ask", "last", "trading_state", "flags",
                                      "operational", "reg_sho"), 0) for _ in SYMBOLS]
        self.versions = [0] * len(SYMBOLS)
        self.run(len(LOCATES), {
            instrument: {"i_taught": dict(instrument=instrument, locate=locate, is_watched=1),
                         "i_seen": self.seen(instrument)}
            for instrument, locate in enumerate(LOCATES)})

    def columns(self, count, **columns):
        """Input rows of some cycles."""
        return self.model.rows(count, **{f"{self.RECORD}__ready": 1, f"{self.LINE}__ready": 1}
                               | self.fixed | columns)

    def cycles(self, count, is_held=False, **columns):
        """Run, with columns of the first cycle; keep what comes out; return the last row.

        While it ``is_held`` the line takes no word.
        """
        return self.run(count, {0: columns}, is_held)

    def run(self, count, given, is_held=False):
        """Run, with columns of some cycles by their numbers, as :meth:`cycles` does."""
        rows = self.columns(count, **{f"{self.LINE}__ready": 0} if is_held else {})
        for cycle, columns in given.items():
            self.put(rows[cycle:cycle + 1], columns)
        return self.go(rows)

    def put(self, rows, columns):
        """Put columns into rows: the fields of a stream, or a port's value."""
        for port, value in columns.items():
            if isinstance(value, dict):
                rows[f"{port}__valid"] = 1
                rows[f"{port}__payload"] = self.model.pack(f"{port}__payload", **{
                    name: int.from_bytes(number.tobytes(), "little")
                    if isinstance(number, np.ndarray) else int(number)
                    for name, number in value.items()})
            else:
                rows[port] = value

    def go(self, rows):
        """Run rows; keep what comes out; return the last row."""
        self.hold_back(rows)
        return self.keep(rows, self.model.run(rows))

    def hold_back(self, rows):
        """Let the ring take no record in most of these cycles, if there is noise."""
        if self.noise is not None:
            rows[f"{self.RECORD}__ready"] = [self.noise.random() < 0.3 for _ in rows]

    def keep(self, rows, found):
        """Keep the records and frames of some cycles; return the last row."""
        model, record, line = self.model, self.RECORD, self.LINE
        self.records += self.records_of(found[rows[f"{record}__ready"] == 1], record)
        for name in self.strobes:
            self.strobes[name] += int(model.get(found, "triggered", name).sum())
        words = found[(found[f"{line}__valid"] == 1) & (rows[f"{line}__ready"] == 1)]
        if len(words):
            for data, keep, last in zip(*(model.get(words, f"{line}__payload", name) for name in (
                    "data", "keep", "last")), strict=True):
                self.frame += int(data).to_bytes(8, "little")[:int(keep).bit_count()]
                if last:
                    self.sent, self.frame = self.sent + self.frame[HEADERS_SIZE:], b""
        return found[-1]

    def records_of(self, found, port):
        """Records at a port in some cycles, as pairs of type and octets."""
        taken = found[found[f"{port}__valid"] == 1]
        if not len(taken):
            return []
        kinds, octets = (self.model.get(taken, f"{port}__payload", name)
                         for name in ("kind", "octets"))
        return [(RecordType(int(kind)), np.ascontiguousarray(row).tobytes())
                for kind, row in zip(kinds, octets, strict=True)]

    def give(self, **columns):
        """Give something, then run until nothing is left to be done."""
        return self.finish(self.cycles(CYCLES, **columns))

    def push(self, **columns):
        """Give an intent or an answer, until it is taken; do not wait for what it does."""
        for _ in range(LOOKS):
            rows, found = self.columns(CYCLES), []
            self.put(rows, columns)
            self.hold_back(rows)
            while len(found) < CYCLES and not (found and found[-1]["i__ready"]):
                found.append(self.model.run(rows[len(found):len(found) + 1]))
            last = self.keep(rows[:len(found)], np.concatenate(found))
            if last["i__ready"]:
                return
        raise AssertionError(f"{columns} was never taken")

    def finish(self, last):
        """Run until nothing is left to be done; ``last`` is the last row; return it."""
        for _ in range(LOOKS):
            if last["is_idle"] and not self.frame:
                return last
            last = self.cycles(CYCLES)
        raise AssertionError("what was given never ended")

    def do(self, table=None, **columns):
        """Commit a table, or give something."""
        if table is None:
            self.give(**columns)
        else:
            self.commit(table)

    def see(self, instrument):
        """Tell what an instrument is like."""
        self.give(i_seen=self.seen(instrument))

    def seen(self, instrument):
        """What an instrument is like, as the column of a cycle."""
        return {"instrument": instrument, "seen__version": self.versions[instrument],
                "seen__symbol": int.from_bytes(SYMBOLS[instrument], "big"),
                **{f"seen__market__{name}": value
                   for name, value in self.market[instrument].items()}}

    def commit(self, octets):
        """Load the octets of a limits table, and put it in force."""
        self.version += 1
        loaded = np.frombuffer(octets, "<u8")
        asked = len(loaded) + 1
        rows = self.columns(asked + ROW_CYCLES * limits_rows(len(self.SYMBOLS)) + CYCLES)
        rows["table_begin__valid"][0] = 1
        rows["table_word__valid"][1:asked] = 1
        rows["table_word__payload"][1:asked] = loaded
        self.put(rows[asked:asked + 1], {"limits_commit": dict(
            version=self.version, crc=crc32c(octets))})
        self.finish(self.go(rows))

    def save(self):
        """Return the state that :meth:`restore` puts back: of the model, and what stays."""
        return self.model.save(), copy.deepcopy((self.fixed, self.market, self.versions,
                                                 self.version))

    def restore(self, saved):
        """Put back a state of a card of the same model."""
        state, stays = saved
        self.model.restore(state)
        self.fixed, self.market, self.versions, self.version = copy.deepcopy(stays)

    def arm(self):
        """Give both keys, when the card is killed."""
        last = self.cycles(1)
        if last["is_killed"]:
            first = int(last["epoch"]) ^ ARM_KEY
            for key in (first, first ^ U32):
                self.cycles(ARM_LATENCY, i_arm__valid=1, i_arm__payload=key)
            self.give()


def staged(path):
    """Octets of the limits table that the kernels' host staged."""
    return path.arena.view("staging")[:LIMITS_ROW * limits_rows(len(path.limits))].tobytes()


def judged(octets, expected, epoch, now):
    """What the window says of an intent: kernel ``order_path.execute``, before it is executed."""
    word = {name: int.from_bytes(octets[at:at + 4], "little") for name, at in (
        ("ttl", 36), ("crc", 52), ("epoch", 56), ("sequence", 60))}
    right = crc32c(octets[:52] + octets[56:])
    error, wanted, received = 0, 0, 0
    if word["sequence"] != expected & U32:
        error, wanted, received = IntentError.SEQUENCE, expected & U32, word["sequence"]
    elif word["crc"] != right:
        error, wanted, received = IntentError.CRC, right, word["crc"]
    elif word["epoch"] != epoch:
        error, wanted, received = IntentError.EPOCH, epoch, word["epoch"]
    age = now - int.from_bytes(octets[:8], "little")
    age = abs((age + (1 << 63)) % (1 << 64) - (1 << 63))
    return {"error": int(error), "expected": wanted, "received": received,
            "slot": word["sequence"] - 1 & 63, "age": min(age, U32),
            "is_old": int(word["ttl"] != 0 and age > word["ttl"])}


def records_from(path, first):
    """The kernels' records of orders from number ``first`` on, as pairs of type and octets."""
    ring, slots = path.ring, path.arena.view("records", np.uint8).reshape(-1, 64)
    found = slots[np.arange(first, int(ring["written"])) & int(ring["mask"])]
    return [(RecordType(row[60]), row[:56].tobytes()) for row in found]


class CardPair(Pair):
    """Kernels, reference and card, driven together."""

    def __init__(self, model, noise=None, is_hurried=False):
        super().__init__()
        self.card = Card(model, noise)
        self.asked = []
        self.is_hurried = is_hurried
        self.behind = None                 # first record and octets that leave, still to come
        self.is_put_back = False           # the card is where kernels and reference will be

    def ready(self):
        """Reach the state in which most orders pass; the card reaches it once, then is put back.

        A commit takes thousands of cycles, more than all that a sequence does afterwards.
        """
        states = _READY.setdefault(self.card.model, {})
        self.is_put_back = type(self) in states
        super().ready()
        if self.is_put_back:
            self.card.restore(states[type(self)])
        else:
            states[type(self)] = self.card.save()
        self.is_put_back = False

    def step(self, kind, *arguments):
        """Do a step on all three; compare records and octets that leave."""
        self.catch_up(kind)
        first = int(self.rig.path.ring["written"])
        self.asked = []
        super().step(kind, *arguments)
        self.follow(first, self.left, kind, *arguments)

    def follow(self, first, sent, kind, *arguments):
        """Let the card do a step of the kernels, whose records are those from ``first`` on."""
        if self.is_put_back:
            return
        if self.is_hurried and kind in _QUEUED:
            if self.behind is None:
                self.card.fixed["now"] = self.now
                self.card.records, self.card.sent = [], b""
                self.behind = first, b""
            self.behind = self.behind[0], self.behind[1] + sent
            for columns in self.asked:
                self.card.push(**columns)
            return
        self.ask(getattr(self, f"card_{kind}", None), *arguments)
        self.compare_step(first, sent)

    def catch_up(self, kind=""):
        """Let the card end what it was given in a hurry, unless more comes; compare that."""
        if self.behind is not None and kind not in _QUEUED:
            (first, sent), self.behind = self.behind, None
            self.card.finish(self.card.cycles(CYCLES))
            self.compare_step(first, sent)

    def compare_step(self, first, sent):
        """Compare records and octets that left."""
        self.compare_card(first)
        assert self.card.sent == sent, (self.card.sent, sent)

    def ask(self, hook=None, *arguments):
        """Let the card do what was asked of the kernels."""
        self.card.fixed["now"] = self.now
        self.card.records, self.card.sent = [], b""
        for columns in self.asked:
            self.card.do(**columns)
        self.asked = []
        if hook:
            hook(*arguments)

    def compare_card(self, first):
        """Compare the card's records with the kernels' from number ``first`` on."""
        expected = records_from(self.rig.path, first)
        assert self.card.records == expected, "\n".join(
            f"{name} {kind.name} {wire.decode(RECORDS[kind], octets + bytes(8))}"
            for name, rows in (("card", self.card.records), ("kernel", expected))
            for kind, octets in rows)

    def intent(self, octets, **judgment):
        """Ask the card to execute what the window gave."""
        words = np.frombuffer(octets, np.uint64).reshape(1, 8)
        self.asked.append({"i": {"intent": words, **judgment}})

    def both(self, octets):
        expected, epoch = int(self.rig.path.context["expected"]), int(
            self.rig.path.context["epoch"])
        self.intent(octets, **judged(octets, expected, epoch, self.now))
        return super().both(octets)

    def answered(self, octets):
        self.intent(octets, error=0)
        super().answered(octets)

    def commit(self):
        super().commit()
        self.asked.append({"table": staged(self.rig.path)})

    def card_status(self, number, reg_sho, operational):
        self.card.market[number] |= {"reg_sho": ord(reg_sho), "operational": ord(operational)}
        self.card.see(number)

    def card_phase(self, event):
        self.card.fixed["phase"] = ord(event)

    def card_book(self, number, bid, ask, state, flag, last, version):
        self.card.market[number] |= {"bid": bid, "ask": ask, "trading_state": ord(state),
                                     "flags": int(flag), "last": last}
        self.card.versions[number] = version
        self.card.see(number)

    def card_part_kill(self, kind, number, is_killed):
        table = Table.STRATEGY if kind == "strategies" else Table.SESSION
        self.card.give(i_part_kill=dict(table=table.value, number=number,
                                        is_killed=int(is_killed)))

    def card_instrument_kill(self, number, is_killed):
        self.card.give(i_part_kill=dict(table=Table.INSTRUMENT.value, number=number,
                                        is_killed=int(is_killed)))

    def card_name(self, locate, number):
        is_watched = number is not None
        self.card.give(i_taught=dict(locate=locate, instrument=number or 0,
                                     is_watched=int(is_watched)))

    def card_feed(self, state):
        self.card.fixed["feed_state"] = int(state)

    def card_session(self, number, is_up):
        up = self.card.fixed.get("sessions_up", 0) & ~(1 << number)
        self.card.fixed["sessions_up"] = up | is_up << number

    def card_kill(self, cause):
        self.card.give(causes=int(cause))

    def card_arm(self):
        self.card.arm()

    def card_kill_action(self, is_mass_cancel):
        self.card.fixed["mass_cancel"] = int(is_mass_cancel)

