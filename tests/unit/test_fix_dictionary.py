"""Dictionaries: the own ones agree with QuickFIX's, and files are read or refused with a sentence.

Method: the own tables against the XML files of the PyPI package ``quickfix`` where it is installed;
small XML files by hand, whole and broken.
"""

import pytest

from tests.fix_rig import message, quickfix_xml
from tickwire.orders.fix.dictionary import Dictionary, DictionaryError, walk
from tickwire.orders.fix.parse import parse
from tickwire.orders.fix.rules import Rules
from tickwire.spec import fix, fix_fields

FILES = {"FIX.4.2": "FIX42.xml", "FIX.4.4": "FIX44.xml", "FIXT.1.1": "FIXT11.xml",
         "FIX.5.0SP2": "FIX50SP2.xml"}

SMALL = """<fix type='FIX' major='4' minor='4' servicepack='0'>
 <header><field name='BeginString' required='Y'/><field name='BodyLength' required='Y'/>
  <field name='MsgType' required='Y'/><field name='MsgSeqNum' required='Y'/></header>
 <trailer><field name='CheckSum' required='Y'/></trailer>
 <messages><message name='Note' msgtype='U1' msgcat='app'>
  <component name='Lines' required='Y'/><field name='Mood' required='N'/></message></messages>
 <components><component name='Lines'><group name='NoLines' required='Y'>
  <field name='Text' required='Y'/><field name='RawLen' required='N'/>
  <field name='Raw' required='N'/></group></component></components>
 <fields><field number='8' name='BeginString' type='STRING'/>
  <field number='9' name='BodyLength' type='LENGTH'/>
  <field number='10' name='CheckSum' type='STRING'/>
  <field number='34' name='MsgSeqNum' type='SEQNUM'/>
  <field number='35' name='MsgType' type='STRING'/>
  <field number='58' name='Text' type='STRING'/>
  <field number='20001' name='NoLines' type='NUMINGROUP'/>
  <field number='20002' name='RawLen' type='LENGTH'/>
  <field number='20003' name='Raw' type='DATA'/>
  <field number='20004' name='Mood' type='STRING'>
   <value enum='GOOD' description='FINE'/><value enum='GOODENOUGH' description='SO_SO'/>
   <value enum='B' description='BAD'/></field></fields>
</fix>"""


def written(tmp_path, text: str) -> Dictionary:
    path = tmp_path / "venue.xml"
    path.write_text(text)
    return Dictionary.read(path)


def test_a_venue_brings_its_own_messages(tmp_path):
    dictionary = written(tmp_path, SMALL)
    assert dictionary.version == "FIX.4.4" and dictionary.tag("Mood") == 20004
    assert dictionary.lengths == {20003: 20002} and not dictionary.messages["U1"].is_admin
    rules = Rules(dictionary)
    good = parse(message("U1", "20001=2|58=a|20002=3|20003=b\x01c|58=d|20004=GOODENOUGH|",
                         header="34=1|"), rules)
    assert good.fault is None and good.message()[20001][0][20003] == b"b\x01c"
    wrong = (5, 20004)
    for mood, fault in (("GOOD", None), ("B", None), ("GOODENOUGI", wrong), ("GO", wrong)):
        found = parse(message("U1", f"20001=1|58=a|20004={mood}|", header="34=1|"), rules).fault
        assert (found and tuple(found)) == fault, mood
    missing = parse(message("U1", "20004=B|", header="34=1|"), rules).fault
    assert tuple(missing) == (1, 20001)                   # both component and group are required


@pytest.mark.parametrize(("old", "new", "words"), [
    ("</fix>", "", "cannot be read"),
    ("<fix ", "<fux ", "cannot be read"),
    ("number='58'", "number='fifty'", "'fifty'"),
    ("number='58'", "number='0'", "'0'"),
    ("number='58'", "number='35'", "35 is there twice"),
    ("number='58' name", "name", "no number"),
    ("<field name='Text'", "<field name='Texxt'", "Texxt is used and not defined"),
    ("<component name='Lines' required", "<component name='Line' required", "Line is used"),
    ("<group name='NoLines' required='Y'>", "<group name='NoLines'><component name='Lines'/>",
     "contains itself"),
    ("msgtype='U1'", "msgtype='TOOLONGTYPE'", "1 to 8 octets"),
    ("msgtype='U1'", "", "no msgtype"),
    (" type='STRING'/>", "/>", "no type"),
])
def test_a_file_that_cannot_be_used_is_refused_with_the_place(tmp_path, old, new, words):
    with pytest.raises(DictionaryError, match=words):
        written(tmp_path, SMALL.replace(old, new))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DictionaryError, match="cannot be read"):
        Dictionary.read(tmp_path / "none.xml")
    with pytest.raises(DictionaryError, match="'FIX.9'"):
        Dictionary.own("FIX.9")
    with pytest.raises(ValueError, match="FIXT"):
        Rules(Dictionary.own("FIX.5.0SP2"))


def test_the_own_tables_have_each_tag_once_and_in_order():
    tags = [row.tag for row in fix_fields.FIELDS]
    assert tags == sorted(set(tags))
    for version in fix.VERSIONS:
        dictionary = Dictionary.own(version)
        assert len(dictionary.tags) == len(dictionary.fields)


@pytest.mark.parametrize("version", fix.VERSIONS)
def test_the_own_dictionary_agrees_with_quickfix(version):
    own, other = Dictionary.own(version), Dictionary.read(quickfix_xml(FILES[version]))
    assert own.version == other.version
    for tag, rule in own.fields.items():
        theirs = other.fields[tag]
        assert (rule.name, rule.type) == (theirs.name, theirs.type), tag
        assert set(rule.values) == (set() if tag == 35 else set(theirs.values)), tag
    for kind, rule in own.messages.items():
        assert rule.name == other.messages[kind].name
        _agree(rule.members, other.messages[kind].members, kind)
    _agree(own.header, other.header, "header")
    _agree(own.trailer, other.trailer, "trailer")


def _agree(own, other, where):
    """Own members are theirs, in the same order, and none that is required is missing."""
    theirs = {member.tag: member for member in other}
    # The order of the body does not matter, that of a group's entries does.
    for member in own:
        assert member.tag in theirs, (where, member.tag)
        twin = theirs[member.tag]
        assert member.is_required == twin.is_required, (where, member.tag)
        assert (member.group is None) == (twin.group is None), (where, member.tag)
        if member.group:
            assert member.group.delimiter == twin.group.delimiter
            places = [order_of.tag for order_of in twin.group.members]
            tags = [inner.tag for inner in member.group.members]
            assert tags == sorted(tags, key=places.index), (where, member.tag)
            _agree(member.group.members, twin.group.members, (where, member.tag))
    known = {member.tag for member in own}
    assert all(member.tag in known for member in other if member.is_required), where


@pytest.mark.parametrize("version", fix.VERSIONS)
def test_every_member_of_an_own_message_is_a_field(version):
    dictionary = Dictionary.own(version)
    for rule in dictionary.messages.values():
        assert all(member.tag in dictionary.fields for member in walk(rule.members))


def test_the_largest_dictionary_is_read_and_used():
    rules = Rules(Dictionary.read(quickfix_xml("FIXT11.xml")),
                  Dictionary.read(quickfix_xml("FIX50SP2.xml")))
    body = "11=1|40=1|54=1|60=20260101-00:00:00|453=1|448=A|447=D|452=1|802=1|523=x|803=1|"
    assert parse(message("D", body, "FIXT.1.1"), rules).fault is None
