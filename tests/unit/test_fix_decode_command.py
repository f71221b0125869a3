"""`tickwire fix decode` shows messages to people and programs, and tells the bad ones.

Method: small files, the command called as a function; output line by line, and the exit status.
"""

import io
import json
import re
import subprocess
import sys

import pytest

from tests.fix_rig import ORDER, message
from tickwire.cli import main
from tickwire.commands.fix_decode import decode
from tickwire.errors import TickwireError

GROUP = ORDER + "453=1|448=A|802=1|523=s|18=1 G|"


@pytest.fixture
def file(tmp_path):
    """What writes octets to a file and returns its path."""
    def write(octets: bytes) -> str:
        path = tmp_path / "messages.fix"
        path.write_bytes(octets)
        return str(path)
    return write


def test_a_message_is_shown_with_names_meanings_and_groups(file, capsys):
    assert decode(file(message("D", GROUP) + b"\r\n")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1: NewOrderSingle (D) FIX.4.4 34=2 TW -> ISLD 20261127-23:59:59.123"
    assert "  54 Side = 1 (BUY)" in lines and "  18 ExecInst = 1 G (NOT_HELD, ALL_OR_NONE)" in lines
    place = lines.index("  453 NoPartyIDs = 1")
    assert lines[place + 1:place + 5] == [
        "    [1]", "      448 PartyID = A", "      802 NoPartySubIDs = 1", "        [1]"]


def test_bad_messages_are_told_with_place_and_reason(file, capsys):
    good, garbled = message("0"), message("0")[:-4] + b"999\x01"
    assert decode(file(good + message("D", ORDER + "40=2|") + garbled + good[:20])) == 1
    out = capsys.readouterr().out
    second = len(good)
    assert f"2: bad, at octet {second}: Tag appears more than once: 40 (reason 13)" in out
    assert "garbled: CheckSum (10) is not the sum" in out
    assert "garbled: ends before its CheckSum" in out


def test_json_is_one_object_a_line(file, capsys):
    assert decode(file(message("D", GROUP) + message("0", "999=x|")), json=True) == 1
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["name"] == "NewOrderSingle" and first["trouble"] == ""
    assert first["body"]["NoPartyIDs"][0]["NoPartySubIDs"] == [{"PartySubID": "s"}]
    assert second["trouble"].startswith("Invalid tag number: 999") and second["octet"] > 0


def test_another_delimiter_and_standard_input(monkeypatch, capsys):
    octets = message("D", GROUP).replace(b"\x01", b"|")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
    assert main(["fix", "decode", "--delimiter", "|", "-"]) == 0
    assert "55 Symbol = INTC" in capsys.readouterr().out
    assert main(["fix", "decode", "--nothing"]) == 2
    assert "Unknown option: --nothing." in capsys.readouterr().err
    with pytest.raises(TickwireError, match="--delimiter"):
        decode("-", delimiter="ab")


@pytest.mark.parametrize("end, hint", [
    (b"|", "Fields end with '|' here, not with SOH: add --delimiter '|'."),
    (b";", "Fields end with ';' here, not with SOH: add --delimiter ';'.")])
def test_fields_that_end_otherwise_are_hinted_at(file, capsys, end, hint):
    octets = b"".join(message(kind).replace(b"\x01", end) + b"\n" for kind in "00")
    assert decode(file(octets)) == 1
    assert capsys.readouterr().err == hint + "\n"
    assert decode(file(octets), delimiter=end.decode()) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("end", [b"^A", b"<SOH>", b"\\x01"])
def test_a_delimiter_of_several_characters_is_hinted_at_with_what_replaces_it(
        file, capsys, monkeypatch, end):
    path = file(message("0").replace(b"\x01", end) + b"\n")
    assert decode(path) == 1
    command = re.search("`(sed .*) [|] tickwire fix decode -`", capsys.readouterr().err)
    replaced = subprocess.run(command[1], shell=True, capture_output=True, check=True).stdout
    assert replaced == message("0") + b"\n"


def test_who_has_seen_enough_is_not_hinted_at(file):
    path = file(message("0").replace(b"\x01", b"|") * 20_000)
    with subprocess.Popen([sys.executable, "-m", "tickwire.cli", "fix", "decode", path],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 1


def test_garbled_octets_and_other_text_are_not_hinted_at(file, capsys):
    assert decode(file(message("0")[:-4] + b"999\x01" + b"8=FIX.4.4, 9=9 and so on")) == 1
    assert capsys.readouterr().err == ""


def test_the_text_that_a_log_has_before_each_message_is_passed_over(file, capsys):
    octets = b"\r\n".join(b"20260105-10:00:00.123 : < " + message(kind) for kind in "00")
    assert decode(file(b"# begin\n" + octets)) == 0
    out = capsys.readouterr().out
    assert [line[:12] for line in out.splitlines() if line[0] != " "] == [
        "1: Heartbeat", "2: Heartbeat"]
    assert decode(file(octets.replace(b"\x01", b"|")), delimiter="|") == 0
    assert decode(file(b"\x00" + octets)) == 1
    assert decode(file(b"112=x\x01" + octets)) == 1


@pytest.mark.parametrize("octets", [b"", b"no message\n"])
def test_a_file_without_a_message_is_told(file, octets, capsys):
    assert main(["fix", "decode", path := file(octets)]) == 3
    assert capsys.readouterr() == ("", f"{path} has no FIX message in it.\n")


def test_a_version_without_a_dictionary_is_shown_bare(file, capsys):
    assert decode(file(message("D", ORDER, "FIX.4.0"))) == 0
    assert "  55 = INTC" in capsys.readouterr().out


def test_what_cannot_be_read_is_told(file, tmp_path):
    with pytest.raises(TickwireError, match="cannot be read"):
        decode(str(tmp_path / "none"))
    with pytest.raises(TickwireError, match=r"none\.xml cannot be read as a dictionary: "
                                            r"No such file or directory\.$"):
        decode(file(b""), dictionary=tmp_path / "none.xml")
