"""Settings of FIX sessions: the section ``[fix]`` of a configuration."""

from dataclasses import dataclass
from pathlib import Path

from tickwire.orders.fix.journal import DURABILITIES
from tickwire.orders.fix.schedule import DAYS, Schedule, parse_schedule
from tickwire.rules import boolean, choice, host, integer, text, texts
from tickwire.sections import array, setting

BEGIN_STRINGS = ("FIX.4.2", "FIX.4.4", "FIXT.1.1")
_COMP_ID = text(r"[!-<>-~]{1,64}", "1 to 64 printable characters without blank and =")
_SUB_ID = text(r"[!-<>-~]{0,64}", "up to 64 printable characters without blank and =")
_FILE = text(r"[^\x00-\x1f\x7f]{0,255}", "a path of up to 255 characters")
_TIME = text(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d|", "a time as HH:MM:SS, or empty")
_SECRET = text(r"[ -~]{0,128}", "up to 128 printable characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class FIXSessionSettings:
    """One FIX session. Times of the schedule empty: it is always open."""

    name: str = setting("venue", text(r"[A-Za-z0-9_.-]{1,64}", "1 to 64 of A-Z a-z 0-9 _ . -"),
                        "Its name, and that of its store.")
    role: str = setting("initiator", choice("initiator", "acceptor"), "Who connects.")
    begin_string: str = setting("FIX.4.4", choice(*BEGIN_STRINGS),
                                "Version; FIXT.1.1 carries FIX.5.0SP2.")
    sender: str = setting("TICKWIRE", _COMP_ID, "Own CompID, 49 of what is sent.")
    target: str = setting("VENUE", _COMP_ID, "The other side's CompID.")
    sender_sub: str = setting("", _SUB_ID, "Own SubID, 50; empty is not sent.")
    target_sub: str = setting("", _SUB_ID, "The other side's SubID, 57; empty is not sent.")
    host: str = setting("127.0.0.1", host(), "Host to connect to, or address to listen on.")
    port: int = setting(26_405, integer(0, 65_535), "TCP port; an acceptor takes any for 0.")
    heartbeat_seconds: int = setting(30, integer(0, 3_600), "108 of an initiator; 0 none.")
    username: str = setting("", _SECRET, "553; an acceptor demands it. Empty: neither.")
    password: str = setting("", _SECRET, "554; never printed.", is_secret=True)
    reset_on_logon: bool = setting(False, boolean(), "Begin at 1 with every logon (141=Y).")
    next_expected: bool = setting(False, boolean(), "Use NextExpectedMsgSeqNum (789).")
    dictionary: str = setting("", _FILE, "QuickFIX XML of the messages; empty: the own one.")
    transport_dictionary: str = setting("", _FILE, "QuickFIX XML of FIXT.1.1, where that is used.")
    check_user_defined: bool = setting(True, boolean(), "Refuse unknown tags from 5000 on.")
    check_has_value: bool = setting(True, boolean(), "Refuse fields without a value.")
    check_order: bool = setting(True, boolean(), "Refuse header fields behind the body's.")
    latency_seconds: int = setting(120, integer(1, 86_400), "How far 52 may be from this clock.")
    logon_seconds: int = setting(10, integer(1, 3_600), "Wait for the answer to a Logon.")
    logout_seconds: int = setting(2, integer(1, 3_600), "Wait for the answer to a Logout.")
    reconnect_ms: int = setting(1_000, integer(1, 3_600_000), "Wait before connecting again; "
                                "doubles with each failure.")
    reconnect_max_ms: int = setting(60_000, integer(1, 3_600_000), "The longest such wait.")
    messages_per_second: int = setting(0, integer(0, 1_000_000), "Throttle of application "
                                       "messages out; 0 none.")
    burst: int = setting(100, integer(1, 1_000_000), "Messages at once before it holds.")
    cancel_on_disconnect: bool = setting(False, boolean(), "Have open orders cancelled when the "
                                         "connection is lost.")
    cancel_after_ms: int = setting(0, integer(0, 3_600_000), "Unless it is back within this time.")
    mass_cancel: bool = setting(True, boolean(), "Ask with one q for cancels that leave nothing "
                                "open; FIX.4.2 has none.")
    lease: bool = setting(False, boolean(), "New orders leave from the engine's own loop; not with "
                          "tls, a throttle or durability each.")
    order_fields: tuple[str, ...] = setting(
        (), texts(r"[1-9][0-9]{0,8}=[ -~]{1,128}", "a field as TAG=VALUE", 64),
        "Fields of every order message that has them, such as 1=ACCOUNT; a group as its count and "
        "its members.")
    drop_copy_of: str = setting("", text(r"[A-Za-z0-9_.,-]{0,1024}", "names with , between"),
                                "Sessions whose execution reports are copied here.")
    start_time: str = setting("", _TIME, "When the session begins.")
    end_time: str = setting("", _TIME, "When it ends.")
    start_day: str = setting("", choice("", *DAYS), "Day of a weekly session; empty: daily.")
    end_day: str = setting("", choice("", *DAYS), "Day on which a weekly session ends.")
    time_zone: str = setting("UTC", text(r"[A-Za-z0-9_+/-]{1,64}", "the name of a time zone"),
                             "Zone of these times, such as America/New_York.")
    tls: bool = setting(False, boolean(), "TLS 1.2 or later, certificates checked.")
    ca_file: str = setting("", _FILE, "Certificates to trust; empty: the system's.")
    certificate_file: str = setting("", _FILE, "Own certificate; an acceptor with TLS needs one.")
    key_file: str = setting("", _FILE, "Its key.")
    key_passphrase_file: str = setting("", _FILE, "File whose first line is the passphrase of "
                                       "the key; empty: it has none.")
    server_name: str = setting("", _FILE, "Name in the server's certificate; empty: `host`.")

    def __post_init__(self) -> None:
        """Check what concerns more than one key."""
        try:
            self.schedule()
        except ValueError as error:
            raise ValueError(f"fix.sessions.{self.name}.{error}") from None
        if self.tls and self.role == "acceptor" and not self.certificate_file:
            raise ValueError(f"fix.sessions.{self.name}.certificate_file is missing; "
                             "an acceptor with tls needs one")

    def schedule(self) -> Schedule:
        """Return when the session is open; a ValueError begins with the key at fault."""
        return parse_schedule(self.start_time, self.end_time, self.start_day, self.end_day,
                              self.time_zone)

    def header(self) -> list[tuple[int, str]]:
        """Return the fields that every message has in its header: tag and value, ascending."""
        return [(tag, value) for tag, value in (
            (49, self.sender), (50, self.sender_sub), (56, self.target), (57, self.target_sub))
            if value]

    @property
    def identity(self) -> str:
        """Version and CompIDs, as log lines and stores name the session."""
        return f"{self.begin_string}:{self.sender}->{self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FIXSettings:
    """FIX sessions of a process and where their state is."""

    folder: str = setting("fix", _FILE, "Folder of stores and audit logs.")
    durability: str = setting("batch", choice(*DURABILITIES), "When the disk has a "
                                     "message: none, batch (20 ms) or each, before it is sent.")
    batch_ms: int = setting(20, integer(1, 60_000), "Time between two batches.")
    audit: bool = setting(True, boolean(), "Log every octet in and out with its time in ns.")
    sessions: tuple[FIXSessionSettings, ...] = array(FIXSessionSettings, identity="name")

    @property
    def order_session(self) -> FIXSessionSettings | None:
        """The session that carries orders: the first one that connects and copies no other."""
        return next((entry for entry in self.sessions
                     if entry.role == "initiator" and not entry.drop_copy_of), None)

    @property
    def order_copies(self) -> "tuple[FIXSessionSettings, ...]":
        """The sessions to which reports of the order session are copied."""
        order = self.order_session
        return tuple(entry for entry in self.sessions
                     if order is not None and order.name in entry.drop_copy_of.split(","))

    def store_path(self, name: str) -> Path:
        """Return where the store of a session is."""
        return Path(self.folder) / f"{name}.store"
