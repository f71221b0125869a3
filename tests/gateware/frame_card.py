"""The component that frames, driven cycle by cycle, and everything that it gave."""

from tests.frame_rig import CAPACITY, template_of
from tests.order_rig import SYMBOLS
from tickwire.spec.sessions import SessionOperation

NOW = 1_000                                    # time of the first cycle


class Card:
    """A component that frames, its host, and everything that it gave."""

    def __init__(self, model):
        self.model = model
        self.row, self.last = None, None

    def start(self, where):
        """Write symbols and templates, and lease the sessions of ``where``, positions by number."""
        self.model.restart()
        self.row, self.found, self.cycle = self.model.rows(1, o__ready=1) \
            if "o__ready" in self.model.inputs.names else self.model.rows(1), [], 0
        for number, symbol in enumerate(SYMBOLS):
            self.step(i_symbol={"instrument": number, "symbol": int.from_bytes(symbol, "big")})
        for session in range(len(CAPACITY)):
            self.write(session, template_of(session))
        for session, position in where.items():
            self.update(session, SessionOperation.LEASE, position)

    def write(self, session, octets):
        for word in range(8):
            self.step(i_template={"session": session, "word": word, "data": int.from_bytes(
                octets[8 * word:8 * word + 8], "little")})

    def update(self, session, operation, position=None):
        given = {"session": session, "operation": int(operation),
                 **(vars(position) if position else {})}
        while not self.step(i_session=given)["i_session__ready"]:
            pass

    def step(self, ready=1, passes=0, killed=0, quiet=1, **streams):
        """Run one cycle; returns its outputs."""
        row = self.row
        for name in ("order", "i_symbol", "i_template", "i_session"):
            row[f"{name}__valid"] = name in streams
            if name in streams:
                self.model.put(row, f"{name}__payload", **streams[name])
        row["passes"], row["is_killed"], row["now"] = passes, killed, NOW + self.cycle
        row["is_quiet"] = quiet
        if "o__ready" in row.dtype.names:
            row["o__ready"] = ready
        self.last = self.model.run(row)[0]
        self.found.append(self.last)
        self.cycle += 1
        return self.last

    def take(self, order, passes=1, **controls):
        """Give an order until it is taken, then its verdict; returns the cycle."""
        if self.row["next_session"][0] != order.session:
            self.row["next_session"] = order.session
            self.step(**controls)
        while not self.step(order=order.fields(), **controls)["order__ready"]:
            pass
        taken = self.cycle - 1
        self.step(passes=passes, **controls)
        return taken

    def drain(self, cycles=20):
        for _ in range(cycles):
            self.step()

    def frames(self):
        """Return cycle of the first word and octets of each frame, words checked."""
        found, octets, at = [], b"", 0
        for cycle, row in enumerate(self.found):
            if not (row["o__valid"] and self.was_ready(cycle)):
                assert not octets or not self.was_ready(cycle), "a frame that has begun goes on"
                continue
            word = {name: int(self.model.get(row[None], "o__payload", name)[0])
                    for name in ("data", "keep", "first", "last", "error")}
            assert word["first"] == (not octets) and not word["error"]
            count = word["keep"].bit_count()
            assert word["keep"] == (1 << count) - 1 and (count == 8 or word["last"])
            at = at if octets else cycle
            octets += word["data"].to_bytes(8, "little")[:count]
            if word["last"]:
                found.append((at, octets))
                octets = b""
        assert not octets
        return found

    def was_ready(self, cycle):
        return cycle not in self.held

    held: frozenset = frozenset()

    def sent(self):
        """Return cycle and fields of each report."""
        names = ("token", "session", "sequence", "size", "is_blocked", "stamp")
        return [(cycle, {name: int(self.model.get(row[None], "sent__payload", name)[0])
                         for name in names})
                for cycle, row in enumerate(self.found) if row["sent__valid"]]
