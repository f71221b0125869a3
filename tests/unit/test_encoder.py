"""Octets of orders out and meaning of answers in, against the OUCH 5.0 document and recordings.

Expected octets are written out by hand from the offsets of the document; the recordings are of a
real port. Every type of answer is also sent with every wrong length.
"""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.order_rig import BUY, DOLLAR, LOCATES, SELL, SETTLE, SHORT, Rig
from tickwire.kernels import encoder, translate
from tickwire.spec import ouch50
from tickwire.spec.intents import IntentFlag, Operation

IOC, POST = IntentFlag.IMMEDIATE, IntentFlag.POST_ONLY


@pytest.fixture(scope="module")
def rig():
    return Rig()


def recorded(folder, name):
    """TCP payload of the first frame of a recording; IPv4 and TCP headers have 20 octets each."""
    frame = (folder / "omi_pcaps" / "ouch50" / name).read_bytes()[24 + 16:]
    datagram = frame[18 if frame[12:14] == b"\x81\x00" else 14:]     # with or without a VLAN tag
    return datagram[40:int.from_bytes(datagram[2:4], "big")]


def test_enter_order_is_the_documents_octets(rig):
    packet = rig.new(price=123_4500, quantity=0x01_0203, intent_id=0xDEAD_BEEF, strategy=0x0B,
                     session=1)
    token = rig.last()[1]["token"]
    assert packet == (
        b"\x00\x30" b"U"                        # 48 octets follow
        b"O" + token.to_bytes(4, "big") + b"B" b"\x00\x01\x02\x03" b"AAPL    "
        b"\x00\x00\x00\x00\x00\x12\xd6\x44"     # 123.4500 dollars
        b"0" b"Y" b"P" b"N" b"N" b"DEADBEEF000B01" b"\x00\x00")
    assert len(packet) == 3 + 47


@pytest.mark.parametrize("flags, side, force, tail", [
    (BUY, b"B", b"0", b"\x00\x00"), (SELL, b"S", b"0", b"\x00\x00"),
    (SHORT, b"T", b"0", b"\x00\x00"),
    (BUY | IOC, b"B", b"3", b"\x00\x00"), (SHORT | POST, b"T", b"0", b"\x00\x03\x02\x0cP"),
    (SELL | IOC | POST, b"S", b"3", b"\x00\x03\x02\x0cP")])
def test_flags_of_an_intent_are_side_time_in_force_and_post_only(rig, flags, side, force, tail):
    packet = rig.new(flags=flags, price=100 * DOLLAR, quantity=1, locate=LOCATES[1])
    rig.records()
    assert packet[:2] == struct.pack(">H", len(packet) - 2)
    assert packet[8:9] == side and packet[13:21] == b"BRK.B   " and packet[29:30] == force
    assert packet[48:] == tail


def test_replace_and_cancel_are_the_documents_octets(rig):
    rig.new(flags=SELL)
    old = rig.last()[1]["token"]
    packet = rig.new(operation=Operation.REPLACE, token=old, price=100 * DOLLAR + 100,
                     quantity=77, flags=POST, intent_id=10, strategy=11)
    new = rig.last()[1]["token"]
    assert packet == (
        b"\x00\x2c" b"U" b"U" + old.to_bytes(4, "big") + new.to_bytes(4, "big")
        + b"\x00\x00\x00\x4d" b"\x00\x00\x00\x00\x00\x0f\x42\xa4"
        b"0" b"Y" b"N" b"0000000A000B00" b"\x00\x03\x02\x0cP")
    packet = rig.new(operation=Operation.CANCEL, token=old, quantity=0x0102)
    assert packet == b"\x00\x0a" b"U" b"X" + old.to_bytes(4, "big") + b"\x00\x00\x01\x02"
    rig.records()


def test_an_order_equals_a_recorded_one_up_to_the_clients_id(shared_data):
    expected = recorded(shared_data, "EnterOrderMessage.pcap")
    rig = Rig(first_token=int.from_bytes(expected[4:8], "big"), capacity="A")
    rig.arena.view("symbols", np.int64)[0] = int.from_bytes(b"CVLT    ", "big")
    packet = rig.new(price=630_200, quantity=225, flags=SHORT)
    assert packet[2:34] == expected[2:34]


@given(st.integers(0, 0xFFFF_FFFF))
def test_hexadecimal_digits_are_pythons(value):
    assert int(encoder.hexadecimal(value)).to_bytes(8, "big") == f"{value:08X}".encode()


# --- answers -----------------------------------------------------------------------------------

TIME, TOKEN, OLD, REFERENCE, MATCH = 0x0102_0304_0506, 0xFFFF_FFF0, 8, 1 << 60, (1 << 64) - 2
ID = b"ABCDEFGHIJKLMN"
ACCEPTED = struct.pack(">cQIcI8sQccQcccc14s", b"A", TIME, TOKEN, b"B", 100, b"AAPL    ", 990_000,
                       b"0", b"Y", REFERENCE, b"P", b"N", b"N", b"L", ID)
REPLACED = struct.pack(">cQIIcI8sQccQcccc14s", b"U", TIME, OLD, TOKEN, b"B", 60, b"AAPL    ",
                       990_100, b"0", b"Y", REFERENCE, b"P", b"N", b"N", b"L", ID)
CANCELED = struct.pack(">cQIIc", b"C", TIME, TOKEN, 40, b"U")
AIQ = struct.pack(">cQIIcIQcc", b"D", TIME, TOKEN, 30, b"Q", 31, 990_000, b"A", b"M")
EXECUTED = struct.pack(">cQIIQcQ", b"E", TIME, TOKEN, 20, 990_000, b"A", MATCH)
REJECTED = struct.pack(">cQIH14s", b"J", TIME, TOKEN, 0x1D, ID)
NOTHING = b"\x00\x00"                       # an appendage of no octets
PART = b"\x00\x03\x02\x0cP"                 # post only

# name: octets, fields of the settle intent
CASES = {
    "accepted": (ACCEPTED + NOTHING, dict(operation=16, price=990_000, quantity=100,
                                          reference=REFERENCE)),
    "accepted with options": (ACCEPTED + PART, dict(operation=16, price=990_000, quantity=100,
                                                    reference=REFERENCE)),
    "accepted dead": (ACCEPTED[:47] + b"D" + ACCEPTED[48:] + NOTHING,
                      dict(operation=16, flags=1, price=990_000, quantity=100,
                           reference=REFERENCE)),
    "replaced": (REPLACED + NOTHING, dict(operation=20, price=990_100, quantity=60, previous=OLD,
                                          reference=REFERENCE)),
    "replaced dead": (REPLACED[:51] + b"D" + REPLACED[52:] + PART,
                      dict(operation=20, flags=1, price=990_100, quantity=60, previous=OLD,
                           reference=REFERENCE)),
    "canceled": (CANCELED, dict(operation=18, quantity=40, reason=ord("U"))),
    "canceled with length": (CANCELED + NOTHING, dict(operation=18, quantity=40,
                                                      reason=ord("U"))),
    "self match": (AIQ + NOTHING, dict(operation=18, quantity=30, reason=ord("Q"))),
    "self match, short": (AIQ, dict(operation=18, quantity=30, reason=ord("Q"))),
    "executed": (EXECUTED + NOTHING, dict(operation=17, price=990_000, quantity=20, match=MATCH)),
    "rejected": (REJECTED, dict(operation=19, reason=0x1D)),
    "rejected with options": (REJECTED + PART, dict(operation=19, reason=0x1D)),
}


def answer(octets):
    """Translate; return the code and the settle intent."""
    buffer = np.frombuffer(octets + bytes(80), np.uint8).copy()
    settle = np.full(64, 0xEE, np.uint8)
    code = translate.translate(buffer.ctypes.data, len(octets), settle.ctypes.data)
    return code, settle.tobytes()


@pytest.mark.parametrize("name", CASES)
def test_an_answer_about_shares_becomes_a_settle_intent(name):
    octets, wanted = CASES[name]
    code, settle = answer(octets)
    assert code == translate.ORDER_EVENT
    assert settle == SETTLE.pack(
        TIME, TOKEN, 0, wanted["operation"], wanted.get("flags", 0), wanted.get("price", 0),
        wanted.get("quantity", 0), wanted.get("reason", 0), 0, wanted.get("previous", 0),
        wanted.get("reference", 0), wanted.get("match", 0), 0, 0, 0, 0)


def test_a_recorded_acceptance_is_understood(shared_data):
    packet = recorded(shared_data, "OrderAcceptedMessage.pcap")
    assert packet[:3] == b"\x00\x4aS"
    code, settle = answer(packet[3:])
    assert code == translate.ORDER_EVENT
    assert settle[:24] == struct.pack("<QIHBBII", 0x289B_4D64_AF87, 0x0075_3A8D, 0, 16, 0,
                                      4_777_800, 40)
    assert struct.unpack_from("<Q", settle, 32) == (0x0F56_B4F5,)


@pytest.mark.parametrize("name", CASES)
def test_every_other_length_is_malformed(name):
    octets, _ = CASES[name]
    right = {len(octets) for octets, _ in CASES.values() if octets[:1] == CASES[name][0][:1]}
    for size in {*range(len(octets) + 3)} - right:
        assert answer((octets + b"\xff\xff\xff")[:size])[0] == translate.MALFORMED, size


@pytest.mark.parametrize("octets", [
    ACCEPTED + b"\x00\x01", ACCEPTED + b"\xff\xff", EXECUTED + b"\x00\x03\x02\x0c",
    CANCELED + b"\x00\x01", AIQ + b"\x01\x00"])
def test_an_appendage_that_lies_about_its_length_is_malformed(octets):
    assert answer(octets)[0] == translate.MALFORMED


@pytest.mark.parametrize("octets, offset, size", [
    (ACCEPTED + NOTHING, 26, 8), (REPLACED + NOTHING, 30, 8), (EXECUTED + NOTHING, 17, 8)])
@pytest.mark.parametrize("price", [1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1])
def test_a_price_beyond_31_bits_is_malformed(octets, offset, size, price):
    octets = octets[:offset] + price.to_bytes(size, "big") + octets[offset + size:]
    assert answer(octets)[0] == translate.MALFORMED


def test_price_and_quantity_reach_to_31_bits():
    octets = EXECUTED[:13] + struct.pack(">IQ", 0x7FFF_FFFF, 0x7FFF_FFFF) + EXECUTED[25:] + NOTHING
    code, settle = answer(octets)
    assert code == translate.ORDER_EVENT
    assert struct.unpack_from("<II", settle, 16) == (0x7FFF_FFFF, 0x7FFF_FFFF)


@pytest.mark.parametrize("octets, offset", [
    (ACCEPTED + NOTHING, 14), (REPLACED + NOTHING, 18), (EXECUTED + NOTHING, 13), (CANCELED, 13),
    (AIQ, 13)])
def test_a_quantity_beyond_31_bits_is_malformed(octets, offset):
    octets = octets[:offset] + b"\x80\x00\x00\x00" + octets[offset + 4:]
    assert answer(octets)[0] == translate.MALFORMED


def test_order_number_zero_is_malformed():
    assert answer(EXECUTED[:9] + bytes(4) + EXECUTED[13:] + NOTHING)[0] == translate.MALFORMED


def test_types_that_are_not_about_shares_make_no_intent_and_unknown_types_are_malformed():
    silent = set(ouch50.OUTBOUND) - set("AUCDEJ")
    assert silent == set("SBPITMRXGKQF")
    for octet in range(256):
        code, settle = answer(bytes([octet]) + bytes(60))
        assert code == (translate.NO_ORDER_EVENT if chr(octet) in silent
                        else translate.MALFORMED), chr(octet)
        if chr(octet) not in "AUCDEJ":
            assert settle == b"\xee" * 64
    assert answer(b"")[0] == translate.MALFORMED
