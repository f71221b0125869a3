"""What a FIX session does beside the acceptance definitions: schedule, throttle, gate, bounds.

Method: two sessions talk through memory on a clock that is moved by hand; the lines that a peer may
not send are written octet by octet. tests/fix/definitions hold what is answered to what.
"""

import logging

import pytest

from tests.fix.link import MAIL, SECOND, START, Link, mail, rules
from tickwire.orders.fix.application import ORDER_TYPES, GateError, SendError
from tickwire.orders.fix.drop_copy import DropCopy
from tickwire.orders.fix.early import MESSAGES_MAX
from tickwire.orders.fix.encode import assemble
from tickwire.orders.fix.gaps import RESEND_STEP
from tickwire.orders.fix.journal import StoreError
from tickwire.orders.fix.parse import parse
from tickwire.orders.fix.session import GARBAGE_MAX
from tickwire.orders.fix.store import MemoryStore
from tickwire.orders.fix.times import utc_timestamp

REPORT = b"6=0\x0114=0\x0117=x\x0137=o\x0139=0\x0154=1\x0155=A\x01150=0\x01151=1\x01"


def logged_on(**options):
    link = Link(**options)
    link.connect()
    link.settle()
    assert link.left.session.is_logged_on and link.right.session.is_logged_on
    return link


def message(link, number, kind="0", body=b"", sender=b"US", target=b"THEM"):
    """What ``sender`` would send now, parsed as the other side does."""
    return parse(assemble(b"FIX.4.4", kind.encode(), [
        (34, b"%d" % number), (49, sender), (52, utc_timestamp(link.clock.now)), (56, target)],
        body), rules("FIX.4.4"))


def sent(session):
    """Types and texts of what a session has to say."""
    octets = session.take().split(b"\x018=FIX")
    return [b"".join(part.split(b"\x0135=")[1:2])[:1].decode() for part in octets if part]


@pytest.mark.parametrize("kind", sorted(ORDER_TYPES))
def test_orders_do_not_pass_beside_the_gate(kind):
    link = logged_on()
    with pytest.raises(GateError, match="only orders that a device released"):
        link.left.session.send(kind, b"11=ID\x01")
    assert link.left.store.next_out == 2


@pytest.mark.parametrize("kind, body, header, words", [
    ("D\x0150=x", b"11=ID\x01", (), "no type of a message"),
    ("", b"35=D\x0111=ID\x01", (), "no type of a message"),
    ("TOOLONGIT", b"", (), "no type of a message"),
    (MAIL, b"58=no end", (), "does not end with SOH"),
    (MAIL, mail(1), [(35, b"D")], "35=b'D' is no field"),
    (MAIL, mail(1), [(34, b"7")], "34=b'7' is no field"),
    (MAIL, mail(1), [(129, b"x\x0135=D")], "129=b'x"),
    (MAIL, mail(1), [(129, b"")], "129=b''"),
    *((kind, b"", (), "a message of the session") for kind in "012345A")])
def test_what_is_no_message_of_an_application_is_not_sent(kind, body, header, words):
    link = logged_on()
    with pytest.raises(SendError, match=words):
        link.left.session.send(kind, body, header)
    assert link.left.store.next_out == 2 and link.left.session.take() == b""


def test_nothing_is_sent_before_the_logon_or_after_the_logout():
    link = Link()
    with pytest.raises(SendError, match=r"FIX\.4\.4:US->THEM: not logged on \(disconnected\)"):
        link.left.session.send(MAIL, mail(1))
    link.connect()
    with pytest.raises(SendError, match="waiting for a Logon"):
        link.left.session.send(MAIL, mail(1))
    link.settle()
    link.left.session.logout("enough")
    with pytest.raises(SendError, match="waiting for a Logout"):
        link.left.session.send(MAIL, mail(1))
    link.collect()
    link.settle()
    assert link.left.application.events == ["logon", "logout: Logout"]
    assert link.right.application.events == ["logon", "logout: Logout: enough"]


def test_what_is_kept_while_nobody_is_there_comes_after_the_logon():
    link = Link()
    for number in range(3):
        link.left.session.send(MAIL, mail(number), is_kept=True)
    link.connect()
    link.settle()
    assert link.right.application.subjects == ["0", "1", "2"]


def test_the_throttle_lets_a_burst_pass_and_then_the_rate():
    link = logged_on(messages_per_second=10, burst=3)
    for _ in range(3):
        link.left.session.send(MAIL, mail(1))
    with pytest.raises(SendError, match="more than 10 messages a second"):
        link.left.session.send(MAIL, mail(1))
    link.clock.move(0.1)
    link.left.session.send(MAIL, mail(1))
    with pytest.raises(SendError):
        link.left.session.send(MAIL, mail(1))
    link.clock.move(60)
    for _ in range(3):
        link.left.session.send(MAIL, mail(1))
    with pytest.raises(SendError):
        link.left.session.send(MAIL, mail(1))


@pytest.mark.parametrize("given, is_on", [({}, True), ({"password": "wrong"}, False),
                                          ({"username": "wrong"}, False)])
def test_an_acceptor_checks_username_and_password(given, is_on):
    link = Link(username="name", password="secret")
    for key, value in given.items():
        object.__setattr__(link.left.settings, key, value)
    link.connect()
    link.settle()
    assert link.right.session.is_logged_on is is_on
    assert "secret" not in repr(link.left.settings)


def test_a_session_is_open_only_in_its_hours_and_begins_at_1_with_each(caplog):
    # The clock stands at 14:13:20 UTC, 10:13:20 in New York.
    link = Link(start_time="09:30:00", end_time="10:14:00", time_zone="America/New_York",
                heartbeat_seconds=0)
    link.connect()
    link.settle()
    link.clock.move(39)
    link.left.session.tick()
    assert link.left.session.is_logged_on
    assert link.left.session.deadline() == START + 40 * SECOND
    link.clock.move(1)
    link.left.session.tick()
    link.collect()
    link.settle()
    assert link.left.application.events == ["logon", "logout: Logout"]
    link.connect()
    assert link.left.session.closing == "the session is not open at this time"
    link.drop()
    link.clock.move(86_400 - 60)
    link.connect()
    link.settle()
    assert (link.left.store.next_out, link.right.store.next_out) == (2, 2)


@pytest.mark.parametrize("after_ms, back_after, events", [
    (0, None, ["logon", "logout: lost", "cancel"]),
    (500, 0.4, ["logon", "logout: lost", "logon"]),
    (500, 0.6, ["logon", "logout: lost", "cancel", "logon"])])
def test_open_orders_are_cancelled_when_the_connection_is_not_back_in_time(after_ms, back_after,
                                                                           events):
    link = logged_on(cancel_on_disconnect=True, cancel_after_ms=after_ms)
    link.drop()
    link.clock.move(back_after or 0)
    link.right.session.tick()
    if back_after:
        link.connect()
        link.settle()
    link.clock.move(0.5)
    link.right.session.tick()
    assert link.right.application.events == events


def test_an_application_that_fails_ends_nothing(caplog):
    link = logged_on()

    def fail(*_):
        raise RuntimeError("not today")
    link.right.application.on_message = fail
    with caplog.at_level(logging.CRITICAL, "tickwire.fix"):
        link.left.session.send(MAIL, mail(1))
        link.collect()
        link.settle()
    assert link.right.session.is_logged_on
    assert link.right.store.next_in == 3


def test_a_store_that_fails_ends_the_session():
    class Broken(MemoryStore):
        def put(self, octets, time):
            raise StoreError("the disk is full")
    link = logged_on()
    link.left.session.store = Broken(START)
    with pytest.raises(StoreError):
        link.left.session.send(MAIL, mail(1))
    assert "the store failed" in link.left.session.closing
    with pytest.raises(SendError):
        link.left.session.send(MAIL, mail(2))
    assert link.left.session.take() == b""


def test_a_store_that_cannot_be_synced_keeps_nobody_uninformed():
    class Broken(MemoryStore):
        def sync(self):
            raise StoreError("the disk refuses")
    link = logged_on(cancel_on_disconnect=True, cancel_after_ms=100)
    session = link.left.session
    session.store = Broken(START)
    with pytest.raises(StoreError):
        session.disconnected("lost")
    assert link.left.application.events == ["logon", "logout: lost"]
    link.clock.move(0.1)
    session.tick()
    assert link.left.application.events[2:] == ["cancel"]


def test_a_gap_that_is_not_filled_is_asked_for_again_after_a_while():
    link = logged_on(heartbeat_seconds=0)
    session = link.right.session
    session.received(message(link, 5))
    session.received(message(link, 6))
    assert sent(session) == ["2"]
    link.clock.move(31)
    session.received(message(link, 7))
    assert sent(session) == ["2"]


def test_early_messages_are_kept_within_bounds_and_what_was_dropped_is_asked_for():
    link = logged_on(heartbeat_seconds=0)
    session = link.right.session
    for number in range(3, MESSAGES_MAX + 100):
        session.received(message(link, number))
    assert sent(session) == ["2"]
    session.received(message(link, 2))
    assert link.right.store.next_in == MESSAGES_MAX + 3
    session.received(message(link, MESSAGES_MAX + 100))
    assert sent(session) == ["2"]


def test_a_flood_of_resend_requests_is_answered_in_steps():
    link = logged_on(heartbeat_seconds=0)
    session = link.right.session
    for number in range(1_000):
        session.send(MAIL, mail(number))
    session.take()
    for number in range(2, 502):
        session.received(message(link, number, "2", b"7=1\x0116=0\x01"))
    assert session.has_more
    assert len(session.take().split(b"\x018=FIX")) <= 2 * RESEND_STEP
    count = 0
    while session.has_more:
        session.resume()
        count += len(session.take().split(b"\x018=FIX"))
    assert 1_000 - 2 * RESEND_STEP <= count <= 1_001


def test_overlapping_requests_are_both_answered():
    link = logged_on(heartbeat_seconds=0)
    session = link.right.session
    for number in range(300):
        session.send(MAIL, mail(number))
    session.take()
    session.received(message(link, 2, "2", b"7=2\x0116=150\x01"))
    session.received(message(link, 3, "2", b"7=250\x0116=260\x01"))
    octets = session.take()
    while session.has_more:
        session.resume()
        octets += session.take()
    repeated = {int(part.split(b"\x01")[0]) for part in octets.split(b"\x0134=")[1:]}
    assert {*range(2, 151), *range(250, 261)} <= repeated


def test_garbage_without_end_ends_the_connection_with_one_line(caplog):
    link = logged_on()
    session = link.right.session
    garbage = parse(b"8=FIX.4.4\x019=x\x01" + b"?" * 60_000, None)
    with caplog.at_level(logging.WARNING, "tickwire.fix"):
        logging.getLogger("tickwire.fix").setLevel(logging.WARNING)
        while not session.closing:
            session.received(garbage)
        logging.getLogger("tickwire.fix").setLevel(logging.CRITICAL)
    assert GARBAGE_MAX // 60_000 < session.garbled < GARBAGE_MAX // 60_000 + 3
    assert len(caplog.records) == 2
    assert link.right.store.next_in == 2


@pytest.mark.parametrize("number", [b"36=99999999999999999999\x01", b"36=4611686018427387904\x01"])
def test_numbers_that_no_store_can_hold_are_rejected(number):
    link = logged_on()
    link.right.session.received(message(link, 2, "4", number))
    assert sent(link.right.session) == ["3"]
    assert link.right.store.next_in == 2


def test_a_watcher_whose_store_is_full_takes_nothing_from_the_session_that_it_watches():
    class Full(MemoryStore):
        def put(self, octets, time):
            raise StoreError("the disk is full")
    link, watch = logged_on(), logged_on()
    watch.left.session.store = Full(START)
    for end in (link.left, link.right):
        end.session.application = DropCopy(end.application, [watch.left.session])
    link.right.session.send("8", REPORT)
    link.collect()
    link.settle()
    assert link.left.application.subjects == ["8"] and link.left.store.next_in == 3
    assert link.left.session.is_logged_on and link.right.session.is_logged_on


def test_reports_are_copied_to_a_session_that_watches():
    link, watch = logged_on(), logged_on()
    link.left.session.application = DropCopy(link.left.application, [watch.left.session])
    link.right.session.send("8", REPORT)
    link.right.session.send(MAIL, mail(1))
    link.collect()
    link.settle()
    watch.collect()
    copied = []
    watch.right.application.on_message = lambda _, message: copied.append(message)
    watch.settle()
    assert [(one.msg_type, one.text(115), one.body()) for one in copied] == [("8", "US", REPORT)]
    assert link.left.application.subjects == ["8", "1"]


@pytest.mark.parametrize("silent, expected", [
    (29.9, []), (30, ["0"]), (36, ["1"]), (71.9, ["1"]), (72, [])])
def test_silence_gives_a_heartbeat_then_a_test_then_the_end(silent, expected):
    link = logged_on(heartbeat_seconds=30)
    session = link.right.session
    link.clock.move(silent)
    session.tick()
    assert sent(session) == expected
    assert bool(session.closing) == (silent >= 72)


def test_periods_begin_anew_when_the_clock_was_set_back():
    link = logged_on(heartbeat_seconds=30)
    session = link.right.session
    link.clock.move(-3_600)
    session.tick()
    assert sent(session) == []
    link.clock.move(30)
    session.tick()
    assert sent(session) == ["0"]
    link.clock.move(42)
    session.tick()
    assert session.closing


def test_a_tick_is_asked_for_when_something_is_due():
    link = logged_on(heartbeat_seconds=30)
    session = link.right.session
    assert session.deadline() == START + 30 * SECOND
    link.clock.move(30)
    session.tick()
    assert session.deadline() == START + 36 * SECOND
    link.clock.move(6)
    session.tick()
    assert session.deadline() == START + 72 * SECOND
