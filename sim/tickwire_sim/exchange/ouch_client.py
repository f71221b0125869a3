"""A client of the venue's own order port in asyncio: what the FIX gateway stands on."""

import asyncio
from collections.abc import Callable

from tickwire.spec import ouch50, soupbintcp
from tickwire.spec.wire import Value, decode, encode

_LENGTH = soupbintcp.LENGTH_SIZE
_CLIENT_HEARTBEAT = encode(soupbintcp.CLIENT_HEARTBEAT, {})


class OuchClient(asyncio.Protocol):
    """One OUCH session; ``heard`` gets the name of each message and its fields.

    ``next_number`` is the next UserRefNum, once :meth:`connect` has returned.
    """

    def __init__(self, heard: Callable[[str, dict[str, Value]], None]) -> None:
        self.next_number = 0
        self._heard = heard
        self._octets = b""
        self._transport: asyncio.Transport | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def connect(cls, host: str, port: int, username: str, password: str,
                      heard: Callable[[str, dict[str, Value]], None]) -> "OuchClient":
        """Log in, and return when the venue has told the next number."""
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_connection(lambda: cls(heard), host, port)
        transport.write(encode(soupbintcp.LOGIN_REQUEST, {
            "username": username, "password": password, "requested_session": "",
            "requested_sequence": str(soupbintcp.SEQUENCE_NEXT)}))
        client.send(ouch50.ACCOUNT_QUERY, {})
        await client._ready
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands; the login comes first, heartbeats after it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def _pulse(self) -> None:
        if self._transport is not None:
            self._transport.write(_CLIENT_HEARTBEAT)
            self._timer = asyncio.get_running_loop().call_later(
                soupbintcp.HEARTBEAT_SECONDS, self._pulse)

    def data_received(self, data: bytes) -> None:
        """Take whole packets."""
        self._octets += data
        while len(self._octets) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._octets[:_LENGTH], "big")
            if len(self._octets) < end:
                return
            packet, self._octets = self._octets[:end], self._octets[end:]
            self._packet(packet)

    def _packet(self, packet: bytes) -> None:
        kind = chr(packet[soupbintcp.TYPE_OFFSET])
        if kind == soupbintcp.LOGIN_REJECTED.tag and not self._ready.done():
            self._ready.set_exception(ConnectionError("the venue rejected the gateway's login"))
        if kind != soupbintcp.SEQUENCED_DATA.tag:
            return
        octets = packet[soupbintcp.HEADER_SIZE:]
        message = ouch50.OUTBOUND[chr(octets[0])]
        values = decode(message, octets)
        if message is ouch50.ACCOUNT_QUERY_RESPONSE:
            self.next_number = int(values["next_user_ref_num"])
            if not self._ready.done():
                self._ready.set_result(None)
                self._pulse()
        else:
            self._heard(message.name, values)

    def number(self) -> int:
        """Return a new UserRefNum."""
        self.next_number += 1
        return self.next_number - 1

    def send(self, message: "ouch50.Message", values: dict[str, Value]) -> None:
        """Send a message."""
        if self._transport is not None:
            self._transport.write(encode(soupbintcp.UNSEQUENCED_DATA,
                                         {"message": encode(message, values)}))

    def connection_lost(self, exc: Exception | None) -> None:
        """The venue has closed."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if not self._ready.done():
            self._ready.set_exception(ConnectionError("the venue closed the order port"))

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
