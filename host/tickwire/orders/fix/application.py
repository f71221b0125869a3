"""What a session tells its application, and the errors with which it refuses to send."""

from typing import TYPE_CHECKING

from tickwire.errors import TickwireError

if TYPE_CHECKING:
    from tickwire.orders.fix.parse import Parsed
    from tickwire.orders.fix.session import Session

ORDER_TYPES = frozenset({"D", "E", "F", "G", "K", "L", "q", "s", "t", "u", "AB", "AC", "CA",
                         "S", "i", "AJ"})
"""Messages that place, change or cancel orders, or quotes, which bind as much, and answers that
trade against one (AJ): only an order gate may send any of them."""
UNTHROTTLED_TYPES = frozenset({"F", "q", "H"})
"""What a throttle does not hold: cancels, and the question what became of an order."""


class SendError(TickwireError):
    """A message that a session does not send: not logged on, too many a second, store broken."""


class GateError(SendError):
    """An order that does not come through the gate, where only the device's releases enter."""


class Application:
    """Callbacks of a session; each does nothing until it is overridden.

    They are called from the session's event, in the thread of the event loop, one after the other.
    A callback may send. An exception in one is logged, and the session goes on.
    """

    def on_logon(self, session: "Session") -> None:
        """Both sides are logged on."""

    def on_reset(self, session: "Session") -> None:
        """Numbers begin at 1: those of earlier messages name them no more."""

    def on_logout(self, session: "Session", reason: str) -> None:
        """The connection of a session that was logged on has ended."""

    def on_message(self, session: "Session", message: "Parsed") -> None:
        """An application message came in its turn; it has no fault by the dictionary."""

    def on_reject(self, session: "Session", message: "Parsed") -> None:
        """The other side rejected what was sent (Reject, 35=3)."""

    def on_sent(self, session: "Session", msg_type: str, body: bytes) -> None:
        """An application message is in the store and on its way."""

    def on_cancel(self, session: "Session") -> None:
        """The connection was lost and is not back in time: open orders are to be cancelled."""
