"""Generated decoders and encoders do what the tables say, and touch nothing else.

Method: for every message, drawn values are packed with ``struct`` by formats written by hand; the
encoder must write those octets and the decoder must read those values. Guard octets around every
buffer show a write outside. Decoded records are compared with the generic Python decoder, too.
"""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit import spec_formats
from tickwire.kernels import _itch50, _moldudp64, _ouch50, _soupbintcp
from tickwire.spec import itch50, moldudp64, ouch50, render, soupbintcp
from tickwire.spec.wire import decode

PROTOCOLS = (
    (itch50, _itch50, spec_formats.ITCH50), (ouch50, _ouch50, spec_formats.OUCH50),
    (soupbintcp, _soupbintcp, spec_formats.SOUPBINTCP),
    (moldudp64, _moldudp64, spec_formats.MOLDUDP64),
)
CASES = [pytest.param(kernels, message, formats[message.name],
                      id=f"{module.__name__.rpartition('.')[2]}-{message.name}")
         for module, kernels, formats in PROTOCOLS for message in module.MESSAGES]
GUARD = 0xA5
MARGIN = 16


class Buffer:
    """Octets at a fixed address between guards."""

    def __init__(self, size, content=b""):
        self.octets = np.full(size + 2 * MARGIN, GUARD, np.uint8)
        self.octets[MARGIN:MARGIN + len(content)] = np.frombuffer(content, np.uint8)
        self.address = self.octets.ctypes.data + MARGIN
        self.size = size

    def content(self, size=None):
        return self.octets[MARGIN:MARGIN + (self.size if size is None else size)].tobytes()

    def is_guarded(self, size=None):
        """Whether nothing was written before the buffer or behind its first ``size`` octets."""
        end = MARGIN + (self.size if size is None else size)
        return bool((self.octets[:MARGIN] == GUARD).all() and (self.octets[end:] == GUARD).all())


def packed(message, form):
    """Strategy of (octets, argument values by field name), packed by ``form``."""
    places = spec_formats.offsets(form)
    after = {offset: struct.calcsize(form) - offset - size for offset, size in places}
    parts = []
    for offset, size in places:
        field = next((field for field, at in message.placed() if at == offset and field.size), None)
        if field is None:
            parts.append(st.just((None, message.tag.encode())))
        elif field.kind == "length":
            parts.append(st.just((None, after[offset].to_bytes(size, "big"))))
        else:
            # Boundaries crowd: all zeros, all ones, the sign bit.
            octets = st.one_of(st.binary(min_size=size, max_size=size), st.sampled_from(
                [bytes(size), b"\xff" * size, b"\x80" + bytes(size - 1), b" " * size]))
            parts.append(octets.map(lambda octets, name=field.name: (name, octets)))
    return st.tuples(*parts).map(lambda found: (
        b"".join(octets for _, octets in found),
        {name: octets for name, octets in found if name}))


def arguments(message, values, rest):
    """Arguments of an encoder in table order, and the buffers that must stay alive."""
    found, alive = [], []
    for field in message.fields:
        if field.kind == "length":
            continue
        octets = values[field.name] if field.size else rest
        if field.size and render.is_number(message, field):
            # 64-bit values above 2^63 are passed as the int64 of the same bits.
            unsigned = int.from_bytes(octets, "big")
            found.append(unsigned - (1 << 64) if unsigned >> 63 else unsigned)
            continue
        buffer = Buffer(len(octets), octets)
        alive.append(buffer)
        found.append(buffer.address)
        if not field.size:
            found.append(len(octets))
    return found, alive


def run_decoder(kernels, message, octets):
    """Decode ``octets`` and return the record, checked for writes outside of it."""
    dtype = render.dtype(message)
    source, row = Buffer(len(octets), octets), Buffer(dtype.itemsize)
    function = getattr(kernels, f"decode_{message.name}")
    if message.tail_is_optional:
        function(source.address, len(octets), row.address)
    else:
        function(source.address, row.address)
    assert row.is_guarded() and source.is_guarded() and source.content() == octets
    return np.frombuffer(row.content(), dtype)[0] if dtype.itemsize else None


def expect_record(message, record, octets):
    """Compare a record with the octets of each field, cut out by the struct offsets."""
    for field, offset in message.placed():
        if not field.size:
            continue
        part = octets[offset:offset + field.size]
        if render.is_number(message, field):
            assert int(record[field.name]) == int.from_bytes(part, "big"), field.name
        else:
            assert record[field.name] == part.rstrip(b"\0"), field.name


@pytest.mark.parametrize(("kernels", "message", "form"), CASES)
def test_decoder_and_encoder_agree_with_struct(kernels, message, form):
    @settings(max_examples=25)
    @given(packed(message, form))
    def check(case):
        octets, values = case
        assert getattr(kernels, f"{message.name.upper()}_SIZE") == len(octets)
        expect_record(message, run_decoder(kernels, message, octets), octets)

        target = Buffer(len(octets) + 8)
        given_arguments, alive = arguments(message, values, b"")
        size = getattr(kernels, f"encode_{message.name}")(target.address, *given_arguments)
        expected = octets[:message.size_min]           # an optional tail that is empty is left out
        assert size == len(expected) and alive is not None
        assert target.content(size) == expected
        assert target.is_guarded(size)
    check()


@pytest.mark.parametrize(("kernels", "message", "form"), CASES)
def test_decoder_agrees_with_the_generic_decoder(kernels, message, form):
    @settings(max_examples=10)
    @given(packed(message, form))
    def check(case):
        octets, _ = case
        record, values = run_decoder(kernels, message, octets), decode(message, octets)
        for field in message.fields:
            if not field.size:
                continue
            value = record[field.name]
            if field.kind == "ascii" and render.is_number(message, field):
                assert render.text(value, field.size) == values[field.name]
            elif field.kind == "ascii":
                text = bytes(value).ljust(field.size, b"\0").decode("latin-1")
                assert text.strip(" ") == values[field.name]
            else:
                assert int(value) == values[field.name]
    check()


@pytest.mark.parametrize(("kernels", "message", "form"), [
    case for case in CASES if case.values[1].is_open_ended])
@pytest.mark.parametrize("rest", [b"\x05\x02FIRM", b"x", bytes(range(200))])
def test_an_open_end_is_copied_and_counted(kernels, message, form, rest):
    values = {field.name: bytes(range(65, 65 + field.size)) for field in message.fields}
    target = Buffer(message.size + len(rest) + 8)
    given_arguments, alive = arguments(message, values, rest)
    size = getattr(kernels, f"encode_{message.name}")(target.address, *given_arguments)
    octets = target.content(size)
    assert size == struct.calcsize(form) + len(rest) and octets.endswith(rest) and alive
    offset, width = next((offset, field.size) for field, offset in message.placed()
                         if field.kind == "length")
    assert int.from_bytes(octets[offset:offset + width], "big") == size - offset - width
    assert target.is_guarded(size)
    assert decode(message, octets)[message.fields[-1].name] == rest
    expect_record(message, run_decoder(kernels, message, octets), octets)


@pytest.mark.parametrize(("kernels", "message", "form"), [
    case for case in CASES if case.values[1].tail_is_optional])
def test_an_absent_tail_reads_as_length_0(kernels, message, form):
    # Octets behind the message are not zero: a decoder that reads them shows it.
    octets = message.tag.encode() + bytes(range(1, message.size_min))
    record = run_decoder(kernels, message, octets)
    assert record["appendage_length"] == 0
    assert getattr(kernels, f"{message.name.upper()}_SIZE_MIN") == len(octets)
    assert struct.calcsize(form) == len(octets) + 2


# The common decoder of ITCH 5.0


def dispatch(octets, counted=None):
    """Run the common decoder; return its code and the row."""
    source, row = Buffer(max(len(octets), 1), octets), Buffer(_itch50.ROW_SIZE)
    code = _itch50.decode(source.address, len(octets) if counted is None else counted, row.address)
    assert source.is_guarded() and row.is_guarded()
    return code, row.content()


@pytest.mark.parametrize("tag", list(spec_formats.ITCH50_SIZES))
def test_the_common_decoder_finds_every_type(tag):
    message, size = itch50.BY_TYPE[tag], spec_formats.ITCH50_SIZES[tag]
    octets = tag.encode() + bytes(range(100, 99 + size))
    code, row = dispatch(octets)
    assert code == size == _itch50.size_of(ord(tag))
    dtype = render.dtype(message)
    expect_record(message, np.frombuffer(row[:dtype.itemsize], dtype)[0], octets)
    assert set(row[dtype.itemsize:]) <= {GUARD}


@pytest.mark.parametrize("tag", list(spec_formats.ITCH50_SIZES))
@pytest.mark.parametrize("difference", [-1, 1, 100])
def test_a_wrong_length_is_told_and_nothing_is_written(tag, difference):
    size = spec_formats.ITCH50_SIZES[tag]
    code, row = dispatch(tag.encode() + bytes(size - 1), size + difference)
    assert code == -size
    assert set(row) == {GUARD}


def test_every_other_type_is_unknown_and_nothing_is_written():
    for value in range(256):
        if chr(value) in spec_formats.ITCH50_SIZES:
            continue
        code, row = dispatch(bytes([value]) + bytes(49))
        assert code == 0 == _itch50.size_of(value)
        assert set(row) == {GUARD}


def test_a_row_holds_every_type():
    assert max(render.dtype(message).itemsize for message in itch50.MESSAGES) == _itch50.ROW_SIZE
