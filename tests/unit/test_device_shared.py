"""Shared memory of a device: who owns it, who may read it, and what is left when its owner dies.

Method: files with names of this process only; a second process plays the owner that dies without
a word. Headers are damaged octet by octet at places worked out from the table.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tickwire.device import shared
from tickwire.errors import TickwireError
from tickwire.spec.geometry import CARD_SMALL, DEMO
from tickwire.spec.intents import WINDOW_SLOTS
from tickwire.spec.shared import REGIONS, SHARED_HEADER
from tickwire.spec.stages import HISTOGRAM_WORDS, STAGES

SIZES = {"market_log2": 8, "order_log2": 7, "token_log2": 6}
ABI_AT, DIGEST_AT, SIZE_AT = (SHARED_HEADER.field(name)[1] for name in ("abi", "digest", "size"))
OWNER = """
import sys, time
from tickwire.device import shared
from tickwire.spec.geometry import CARD_SMALL
memory, _ = shared.create(sys.argv[1], "software", CARD_SMALL, market_log2=8, order_log2=7,
                          token_log2=6)
print("made", flush=True)
time.sleep(600)
"""


@pytest.fixture
def name(request):
    """A name that no other test has; its file is removed afterwards."""
    made = f"t{os.getpid()}-{request.node.name[:16].replace('[', '-').replace(']', '')}"
    yield made
    shared.path_of(made).unlink(missing_ok=True)


@pytest.fixture
def memory(name):
    """Memory of a device that this process owns."""
    made, remark = shared.create(name, "software", CARD_SMALL, **SIZES)
    assert remark == ""
    with made:
        yield made


@pytest.fixture
def dead(name):
    """Name of a device whose owner was killed."""
    with subprocess.Popen([sys.executable, "-c", OWNER, name], stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"made\n"
        owner.send_signal(signal.SIGKILL)
    return name, owner.pid


def test_every_region_begins_on_a_page_and_none_overlaps(memory):
    places = sorted((int(memory.header[f"at_{region.name}"]), region.name) for region in REGIONS)
    octets = memory.sizes.octets()
    end = 4096                             # the header has the first page
    for place, region in places:
        assert place % 4096 == 0 and place >= end
        end = place + octets[region]
    assert end <= int(memory.header["size"]) == os.stat(memory.path).st_size


def test_the_regions_are_as_large_as_their_tables_say(memory):
    octets = memory.sizes.octets()
    instruments = CARD_SMALL.instruments
    assert octets == {
        "registers": 4096, "counters": 1024, "histograms": len(STAGES) * HISTOGRAM_WORDS * 8,
        "engine": 4096, "state": 64 * instruments, "positions": 128 * instruments,
        "window": 64 * WINDOW_SLOTS, "limits": 128 * (instruments + 25),
        "order_ring": 64 << 7, "market_ring": 64 << 8}


def test_a_reader_sees_what_the_owner_writes_and_cannot_write(memory, name):
    with shared.attach(name) as reader:
        memory.view("state")[5] = 77
        assert reader.view("state")[5] == 77
        assert reader.is_alive()
        with pytest.raises(ValueError, match="read-only"):
            reader.view("state")[5] = 78


def test_only_the_user_may_open_it(memory):
    assert memory.path.stat().st_mode & 0o777 == 0o600


def test_a_name_has_one_owner(memory, name):
    with pytest.raises(TickwireError, match=f"{name!r} runs already, in process {os.getpid()}"):
        shared.create(name, "software", CARD_SMALL, **SIZES)
    assert memory.path.exists()


@pytest.mark.parametrize("is_left_over", [False, True])
@pytest.mark.parametrize("moment", range(3))
def test_of_two_that_start_at_once_one_owns_the_name(name, monkeypatch, moment, is_left_over):
    """The other one starts and is through before each of the first one's three locks."""
    lock, owners, moments = shared._lock, [], iter(range(moment))

    def locked(descriptor):
        if next(moments, None) is None and not owners:
            owners.append(None)
            try:
                owners[0] = shared.create(name, "software", CARD_SMALL, **SIZES)[0]
            except TickwireError:
                owners.clear()
        return lock(descriptor)
    if is_left_over:
        shared.path_of(name).write_bytes(b"")
    monkeypatch.setattr(shared, "_lock", locked)
    try:
        owners.append(shared.create(name, "software", CARD_SMALL, **SIZES)[0])
    except TickwireError as error:
        assert re.search("starting in another process|runs already", str(error))
    owner, = owners
    with owner, shared.attach(name) as reader:
        owner.view("state")[5] = 77
        assert reader.is_alive() and reader.view("state")[5] == 77
    assert not shared.path_of(name).exists()


def test_nothing_is_left_when_the_owner_closes(memory, name):
    reader = shared.attach(name)
    memory.close()
    assert not memory.path.exists()
    assert not reader.is_alive()
    assert int(reader.view("state")[0]) == 0      # what was mapped stays readable
    with pytest.raises(TickwireError, match=f"No device {name!r} runs"):
        shared.attach(name)


def test_what_a_dead_owner_left_is_refused_to_readers(dead):
    name, process = dead
    with pytest.raises(TickwireError, match=f"left over by process {process}, which is gone"):
        shared.attach(name)
    assert name not in shared.running()


def test_what_a_dead_owner_left_is_replaced_with_a_remark(dead):
    name, process = dead
    made, remark = shared.create(name, "software", DEMO, market_log2=9, order_log2=7, token_log2=6)
    with made:
        assert remark == f"Removed {made.path}, which process {process} left over."
        assert made.sizes.market_log2 == 9
        assert not np.any(made.view("market_ring"))
        assert shared.running().count(name) == 1


def test_a_reader_of_the_old_file_knows_that_it_is_dead(dead):
    name, _ = dead
    assert shared.remove_stale(name).startswith("Removed ")
    assert shared.remove_stale(name) == ""


@pytest.mark.parametrize(("place", "sentence"), [
    (0, "is not the shared memory of a tickwire device"),
    (ABI_AT + 2, r"has ABI 65\.0; this tickwire has 1\.0"),
    (DIGEST_AT, "has tables with digest [0-9a-f]{16}; this tickwire has [0-9a-f]{16}"),
    (SIZE_AT, r"octets, but its header says"),
])
def test_a_file_of_another_kind_or_version_is_refused_in_one_sentence(memory, name, place,
                                                                      sentence):
    memory._octets[place] ^= 64
    with pytest.raises(TickwireError, match=sentence) as caught:
        shared.attach(name)
    assert "\n" not in str(caught.value)


def test_an_empty_file_is_refused(name):
    shared.path_of(name).touch()
    with pytest.raises(TickwireError, match="is not the shared memory"):
        shared.attach(name)


def test_a_link_is_not_followed(name, tmp_path):
    target = tmp_path / "elsewhere"
    target.write_bytes(b"precious")
    shared.path_of(name).symlink_to(target)
    for call in (lambda: shared.attach(name),
                 lambda: shared.create(name, "software", CARD_SMALL, **SIZES)):
        with pytest.raises(TickwireError, match="Cannot open shared memory"):
            call()
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize(("make", "remove"), [(os.mkfifo, os.unlink), (os.mkdir, os.rmdir)])
def test_what_is_no_file_is_refused_and_does_not_hide_who_runs(memory, name, make, remove):
    """Anybody may put it there, and a pipe has a reader wait for a writer."""
    path = shared.path_of(f"{name}-no-file")
    make(path)
    try:
        assert name in shared.running() and f"{name}-no-file" not in shared.running()
        for call in (shared.attach, shared.remove_stale):
            with pytest.raises(TickwireError, match=f"Cannot open shared memory {path}"):
                call(f"{name}-no-file")
    finally:
        remove(path)


def test_a_name_that_does_not_run_tells_who_does(memory, name):
    with pytest.raises(TickwireError, match=f"No device 'nobody' runs.*{name}"):
        shared.attach("nobody")


def test_a_name_that_does_not_run_is_told_of_none_that_died(dead):
    with pytest.raises(TickwireError) as caught:
        shared.attach("nobody")
    assert dead[0] not in str(caught.value)


def test_without_room_nothing_is_left(name, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(TickwireError, match="Cannot take .* octets .* No space left on device"):
        shared.create(name, "software", CARD_SMALL, **SIZES)
    assert not Path(shared.path_of(name)).exists()
