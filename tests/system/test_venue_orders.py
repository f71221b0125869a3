"""The order port keeps sessions as SoupBinTCP asks, and outlives whatever a client sends.

Method: raw TCP sockets against a running venue without agents; packets are built with ``struct``
from the offsets of the specification.
"""

import logging
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests import exchange_client as ouch
from tests import exchange_receiver as receiver
from tests.exchange_client import BUY, SELL, Client, login, packet
from tests.exchange_reference import decode, messages
from tickwire.errors import TickwireError
from tickwire_sim.exchange.config import AccountConfig, LineConfig, SymbolConfig, VenueConfig
from tickwire_sim.exchange.venue import Venue

PRICE = 1_000_000


def start(**options):
    """A running venue of one symbol, without agents, on free ports."""
    venue = Venue(VenueConfig(**{
        "symbols": (SymbolConfig("AAPL", PRICE),), "messages_per_second": 0,
        "line_a": LineConfig("239.192.72.1", 0), "line_b": LineConfig("239.192.72.2", 0),
        "request_port": 0, "order_port": 0, "linger_seconds": 0.1, "store_octets": 1 << 20,
        "order_slots": 1 << 12,
        "accounts": tuple(AccountConfig(f"user{number}", f"pass{number}") for number in range(4)),
        **options}))
    venue.start()
    return venue


@pytest.fixture(scope="module")
def venue():
    made = start()
    yield made
    made.stop()


def client(venue, number, **options):
    """A client that is logged in to account ``number``."""
    return Client(venue.ports.orders, username=f"user{number}", password=f"pass{number}",
                  **options)


def eventually(condition):
    """Whether a condition comes true within a generous time."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


numbers = iter(range(1, 10**6))            # every order of this module has a number of its own


def order(side=BUY, quantity=100, price=PRICE, **others):
    """Enter Order with the next number."""
    return ouch.enter(next(numbers), side, quantity, "AAPL", price, **others)


def test_a_session_begins_with_the_start_of_day(venue):
    first = client(venue, 3)
    message = first.message()
    assert (first.session, message.type, message.event) == ("TICKWIRE01", b"S", b"S")
    first.close()


def test_two_clients_trade_and_the_market_sees_the_same_match(venue):
    line = receiver.join(*venue.ports.line_a)
    buyer, seller = client(venue, 0, sequence="0"), client(venue, 1, sequence="0")
    buyer.send(order(BUY, 100))
    accepted = buyer.message()
    seller.send(order(SELL, 60))
    sold = seller.messages(2)[1]
    bought = buyer.message()
    assert (bought.match, bought.quantity, bought.liquidity) == (sold.match, 60, b"A")
    assert sold.liquidity == b"R"
    buyer.send(ouch.cancel(accepted.number))
    assert buyer.message().quantity == 40
    shown = [decode(block) for block in receiver.blocks(line, 3)]
    assert [message.type for message in shown] == ["A", "E", "D"]
    assert shown[1].values == (accepted.reference, 60, sold.match)
    for one in (buyer, seller, line):
        one.close()


@pytest.mark.parametrize(("arguments", "reason"), [
    ({"username": "nobody"}, b"A"), ({"username": "user0", "password": "wrong"}, b"A"),
    ({"username": ""}, b"A"), ({"username": "user0", "password": "pass1"}, b"A"),
    ({"username": "user0", "password": "pass0", "session": "YESTERDAY"}, b"S"),
    ({"username": "user0", "password": "pass0", "sequence": "x"}, b"S"),
    ({"username": "user0", "password": "pass0", "sequence": ""}, b"S"),
    ({"username": "user0", "password": "pass0", "sequence": "-1"}, b"S"),
    ({"username": "user0", "password": "pass0", "sequence": "1 2"}, b"S"),
])
def test_a_login_that_does_not_fit_is_rejected_and_closed(venue, arguments, reason):
    one = Client(venue.ports.orders, login=False)
    one.send_raw(login(**arguments))
    assert one.packet() == (b"J", reason)
    assert one.is_closed()


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("username", ["user2", "USER2"])
def test_a_login_may_pad_on_either_side_and_use_any_case(venue, left, username):
    one = Client(venue.ports.orders, login=False)
    one.send_raw(login(username, "Pass2", "TICKWIRE01", "1", left))
    kind, payload = one.packet()
    assert (kind, payload) == (b"A", b"TICKWIRE01" + b"1".rjust(20))
    one.close()


def test_a_client_reads_on_where_it_was(venue):
    one = client(venue, 0, sequence="0")
    began = one.sequence
    one.send(order(SELL), order(SELL), order(SELL))
    accepted = one.messages(3)
    one.close()
    again = client(venue, 0, sequence=str(began + 1))
    assert again.sequence == began + 1
    assert again.messages(2) == accepted[1:]
    again.send(*(ouch.cancel(row.number) for row in accepted))
    assert [row.number for row in again.messages(3)] == [row.number for row in accepted]
    again.close()
    for asked, given in (("0", began + 6), (str(began + 6), began + 6), ("99999999999999999999",
                                                                         began + 6), ("1", 1)):
        one = client(venue, 0, sequence=asked)
        assert one.sequence == given, asked
        one.close()


def test_orders_stay_while_their_client_is_away_and_fills_wait_for_it(venue):
    away, other = client(venue, 0, sequence="0"), client(venue, 1, sequence="0")
    away.send(order(BUY, 100))
    away.message()
    following = away.sequence
    away.close()
    assert eventually(lambda: venue.statistics()["clients"] == 1)
    other.send(order(SELL, 100))
    other.messages(2)
    back = client(venue, 0, sequence=str(following))
    assert back.message().quantity == 100
    back.close()
    other.close()


def test_a_second_login_takes_the_session_over(venue):
    first = client(venue, 0)
    second = client(venue, 0, sequence="0")
    assert first.is_closed()
    second.send(ouch.query())
    assert second.message().type == b"Q"
    second.close()


def test_debug_packets_and_heartbeats_are_ignored(venue):
    one = client(venue, 0, sequence="0")
    one.send_raw(packet(b"+", b"hello") + packet(b"+") + packet(b"R"))
    one.send(ouch.query())
    assert one.message().type == b"Q"
    one.close()


def test_packets_may_come_octet_by_octet_and_with_the_login(venue):
    one = Client(venue.ports.orders, login=False)
    octets = login("user0", "pass0", sequence="0") + packet(b"U", ouch.query())
    for octet in octets:
        one.send_raw(bytes((octet,)))
        time.sleep(0.001)
    assert one.packet()[0] == b"A" and one.message().type == b"Q"
    one.close()
    one = Client(venue.ports.orders, login=False)
    one.send_raw(octets + packet(b"U", ouch.query()) * 300)
    assert one.packet()[0] == b"A"
    assert [row.type for row in one.messages(301)] == [b"Q"] * 301
    one.close()


def test_a_logout_closes_the_connection(venue):
    one = client(venue, 0, sequence="0")
    one.send_raw(packet(b"O"))
    assert one.is_closed()


MALFORMED = [
    b"\0\0", b"\0\1?", b"\2\1U" + bytes(512), b"\xff\xffU", packet(b"S", b"x"), packet(b"A"),
    login("user0", "pass0"), packet(b"U"),
]


@pytest.mark.parametrize("octets", MALFORMED)
def test_a_malformed_packet_closes_the_connection_with_one_line(venue, octets, caplog):
    caplog.set_level(logging.INFO, logger="tickwire.venue")
    counters = ("packets_malformed", "messages_malformed")
    before = sum(venue.statistics()[name] for name in counters)
    one = client(venue, 0, sequence="0")
    one.send_raw(octets + packet(b"U", order()))
    assert one.is_closed()
    assert eventually(lambda: sum(venue.statistics()[name] for name in counters) == before + 1)
    lines = [record for record in caplog.records if "malformed" in record.getMessage()]
    assert len(lines) == 1 and lines[0].levelno == logging.WARNING
    assert "\n" not in lines[0].getMessage()


@pytest.mark.parametrize("message", [b"Z", b"O", order()[:46], order() + b"\1", b"\0" * 47])
def test_a_malformed_message_closes_the_connection_and_is_counted(venue, message):
    before = venue.statistics()["messages_malformed"]
    one = client(venue, 0, sequence="0")
    one.send(message)
    assert one.is_closed()
    assert eventually(lambda: venue.statistics()["messages_malformed"] == before + 1)


@pytest.mark.parametrize("octets", [
    b"GET / HTTP/1.1\r\n\r\n", packet(b"U", b"Q"), b"\0\0", b"\0\x2fX", b"\1"])
def test_whoever_does_not_log_in_is_closed(venue, octets):
    before = venue.statistics()["packets_malformed"]
    one = Client(venue.ports.orders, login=False)
    one.send_raw(octets)
    assert one.is_closed()
    assert eventually(lambda: venue.statistics()["packets_malformed"] == before + 1)


def test_random_octets_never_stop_the_venue(venue):
    draw, steady = random.Random(1), client(venue, 1, sequence="0")
    for turn in range(60):
        one = Client(venue.ports.orders, login=False)
        octets = login("user0", "pass0", sequence="0") if turn % 2 else b""
        for _ in range(draw.randrange(1, 6)):
            body = draw.randbytes(draw.randrange(60))
            octets += packet(draw.choice([b"U", b"U", b"U", b"+", b"L", b"?"]),
                             draw.choice([b"O", b"U", b"X", b"M", b"C", b""]) + body)
        try:
            one.send_raw(octets)
            if turn % 3:
                one.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        one.close()
    steady.send(ouch.query())
    assert steady.message().type == b"Q"
    steady.close()


def test_one_connection_too_many_is_closed_and_counted(venue):
    assert eventually(lambda: venue.statistics()["clients"] == 0)
    crowd = [socket.create_connection(("127.0.0.1", venue.ports.orders)) for _ in range(64)]
    assert eventually(lambda: venue.statistics()["clients"] == 64)
    one = Client(venue.ports.orders, login=False)
    assert one.is_closed()
    assert venue.statistics()["connections_refused"] == 1
    for other in crowd:
        other.close()
    assert eventually(lambda: venue.statistics()["clients"] == 0)
    client(venue, 0).close()


def test_a_client_that_does_not_read_is_closed_and_finds_its_messages_later(venue):
    one = client(venue, 2, sequence="0")
    before = venue.statistics()["clients_slow"]
    one.socket.settimeout(1)
    burst = packet(b"U", ouch.query()) * 4_000
    try:
        for _ in range(2_000):
            one.send_raw(burst)
            if venue.statistics()["clients_slow"] > before:
                break
    except OSError:
        pass
    assert eventually(lambda: venue.statistics()["clients_slow"] == before + 1)
    one.close()
    again = client(venue, 2)
    assert again.sequence > 1, "the oldest messages have left the store"
    again.close()


def test_a_halt_and_a_resumption_are_told_and_obeyed(venue):
    line = receiver.join(*venue.ports.line_a)
    one = client(venue, 0, sequence="0")
    venue.halt("AAPL", "LUDP")
    shown = decode(*receiver.blocks(line, 1))
    assert (shown.type, shown.values) == ("H", (b"AAPL    ", b"H", b" ", b"LUDP"))
    one.send(order())
    assert one.message().reason == 0x07
    venue.resume("AAPL")
    assert decode(*receiver.blocks(line, 1)).values[1] == b"T"
    one.send(order(price=100, tif=b"3"))
    assert [row.type for row in one.messages(2)] == [b"A", b"C"]
    with pytest.raises(TickwireError, match="no symbol 'MSFT'"):
        venue.halt("MSFT")
    one.close()
    line.close()


def test_heartbeats_go_out_in_silence_and_a_silent_client_is_closed():
    venue = start(heartbeat_seconds=0.05, timeout_seconds=2)
    quiet, lively = client(venue, 0), client(venue, 1)
    assert quiet.message().event == lively.message().event == b"S"
    assert [quiet.packet() for _ in range(3)] == [(b"H", b"")] * 3

    def beat():
        while not stopping.wait(0.1):
            lively.send_raw(packet(b"R"))
    stopping, thread = threading.Event(), threading.Thread(target=beat)
    thread.start()
    assert quiet.is_closed()
    lively.send(ouch.query())
    assert lively.message().type == b"Q"
    stopping.set()
    thread.join()
    assert venue.statistics()["clients_silent"] == 1
    venue.stop()


def test_the_end_of_the_session_is_told_to_everyone_and_is_final():
    venue = start(linger_seconds=1)
    one = client(venue, 0)
    assert one.message().event == b"S"
    one.send(order())
    assert one.message().type == b"A"
    stopper = threading.Thread(target=venue.stop)
    stopper.start()
    kinds = []
    while (got := one.packet()) != (b"", b""):
        kinds.append(got)
    late = Client(venue.ports.orders, login=False)
    late.send_raw(login("user1", "pass1"))
    assert late.packet() == (b"J", b"S")
    stopper.join()
    parts = []
    venue.engine.save(1, lambda part: parts.append(bytes(part)))
    assert [row.values[0] for row in messages(b"".join(parts))[-3:]] == [b"M", b"E", b"C"]
    assert kinds[-1] == (b"Z", b"")
    last, = (ouch.decode(payload) for kind, payload in kinds if kind == b"S")
    assert (last.type, last.event) == (b"S", b"E")
    venue.stop()


@pytest.mark.parametrize("cancels", [True, False])
def test_orders_of_a_lost_connection_are_canceled_if_so_configured(cancels):
    venue = start(cancel_on_disconnect=cancels)
    one, other = client(venue, 0, sequence="0"), client(venue, 1, sequence="0")
    one.send(order(BUY, 100), order(BUY, 200))
    one.messages(2)
    other.send(order(SELL, 10, price=2 * PRICE))
    other.message()
    one.close()
    assert eventually(lambda: venue.statistics()["clients"] == 1)
    assert eventually(lambda: venue.engine.orders_live == (1 if cancels else 3))
    again = client(venue, 0, sequence="4")
    if cancels:
        again = client(venue, 0, sequence="4")
        assert {(row.type, row.reason) for row in again.messages(2)} == {(b"C", b"S")}
    again.close()
    other.close()
    venue.stop()


@pytest.mark.parametrize(("kind", "option", "said"), [
    (socket.SOCK_STREAM, "order_port", "Cannot take orders on TCP port {} of 127.0.0.1: "),
    (socket.SOCK_DGRAM, "request_port", "Cannot take requests on UDP port {} of 127.0.0.1: "),
])
def test_a_port_in_use_is_one_sentence(kind, option, said):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TickwireError) as error:
            start(**{option: port})
    assert str(error.value) == said.format(port) + "Address already in use."


def run_command(*arguments):
    """Run the venue as a command."""
    root = Path(__file__).parents[2]
    path = ":".join(str(root / part) for part in ("host", "sim", "hw"))
    return subprocess.Popen([sys.executable, "-m", "tickwire_sim.exchange", *arguments],
                            stderr=subprocess.PIPE, text=True, cwd=root,
                            env={"PYTHONPATH": path, "PATH": "", "HOME": str(Path.home())})


def test_the_command_runs_until_it_is_told_to_stop():
    process = run_command("--symbols", "2", "--rate", "2000", "--line-a", "239.192.72.3:0",
                          "--line-b", "239.192.72.4:0", "--request-port", "0", "--order-port", "0")
    assert process.stderr.readline().startswith("Venue TICKWIRE01: 2 symbols, lines 239.192.72.3:")
    time.sleep(0.5)
    process.terminate()
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 0 and " messages, " in rest and "Traceback" not in rest


@pytest.mark.parametrize(("arguments", "said"), [
    (("--symbols", "0"), "venue.symbols must be 1 to 16,384, not 0."),
    (("--line-a", "here"), "A line must be GROUP:PORT, not 'here'."),
    (("--line-a", "10.0.0.1:5"), "venue.line.group must be an IPv4 multicast address"),
    (("--loss", "2"), "venue.line.loss must be a number from 0 to 1, not 2.0."),
    (("--account", "toolongname"), "venue.accounts.username must be 1 to 6"),
])
def test_the_command_refuses_nonsense_in_one_sentence(arguments, said):
    process = run_command(*arguments)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 2 and said in error and error.count("\n") == 1


def test_the_bytes_of_a_login_answer_are_those_of_the_document(venue):
    one = Client(venue.ports.orders, login=False)
    one.send_raw(struct.pack(">Hc6s10s10s20s", 47, b"L", b"user1 ", b"pass1     ", b" " * 10,
                             b"1".rjust(20)))
    received = b""
    while len(received) < 33:
        received += one.socket.recv(33 - len(received))
    assert received == struct.pack(">Hc10s20s", 31, b"A", b"TICKWIRE01", b"1".rjust(20))
    one.close()
