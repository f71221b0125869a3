"""The audit log keeps every octet with its time, a file a day, and shows it readably.

Method: octets of all values go in, files are read back with the journal's reader and as lines.
"""

import pytest

from tickwire import cli
from tickwire.errors import InputError
from tickwire.orders.fix import journal
from tickwire.orders.fix.audit import NOTE, RECEIVED, SENT, AuditLog, lines
from tickwire.orders.fix.journal import StoreError, scan

NOON = 1_767_268_800_000_000_000           # 2026-01-01 12:00:00 UTC
DAY = 86_400_000_000_000


def test_every_octet_is_kept_and_shown(tmp_path):
    log = AuditLog(tmp_path / "new", "venue")
    log.add(NOTE, 1, NOON, b"accepted 127.0.0.1:5")
    log.add(RECEIVED, 1, NOON + 1, bytes(range(256)))
    log.add(SENT, 1, NOON + 123_456_789, b"8=FIX.4.4\x0135=0\x01")
    log.close()
    path = tmp_path / "new" / "venue-20260101.audit"
    assert [record.payload for record in scan(path)][1] == bytes(range(256))
    shown = list(lines(path))
    assert shown[0] == "2026-01-01 12:00:00.000000000 1 # accepted 127.0.0.1:5"
    assert shown[1].startswith("2026-01-01 12:00:00.000000001 1 < \\x00|\\x02")
    assert shown[2] == "2026-01-01 12:00:00.123456789 1 > 8=FIX.4.4|35=0|"


def test_a_day_has_its_file_and_a_second_start_goes_on_in_it(tmp_path):
    for _ in range(2):
        log = AuditLog(tmp_path, "venue")
        log.add(SENT, 1, NOON, b"today")
        log.add(SENT, 1, NOON + DAY, b"tomorrow")
        log.sync()
        log.close()
        log.close()
    assert {path.name: len(list(scan(path))) for path in tmp_path.iterdir()} == {
        "venue-20260101.audit": 2, "venue-20260102.audit": 2}


def test_an_entry_of_before_midnight_that_is_late_stays_in_the_file_of_the_new_day(tmp_path):
    log = AuditLog(tmp_path, "venue")
    for time in (NOON, NOON + DAY, NOON, NOON + DAY):
        log.add(SENT, 1, time, b"order")
    log.close()
    assert {path.name: [record.time for record in scan(path)] for path in tmp_path.iterdir()} == {
        "venue-20260101.audit": [NOON],
        "venue-20260102.audit": [NOON + DAY, NOON, NOON + DAY]}


def test_a_log_is_checked_when_it_is_opened_and_not_record_by_record(tmp_path, monkeypatch):
    for _ in range(2):
        log = AuditLog(tmp_path, "venue")
        log.open(NOON)
        for number in range(100):
            log.add(SENT, number, NOON, bytes(number))
        log.close()
        monkeypatch.setattr(journal, "_record", None)      # which reads one
    monkeypatch.undo()
    path, = tmp_path.iterdir()
    assert len(list(scan(path))) == 200
    octets = bytearray(path.read_bytes())
    octets[32 + 32] ^= 1                   # the payload of the second, behind one that has none
    path.write_bytes(octets)
    with pytest.raises(StoreError, match="octet 32 is damaged.*; move the log away"):
        log.open(NOON)


def test_a_file_that_is_no_log_is_told(tmp_path):
    (tmp_path / "x").write_bytes(b"8=FIX.4.4\x01")
    with pytest.raises(InputError, match="x is not an audit log"):
        list(lines(tmp_path / "x"))


@pytest.mark.parametrize(("name", "what"), [("none", ""), ("", "is a folder, not a file.\n")])
def test_one_that_cannot_be_read_ends_with_the_status_of_an_input(tmp_path, name, what, capsys):
    assert cli.main(["fix", "audit", str(tmp_path / name)]) == 3
    assert capsys.readouterr().err.startswith(f"{tmp_path / name}: {what}")


def test_a_damaged_log_is_shown_up_to_the_damage_which_is_told(tmp_path):
    log = AuditLog(tmp_path, "venue")
    for number in range(3):
        log.add(SENT, number, NOON, b"today")
    log.close()
    path = tmp_path / "venue-20260101.audit"
    octets = bytearray(path.read_bytes())
    octets[40 + 33] ^= 1
    path.write_bytes(octets)
    entries, shown = lines(path), []
    with pytest.raises(InputError, match="octet 40 is damaged, and whole ones follow .* octet 80"):
        shown.extend(entries)
    assert len(shown) == 1
    with pytest.raises(StoreError, match="octet 40 is damaged.*; move the log away"):
        log.add(SENT, 1, NOON, b"more")
