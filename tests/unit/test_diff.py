"""``tickwire diff`` finds the first record that differs, counts all, and fails when one does.

Method: two passes of kernels that are given different tick sizes, so that their books differ from
a known message on; and passes that only say what a test tells them. The card itself is compared
in ``tests/gateware/test_verilated_replay.py``.
"""

import pytest

from tests.reference import itch
from tickwire.cli import main
from tickwire.commands import diff as command
from tickwire.device import kinds
from tickwire.device.compare import compare
from tickwire.device.replay import Replay
from tickwire.errors import InputError, TickwireError
from tickwire.feed import open_source
from tickwire.spec.geometry import CARD_SMALL

MESSAGES = [itch.directory(1, "AAA"), itch.add(1, 10, b"B", 100, 1_000_000),
            itch.add(1, 11, b"S", 100, 1_000_300), itch.add(1, 12, b"B", 50, 1_000_150),
            itch.delete(1, 12)]


@pytest.fixture
def path(tmp_path):
    """A BinaryFILE whose fourth message is off a grid of a cent."""
    file = tmp_path / "day.itch"
    file.write_bytes(itch.binary_file(MESSAGES))
    return file


class Fine(Replay):
    """Kernels that are told another tick size than asked for."""

    def __init__(self, source, *, tick=0, **settings):
        super().__init__(source, tick=1, **settings)


def found(path, ours=Replay, theirs=Replay, **settings):
    with open_source(path) as first, open_source(path) as second:
        *_, last = compare(ours(first, tick=100, geometry=CARD_SMALL, **settings),
                           theirs(second, tick=100, geometry=CARD_SMALL, **settings))
    return last


def test_a_device_equals_itself(path):
    last = found(path)
    assert (last.records, last.differences, last.first) == (4, 0, None)


def test_the_first_record_that_differs_is_named_with_the_book_before_it(path):
    last = found(path, theirs=Fine)
    assert last.differences > 0
    assert last.first.number == 4
    ours, theirs = last.first.records
    assert ours != theirs
    assert (last.first.books["bid_price"], last.first.books["ask_price"]) == (1_000_000, 1_000_300)


def test_records_that_only_one_device_has_are_differences(path, tmp_path):
    shorter = tmp_path / "shorter.itch"
    shorter.write_bytes(itch.binary_file(MESSAGES[:3]))        # the fourth is off the grid
    with open_source(path) as first, open_source(shorter) as second:
        *_, last = compare(Replay(first, geometry=CARD_SMALL),
                           Replay(second, geometry=CARD_SMALL))
    assert last.first.number == 4 and last.first.records[1] is None
    assert last.records == 4 and last.differences == 1


def test_the_command_ends_with_the_count_and_fails_on_a_difference(path, monkeypatch, capsys):
    assert command.diff("software", "software", path, tick=100) == 0
    assert capsys.readouterr().out == "4 records, 0 differences\n"
    shown = kinds.replay_of
    monkeypatch.setattr(command, "replay_of",
                        lambda device: Fine if device == "fine" else shown(device))
    monkeypatch.setitem(kinds.WAITING, "fine", "")
    assert command.diff("software", "software", path, tick=100) == 0
    capsys.readouterr()
    monkeypatch.setitem(kinds._REPLAYS, "fine", "none")
    assert command.diff("software", "fine", path, tick=100) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Record 4 is the first that differs")
    assert "Both books before it: locate 1, bid 100 at 1,000,000" in lines[-2]
    assert lines[-1].endswith("differences") and not lines[-1].endswith(" 0 differences")


def test_what_came_before_damage_is_compared_and_the_damage_told(path, capsys):
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match="cut short"):
        command.diff("software", "software", path)
    assert capsys.readouterr().out.endswith("records, 0 differences\n")


@pytest.mark.parametrize(("arguments", "sentence"), (
    (("software", "card"), "replayed on software or verilated, not on 'card'"),
    (("software", "software", "tiny"), "--geometry must be one of plain, small, large, market"),
    (("software", "verilated", "market"), "does not fit a card")))
def test_what_is_no_device_or_geometry_is_refused(path, arguments, sentence):
    first, second, *geometry = arguments
    with pytest.raises(TickwireError, match=sentence):
        command.diff(first, second, path, geometry="".join(geometry))


def test_more_symbols_than_a_card_has_room_for_are_refused(path):
    with pytest.raises(TickwireError, match="room for 4 instruments, not for 5"):
        command.diff("software", "software", path, symbols="A,B,C,D,E")


def test_a_symbol_that_the_recording_does_not_name_is_told(path, capsys):
    assert main(["diff", "software", "software", str(path), "--symbols", "NOPE"]) == 3
    told = capsys.readouterr()
    assert told.out.endswith("records, 0 differences\n")
    assert "has no directory message for NOPE." in told.err
