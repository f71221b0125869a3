"""What a card's network side is set up with, and the registers that it goes through."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tickwire.device.base import Device
from tickwire.device.feed_memory import LINE_TIMEOUT_NS
from tickwire.errors import TickwireError
from tickwire.kernels.receive import key_of
from tickwire.spec.geometry import tick_grid
from tickwire.spec.network import FRAME_SIZE_MAX
from tickwire.spec.records import Line
from tickwire.spec.registers import FeedSetting
from tickwire.spec.sessions import SESSIONS_MAX, SessionOperation

_WORD = 8                                  # octets of a template's word


class RegisterWriter(Protocol):
    """What has registers to be written."""

    def write_register(self, name: str, value: int) -> None:
        """Write a register."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSession:
    """An order session that the card writes: its template, and where its connection stands.

    ``template`` is of :func:`tickwire.orders.template.template`; sequence and acknowledgment are
    TCP numbers of the next octets, ``window`` is what the frames tell the peer.
    """

    template: bytes
    sequence: int = 1
    acknowledgment: int = 1
    window: int = 0xFFFF

    def write(self, device: RegisterWriter, number: int) -> None:
        """Make ``device`` the writer of session ``number``, from this position on.

        The session is not leased yet: a card ignores the template of one that is.
        """
        write = device.write_register
        for word in range(len(self.template) // _WORD):
            write("SESSION_INDEX", number | word << 8)
            write("SESSION_TEMPLATE", int.from_bytes(
                self.template[_WORD * word:_WORD * (word + 1)], "little"))
        write("SESSION_INDEX", number)
        write("SESSION_POSITION", self.sequence | self.acknowledgment << 32)
        write("SESSION_UPDATE", int(SessionOperation.LEASE) | self.window << 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardNetwork:
    """Lines, instruments and sessions of a card.

    ``lines`` are address and port of line A, of line B and of what the host has recovered; None
    where there is none. ``symbols`` maps what is watched to tick sizes in 1e-4 dollars, 0 for that
    of the first order; None watches every locate below the number of instruments. ``released`` is
    the mask of sessions whose orders the host sends. Times are in ns, 0 for never.
    """

    lines: tuple[tuple[str, int] | None, ...] = ()
    symbols: Mapping[str, int] | None = None
    sessions: tuple[CardSession, ...] = ()
    released: int = 0
    start: int = 1
    settings: FeedSetting = FeedSetting.CHECK_UDP | FeedSetting.OTHER_SESSION
    line_timeout_ns: int = LINE_TIMEOUT_NS
    patience_ns: int = 0
    stale_ns: int = 0
    size_max: int = FRAME_SIZE_MAX

    def write(self, device: Device) -> None:
        """Set up ``device``, which does not run yet.

        Raises :class:`TickwireError` for more instruments or sessions than it has.
        """
        instruments, symbols = device.geometry.instruments, self.symbols or {}
        for what, count, most in (("instruments", len(symbols), instruments),
                                  ("order sessions", len(self.sessions), SESSIONS_MAX),
                                  ("lines", len(self.lines), len(Line))):
            if count > most:
                raise TickwireError(f"Device {device.name!r} has {most} {what}, not {count}.")
        write = device.write_register
        for line, place in zip(Line, self.lines, strict=False):
            if place is not None:
                group, port = place
                write(f"LINE_{line.name}", key_of(int(ipaddress.IPv4Address(group)), port))
        settings = self.settings
        if self.symbols is None:
            settings |= FeedSetting.WATCH_ALL
        if len(self.lines) > 1 and self.lines[1] is not None:
            settings |= FeedSetting.WAIT_FOR_B
        for name, value in (
                ("FEED_SETTING", int(settings)), ("FEED_START", self.start),
                ("FRAME_SIZE_MAX", self.size_max), ("LINE_TIMEOUT", self.line_timeout_ns),
                ("GAP_PATIENCE", self.patience_ns), ("FEED_STALE", self.stale_ns),
                ("ORDER_SESSIONS", len(self.sessions)), ("SESSIONS_RELEASED", self.released)):
            write(name, value)
        ticks = [*symbols.values(), *[0] * (instruments - len(symbols))]
        for number, tick in enumerate(ticks):
            grid = tick_grid(tick)
            write("INSTRUMENT_INDEX", number)
            write("GRID_MULTIPLIER", grid["multiplier"])
            write("INSTRUMENT_GRID", grid["tick"] | grid["bits"] << 32 | grid["least"] << 40)
        for number, symbol in enumerate(symbols):
            write("INSTRUMENT_INDEX", number)
            write("INSTRUMENT_SYMBOL", int.from_bytes(symbol.encode("ascii").ljust(8), "big"))
        for number, session in enumerate(self.sessions):
            session.write(device, number)
