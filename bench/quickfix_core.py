"""QuickFIX's C++ core as a peer: Debian's libquickfix, without a session and without Python.

It gets the same messages and the same dictionary: the own one, written in QuickFIX's XML form.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement

from bench.report import Contender
from tests.fix.quickfix_peer import built, why_no_quickfix
from tickwire.orders.fix.dictionary import Dictionary, Member
from tickwire.spec.fix import ADMIN_TYPES

SOURCE = Path(__file__).with_suffix(".cpp")


@contextmanager
def core(dictionary: Dictionary, kind: str, octets: bytes, rounds: int) -> Iterator[Contender]:
    """Give a contender that tells the ns of ``rounds`` times what is in ``octets``.

    ``kind`` is split, without the dictionary, or parse, of whole messages, or encode, of an order a
    line. Raises OSError with the
    reason where the peer cannot be had.
    """
    if missing := why_no_quickfix():
        raise OSError(missing)
    program = built(SOURCE, "-O2")
    with tempfile.TemporaryDirectory() as folder:
        rules, stream = Path(folder) / "dictionary.xml", Path(folder) / "stream"
        ElementTree(xml_of(dictionary)).write(rules)
        stream.write_bytes(octets)

        def run() -> float:
            said = subprocess.run([program, rules, kind, stream, str(rounds)], check=True,
                                  capture_output=True, text=True).stdout
            return float(said.split()[0])
        yield run


def xml_of(dictionary: Dictionary) -> Element:
    """Return a dictionary of FIX.4.x in QuickFIX's XML form."""
    _, major, minor = dictionary.version.split(".")
    root = Element("fix", major=major, minor=minor)

    def members(parent: Element, found: tuple[Member, ...]) -> None:
        for member in found:
            name = dictionary.fields[member.tag].name
            required = "Y" if member.is_required else "N"
            if member.group is None:
                SubElement(parent, "field", name=name, required=required)
            else:
                members(SubElement(parent, "group", name=name, required=required),
                        member.group.members)
    members(SubElement(root, "header"), dictionary.header)
    members(SubElement(root, "trailer"), dictionary.trailer)
    messages = SubElement(root, "messages")
    for kind, rule in dictionary.messages.items():
        members(SubElement(messages, "message", name=rule.name, msgtype=kind,
                           msgcat="admin" if kind in ADMIN_TYPES else "app"), rule.members)
    SubElement(root, "components")
    fields = SubElement(root, "fields")
    for tag, field in dictionary.fields.items():
        entry = SubElement(fields, "field", number=str(tag), name=field.name, type=field.type)
        for code, meaning in field.values.items():
            SubElement(entry, "value", enum=code, description=meaning)
    return root
