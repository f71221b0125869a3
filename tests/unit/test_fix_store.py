"""A FIX session's store survives a kill at any octet and gives back what was sent.

Method: the file is cut, filled with zeros or with garbage at every octet of its last records, as a
killed writer or a lost page leaves it, and opened again; a real writer is killed; random sequences
of calls are compared with a dictionary, with and without opening again in between.
"""

import errno
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.orders.fix import flush
from tickwire.orders.fix import journal as journal_module
from tickwire.orders.fix.audit import AuditLog
from tickwire.orders.fix.journal import DURABILITIES, Journal, StoreError
from tickwire.orders.fix.store import FileStore, MemoryStore, read_state

NAME = "FIX.4.4:US->THEM"
NOW = 1_790_000_000_000_000_000
MESSAGE = b"8=FIX.4.4\x019=5\x0135=0\x0110=161\x01"


def opened(path, **options):
    return FileStore(path, NAME, NOW, "none", **options)


def state(store):
    return store.next_out, store.next_in, dict(store.sent(1, 1 << 60))


def filled(path):
    """A store with three messages and numbers in; returns its states after every step."""
    store, states, sizes = opened(path), [], []
    for number in range(1, 4):
        store.put(b"%s-%d" % (MESSAGE, number), NOW)
        states.append(state(store))
        sizes.append(store._journal.size)
        store.received(number + 1, NOW)
        states.append(state(store))
        sizes.append(store._journal.size)
    store.close()
    return states, sizes


def test_what_was_stored_is_there_after_opening_again(tmp_path):
    states, _ = filled(tmp_path / "store")
    store = opened(tmp_path / "store")
    assert state(store) == states[-1]
    assert store.torn == 0
    assert list(store.sent(2, 2)) == [(2, MESSAGE + b"-2")]
    assert list(store.sent(7, 9)) == []
    assert (store.created, read_state(tmp_path / "store")[:3]) == (NOW, (NAME, 4, 4))


@pytest.mark.parametrize("behind", ["nothing", "zeros", "garbage"])
@pytest.mark.parametrize("has_index", [True, False])
def test_a_cut_at_any_octet_leaves_the_state_before_or_after(tmp_path, behind, has_index):
    path = tmp_path / "store"
    states, sizes = filled(path)
    whole = path.read_bytes()
    for cut in range(sizes[2], len(whole) + 1):
        rest = {"nothing": b"", "zeros": bytes(4096), "garbage": b"\xa5" * 100}[behind]
        path.write_bytes(whole[:cut] + rest)
        if not has_index:
            (tmp_path / "store.index").unlink(missing_ok=True)
        store = opened(path)
        # Padding is not part of the record before it: up to 7 octets may be missing.
        known = [states[index] for index, size in enumerate(sizes) if size <= cut + 7]
        assert state(store) == known[-1] or (state(store) == known[-2] and cut not in sizes)
        assert store.torn or behind != "garbage"
        store.put(b"next", NOW)
        store.close()
        again = opened(path)
        assert dict(again.sent(1, 99))[again.next_out - 1] == b"next"
        assert again.torn == 0
        again.close()


def test_octets_cut_off_are_told(tmp_path):
    path = tmp_path / "store"
    _, sizes = filled(path)
    path.write_bytes(path.read_bytes()[:sizes[-3] + 40])
    assert opened(path).torn == 40


def test_damage_before_whole_records_is_refused_until_it_is_repaired(tmp_path):
    path = tmp_path / "store"
    states, sizes = filled(path)
    octets = bytearray(path.read_bytes())
    octets[sizes[1] + 40] ^= 1
    path.write_bytes(octets)
    (tmp_path / "store.index").unlink()
    with pytest.raises(StoreError, match=f"octet {sizes[1]} is damaged.*octet {sizes[2]}"):
        opened(path)
    repaired = opened(path, is_repaired=True)
    assert state(repaired) == states[1]
    assert repaired.torn == len(octets) - sizes[1]


def test_a_message_damaged_behind_the_index_is_not_given_out(tmp_path):
    path = tmp_path / "store"
    store = opened(path)
    for number in range(1, 200):
        store.put(b"%d" % number, NOW)
    offset = store._journal.read(0).end
    os.pwrite(store._journal._file, b"?", offset + 32)
    assert 1 not in dict(store.sent(1, 10))
    assert dict(store.sent(150, 160)) == {n: b"%d" % n for n in range(150, 161)}


def test_only_one_process_writes(tmp_path):
    store = opened(tmp_path / "store")
    with pytest.raises(StoreError, match="another process uses this session"):
        opened(tmp_path / "store")
    assert read_state(tmp_path / "store")[1] == 1
    store.close()
    opened(tmp_path / "store").close()


def test_the_store_of_another_session_is_refused(tmp_path):
    opened(tmp_path / "store").close()
    with pytest.raises(StoreError, match=r"is the store of FIX\.4\.4:US->THEM, not another"):
        FileStore(tmp_path / "store", "another", NOW)


@pytest.mark.parametrize("octets", [b"", b"\0" * 100, b"8=FIX.4.4\x01", b"\xff" * 5000])
def test_a_file_that_is_no_store(tmp_path, octets):
    (tmp_path / "store").write_bytes(octets)
    with pytest.raises(StoreError, match="is not the store of a FIX session"):
        read_state(tmp_path / "store")


def test_a_reset_leaves_nothing_and_survives_a_kill_before_it_is_whole(tmp_path):
    path = tmp_path / "store"
    filled(path)
    (tmp_path / "store.new").write_bytes(b"left behind")
    store = opened(path)
    store.reset(NOW + 1)
    assert (state(store), store.created) == ((1, 1, {}), NOW + 1)
    store.put(b"first", NOW + 2)
    store.close()
    assert state(opened(path)) == (2, 1, {1: b"first"})


@pytest.mark.parametrize("mode", DURABILITIES)
def test_the_disk_is_asked_as_often_as_the_mode_says(tmp_path, monkeypatch, mode):
    asked = []

    class Flusher:
        def __init__(self, file):
            self.begin = lambda: asked.append(file) or True
            self.wait = self.close = lambda: None
    monkeypatch.setattr(journal_module.os, "fdatasync", asked.append)
    monkeypatch.setattr(journal_module, "Flusher", Flusher)
    journal = Journal(tmp_path / "journal", mode, batch_ms=10)
    journal.append(1, 1, NOW)
    asked.clear()
    for step in range(1, 31):
        journal.append(1, step, NOW + step * 1_000_000)
    assert len(asked) == {"none": 0, "batch": 3, "each": 30}[mode]
    journal.append(1, 31, NOW + 31_000_000)
    journal.sync()
    journal.sync()
    assert len(asked) == {"none": 0, "batch": 4, "each": 31}[mode]
    journal.append(1, 32, NOW - 3_600_000_000_000)
    assert len(asked) == {"none": 0, "batch": 5, "each": 32}[mode], "a clock that was set back"


def test_a_batch_waits_for_the_one_before_and_loses_nothing(tmp_path, monkeypatch):
    begun, is_busy = [], [False]

    class Flusher:
        def __init__(self, file):
            self.wait = self.close = lambda: is_busy.__setitem__(0, False)

        def begin(self):
            if not is_busy[0]:
                begun.append(journal.size)
                is_busy[0] = True
                return True
            return False
    monkeypatch.setattr(journal_module, "Flusher", Flusher)
    monkeypatch.setattr(journal_module.os, "fdatasync", lambda file: begun.append(journal.size))
    journal = Journal(tmp_path / "journal", "batch", batch_ms=10)
    first = journal.append(1, 1, NOW) or journal.size
    assert begun == [first]
    journal.append(1, 2, NOW + 20_000_000)     # due, but the disk is at the first one
    journal.begin_sync(NOW + 21_000_000)
    assert begun == [first]
    is_busy[0] = False
    journal.begin_sync(NOW + 22_000_000)
    assert begun == [first, journal.size]
    journal.append(1, 3, NOW + 23_000_000)
    journal.sync()                             # waits for the second, then for the rest
    assert begun[2:] == [journal.size] and not is_busy[0]
    journal.sync()
    assert len(begun) == 3


@pytest.mark.parametrize("has_aio", [True, False])
def test_a_flush_in_the_background_ends_and_tells_what_went_wrong(tmp_path, monkeypatch, has_aio):
    if not has_aio:
        monkeypatch.setattr(flush, "_CALLS", None)
    with open(tmp_path / "file", "wb") as file:
        file.write(bytes(100_000))
        flusher = flush.Flusher(file.fileno())
        for _ in range(3):
            assert flusher.begin()
            flusher.wait()
            assert not flusher.is_running
        context = flusher._context
        assert flusher.begin()
        flusher.close()                        # which waits; the kernel's context is used again
        flusher = flush.Flusher(file.fileno())
        assert flusher._context == context and bool(context) == has_aio and flusher.begin()
        flusher.close()
    there, back = os.pipe()                    # nothing that can be flushed
    flusher = flush.Flusher(back)
    with pytest.raises(OSError, match="Invalid argument"):
        flusher.begin()
        flusher.wait()
    flusher.close()
    os.close(there)
    os.close(back)


def test_a_disk_that_refuses_is_told_with_the_next_batch(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    monkeypatch.setattr(flush.Flusher, "begin", refuse)
    with pytest.raises(StoreError, match="the disk refuses: Input/output error"):
        Journal(tmp_path / "journal", "batch").append(1, 1, NOW)


@pytest.mark.parametrize("is_index", [False, True])
def test_a_place_where_nothing_can_be_kept_is_told(tmp_path, is_index):
    path = tmp_path / "folder" / "venue.store"
    if is_index:
        path.with_name("venue.store.index").mkdir(parents=True)
        sentence = r"venue\.store\.index: cannot be opened: Is a directory\.$"
    else:
        path.parent.write_text("a file")
        sentence = r"folder: the folder cannot be made: File exists\.$"
        with pytest.raises(StoreError, match=sentence):
            AuditLog(path.parent, "fix")
    with pytest.raises(StoreError, match=sentence):
        FileStore(path, "venue", NOW)


def test_a_full_disk_is_told_and_nothing_is_half_written(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "journal", "none")
    journal.append(1, 1, NOW)

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(journal_module.os, "pwrite", refuse)
    with pytest.raises(StoreError, match="cannot be extended: No space left"):
        for number in range(2, 100_000):
            journal.append(1, number, NOW, bytes(1000))
    journal.append(1, number, NOW)
    journal.close()
    monkeypatch.undo()
    assert [record.number for record in Journal(tmp_path / "journal").records()] == [
        *range(1, number + 1)]


def test_a_record_larger_than_a_window(tmp_path):
    journal = Journal(tmp_path / "journal", "none")
    octets = os.urandom(3_000_000)
    journal.append(1, 1, NOW, octets)
    journal.append(2, 2, NOW, b"behind")
    journal.close()
    assert [record.payload for record in Journal(tmp_path / "journal").records()] == [
        octets, b"behind"]


WRITER = """
import sys
from pathlib import Path
from tickwire.orders.fix.store import FileStore
store = FileStore(Path(sys.argv[1]), "killed", 1, sys.argv[2])
while True:
    store.put(b"%d" % store.next_out * 50, store.next_out * 1_000_000)
    sys.stdout.buffer.write(b"%d\\n" % (store.next_out - 1))
    sys.stdout.buffer.flush()
"""


@pytest.mark.parametrize("mode", DURABILITIES)
def test_whatever_was_acknowledged_before_a_kill_is_there(tmp_path, mode):
    path = tmp_path / "store"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), mode],
                              stdout=subprocess.PIPE)
    for line in writer.stdout:
        if int(line) >= 150:
            break
    writer.send_signal(signal.SIGKILL)
    acknowledged = int((line + writer.stdout.read()).split(b"\n")[-2])
    writer.wait()
    store = FileStore(path, "killed", 2, "none")
    sent = dict(store.sent(1, 1 << 60))
    assert store.next_out > acknowledged >= 150
    assert sent == {n: b"%d" % n * 50 for n in range(1, store.next_out)}


STEPS = st.lists(st.one_of(
    st.tuples(st.just("put"), st.integers(1, 150)),
    st.tuples(st.just("received"), st.integers(1, 1000)),
    st.tuples(st.just("renumber"), st.integers(1, 400)),
    st.tuples(st.just("reset"), st.just(0)),
    st.tuples(st.just("open"), st.just(0))), max_size=12)


@settings(max_examples=60)
@given(steps=STEPS, first=st.integers(1, 400), length=st.integers(0, 300))
def test_any_sequence_of_calls_gives_what_a_dictionary_gives(tmp_path_factory, steps, first,
                                                             length):
    path = tmp_path_factory.mktemp("store") / "store"
    stores = [opened(path), MemoryStore(NOW)]
    kept, next_out, next_in = {}, 1, 1
    for step, (what, value) in enumerate(steps):
        if what == "open":
            stores[0].close()
            stores[0] = opened(path)
        elif what == "put":
            for _ in range(value):
                kept[next_out] = octets = b"%d/%d" % (step, next_out)
                next_out += 1
                for store in stores:
                    store.put(octets, NOW)
        else:
            for store in stores:
                getattr(store, what)(*((value, NOW) if value else (NOW,)))
            if what == "received":
                next_in = value
            elif what == "renumber":
                next_out = value
                kept = {number: kept[number] for number in kept if number < value}
            else:
                kept, next_out, next_in = {}, 1, 1
    for store in stores:
        assert state(store) == (next_out, next_in, kept)
        assert list(store.sent(first, first + length)) == [
            (number, kept[number]) for number in sorted(kept) if first <= number <= first + length]
        store.close()
    assert state(opened(path)) == (next_out, next_in, kept)


def test_the_memory_store_forgets_the_oldest_messages():
    store = MemoryStore(NOW, octets_max=1000)
    for _ in range(50):
        store.put(bytes(100), NOW)
    assert [number for number, _ in store.sent(1, 99)] == [*range(41, 51)]
    assert store.next_out == 51
