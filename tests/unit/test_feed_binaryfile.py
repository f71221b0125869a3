"""A BinaryFILE is read whole, in bounded pieces, and nothing before its damage is lost.

Method: files made by hand with ``struct`` and ``gzip``, read with chunks so small that every
message is cut somewhere, and damaged at every place.
"""

import gzip
import os
import random
import re
import struct
import threading
import time
import zlib

import pytest

from tests.captures import MESSAGE_D, MESSAGE_S, MESSAGE_X, binary_file
from tickwire.errors import InputError
from tickwire.feed import open_source
from tickwire.feed.detect import detect

THREE = (MESSAGE_S, MESSAGE_D, MESSAGE_X)


def read(path, chunk_size=1 << 16):
    """Return the messages, the error sentence or None, and the source."""
    messages, error = [], None
    source = None
    try:
        with detect(path, chunk_size) as source:
            for chunk in source:
                assert chunk.first == len(messages) + 1
                messages += chunk
    except InputError as raised:
        error = str(raised)
    return messages, error, source


def write(folder, octets, name="day.itch"):
    path = folder / name
    path.write_bytes(octets)
    return path


def test_messages_come_back_as_they_were_written(tmp_path):
    messages, error, source = read(write(tmp_path, binary_file(*THREE)))
    assert (messages, error) == (list(THREE), None)
    assert source.kind == "binaryfile" and not source.is_capture and not source.warnings
    assert source.position == source.total == sum(len(m) + 2 for m in THREE)


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("chunk_size", [32, 33, 35, 47, 64, 1 << 10])
def test_the_chunk_size_changes_nothing(tmp_path, chunk_size, is_compressed):
    octets = binary_file(*THREE * 20)
    path = write(tmp_path, gzip.compress(octets) if is_compressed else octets)
    messages, error, source = read(path, chunk_size)
    assert (messages, error) == (list(THREE) * 20, None)
    assert source.is_compressed == is_compressed and source.position == source.total


def test_a_chunk_says_where_it_comes_from_and_can_be_read_beyond(tmp_path):
    octets = binary_file(*THREE * 50)
    with detect(write(tmp_path, octets), 100) as source:
        place = 0
        for chunk in source:
            assert chunk.offset == place
            assert chunk.octets(0, chunk.size) == octets[place:place + chunk.size]
            for offset, message in zip(chunk.offsets.tolist(), chunk, strict=True):
                start = chunk.offset + offset
                assert octets[start:start + len(message)] == message
                assert octets[start - 2:start] == struct.pack(">H", len(message))
            assert len(chunk.octets(chunk.size, 64)) == 64
            place += chunk.size
    assert place == len(octets)


@pytest.mark.parametrize("end", [b"\0\0", b"\0\0\0", bytes(300)])
def test_a_length_of_zero_before_nothing_but_zeros_ends_the_session(tmp_path, end):
    for chunk_size in (32, 61, 1 << 10):
        messages, error, source = read(write(tmp_path, binary_file(*THREE) + end), chunk_size)
        assert (messages, error) == (list(THREE), None)
        assert source.is_ended and not source.warnings


def test_a_file_without_the_mark_of_the_end_is_whole_but_not_ended(tmp_path):
    assert read(write(tmp_path, binary_file(*THREE)))[2].is_ended is False


@pytest.mark.parametrize("chunk_size", [32, 61, 1 << 10])
def test_octets_after_the_end_of_the_session_are_an_error(tmp_path, chunk_size):
    octets = binary_file(*THREE) + bytes(20) + b"S"
    messages, error, _ = read(write(tmp_path, octets), chunk_size)
    assert messages == list(THREE)
    assert re.search(rf"octet {len(octets) - 1} is not zero.*after message 3", error)


@pytest.mark.parametrize("chunk_size", [32, 37, 1 << 10])
def test_a_file_whose_lengths_are_all_zero_is_read_with_one_warning(tmp_path, chunk_size):
    path = write(tmp_path, binary_file(*THREE * 9, length=0))
    with detect(path, chunk_size) as source:
        found = []
        for chunk in source:
            found += chunk
            for offset, message in zip(chunk.offsets.tolist(), chunk, strict=True):
                assert chunk.octets(offset - 2, 2) == struct.pack(">H", len(message))
    assert found == list(THREE) * 9
    assert source.counts["zero_length"] == 27 and len(source.warnings) == 1
    assert "length fields of zero" in source.warnings[0]


def test_a_type_that_itch_does_not_have_is_handed_over_by_its_length(tmp_path):
    strange = b"z" + bytes(40)
    messages, error, source = read(write(tmp_path, binary_file(MESSAGE_S, strange, MESSAGE_D)))
    assert (messages, error) == ([MESSAGE_S, strange, MESSAGE_D], None)
    assert source.counts["unknown_type"] == 1 and len(source.warnings) == 1


def test_a_message_of_unknown_type_may_have_the_greatest_length(tmp_path):
    strange = b"z" * 65535
    messages, error, _ = read(write(tmp_path, binary_file(MESSAGE_S, strange, MESSAGE_D)), 1024)
    assert (messages, error) == ([MESSAGE_S, strange, MESSAGE_D], None)


@pytest.mark.parametrize("length", [1, 18, 20, 256, 0x1300, 65535])
def test_any_other_wrong_length_is_an_error_with_place_type_and_both_lengths(tmp_path, length):
    octets = (binary_file(MESSAGE_S, MESSAGE_D) + struct.pack(">H", length) + MESSAGE_D
              + binary_file(*THREE * 10))
    messages, error, _ = read(write(tmp_path, octets))
    assert messages == [MESSAGE_S, MESSAGE_D]
    assert "message 3 at octet 35 " in error
    assert f"type 'D' and length {length}, but ITCH 5.0 gives that type 19" in error


def test_a_length_of_zero_before_an_unknown_type_is_an_error(tmp_path):
    messages, error, _ = read(write(tmp_path, binary_file(MESSAGE_S) + b"\0\0\xfeabc"))
    assert messages == [MESSAGE_S]
    assert "message 2 at octet 14 has length 0 and type 0xfe" in error


@pytest.mark.parametrize("length", [None, 0])
def test_a_file_cut_at_any_octet_keeps_every_whole_message(tmp_path, length):
    octets = binary_file(*THREE, length=length)
    ends = [14, 35, 60]
    for size in range(1, len(octets)):
        messages, error, _ = read(write(tmp_path, octets[:size]), 32)
        whole = sum(end <= size for end in ends)
        assert messages == list(THREE[:whole]), size
        begin = [0, *ends][whole]
        if size in ends or octets[begin:size] == b"\0\0":      # reads as the end of the session
            assert error is None
        else:
            assert f"message {whole + 1} begins at octet {begin}" in error
            assert f"ends {size - begin} octets later" in error


def test_a_gzip_file_cut_at_any_octet_is_an_error_and_keeps_what_it_gave(tmp_path):
    octets = binary_file(*THREE * 40)
    packed = gzip.compress(octets, mtime=0)
    most = 0
    for size in range(2, len(packed)):
        messages, error, _ = read(write(tmp_path, packed[:size]))
        assert messages == (list(THREE) * 40)[:len(messages)]
        assert error and "cut short" in error, size
        assert f"octet {size}" in error
        most = max(most, len(messages))
    assert most == 120


def test_a_damaged_gzip_file_never_gives_a_wrong_message_silently(tmp_path):
    octets = binary_file(*(bytes([0x44]) + random.Random(i).randbytes(18) for i in range(200)))
    packed = gzip.compress(octets, mtime=0)
    expected = [octets[i + 2:i + 21] for i in range(0, len(octets), 21)]
    for place in range(10, len(packed), 11):                 # the header's octets may be anything
        damaged = bytearray(packed)
        damaged[place] ^= 0x55
        messages, error, _ = read(write(tmp_path, damaged))
        assert error, place
        assert len(messages) <= len(expected)


@pytest.mark.parametrize("count", [1, 20, 70_000])           # the last is more than 1 MiB
def test_damage_in_gzip_data_comes_after_everything_before_it(tmp_path, count):
    octets = binary_file(*THREE * count)
    whole = gzip.compress(octets, mtime=0)
    deflate = zlib.compressobj(wbits=31)
    flushed = deflate.compress(octets) + deflate.flush(zlib.Z_FULL_FLUSH)
    for packed, reason, found in (
            (whole[:-8] + bytes([whole[-8] ^ 0x40]) + whole[-7:], "incorrect data check", -5),
            (whole[:-1] + bytes([whole[-1] ^ 1]), "incorrect length check", -1),
            (flushed + b"\x07" + bytes(999), "invalid block type", -1000)):
        path = write(tmp_path, packed)
        messages, error, _ = read(path)
        assert messages == list(THREE) * count
        assert error == (f"{path} is damaged: {reason} in its gzip data, found at octet "
                         f"{len(packed) + found}, after {len(octets)} decompressed octets.")


def test_gzip_members_follow_each_other_and_zeros_pad_them(tmp_path):
    octets = binary_file(*THREE)
    path = write(tmp_path, gzip.compress(octets) + gzip.compress(octets) + bytes(1000)
                 + gzip.compress(b"") + gzip.compress(octets[:20]) + gzip.compress(octets[20:])
                 + bytes(512))
    messages, error, source = read(path)
    assert (messages, error) == (list(THREE) * 3, None)
    assert source.position == source.total


def test_octets_after_gzip_data_are_an_error(tmp_path):
    messages, error, _ = read(write(tmp_path, gzip.compress(binary_file(*THREE)) + b"garbage"))
    assert messages == list(THREE)
    assert "octets that are not gzip follow" in error


def test_gzip_data_far_larger_than_memory_would_like_is_read_in_pieces(tmp_path):
    # 64 MiB of zeros after the end of the session: 64 KiB of gzip, a chunk at a time.
    path = write(tmp_path, gzip.compress(binary_file(*THREE) + bytes(64 << 20)))
    messages, error, source = read(path)
    assert (messages, error, source.is_ended) == (list(THREE), None, True)


@pytest.mark.parametrize(("octets", "reason"), [
    (b"", "is empty"),
    (gzip.compress(b"", mtime=0), "is empty"),
    (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither a pcap or pcapng capture nor a BinaryFILE"),
    (b"message,price\n1,2\n", "begins with 6d 65 73 73 61 67 65 2c"),
    (gzip.compress(gzip.compress(binary_file(*THREE), mtime=0), mtime=0), "begins with 1f 8b"),
    (b"\x28\xb5\x2f\xfd" + bytes(9), "is a zstd archive"),
    (b"PK\x03\x04" + bytes(9), "is a zip archive"),
    (b"\x1f\x8b", "cut short"),
    (b"\x1f\x8bnonsense", "is damaged"),
])
def test_a_file_of_another_kind_is_refused_in_one_sentence(tmp_path, octets, reason):
    path = write(tmp_path, octets)
    with pytest.raises(InputError, match=re.escape(reason)) as caught:
        open_source(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path)) and sentence.endswith(".") and "\n" not in sentence


def test_what_cannot_be_opened_is_said_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"^Cannot open .*none: No such file or directory\.$"):
        open_source(tmp_path / "none")
    with pytest.raises(InputError, match=r"^Cannot read .*: it is a folder\.$"):
        open_source(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"it is not a regular file\.$"):
        open_source(tmp_path / "pipe")
    with pytest.raises(InputError, match="Cannot open"):
        open_source("a\0b")
    if os.geteuid() != 0:                                   # root may read everything
        path = write(tmp_path, binary_file(*THREE))
        path.chmod(0)
        with pytest.raises(InputError, match=r"^Cannot open .*: Permission denied\.$"):
            open_source(path)


def test_a_file_that_fails_while_it_is_read_keeps_what_came_before(tmp_path, monkeypatch):
    path = write(tmp_path, binary_file(*THREE * 100))
    real, calls = os.readv, []

    def failing(descriptor, views):
        calls.append(descriptor)
        if len(calls) > 3:
            raise OSError(5, "Input/output error")
        return real(descriptor, [views[0][:600]])
    monkeypatch.setattr(os, "readv", failing)
    messages, error, _ = read(path)
    assert len(messages) == 90
    assert error == f"Cannot read {path} at octet 1800: Input/output error."


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "tickwire-read"]


def test_a_source_left_early_ends_its_thread_and_closes_its_file(tmp_path):
    path = write(tmp_path, binary_file(*THREE * 2000))
    before = set(os.listdir("/proc/self/fd"))
    with detect(path, 1000) as source:
        next(iter(source))
        assert readers()
    assert not readers()
    source = detect(path, 1000)
    next(iter(source))
    del source                                              # abandoned, not closed
    deadline = time.monotonic() + 30
    while readers() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not readers()
    assert set(os.listdir("/proc/self/fd")) == before
