"""The lines of a capture are found wherever they begin, and unicast is none beside them.

Method: captures of drawn frames that crowd few destinations and sessions, with frames among them
that are not the feed's; what is found is compared with what the rule says in plain Python.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import captures
from tests.captures import ethernet, ipv4, mold, tcp, udp
from tests.reference import itch
from tickwire.errors import InputError
from tickwire.feed import open_source
from tickwire.feed.lines import FLOWS, lines_of

A, B, C = ("233.54.12.111", 26_477), ("233.49.196.111", 26_477), ("233.54.12.111", 26_478)
SERVER, HOST = ("10.0.0.9", 26_477), ("10.0.0.8", 40_001)
MESSAGE = itch.delete(1, 1)
BUSY = 3_600                                # packets of line A: more than a chunk of the reader


def packet(end: tuple[str, int], payload: bytes, *tags: tuple[int, int], flags: int = 0) -> bytes:
    group, port = end
    return ethernet(ipv4(udp(payload, port), destination=group, flags=flags), 0x0800, *tags)


def feed(end: tuple[str, int], number: int = 1, session: bytes = b"TODAY     ") -> bytes:
    return packet(end, mold(number, MESSAGE, session=session))


def lines(path, *frames: bytes) -> list[tuple[str, int]]:
    path.write_bytes(captures.pcap(*frames))
    with open_source(path) as source:
        return lines_of(source)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "day.pcap"


def test_a_line_is_found_wherever_it_begins(path):
    long = packet(A, mold(1, *[MESSAGE] * 60, session=b"TODAY     "))
    assert lines(path, *[long] * BUSY, feed(B)) == [A, B]
    assert path.stat().st_size > 4 << 20


@pytest.mark.parametrize("before", (feed(SERVER), packet(SERVER, b"anything")))
def test_unicast_is_no_line_beside_multicast(path, before):
    assert lines(path, before, feed(A), feed(HOST)) == [A]
    assert lines(path, before, feed(A), feed(HOST), feed(B)) == [A, B]


def test_unicast_is_the_lines_where_there_is_nothing_else(path):
    assert lines(path, feed(SERVER)) == [SERVER]
    assert lines(path, feed(SERVER), feed(HOST), packet(A, mold(1))) == [SERVER, HOST]


def test_line_b_has_a_session_that_line_a_has(path):
    other = b"OTHER     "
    assert lines(path, feed(A), feed(B, session=other)) == [A]
    assert lines(path, feed(A), feed(B, session=other), feed(C)) == [A, C]
    # So it is with a session of the day after.
    assert lines(path, feed(A), feed(B, session=other), feed(A, session=other)) == [A, B]


def test_lines_before_damage_are_found_and_the_damage_is_the_readers(path):
    whole = captures.pcap(feed(A), feed(B), feed(C))
    path.write_bytes(whole[:-3])
    with open_source(path) as source:
        assert lines_of(source) == [A, B]
        with pytest.raises(InputError, match="cut short"):
            list(source)


def test_the_flows_that_are_looked_for_are_bounded(path):
    many = [feed(("239.0.0.1", 1 + number), session=b"%10d" % number) for number in range(FLOWS)]
    assert lines(path, *many, feed(B), feed(("239.0.0.1", 1))) == [("239.0.0.1", 1)]


ENDS, SESSIONS = (A, B, C, SERVER, HOST), (b"TODAY     ", b"TOMORROW  ")


@st.composite
def frames(draw) -> tuple[bytes, tuple | None]:
    """A frame, and destination and session where it carries the feed."""
    end, session = draw(st.sampled_from(ENDS)), draw(st.sampled_from(SESSIONS))
    tags = draw(st.sampled_from(((), ((0x8100, 1),), ((0x88A8, 1), (0x8100, 2)))))
    kind = draw(st.sampled_from(("feed", "feed", "heartbeat", "end", "type", "size", "empty",
                                 "short", "cut", "checksum", "tcp", "fragment", "octets")))
    good = mold(1, MESSAGE, itch.system(b"O"), session=session)
    if kind == "feed":
        return packet(end, good, *tags), (end, session)
    found = {
        "heartbeat": mold(1, session=session), "end": good[:18] + b"\xff\xff" + good[20:],
        "type": mold(1, b"?" + MESSAGE[1:], session=session),
        "size": mold(1, MESSAGE, MESSAGE[:-1], session=session),
        "empty": mold(1, MESSAGE, b"", session=session), "short": good[:19], "cut": good[:-1],
    }
    if kind in found:
        return packet(end, found[kind], *tags), None
    if kind == "tcp":
        return ethernet(ipv4(tcp(good, port=end[1]), 6, destination=end[0]), 0x0800, *tags), None
    if kind == "fragment":
        return packet(end, good, *tags, flags=0x2000), None
    whole, ip = bytearray(packet(end, good, *tags)), 14 + 4 * len(tags)
    if kind == "checksum":
        whole[ip + 10] ^= 1
        return bytes(whole), None
    return bytes(whole[:draw(st.integers(0, ip + 27))]), None


@given(st.lists(frames(), max_size=12))
def test_the_lines_are_those_of_the_rule(tmp_path_factory, drawn):
    flows = [flow for _, flow in drawn if flow]
    flows = [flow for flow in flows if flow[0] not in (SERVER, HOST)] or flows
    expected = [end for end, _ in flows[:1]]
    of_first = {session for end, session in flows if end in expected}
    expected += [end for end, session in flows if end not in expected and session in of_first][:1]
    path = tmp_path_factory.mktemp("lines") / "day.pcap"
    assert lines(path, *(frame for frame, _ in drawn)) == expected
