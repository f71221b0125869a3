"""A session leased to the engine: orders of another thread, and the event loop between them.

Method: a thread does what the engine's loop does with ORDER_RELEASED records, the kernel of the
lease included, while mail goes out and an acceptor on loopback asks for tests and resends; what the
acceptor was told must be every order, once, in order, and the same octets as in the store.
"""

import asyncio
import socket
import threading
import time

import numpy as np
import pytest

from tests.fix.link import Recorder, rules
from tests.unit.test_fix_orders import released
from tickwire.kernels import fix_lease as kernels
from tickwire.orders.fix.acceptor import Acceptor
from tickwire.orders.fix.audit import SENT, AuditLog
from tickwire.orders.fix.bodies import fields
from tickwire.orders.fix.gate import OrderGate
from tickwire.orders.fix.initiator import Initiator
from tickwire.orders.fix.journal import scan
from tickwire.orders.fix.lease import EngineLease
from tickwire.orders.fix.parse import parse
from tickwire.orders.fix.route import OrderRoute
from tickwire.orders.fix.session import Session
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.store import FileStore, MemoryStore
from tickwire.orders.release import ReleaseQueue
from tickwire.spec.intents import Operation

ORDERS = 400


class Desk:
    """The initiator's side as ``fix_link`` makes it."""

    def __init__(self, folder, port: int = 0, durability: str = "none", **settings) -> None:
        entry = FIXSessionSettings(sender="US", target="THEM", port=port, reconnect_ms=20,
                                   lease=True, **settings)
        self.store = FileStore(folder / "us.store", entry.identity, time.time_ns(), durability)
        self.session = Session(entry, rules("FIX.4.4"), self.store)
        self.queue = ReleaseQueue()
        self.gate = OrderGate(self.session, self.queue, "K7-")
        self.settled: list[dict] = []
        self.route = self.session.application = OrderRoute(self.gate, self.settled.append,
                                                           lambda _: None)
        self.lease = self.session.lease = EngineLease(self.session, self.gate, self.queue,
                                                      self.route.refuse)
        self.row = np.zeros(1, released().dtype)

    def release(self, operation: Operation = Operation.NEW, **values: int | bytes) -> int:
        """Do what the engine's loop does with a record."""
        self.row[0] = released(operation, **values)
        found = kernels.release(self.lease.address, self.queue.address, self.row.ctypes.data)
        if found == kernels.HANDED_OVER:
            socket.socket(fileno=socket.dup(self.queue.wake)).send(b"x")
        return found

    def close(self) -> None:
        self.queue.close()
        self.store.close()


class Venue(Recorder):
    """Keeps every order's octets, and is a nuisance now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.octets: list[bytes] = []

    def on_message(self, session, message) -> None:
        self.octets.append(message.octets)
        if len(self.octets) % 40 == 0:
            session._transmit("1", fields((112, b"T")))
        if len(self.octets) % 90 == 0:
            session._transmit("2", fields((7, 2), (16, 0)))


def test_every_order_arrives_once_and_in_order_whatever_the_loop_does(tmp_path):
    venue = Venue()

    async def run() -> None:
        entry = FIXSessionSettings(role="acceptor", sender="THEM", target="US")
        theirs = Session(entry, rules("FIX.4.4"), MemoryStore(time.time_ns()), venue,
                         guarded=frozenset())
        acceptor = Acceptor([theirs], "127.0.0.1", 0)
        await acceptor.start()
        desk = Desk(tmp_path, acceptor.port)
        audit = AuditLog(tmp_path, "fix")
        initiator = Initiator(desk.session, audit=audit)
        task = asyncio.create_task(initiator.run())
        while not desk.session.is_logged_on:
            await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        loop.add_reader(desk.queue.fileno(), desk.route.pump)
        sent = []

        def engine() -> None:
            for token in range(1, ORDERS + 1):
                sent.append(desk.release(token=token))
                if token % 50 == 0:        # a cancel is control's; what follows must not overtake
                    desk.release(Operation.CANCEL, token=token, quantity=0, total=300)
                time.sleep(0.0005)
        thread = threading.Thread(target=engine)
        thread.start()
        while thread.is_alive():
            desk.session.send("C", b"33=1\x0158=line\x0194=0\x01147=mail\x01164=T\x01")
            await asyncio.sleep(0.02)
        for _ in range(500):
            if len([one for one in venue.octets if b"\x0135=D\x01" in one]) == ORDERS:
                break
            await asyncio.sleep(0.01)
        loop.remove_reader(desk.queue.fileno())
        assert desk.lease.messages == sent.count(kernels.SENT) > ORDERS // 4
        assert set(desk.gate.orders) == set(range(1, ORDERS + 1))
        await initiator.stop()
        await task
        await acceptor.stop()
        audit.close()
        desk.close()
    asyncio.run(asyncio.wait_for(run(), 60))
    came = [parse(one, rules("FIX.4.4")) for one in venue.octets]
    assert [one.fault for one in came] == [None] * len(came)
    assert [one.text(11) for one in came if one.msg_type == "D"] == [
        f"K7-{token}" for token in range(1, ORDERS + 1)]
    places = [one.text(41 if one.msg_type == "F" else 11) for one in came
              if one.msg_type in "DF" and one.text(11).startswith("K7-50")]
    assert places == ["K7-50", "K7-50"]    # the cancel behind its order
    numbers = [one.seq_num for one in came]
    assert numbers == sorted(set(numbers))
    store = FileStore(tmp_path / "us.store", "FIX.4.4:US->THEM", 1)
    kept = dict(store.sent(1, store.next_out))
    assert all(kept[one.seq_num] == one.octets for one in came if not one.is_possible_duplicate)
    store.close()
    journal, = tmp_path.glob("fix-*.audit")
    logged = b"".join(record.payload for record in scan(journal) if record.kind == SENT)
    assert all(one.octets in logged for one in came)


def desk_with_a_socket(tmp_path, **settings) -> tuple[Desk, socket.socket, socket.socket]:
    desk = Desk(tmp_path, **settings)
    near, far = socket.socketpair()
    near.setblocking(False)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    return desk, near, far


def test_what_the_socket_does_not_take_is_written_by_the_loop(tmp_path):
    desk, near, far = desk_with_a_socket(tmp_path)
    desk.lease.give(near.fileno())
    found = [desk.release(token=token) for token in range(1, 200)]
    whole = found.index(kernels.HANDED_OVER)
    assert found == [kernels.SENT] * whole + [kernels.HANDED_OVER] * (199 - whole)
    desk.lease.take()
    records, left = desk.lease.collect()
    assert [record.number for record in records] == list(range(1, whole + 1))
    far.setblocking(False)
    got = far.recv(1 << 20)
    while True:
        try:
            got += far.recv(1 << 20)
        except BlockingIOError:
            break
    assert left and got + left == b"".join(record.payload for record in records)
    assert [octets for _, octets in desk.store.sent(1, whole)] == [
        record.payload for record in records]
    # The rest was refused, because the session is not on; nothing of it has a number.
    assert [one["token"] for one in desk.settled] == list(range(whole + 1, 200))
    assert desk.store.next_out == whole + 1
    near.close()
    far.close()
    desk.close()


@pytest.mark.parametrize("settings", [{"durability": "each"}, {"messages_per_second": 10}])
def test_a_session_that_must_not_be_leased_is_not(tmp_path, settings):
    desk, near, far = desk_with_a_socket(tmp_path, **settings)
    desk.lease.give(near.fileno())
    assert desk.release(token=1) == kernels.HANDED_OVER
    near.close()
    far.close()
    desk.close()


def test_the_engine_sends_new_orders_only_and_none_while_control_has_the_session(tmp_path):
    desk, near, far = desk_with_a_socket(tmp_path)
    desk.lease.give(near.fileno())
    assert desk.release(token=1) == kernels.SENT
    kernels.take_back(desk.lease.address)
    assert desk.release(token=2) == kernels.HANDED_OVER
    kernels.give(desk.lease.address)
    assert desk.release(token=3) == kernels.HANDED_OVER, "2 is not sent yet"
    desk.lease.take()
    desk.lease.give(near.fileno())
    for operation in (Operation.CANCEL, Operation.REPLACE):
        assert desk.release(operation, token=4, previous=1) == kernels.HANDED_OVER
        desk.lease.take()
        desk.lease.give(near.fileno())
    assert desk.release(token=5) == kernels.SENT
    assert far.recv(1 << 16).count(b"\x0135=D\x01") == 2
    near.close()
    far.close()
    desk.close()


def test_a_window_of_the_store_that_is_full_ends_the_engines_turn_and_no_record_is_lost(tmp_path):
    desk, near, far = desk_with_a_socket(tmp_path)
    far.setblocking(False)
    tokens = iter(range(1, 5_000))
    for _ in range(3):
        desk.lease.give(near.fileno())
        while desk.release(token=next(tokens)) == kernels.SENT:
            far.recv(1 << 16)
        desk.lease.take()
    count = desk.lease.messages
    assert count > 2_000 and desk.store.next_out == count + 1
    desk.close()
    store = FileStore(tmp_path / "us.store", "FIX.4.4:US->THEM", 1)
    assert [number for number, _ in store.sent(1, count)] == list(range(1, count + 1))
    store.close()
    near.close()
    far.close()
