"""Far end of a device for benches: sockets, packets, and a device that may trade.

Nothing here is measured.
"""

import socket
from typing import Any

from tickwire.device.software import SoftwareDevice
from tickwire.spec import itch50, moldudp64, ouch50, soupbintcp
from tickwire.spec.wire import encode

LOCATE, SYMBOL, PRICE = 1, "TICK", 1_000_000
QUANTITY_MAX = 1_000
SESSION = "TICKTOORDR"
RECEIVE_BUFFER = 8 << 20                   # octets asked for; the system may grant less
BLOCK = moldudp64.DOWNSTREAM_HEADER.size + moldudp64.MESSAGE_BLOCK.size
REFERENCE_AT = BLOCK + itch50.ADD_ORDER.field("order_reference")[1]
SEQUENCE_AT = moldudp64.DOWNSTREAM_HEADER.field("sequence_number")[1]
TOKEN_AT = soupbintcp.HEADER_SIZE + ouch50.ENTER_ORDER.field("user_ref_num")[1]
REJECTED_TOKEN_AT = soupbintcp.HEADER_SIZE + ouch50.REJECTED.field("user_ref_num")[1]


def mold(first: int, *messages: bytes) -> bytes:
    """One MoldUDP64 packet."""
    head = encode(moldudp64.DOWNSTREAM_HEADER, {
        "session": SESSION, "sequence_number": first, "message_count": len(messages)})
    return head + b"".join(encode(moldudp64.MESSAGE_BLOCK, {"data": octets})
                           for octets in messages)


def message(kind: Any, **values: Any) -> bytes:
    """One ITCH message about the only instrument."""
    common = {"stock_locate": LOCATE, "tracking_number": 0, "timestamp": 0}
    return encode(kind, {**common, **values})


def add(reference: int, side: str, price: int) -> bytes:
    """Add Order."""
    return message(itch50.ADD_ORDER, order_reference=reference, side=side, shares=100, stock=SYMBOL,
                 price=price)


def opening() -> list[bytes]:
    """Messages that name the instrument, open it and give it a book of one order a side."""
    return [
        message(itch50.STOCK_DIRECTORY, **{
            field.name: SYMBOL if field.name == "stock" else
            (100 if field.kind == "uint" else "N")
            for field in itch50.STOCK_DIRECTORY.fields
            if field.name not in ("stock_locate", "tracking_number", "timestamp")}),
        message(itch50.STOCK_TRADING_ACTION, stock=SYMBOL, trading_state="T", reserved=" ",
              reason=""),
        add(1, "B", PRICE - 100), add(2, "S", PRICE + 100)]


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


def _udp_pair() -> tuple[socket.socket, socket.socket]:
    near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for end in (near, far):
        end.bind(("127.0.0.1", 0))
    near.connect(far.getsockname())
    far.connect(near.getsockname())
    return near, far


class Pairs:
    """The sockets of both ends, none of them blocking: UDP for the feed; for orders a TCP
    connection, or with ``orders_over_udp`` two UDP sockets that are connected to each other."""

    def __init__(self, *, orders_over_udp: bool = False) -> None:
        self.near_udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.near_udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.near_udp.bind(("127.0.0.1", 0))
        self.far_udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far_udp.connect(self.near_udp.getsockname())
        self.near_order, self.far_order = (_udp_pair if orders_over_udp else _tcp_pair)()
        for end in self.ends:
            end.setblocking(False)

    @property
    def ends(self) -> tuple[socket.socket, ...]:
        """All four."""
        return self.near_udp, self.far_udp, self.near_order, self.far_order

    def close(self) -> None:
        """Close all four."""
        for end in self.ends:
            end.close()


def permit_everything(device: SoftwareDevice) -> None:
    """Stage limits that refuse nothing a bench does."""
    device.stage_limits().permit({"intent_errors_max": 0}, quantity_max=QUANTITY_MAX,
                                 collar_bps=500)


def next_number() -> bytes:
    """Answer to an Account Query: the session is up."""
    return encode(soupbintcp.SEQUENCED_DATA, {"message": encode(
        ouch50.ACCOUNT_QUERY_RESPONSE, {"timestamp": 1, "next_user_ref_num": 1})})


def refusal() -> bytes:
    """Rejected, for order 1."""
    return encode(soupbintcp.SEQUENCED_DATA, {"message": encode(ouch50.REJECTED, {
        "timestamp": 1, "user_ref_num": 1, "reason": 15, "cl_ord_id": ""})})


def begin(device: SoftwareDevice, pairs: Pairs) -> int:
    """Give a device its sockets, a book and a session; returns the next sequence number."""
    device.attach_lines(pairs.near_udp.fileno())
    device.attach_session(pairs.near_order.fileno(), b"", 1)
    messages = opening()
    pairs.far_udp.send(mold(1, *messages))
    pairs.far_order.send(next_number())
    permit_everything(device)
    return 1 + len(messages)


def make_ready(device: SoftwareDevice) -> None:
    """Put the limits in force and arm, while the loop runs."""
    device.commit_limits()
    device.wait(lambda: device.is_session_up, 10, "bring its session up")
    device.arm()
