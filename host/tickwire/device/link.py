"""Order session of a device, control's side: connect, log in, hand over, come back.

The loop owns the socket while a session lasts (:mod:`tickwire.kernels.engine_session`); here is
what comes before and after. A session that is lost is continued with its next sequenced message,
so that nothing the venue said is missed. One that comes back at another message kills the device:
what was said between is lost, or will be said twice. After a kill that found it away everything is
cancelled when it is back.
"""

import asyncio
import contextlib
import socket

from tickwire.config import OrderSettings
from tickwire.device.owned import OwnedDevice
from tickwire.engine import Engine
from tickwire.errors import TickwireError, system_reason
from tickwire.spec import ouch50, soupbintcp
from tickwire.spec.intents import Operation
from tickwire.spec.registers import KillAction, KillCause
from tickwire.spec.wire import Message, decode, encode

LOGIN_SECONDS = 5.0
LOOK_SECONDS = 0.02                        # how often a session is looked at
RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)  # the last one again and again
_RECEIVE = 1 << 16
_DEBUG = soupbintcp.DEBUG.tag
_SEQUENCE_MAX = (1 << 63) - 1


class OrderLink:
    """Keeps the order session of a device up until it is cancelled."""

    def __init__(self, device: OwnedDevice, settings: OrderSettings,
                 engine: Engine | None = None) -> None:
        """Nothing is connected yet. Without ``engine`` nothing is cancelled after a kill."""
        self._device, self._settings, self._engine = device, settings, engine
        self._socket: socket.socket | None = None
        self._session = settings.session
        self._sequence = soupbintcp.SEQUENCE_NEXT
        self.remarks: list[str] = []

    async def connect(self) -> None:
        """Log in once and hand the socket to the loop; raises :class:`TickwireError`."""
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                await self._log_in(where)
        except TimeoutError:
            self._drop()
            raise TickwireError(f"The order port {where} did not answer the login within "
                                f"{LOGIN_SECONDS:g} s.") from None
        except OSError as error:
            self._drop()
            raise TickwireError(f"Cannot reach the order port {where}: "
                                f"{system_reason(error)}.") from None
        except BaseException:
            self._drop()
            raise

    async def keep(self) -> None:
        """Watch the session for ever; log in again when it is lost, unless it ended."""
        while True:
            while self._device.has_session:
                await asyncio.sleep(LOOK_SECONDS)
            self._drop()
            if self._device.is_session_ended:
                self.remarks.append("The venue ended the order session.")
                return
            self._sequence = self._device.session_sequence
            # A venue that closes every session at once is not asked without end.
            await asyncio.sleep(RETRY_SECONDS[-1])
            await self._come_back()
            await self._withdraw()

    async def _come_back(self) -> None:
        attempt = 0
        while True:
            try:
                await self.connect()
                return
            except TickwireError as error:
                if attempt == 0:
                    self.remarks.append(str(error))
            await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
            attempt += 1

    async def _withdraw(self) -> None:
        """Cancel every open order when the session is up, if a kill that asks for it stands.

        One that found the session down has sent no cancel.
        """
        while not self._device.is_session_up:
            if not self._device.has_session:
                return
            await asyncio.sleep(LOOK_SECONDS)
        if (self._engine is not None and self._device.killed
                and self._device.read_register("KILL_ACTION") & KillAction.MASS_CANCEL):
            self._engine.submit({"operation": Operation.MASS_CANCEL})

    def close(self) -> None:
        """Log out and close; the loop does not run any more."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(encode(soupbintcp.LOGOUT_REQUEST, {}))
        self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _log_in(self, where: str) -> None:
        loop, settings = asyncio.get_running_loop(), self._settings
        found = await loop.getaddrinfo(settings.host, settings.port, family=socket.AF_INET,
                                       type=socket.SOCK_STREAM)
        link = self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(link, found[0][4])
        await loop.sock_sendall(link, encode(soupbintcp.LOGIN_REQUEST, {
            "username": settings.username, "password": settings.password,
            "requested_session": self._session, "requested_sequence": str(self._sequence)}))
        received = b""
        while (packet := _first(received)) is None:
            more = await loop.sock_recv(link, _RECEIVE)
            if not more:
                raise TickwireError(f"The order port {where} closed the connection at login.")
            received = _behind_debug(received + more)
        accepted = _accepted(packet, where)
        self._take_over(accepted["session"], int(accepted["sequence_number"]))
        query = encode(ouch50.ACCOUNT_QUERY, {})
        await loop.sock_sendall(link, encode(soupbintcp.UNSEQUENCED_DATA, {"message": query}))
        self._device.attach_session(link.fileno(), received[len(packet):], self._sequence)

    def _take_over(self, session: str, sequence: int) -> None:
        """Note where the venue begins; elsewhere than asked for, the device is killed."""
        asked = self._session, self._sequence
        self._session, self._sequence = session, sequence
        if asked[1] != soupbintcp.SEQUENCE_NEXT and asked != (session, sequence):
            self._device.kill(KillCause.SETTLEMENT)
            self.remarks.append(
                f"The device is killed: the order session came back at message {sequence:,} of "
                f"{session!r}, not at message {asked[1]:,} of {asked[0]!r}, so what the venue said "
                "is not known.")


def _first(octets: bytes) -> bytes | None:
    """The first packet of a stream, when it is whole."""
    size = soupbintcp.LENGTH_SIZE
    if len(octets) < size:
        return None
    end = size + int.from_bytes(octets[:size], "big")
    return octets[:end] if len(octets) >= end > size else None


def _behind_debug(octets: bytes) -> bytes:
    """What of a stream is left when whole Debug packets at its beginning are passed over."""
    while (packet := _first(octets)) and chr(packet[soupbintcp.TYPE_OFFSET]) == _DEBUG:
        octets = octets[len(packet):]
    return octets


def _accepted(packet: bytes, where: str) -> dict[str, str]:
    """Fields of Login Accepted; raises with the venue's reason for anything else."""
    tag = chr(packet[soupbintcp.TYPE_OFFSET])
    found: Message | None = soupbintcp.BY_TYPE.get(tag)
    try:
        values = decode(found, packet) if found is not None else {}
    except ValueError:
        values = {}
    if found is soupbintcp.LOGIN_REJECTED and values:
        reason = soupbintcp.REJECT_REASONS.get(str(values["reason"]), repr(values["reason"]))
        raise TickwireError(f"The order port {where} rejected the login: {reason}.")
    sequence = str(values.get("sequence_number", "")).strip()
    if (found is not soupbintcp.LOGIN_ACCEPTED or not sequence.isdigit()
            or int(sequence) > _SEQUENCE_MAX):
        raise TickwireError(f"The order port {where} answered the login with a packet of type "
                            f"{tag!r} and {len(packet)} octets, not with Login Accepted.")
    return {"session": str(values["session"]).strip(), "sequence_number": sequence}
