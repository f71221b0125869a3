"""Fuzz the FIX session, guided by coverage: ``python -m tests.fuzz.fix_session [OPTION ...]``.

Octets choose what happens: a message of some type, number and fields, raw octets, time,
a connection that is lost. What must hold whatever happens: nothing is raised, every message that
goes out is one, its number is the next, everything sent is in the store, the number that is awaited
goes back only with a reset, and what is kept stays within its bounds.
"""

from tests.fix.link import SECOND, START, Clock, Recorder, mail, rules
from tests.fuzz.watch import fuzz
from tickwire.orders.fix.encode import assemble
from tickwire.orders.fix.parse import Receiver
from tickwire.orders.fix.sending import State
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.store import MemoryStore
from tickwire.orders.fix.times import utc_timestamp

TYPES = (b"A", b"0", b"1", b"2", b"3", b"4", b"5", b"C", b"*", b"8")
FIELDS = (b"98=0\x01108=30\x01", b"112=X\x01", b"7=1\x0116=0\x01", b"36=20\x01123=Y\x01",
          b"36=2\x01", b"43=Y\x01", b"141=Y\x01", b"45=1\x01", mail("m"), b"58=\x01",
          b"789=2\x01", b"36=9999999999999999999\x01", b"7=0\x0116=5\x01", b"123=N\x01")
STEPS_MAX = 60
SEEDS = [bytes([0]) + bytes([0, 0, 1, 0b1, 0]) + bytes([0, 2, 1, 0b10, 0]) * 3,
         bytes([1]) + bytes([0, 0, 1, 0b1, 0]) + bytes([0, 7, 5, 0b100000000 & 255, 1]),
         bytes([2]) + bytes([0, 0, 4, 0b1, 0, 2, 40, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1, 0b1, 0]),
         bytes([0]) + bytes([0, 0, 1, 0b1, 0, 0, 3, 2, 0b100, 0, 0, 5, 9, 0b1000, 0])]


class Rig:
    """One session and the octets that it says."""

    def __init__(self, kind: int) -> None:
        self.clock, self.application = Clock(), Recorder()
        settings = FIXSessionSettings(
            role="initiator" if kind & 1 else "acceptor", sender="US", target="THEM",
            reset_on_logon=bool(kind & 2), next_expected=bool(kind & 4))
        self.session = Session(settings, rules("FIX.4.4"), MemoryStore(START), self.application,
                               clock=self.clock)
        self.receiver = Receiver(rules("FIX.4.4"), octets_max=1 << 17, message_octets_max=2_048)
        self.out = Receiver(rules("FIX.4.4"), octets_max=1 << 17, message_octets_max=2_048)
        self.number = 0
        self.session.connected()
        self.check()

    def message(self, choice: int, offset: int, mask: int, more: int) -> None:
        """Let a message come whose number is near the one that is awaited."""
        number = max(0, self.session.store.next_in + offset % 8 - 2)
        body = b"".join(field for bit, field in enumerate(FIELDS) if (mask | more << 8) >> bit & 1)
        header = [(34, b"%d" % number), (49, b"THEM" if offset < 250 else b"NOBODY"),
                  (52, utc_timestamp(self.clock.now)), (56, b"US")]
        if offset & 8:
            header += [(43, b"Y"), (122, utc_timestamp(self.clock.now - (offset & 16) * SECOND))]
        self.octets(assemble(b"FIX.4.4" if offset < 254 else b"FIX.4.2",
                             TYPES[choice % len(TYPES)], header, body))

    def octets(self, octets: bytes) -> None:
        """Let octets come."""
        self.receiver.feed(octets)
        while (parsed := self.receiver.next()) is not None:
            before, created = self.session.store.next_in, self.session.store.created
            self.session.received(parsed)
            assert self.session.store.next_in >= before or self.session.store.created != created \
                or self.session.store.next_in <= 2
            self.check()

    def pass_time(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.move(seconds)
        self.session.tick()
        assert self.session.deadline() > self.clock.now or self.session.closing
        self.check()

    def lose(self) -> None:
        """Lose the connection and have another one."""
        self.session.disconnected("lost")
        assert self.session.state is State.DISCONNECTED and not self.session.take()
        self.receiver.clear()
        self.session.connected()
        self.check()

    def check(self) -> None:
        """Assert what holds after every event."""
        session, out = self.session, self.out
        for _ in range(1_000):
            out.feed(session.take())
            while (parsed := out.next()) is not None:
                assert not parsed.garbled and parsed.fault is None, parsed
                assert parsed.is_possible_duplicate or parsed.seq_num < session.store.next_out
            if not session.has_more:
                break
            session.resume()
        assert out.pending == 0 and not session.has_more
        stored = [number for number, _ in session.store.sent(1, 1 << 60)]
        assert stored == list(range(1, session.store.next_out))
        if session.closing:
            self.session.disconnected("closed")
            self.receiver.clear()
            self.session.connected()
            session.take()


def one_input(data: bytes) -> None:
    """Run a session through what ``data`` says: the first octet its settings, five a step."""
    if not data:
        return
    rig = Rig(data[0])
    for place in range(1, min(len(data) - 4, 5 * STEPS_MAX), 5):
        what, *values = data[place:place + 5]
        if what % 8 < 5:
            rig.message(*values)
        elif what % 8 == 5:
            rig.octets(data[place + 1:place + 2 + values[0]])
        elif what % 8 == 6:
            rig.pass_time(values[0])
        else:
            rig.lose()


if __name__ == "__main__":
    fuzz(one_input, SEEDS, ["tickwire.orders.fix"])
