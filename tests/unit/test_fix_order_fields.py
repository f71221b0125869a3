"""Fields that a broker demands are in every order message that has them, or are refused at once.

Method: bodies by hand, the dictionaries' own parser as a second opinion, lists with one mistake.
"""

import pytest

from tests.unit.test_fix_orders import HEADER, NOW, OWN, TIME, released, text
from tests.unit.test_fix_route import Route
from tickwire.config import load
from tickwire.errors import TickwireError
from tickwire.orders.fix.encode import assemble
from tickwire.orders.fix.files import check_files
from tickwire.orders.fix.order_fields import ORDER_TYPES, body, order_fields
from tickwire.orders.fix.orders import OrderWriter
from tickwire.orders.fix.parse import parse
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.spec.intents import IntentFlag, Operation

PARTIES = ("453=2", "448=FIRM", "447=D", "452=1", "448=TRADER", "447=D", "452=12", "802=1",
           "523=desk 7", "803=4")
BROKER = ("100=XNAS", "1=ACC", "58=tickwire", "528=P", "47=P", "15=USD", *PARTIES)
_PARTIES = "".join(f"{field}|" for field in PARTIES)


def configured(fields, begin="FIX.4.4", name="venue"):
    rules = OWN[begin]
    settings = FIXSessionSettings(name=name, begin_string=begin, order_fields=tuple(fields))
    return order_fields(settings, rules.session, rules.application)


def bodies(fields, begin):
    """Bodies of D, F and G with these fields, by type, and that nothing is wrong with them."""
    made = OrderWriter(OWN[begin], "K7-", HEADER, configured(fields, begin))
    found = {}
    for operation, quantity, flags in ((Operation.NEW, 300, IntentFlag.POST_ONLY),
                                       (Operation.CANCEL, 0, 0), (Operation.REPLACE, 200, 0)):
        row = released(operation, quantity=quantity, total=300, previous=40, flags=flags,
                       side=ord("T"))
        parsed = parse(made.message(row, 7, NOW, 0, 1), OWN[begin])
        assert parsed.garbled == "" and parsed.fault is None, text(parsed.octets)
        found[parsed.msg_type] = text(parsed.body())
    return found


def test_each_message_has_the_fields_that_it_can_have_by_ascending_tag():
    fields = [field for field in BROKER if field != "47=P"]
    assert bodies(fields, "FIX.4.4") == {
        "D": f"1=ACC|11=K7-41|15=USD|18=6|38=300|40=2|44=185.25|54=5|55=AAPL|58=tickwire|59=0|"
             f"60={TIME}|100=XNAS|114=N|{_PARTIES}528=P|",
        "F": f"1=ACC|11=K7-41.1|38=300|41=K7-41|54=5|55=AAPL|58=tickwire|60={TIME}|{_PARTIES}",
        "G": f"1=ACC|11=K7-41|15=USD|38=200|40=2|41=K7-40|44=185.25|54=5|55=AAPL|58=tickwire|59=0|"
             f"60={TIME}|100=XNAS|114=N|{_PARTIES}528=P|"}


def test_fix_4_2_has_its_own_capacity_and_handling_may_be_another():
    fields = ("1=ACC", "47=P", "21=2", "100=O")
    assert bodies(fields, "FIX.4.2") == {
        "D": "1=ACC|11=K7-41|18=6|21=2|38=300|40=2|44=185.25|47=P|54=5|55=AAPL|59=0|"
             f"60={TIME}|100=O|114=N|",
        "F": f"1=ACC|11=K7-41.1|38=300|41=K7-41|54=5|55=AAPL|60={TIME}|",
        "G": "1=ACC|11=K7-41|21=2|38=200|40=2|41=K7-40|44=185.25|47=P|54=5|55=AAPL|59=0|"
             f"60={TIME}|100=O|114=N|"}


def test_fixt_has_the_parties_in_every_message():
    found = bodies((*PARTIES, "100=XNAS"), "FIXT.1.1")
    assert all(_PARTIES in shown and "100=XNAS|" in shown for shown in found.values())


def test_a_field_of_the_two_sides_own_goes_with_new_orders_and_replaces():
    found = configured(["9001=x", "1=ACC"])
    assert {kind: [entry.tag for entry in found[kind]] for kind in ORDER_TYPES} == {
        "D": [1, 9001], "G": [1, 9001], "F": [1], "H": [1], "q": []}


@pytest.mark.parametrize("begin", OWN)
def test_status_requests_and_mass_cancels_have_theirs(begin):
    found = configured(["1=ACC", *(PARTIES if begin != "FIX.4.2" else ())], begin)
    own = {"H": ((11, b"K7-1"), (54, b"1"), (55, b"AAPL")),
           "q": ((11, b"K7-M1"), (60, TIME.encode()), (530, b"7"))}
    for kind, pairs in own.items():
        if kind == "q" and begin == "FIX.4.2":
            continue
        octets = assemble(begin.encode(), kind.encode(), [
            (34, b"1"), (49, b"A"), (52, TIME.encode()), (56, b"B")], body(found[kind], *pairs))
        parsed = parse(octets, OWN[begin])
        assert parsed.fault is None
        has_parties = begin == "FIXT.1.1" or (kind == "H" and begin != "FIX.4.2")
        assert (_PARTIES in text(parsed.body())) == has_parties
        assert ("1=ACC|" in text(parsed.body())) == (kind == "H")


@pytest.mark.parametrize(("fields", "complaint"), [
    (["47=P"], "47 is no field of the order messages of FIX.4.4"),
    (["99999=P", "4999=1"], "4999 is no field of the order messages of FIX.4.4"),
    (["38=100"], "38 is written from the order itself"),
    (["18=G"], "18 is written from the order itself"),
    (["50=desk"], "50 is a field of the header or trailer"),
    (["35=D"], "35 is a field of the header or trailer"),
    (["10=000"], "10 is a field of the header or trailer"),
    (["1=A", "100=X", "1=B"], "1 is there twice"),
    (["528=X"], "528 must be one of A G I P R W, not 'X'"),
    (["529=1 9 Q"], "529 must be one of 1 2 3 4 5 6 7 8 9 A, not '1 9 Q'"),
    (["21=12"], "21 must be one of 1 2 3, not '12'"),
    (["110=many"], "110 must be of type QTY, not 'many'"),
    (["354=3"], "354 must be left out: raw data and its length are not for every order, not '3'"),
    (["448=FIRM"], "448 is no field of the order messages of FIX.4.4"),
    (["453=x"], "453 must be of type NUMINGROUP, not 'x'"),
    (["453=0"], "453 must count the entries that follow it, not 0"),
    (["453=-1"], "453 must count the entries that follow it, not -1"),
    (["453=1"], "entry 1 of the 1 that 453 counts must begin with 448"),
    (["453=1", "447=D", "448=A"], "entry 1 of the 1 that 453 counts must begin with 448"),
    (["453=2", "448=A", "447=D"], "entry 2 of the 2 that 453 counts must begin with 448"),
    (["453=1", "448=A", "448=B"], "453 counts 1 entries, but there are more"),
    (["453=1", "448=A", "452=1", "447=D"],
     "447 is not in its place: an entry of the group has 448, 447, 452, 802"),
    (["453=1", "448=A", "447=D", "447=D"],
     "447 is not in its place: an entry of the group has 448, 447, 452, 802"),
    (["453=1", "448=A", "802=1", "803=4"], "entry 1 of the 1 that 802 counts must begin with 523"),
    (["453=1", "448=A", "802=one"], "802 must be of type NUMINGROUP, not 'one'"),
    (["1=" + "x" * 128, "100=" + "y" * 128, "58=" + "z" * 128, "15=USD", "66=" + "z" * 120],
     "G would have 527 octets of them, more than 512")])
def test_a_mistake_is_one_sentence(fields, complaint):
    with pytest.raises(TickwireError) as found:
        configured(fields, name="broker")
    assert str(found.value) == f"fix.sessions.broker.order_fields: {complaint}."


def test_a_run_refuses_a_mistake_before_anything_starts():
    with pytest.raises(TickwireError, match=r"sessions\.venue\.order_fields: 528 must be one of"):
        check_files(FIXSessionSettings(order_fields=("528=!",)))


@pytest.mark.parametrize("written", ['"1=A"', "[1]", '["A"]', '["1="]', '["1=ä"]', '["01=A"]',
                                     '["1=a\\u0001b"]', str(["1=A"] * 65).replace("'", '"')])
def test_what_is_no_list_of_fields_is_refused(tmp_path, written):
    path = tmp_path / "tickwire.toml"
    path.write_text(f'[[fix.sessions]]\nname = "venue"\norder_fields = {written}\n')
    with pytest.raises(TickwireError, match=r"order_fields must be an array of at most 64 texts, "
                                            r"each a field as TAG=VALUE, not "):
        load(path)


def test_orders_with_fields_trade_and_are_asked_for():
    made = Route(order_fields=("1=ACC", "100=XNAS", *PARTIES))
    heard = []
    desk_hears = made.desk.on_message
    made.desk.on_message = lambda session, message: (
        heard.append((message.msg_type, text(message.body()))), desk_hears(session, message))
    made.release()
    made.release(Operation.CANCEL, quantity=0, total=300)
    made.link.drop()
    made.link.connect()
    made.link.settle()
    assert [kind for kind, _ in heard] == ["D", "F", "H"]
    for kind, shown in heard:
        assert shown.startswith("1=ACC|11=K7-41") and _PARTIES in shown, kind
        assert ("|100=XNAS|" in shown) == (kind == "D")
