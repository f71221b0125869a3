"""A bitstream is loaded only when manifest, hash and digest are right, by a tool that is there.

Method: manifests of the test with one thing wrong at a time; the tool is a script on the path.
"""

import hashlib
import os

import pytest

from tickwire.cli import main
from tickwire.device import bitstream
from tickwire.errors import TickwireError
from tickwire.spec.digest import digest
from tickwire.spec.geometry import CARD_LARGE, CARD_SMALL
from tickwire_hw.platform import manifest

OCTETS = b"bits"
GOOD = {
    "board": '"arty"', "part": '"xcau25p"', "file": '"card.bit"', "toolchain": '"some tool 1.0"',
    "sha256": f'"{hashlib.sha256(OCTETS).hexdigest()}"', "digest": f'"{digest():016x}"',
    "is_timing_met": "true",
    "geometry": "{ instruments = 4, orders_log2 = 9, order_stash = 8, levels_log2 = 8, "
                "level_stash = 8, window_words = 16, lookups = 1, cached = 6 }"}


def make(folder, **changes):
    (folder / "card.bit").write_bytes(OCTETS)
    rows = {**GOOD, **changes}
    (folder / "manifest.toml").write_text("[bitstream]\n" + "".join(
        f"{key} = {value}\n" for key, value in rows.items() if value))
    return folder


def test_what_a_manifest_says_is_checked_and_returned(tmp_path):
    found = bitstream.read(make(tmp_path))
    assert (found.board, found.geometry, found.is_timing_met) == ("arty", CARD_SMALL, True)
    assert found.path.read_bytes() == OCTETS


@pytest.mark.parametrize(("changes", "wanted"), [
    ({"digest": '"0123456789abcdef"'}, f"'0123456789abcdef'.*which are {digest():016x}"),
    ({"sha256": '"00"'}, "has SHA-256 .*its manifest says 00"),
    ({"file": '"none.bit"'}, "none.bit cannot be read: No such file"),
    ({"file": '"../card.bit"'}, "must lie beside its manifest"),
    ({"file": '"/etc/passwd"'}, "must lie beside its manifest"),
    ({"board": ""}, "bitstream.board must be text, not None"),
    ({"board": '""'}, "bitstream.board must be a board's name, not ''"),
    ({"board": '"--help"'}, "bitstream.board must be a board's name, not '--help'"),
    ({"is_timing_met": "1"}, "must be true or false, not 1"),
    ({"geometry": "{ instruments = 0 }"}, "geometry.instruments must be 1 to 65536, not 0"),
    ({"geometry": "{ cells = 1 }"}, "unexpected keyword argument 'cells'"),
    ({"extra": "1"}, "bitstream.extra is not a key"),
    ({"board": "="}, "cannot be read"),
    ({"board": "[" * 3_000}, "cannot be read"),
    ({"file": r'"a\u0000b"'}, "must lie beside its manifest"),
])
def test_one_thing_wrong_is_told(tmp_path, changes, wanted):
    with pytest.raises(TickwireError, match=wanted):
        bitstream.read(make(tmp_path, **changes))


def test_a_folder_without_a_manifest_and_one_without_a_table(tmp_path):
    with pytest.raises(TickwireError, match=r"There is no .*manifest.toml"):
        bitstream.read(tmp_path)
    (tmp_path / "manifest.toml").write_text("board = 1\n")
    with pytest.raises(TickwireError, match=r"has no table \[bitstream\]"):
        bitstream.read(tmp_path)


def tool(tmp_path, monkeypatch, script):
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / bitstream.LOADER
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_it_is_loaded_by_the_tool(tmp_path, monkeypatch, capsys):
    tool(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/said')
    assert main(["device", "load", str(make(tmp_path))]) == 0
    assert (tmp_path / "said").read_text() == f"--board arty {tmp_path}/card.bit\n"
    assert "rescan the bus" in capsys.readouterr().out


def test_a_check_loads_nothing_and_bad_timing_is_told(tmp_path, monkeypatch, capsys):
    tool(tmp_path, monkeypatch, "exit 9")
    assert main(["device", "load", str(make(tmp_path, is_timing_met="false")), "--check"]) == 0
    assert "timing was not met" in capsys.readouterr().out


def test_a_tool_that_is_missing_or_fails_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["device", "load", str(make(tmp_path))]) == 2
    assert "openFPGALoader is not on the path" in capsys.readouterr().err
    tool(tmp_path, monkeypatch, "echo no cable >&2; exit 3")
    assert main(["device", "load", str(tmp_path)]) == 2
    assert "failed with status 3 and said: no cable" in capsys.readouterr().err


def test_what_a_tool_says_may_be_no_text_and_a_tool_no_program(tmp_path, monkeypatch, capsys):
    tool(tmp_path, monkeypatch, r"printf 'no \377 cable' >&2; exit 3")
    assert main(["device", "load", str(make(tmp_path))]) == 2
    assert "failed with status 3 and said: no \ufffd cable" in capsys.readouterr().err
    (tmp_path / "bin" / bitstream.LOADER).write_bytes(b"\0")
    assert main(["device", "load", str(tmp_path)]) == 2
    assert "openFPGALoader cannot be run: Exec format error" in capsys.readouterr().err


def test_a_files_name_is_no_option_of_the_tool(tmp_path, monkeypatch):
    tool(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/said')
    (make(tmp_path, file='"-f"') / "card.bit").rename(tmp_path / "-f")
    monkeypatch.chdir(tmp_path)
    assert main(["device", "load", "."]) == 0
    assert (tmp_path / "said").read_text() == f"--board arty {tmp_path}/-f\n"


def test_a_manifest_that_is_written_for_a_file_is_taken(tmp_path, capsys):
    file = tmp_path / "card.bit"
    file.write_bytes(OCTETS)
    arguments = [str(file), "--board", "arty", "--part", "xcau25p", "--toolchain", "some tool 1.0"]
    assert manifest.main([*arguments, "--geometry", "small"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'manifest.toml'}\n"
    found = bitstream.read(tmp_path)
    assert (found.board, found.part, found.geometry) == ("arty", "xcau25p", CARD_SMALL)
    assert (found.path, found.toolchain, found.is_timing_met) == (file, "some tool 1.0", False)
    assert manifest.main([*arguments, "--timing-met"]) == 0
    found = bitstream.read(tmp_path)
    assert (found.geometry, found.is_timing_met) == (CARD_LARGE, True)


@pytest.mark.parametrize(("changes", "wanted"), [
    ({"--board": 'a"b'}, "board must be plain text without quotes"),
    ({"--board": ""}, "board must be a board's name, not ''"),
    ({"--part": "a\nb"}, "part must be plain text without quotes"),
    ({"file": "none.bit"}, "No such file")])
def test_a_manifest_that_could_not_be_read_is_not_written(tmp_path, capsys, changes, wanted):
    (tmp_path / "card.bit").write_bytes(OCTETS)
    given = {"--board": "arty", "--part": "xcau25p", "--toolchain": "tool", **changes}
    file = tmp_path / given.pop("file", "card.bit")
    with pytest.raises(SystemExit):
        manifest.main([str(file), *(word for pair in given.items() for word in pair)])
    assert wanted in capsys.readouterr().err
    assert not (tmp_path / "manifest.toml").exists()
