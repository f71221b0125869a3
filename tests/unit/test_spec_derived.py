"""What is derived from the tables follows them: dtypes, digest, pages, files, dissector.

Method: dtypes are compared with layouts written by hand; the digest is computed anew in fresh
processes and with one table changed at a time; the dissector runs in tshark, where that is
installed, over frames built here octet by octet, cut at awkward places.
"""

import dataclasses
import itertools
import random
import re
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest

from tickwire.spec import (
    digest,
    dissector,
    generate,
    intents,
    itch50,
    moldudp64,
    ouch50,
    pages,
    records,
    render,
    soupbintcp,
)
from tickwire.spec.wire import Field, Message

# dtypes


def test_a_decoded_message_is_a_native_aligned_record():
    assert render.dtype(itch50.ADD_ORDER_WITH_MPID) == np.dtype([
        ("stock_locate", "u2"), ("tracking_number", "u2"), ("timestamp", "u8"),
        ("order_reference", "u8"), ("side", "u1"), ("shares", "u4"), ("stock", "u8"),
        ("price", "u4"), ("attribution", "u4")], align=True)
    assert render.dtype(ouch50.REJECTED) == np.dtype([
        ("timestamp", "u8"), ("user_ref_num", "u4"), ("reason", "u2"), ("cl_ord_id", "S14"),
        ("appendage_length", "u2")], align=True)
    for message in (*itch50.MESSAGES, *ouch50.MESSAGES, *soupbintcp.MESSAGES):
        dtype = render.dtype(message)
        assert dtype.isalignedstruct
        assert set(dtype.names) == {field.name for field in message.fields if field.size}


@pytest.mark.parametrize("message", [*records.RECORDS.values(), records.STATE_LINE,
                                     intents.INTENT, intents.SETTLE], ids=lambda row: row.name)
def test_a_record_has_the_exact_layout_of_its_64_octets(message):
    dtype = render.dtype(message)
    assert dtype.itemsize == 64
    covered = np.zeros(64, int)
    for field, offset in message.placed():
        part, place = dtype.fields[field.name][:2]
        assert (place, part.itemsize) == (offset, field.size)
        covered[place:place + part.itemsize] += 1
    assert (covered == 1).all()


def test_a_bbo_record_reads_what_struct_packed():
    octets = struct.pack("<QQIIIIHcBIIIIHHIBBH", 1, 2, 3, 4, 5, 6, 7, b"T", 8, 9, 10, 11, 12, 13,
                         14, 15, 2, 1, 16)
    row = np.frombuffer(octets, render.dtype(records.BBO))[0]
    assert (row["timestamp"], row["feed_sequence"]) == (1, 2)
    assert (row["bid_price"], row["ask_price"]) == (3, 4)
    assert (row["locate"], row["trading_state"], row["flags"]) == (7, ord("T"), 8)
    assert (row["bid_orders"], row["ask_orders"], row["record_sequence"]) == (13, 14, 15)
    assert (row["record_type"], row["epoch"], row["credit"]) == (records.RecordType.BBO, 1, 16)


def test_text_of_a_record_stays_text():
    assert render.dtype(records.DIRECTORY)["symbol"] == np.dtype("S8")
    assert render.dtype(records.FEED_STATE)["session"] == np.dtype("S10")


def test_a_size_that_no_integer_holds_is_refused_with_a_sentence():
    message = Message("odd", "", "Odd", "", (Field("value", 3, "uint", ""),))
    with pytest.raises(ValueError) as caught:
        render.dtype(message)
    assert str(caught.value) == "odd.value has 3 octets, which no native integer holds"


# Digest


def test_the_digest_is_a_64_bit_number_and_the_same_in_every_process():
    modules = [module.__name__ for module in digest.tables()]
    found = set()
    for seed in range(3):
        order = random.Random(seed).sample(modules, len(modules))
        script = (f"import importlib\nfor name in {order!r}: importlib.import_module(name)\n"
                  "from tickwire.spec.digest import digest\nprint(digest())")
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                             check=True, env={"PYTHONHASHSEED": str(seed),
                                              "PYTHONPATH": ":".join(sys.path)})
        found.add(int(run.stdout))
    assert found == {digest.digest()}
    assert 0 < digest.digest() < 1 << 64


def changed(field):
    """Every change of one field that is a fact."""
    yield dataclasses.replace(field, name=field.name + "_2")
    yield dataclasses.replace(field, size=field.size + 1)
    yield dataclasses.replace(field, kind="int" if field.kind != "int" else "uint")
    yield dataclasses.replace(field, decimals=field.decimals + 1)
    yield dataclasses.replace(field, pad="left" if field.pad == "right" else "right")
    yield dataclasses.replace(field, volatile=not field.volatile)
    yield dataclasses.replace(field, codes={**(field.codes or {}), "~": "new"})


def variants(value):
    """Every change of one fact in a table or constant, as far as its kind is known here."""
    if isinstance(value, Message) and value.fields:
        *before, last = value.fields
        yield dataclasses.replace(value, name=value.name + "_2")
        yield dataclasses.replace(value, tag=value.tag + "~")
        yield dataclasses.replace(value, tag_offset=value.tag_offset + 1)
        yield dataclasses.replace(value, fields=tuple(before))
        yield dataclasses.replace(value, fields=(last, *value.fields))
        yield dataclasses.replace(value, tail_is_optional=not value.tail_is_optional)
        yield dataclasses.replace(value, order="big" if value.order == "little" else "little")
        for field in changed(last):
            yield dataclasses.replace(value, fields=(*before, field))
    elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        yield value[1:]
        yield (dataclasses.replace(value[0], name=value[0].name + "_2"), *value[1:])
    elif isinstance(value, dict):
        yield {**value, "new": "new"}
        yield dict(list(value.items())[1:])
    elif isinstance(value, int):
        yield int(value) + 1


def test_the_digest_text_changes_when_any_fact_changes():
    text = digest.canonical_text()
    for module in digest.tables():
        for name, value in digest.facts(module):
            line = f"{module.__name__.rpartition('.')[2]}.{name}={digest.canonical(value)}\n"
            assert line in text
            for variant in variants(value):
                assert digest.canonical(variant) != digest.canonical(value), (name, variant)


def test_a_changed_table_of_any_module_changes_the_digest(monkeypatch):
    before = digest.digest()
    for module in digest.tables():
        name, value = next((name, value) for name, value in digest.facts(module)
                           if next(variants(value), None) is not None)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, next(variants(value)))
            digest.digest.cache_clear()
            assert digest.digest() != before, (module.__name__, name)
    digest.digest.cache_clear()
    assert digest.digest() == before


def test_the_digest_text_does_not_change_with_prose():
    order = itch50.ADD_ORDER
    fields = tuple(dataclasses.replace(field, doc="Other.", codes=field.codes and dict.fromkeys(
        field.codes, "other")) for field in order.fields)
    prose = dataclasses.replace(order, title="Other", ref="Other", note="Other", fields=fields)
    assert digest.canonical(prose) == digest.canonical(order)
    reasons = dict.fromkeys(reversed(ouch50.REJECT_REASONS), "other")
    assert digest.canonical(reasons) == digest.canonical(ouch50.REJECT_REASONS)


def test_every_module_of_tables_is_covered():
    names = {module.__name__.rpartition(".")[2] for module in digest.tables()}
    assert names >= {"itch50", "ouch50", "soupbintcp", "moldudp64", "glimpse50", "network",
                     "records", "intents", "registers", "counters"}
    assert not names & digest.TOOLS
    lines = digest.canonical_text().splitlines()
    assert {line.partition(".")[0] for line in lines} == names


# Generated files and pages


def test_a_stale_a_missing_and_a_left_over_file_are_found(tmp_path):
    expected = generate.files()
    for path, text in expected.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    assert generate.stale(tmp_path) == []
    (tmp_path / dissector.PATH).unlink()
    (tmp_path / pages.FOLDER / "itch50.md").write_text("edited by hand")
    (tmp_path / pages.FOLDER / "itch40.md").write_text("a table that is gone")
    assert sorted(generate.stale(tmp_path)) == sorted([
        dissector.PATH, f"{pages.FOLDER}/itch50.md", f"{pages.FOLDER}/itch40.md"])


def test_an_unknown_argument_is_refused_with_a_sentence(capsys):
    assert generate.main(["--chekc"]) == 2
    assert "not '--chekc'" in capsys.readouterr().out


def test_a_page_shows_every_field_with_its_place():
    for module in digest.tables():
        page = pages.page(module).replace("\\|", "|")
        for _, value in digest.facts(module):
            if isinstance(value, Message):
                for field, offset in value.placed():
                    assert f"| {offset} | {field.size or 'rest'} | `{field.name}` |" in page
                    assert re.sub(r"``(.+?)``", r"`\1`", field.doc) in page
            elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
                for row in value:
                    assert f"`{row.name}`" in page, row


def test_a_page_is_well_formed():
    for path, page in pages.pages().items():
        assert page.startswith("<!-- Generated") and page.endswith("\n"), path
        widths = [line.replace("\\|", "").count("|") for line in page.splitlines()]
        for above, here in itertools.pairwise(widths):
            assert not above or not here or above == here, path


# Dissector


tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def pcap(path, frames):
    """Write Ethernet frames as a pcap."""
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for number, frame in enumerate(frames):
        octets += struct.pack("<IIII", 1_700_000_000, number, len(frame), len(frame)) + frame
    path.write_bytes(octets)
    return path


def ip_frame(protocol, transport):
    header = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(transport), 0, 0x4000, 64, protocol, 0,
                         0x7F000001, 0x7F000002)
    return bytes(12) + b"\x08\x00" + header + transport


def udp_frame(payload):
    return ip_frame(17, struct.pack(">HHHH", 26400, 26400, 8 + len(payload), 0) + payload)


def tcp_frames(stream, cuts):
    """TCP segments of one direction, cut at the given offsets."""
    ends = [*cuts, len(stream)]
    for start, end in zip([0, *cuts], ends, strict=True):
        header = struct.pack(">HHIIHHHH", 40000, 8001, 1 + start, 1, 5 << 12 | 0x18, 65535, 0, 0)
        yield ip_frame(6, header + stream[start:end])


def dissect(tmp_path, capture, *arguments):
    """Run tshark with the dissector; return its lines, none of them a Lua error."""
    script = tmp_path / "tickwire.lua"
    script.write_text(dissector.lua())
    found = subprocess.run(["tshark", "-X", f"lua_script:{script}", "-r", str(capture), *arguments],
                           capture_output=True, text=True, check=True)
    assert "Lua" not in found.stderr, found.stderr
    return found.stdout.splitlines()


def values(tmp_path, capture, *names):
    """Values of filter names, one list a frame."""
    arguments = [part for name in names for part in ("-e", name)]
    lines = dissect(tmp_path, capture, "-T", "fields", "-E", "separator=;", "-E", "aggregator=,",
                    *arguments)
    return [line.split(";") for line in lines]


ADD = struct.pack(">cHH6sQcI8sI", b"A", 7, 0, (34_200_000_000_001).to_bytes(6, "big"), 1 << 63,
                  b"S", 100, b"ZTEST   ", 1_000_100)
DELETE = struct.pack(">cHH6sQ", b"D", 7, 0, bytes(6), 42)


@tshark
def test_the_dissector_reads_itch_in_moldudp64(tmp_path):
    def block(octets):
        return struct.pack(">H", len(octets)) + octets
    header = struct.pack(">10sQH", b"SESSION001", 9, 2)
    capture = pcap(tmp_path / "mold.pcap", [
        udp_frame(header + block(ADD) + block(DELETE)),
        udp_frame(struct.pack(">10sQH", b"SESSION001", 11, moldudp64.HEARTBEAT)),
        udp_frame(struct.pack(">10sQH", b"SESSION001", 11, moldudp64.END_OF_SESSION)),
        udp_frame(header + block(DELETE) + block(ADD[:-1])),
    ])
    rows = values(tmp_path, capture, "tw_mold.session", "tw_mold.sequence_number",
                  "tw_mold.message_count", "tw_itch.type", "tw_itch.order_reference",
                  "tw_itch.price", "tw_itch.stock", "tw_itch.malformed")
    assert rows[0] == ["SESSION001", "9", "2", "A,D", f"{1 << 63},42", "1000100", "ZTEST", ""]
    assert rows[1] == ["SESSION001", "11", "0", "", "", "", "", ""]
    assert rows[2] == ["SESSION001", "11", "65535", "", "", "", "", ""]
    assert rows[3][3:6] == ["D,A", "42", ""] and rows[3][7]
    text = "\n".join(dissect(tmp_path, capture, "-O", "tw_mold,tw_itch"))
    assert "price: 1000100 (100.0100)" in text
    assert "timestamp: 34200000000001 (09:30:00.000000001)" in text
    assert "side: S (sell)" in text
    assert "Add Order has 36 octets, not 35" in text


ENTER = struct.pack(">cIcI8sQccccc14sH", b"O", 5, b"B", 100, b"ZTEST   ", 1_000_100, b"0", b"Y",
                    b"P", b"N", b"N", b"ORDER-5", 10) + b"\x05\x02FIRM" + b"\x03\x18\x01\x02"
CANCEL = struct.pack(">cII", b"X", 5, 0)


@tshark
@pytest.mark.parametrize("cuts", [(), (1,), (2, 3), (60, 61, 62, 75), tuple(range(1, 90))],
                         ids=lambda cuts: f"{len(cuts)} cuts")
def test_the_dissector_reassembles_packets_that_tcp_cut_anywhere(tmp_path, cuts):
    stream = b"".join(struct.pack(">Hc", len(body) + 1, b"U") + body for body in (ENTER, CANCEL))
    stream += b"\0\1R"
    capture = pcap(tmp_path / "soup.pcap", tcp_frames(stream, cuts))
    rows = values(tmp_path, capture, "tw_soup.type", "tw_ouch.type", "tw_ouch.user_ref_num",
                  "tw_ouch.cl_ord_id", "tw_ouch.option_firm", "tw_ouch.option_group_id",
                  "tw_ouch.malformed")
    if not cuts:
        assert rows == [["U,U,R", "O,X", "5,5", "ORDER-5", "FIRM", "258", ""]]
    named = dissect(tmp_path, capture, "-o", "tw_soup.ports:8001", "-T", "fields",
                    "-E", "separator=;", "-e", "tw_soup.type", "-e", "tw_ouch.type")
    found = [line.split(";") for line in named]
    assert "".join(row[0].replace(",", "") for row in found) == "UUR"
    assert "".join(row[1].replace(",", "") for row in found) == "OX"


@tshark
def test_the_dissector_reads_answers_and_a_glimpse_spin(tmp_path):
    accepted = struct.pack(">cQIcI8sQccQcccc14sH", b"A", 1, 5, b"B", 100, b"ZTEST   ", 1_000_100,
                           b"0", b"Y", 77, b"P", b"N", b"N", b"L", b"ORDER-5", 0)
    rejected = struct.pack(">cQIH14s", b"J", 1, 6, 0x1D, b"ORDER-6")
    end = b"G" + b"12345".rjust(20)
    stream = b"".join(struct.pack(">Hc", len(body) + 1, b"S") + body
                      for body in (accepted, rejected, ADD, end))
    capture = pcap(tmp_path / "answers.pcap", tcp_frames(stream, ()))
    rows = values(tmp_path, capture, "tw_ouch.type", "tw_itch.type", "tw_ouch.reason_number",
                  "tw_itch.sequence_number", "tw_ouch.malformed")
    assert rows == [["A,J", "A,G", "29", "12345", ""]]


@tshark
def test_the_dissector_marks_what_is_damaged(tmp_path):
    stream = b"\0\1R" + struct.pack(">Hc", 4, b"U") + b"O12" + b"\0\2Rx" + b"\0\1?"
    capture = pcap(tmp_path / "damaged.pcap", tcp_frames(stream, ()))
    text = "\n".join(dissect(tmp_path, capture, "-O", "tw_soup,tw_ouch"))
    assert "Enter Order has 47 octets, not 3" in text
    assert "Client Heartbeat has 3 octets, not 4" in text
    assert "No packet has type ?" in text


@tshark
def test_the_dissector_reads_the_recordings(tmp_path, shared_data):
    folder = shared_data / "omi_pcaps"
    for path in sorted(folder.glob("itch50*/*.pcap")) + sorted(folder.glob("ouch50/*.pcap")):
        rows = values(tmp_path, path, "tw_mold.malformed", "tw_itch.malformed",
                      "tw_soup.malformed", "tw_ouch.malformed", "tw_itch.type", "tw_soup.type")
        for row in rows:
            assert row[:4] == [""] * 4 and any(row[4:]), (path.name, row)
