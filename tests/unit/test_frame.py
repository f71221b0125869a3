"""Frames of orders are what the documents say and what another implementation reads.

Method: hypothesis on every field, its bounds first; expected octets from ``struct``
(``tests/frame_rig.py``), check sums and fields once more from scapy.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.frame_rig import CAPACITY, U32, Asked, Kernels, Position, ends, framed, moved, packet
from tests.order_rig import SYMBOLS
from tickwire.orders.template import template
from tickwire.spec.intents import Operation

edges = st.sampled_from([0, 1, 0xFFFF, 0x10000, 0x7FFF_FFFF])
values = st.one_of(edges, st.integers(0, 0x7FFF_FFFF))
wide = st.one_of(edges, st.sampled_from([U32, U32 - 1]), st.integers(0, U32))
orders = st.builds(
    Asked, st.sampled_from([Operation.NEW, Operation.REPLACE, Operation.CANCEL]),
    st.sampled_from([0, 1, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15]),
    st.integers(0, len(CAPACITY) - 1), st.integers(0, len(SYMBOLS) - 1), values, values,
    wide.filter(bool), wide, wide, st.integers(0, 0xFFFF))
positions = st.builds(Position, wide, wide, st.sampled_from([0, 1, 501, 0xFFFF]))


@pytest.fixture(scope="module")
def kernels():
    return Kernels()


@given(orders, positions)
def test_a_frame_is_the_documents_octets(kernels, order, position):
    kernels.place(order.session, position)
    payload = packet(order)
    assert kernels.packet(order) == payload
    assert kernels.frame(order) == framed(order.session, position, payload)
    assert kernels.sessions["sequence"][order.session] == moved(position, len(payload)).sequence


@given(orders, positions)
def test_another_implementation_reads_it_and_finds_the_same_check_sums(kernels, order, position):
    inet = pytest.importorskip("scapy.layers.inet")
    layers = pytest.importorskip("scapy.layers.l2")
    kernels.place(order.session, position)
    octets = kernels.frame(order)
    found = layers.Ether(octets)
    ip, tcp = found[inet.IP], found[inet.TCP]
    (source, source_port), (destination, destination_port) = ends(order.session)
    assert (ip.src, ip.dst, ip.flags, ip.ttl, ip.len) == (source, destination, "DF", 64,
                                                          len(octets) - 14)
    assert (tcp.sport, tcp.dport, tcp.flags) == (source_port, destination_port, "PA")
    assert (tcp.seq, tcp.ack, tcp.window) == (position.sequence, position.acknowledgment,
                                              position.window)
    assert bytes(tcp.payload) == packet(order)
    for layer in (ip, tcp):
        del layer.chksum
    del ip.len
    assert bytes(found) == octets


@given(st.integers(0, len(CAPACITY) - 1), positions)
def test_a_heartbeat_is_a_client_heartbeat_of_its_session(kernels, session, position):
    inet = pytest.importorskip("scapy.layers.inet")
    layers = pytest.importorskip("scapy.layers.l2")
    kernels.place(session, position)
    octets = kernels.heartbeat(session)
    assert octets == framed(session, position, b"\x00\x01R")
    assert kernels.sessions["sequence"][session] == moved(position, 3).sequence
    found = layers.Ether(octets)
    assert (found[inet.TCP].seq, bytes(found[inet.TCP].payload)) == (position.sequence, b"\0\1R")
    del found[inet.IP].chksum, found[inet.IP].len, found[inet.TCP].chksum
    assert bytes(found) == octets


def test_a_cancel_sums_up_to_a_checksum_of_zero_and_of_ones(kernels):
    # The sum that is left out decides the window, 16 bits that are free.
    order = Asked(Operation.CANCEL, token=7)
    seen = set()
    for window in range(0x10000):
        kernels.place(0, Position(window=window))
        seen.add(kernels.frame(order)[50:52])
    assert len(seen) == 0xFFFF and (b"\0\0" in seen) != (b"\xff\xff" in seen)


@pytest.mark.parametrize(("changes", "complaint"), [
    ({"local_mac": bytes(5)}, "local_mac must have 6 octets, not 5"),
    ({"peer_mac": bytes(7)}, "peer_mac must have 6 octets, not 7"),
    ({"local": ("10.0.0.1", 0)}, "local port must be 1 to 65535, not 0"),
    ({"peer": ("10.0.0.1", 65_536)}, "peer port must be 1 to 65535, not 65536"),
    ({"peer": ("10.0.0.256", 1)}, "10.0.0.256"),
    ({"capacity": "X"}, "capacity must be one of A P R O, not 'X'")])
def test_a_template_that_cannot_be_is_refused_with_a_sentence(changes, complaint):
    right = {"local": ("10.0.0.1", 1), "peer": ("10.0.0.2", 2), "local_mac": bytes(6),
             "peer_mac": bytes(6)}
    with pytest.raises(ValueError, match=complaint):
        template(**(right | changes))
