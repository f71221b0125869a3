"""SoupBinTCP connections of the order port: octets in, packets told apart, stored packets out.

Login and closing belong to the control loop; everything between them happens here.
"""

from tickwire.kernels import _soupbintcp as soupbintcp
from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    load8,
    load_be16,
    recv,
    send,
    store8,
)
from tickwire.spec.soupbintcp import LENGTH_SIZE, TYPE_OFFSET
from tickwire_sim.exchange import entry
from tickwire_sim.exchange.layout import (
    ACCOUNT_SIZE,
    ConnectionState,
    Fault,
    account_at,
    connection_at,
    engine_at,
    store_at,
)
from tickwire_sim.exchange.store import offset, run

INPUT_OCTETS = 16_384                      # received at most before packets are carried out
PACKET_OCTETS_MAX = 512                    # longest packet that a client has a reason to send
OUTPUT_OCTETS = 1 << 18                    # sent at most at a time

_LOGIN, _ACTIVE, _CLOSING = (int(state) for state in (
    ConnectionState.LOGIN, ConnectionState.ACTIVE, ConnectionState.CLOSING))
_CLOSED, _LOGOUT, _PACKET, _MESSAGE, _SLOW = (int(fault) for fault in (
    Fault.CLOSED, Fault.LOGOUT, Fault.MALFORMED_PACKET, Fault.MALFORMED_MESSAGE, Fault.SLOW))


@kernel
def close(connection, fault):
    """Read nothing more; the control loop closes the socket. The first fault stays."""
    c = connection_at(connection)
    if c["state"] != _CLOSING:
        c["state"] = _CLOSING
        c["fault"] = fault


@kernel(inline=True)
def _packet(engine, connection, packet, octets):
    """Carry one packet out; ``octets`` is what its length field says."""
    kind = load8(packet + TYPE_OFFSET)
    if kind == soupbintcp.UNSEQUENCED_DATA_TYPE:
        if octets < 2 or entry.handle(engine, connection_at(connection)["account"],
                                      packet + LENGTH_SIZE + 1, octets - 1) == entry.MALFORMED:
            close(connection, _MESSAGE)
    elif kind == soupbintcp.LOGOUT_REQUEST_TYPE:
        close(connection, _LOGOUT)
    elif kind != soupbintcp.CLIENT_HEARTBEAT_TYPE and kind != soupbintcp.DEBUG_TYPE:
        close(connection, _PACKET)


@kernel
def consume(engine, connection):
    """Carry out the whole packets that were received by a client that is logged in."""
    c = connection_at(connection)
    place = 0
    while c["state"] == _ACTIVE and c["input_octets"] - place >= LENGTH_SIZE:
        packet = c["input"] + place
        octets = load_be16(packet)
        if octets < 1 or octets > PACKET_OCTETS_MAX:
            close(connection, _PACKET)
            break
        if c["input_octets"] - place < LENGTH_SIZE + octets:
            break
        _packet(engine, connection, packet, octets)
        place += LENGTH_SIZE + octets
    # What is left of a packet moves to the front, octet by octet because the places may overlap.
    c["input_octets"] -= place
    if place:
        for index in range(c["input_octets"]):
            store8(c["input"] + index, load8(c["input"] + place + index))


@kernel
def receive(engine, connection, is_broken, now):
    """Read what has come and carry it out. Returns whether the control loop must look at it.

    ``is_broken`` says that the system reported an error or a hang-up.
    """
    c = connection_at(connection)
    room = INPUT_OCTETS - c["input_octets"]
    octets = recv(c["socket"], c["input"] + c["input_octets"], room, MSG_DONTWAIT)
    if octets == 0 or (octets < 0 and is_broken):
        close(connection, _CLOSED)
        return True
    if octets < 0:
        return False
    c["input_octets"] += octets
    c["received_at"] = now
    if c["state"] == _LOGIN:
        return True
    consume(engine, connection)
    return c["state"] == _CLOSING


@kernel
def transmit(engine, connection, now):
    """Send the stored packets that the client has not had. Returns whether some are left."""
    c = connection_at(connection)
    store = account_at(engine_at(engine)["accounts"] + ACCOUNT_SIZE * c["account"])["store"]
    s = store_at(store)
    while c["next"] <= s["count"]:
        if c["next"] < s["oldest"]:
            close(connection, _SLOW)
            return False
        begin, octets, _ = run(store, c["next"], s["count"], OUTPUT_OCTETS)
        sent = send(c["socket"], s["base"] + begin + c["part"], octets - c["part"],
                    MSG_DONTWAIT | MSG_NOSIGNAL)
        if sent < 0:
            return True
        c["sent_at"] = now
        sent += c["part"]
        whole = sent == octets
        while sent > 0:
            size = LENGTH_SIZE + load_be16(s["base"] + offset(store, c["next"]))
            if sent < size:
                break
            sent -= size
            c["next"] += 1
        c["part"] = sent
        if not whole:
            return True
    return False
