"""A release becomes one FIX message, field by field what the device let go.

Method: octets by hand for each operation and flag; whatever the numbers are, the own dictionaries
find no fault in any version.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fix_rig import framed
from tickwire.orders.fix.orders import OrderWriter
from tickwire.orders.fix.parse import parse
from tickwire.orders.fix.rules import Rules
from tickwire.orders.release import RELEASED
from tickwire.spec.intents import IntentFlag, Operation

NOW = 1_795_823_999_123_456_789
TIME = "20261127-23:59:59.123"
OWN = {begin: Rules.own(begin) for begin in ("FIX.4.2", "FIX.4.4", "FIXT.1.1")}
OPERATIONS = (Operation.NEW, Operation.CANCEL, Operation.REPLACE)
HEADER = {49: "FIRM", 56: "VENUE", 50: "desk", 57: "book"}


def released(operation: Operation = Operation.NEW, **fields: int | bytes) -> np.void:
    row = np.zeros(1, RELEASED)
    for name, value in {"symbol": b"AAPL    ", "token": 41, "price": 1_852_500, "quantity": 300,
                        "side": ord("B"), "operation": operation, **fields}.items():
        row[0][name] = value
    return row[0]


def writer(begin: str = "FIX.4.4", **options: str) -> OrderWriter:
    return OrderWriter(OWN[begin], "K7-", HEADER, **options)


def text(octets: bytes) -> str:
    return octets.decode("latin-1").replace("\x01", "|")


def test_a_new_order_is_a_new_order_single():
    octets = writer().message(released(), 9, NOW)
    assert octets == framed(
        f"8=FIX.4.4|35=D|34=9|49=FIRM|50=desk|52={TIME}|56=VENUE|57=book|11=K7-41|38=300|40=2|"
        f"44=185.25|54=1|55=AAPL|59=0|60={TIME}|")


BODIES = [
    ("D", {"side": ord("S")}, f"11=K7-41|38=300|40=2|44=185.25|54=2|55=AAPL|59=0|60={TIME}|"),
    ("D", {"side": ord("T"), "flags": IntentFlag.IMMEDIATE, "price": 1},
     f"11=K7-41|38=300|40=2|44=0.0001|54=5|55=AAPL|59=3|60={TIME}|114=N|"),
    ("D", {"flags": IntentFlag.POST_ONLY, "symbol": b"BRK.A   ", "price": 1_990_000_000},
     f"11=K7-41|18=6|38=300|40=2|44=199000|54=1|55=BRK.A|59=0|60={TIME}|"),
    ("F", {"operation": Operation.CANCEL, "quantity": 0, "total": 300, "executed": 100},
     f"11=K7-41.2|38=300|41=K7-41.1|54=1|55=AAPL|60={TIME}|"),
    ("G", {"operation": Operation.CANCEL, "quantity": 200, "total": 300},
     f"11=K7-41.2|38=200|40=2|41=K7-41.1|44=185.25|54=1|55=AAPL|59=0|60={TIME}|"),
    ("G", {"operation": Operation.REPLACE, "previous": 40, "total": 200},
     f"11=K7-41|38=300|40=2|41=K7-40.1|44=185.25|54=1|55=AAPL|59=0|60={TIME}|"),
]


@pytest.mark.parametrize(("kind", "fields", "expected"), BODIES)
def test_each_operation_has_its_message(kind, fields, expected):
    made = writer()
    row = np.array([released(**fields)])
    octets, begin = made.written(row.ctypes.data, 7, NOW, original=1, request=2)
    assert octets == made.message(row[0], 7, NOW, original=1, request=2)
    assert text(octets[begin:-7]) == expected
    parsed = parse(octets, OWN["FIX.4.4"])
    assert (parsed.msg_type, text(parsed.body())) == (kind, expected)


def test_fix_4_2_has_handling():
    octets = writer("FIX.4.2").message(released(), 7, NOW)
    assert text(parse(octets, OWN["FIX.4.2"]).body()).startswith("11=K7-41|21=1|38=300|")


@given(st.sampled_from(list(OWN)), st.sampled_from(OPERATIONS), st.integers(0, 15),
       st.integers(1, 2**31 - 1), st.integers(0, 2**31 - 1), st.integers(1, 2**32 - 1),
       st.integers(0, 999), st.sampled_from("BSTE"))
@settings(max_examples=150, deadline=None)
def test_no_version_finds_a_fault(begin, operation, flags, price, quantity, token, request, side):
    made = writer(begin)
    row = released(operation, flags=flags, price=price, quantity=quantity, token=token,
                   previous=1, side=ord(side), total=quantity)
    parsed = parse(made.message(row, token, NOW, request, request + 1), OWN[begin])
    assert parsed.garbled == "" and parsed.fault is None
    assert made.token(parsed.text(11))[0] == token and parsed.seq_num == token
    if parsed.msg_type != "F":
        assert round(float(parsed.text(44)) * 10_000) == price


def test_an_id_of_another_run_or_person_is_no_order_of_ours():
    made = writer()
    assert made.token("K7-41") == (41, 0) and made.token("K7-41.3") == (41, 3)
    for other in ("K8-41", "K7-", "K7-x", "K7-41.", "K7-41.x", "K7-041", "", "K7-41.0"):
        assert made.token(other) is None, other


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="prefix"):
        OrderWriter(OWN["FIX.4.4"], "")
    with pytest.raises(ValueError, match="prefix"):
        OrderWriter(OWN["FIX.4.4"], "x" * 25)
    with pytest.raises(ValueError, match="more than"):
        OrderWriter(OWN["FIX.4.4"], "x", {56: "y" * 999})
