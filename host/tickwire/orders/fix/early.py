"""Messages that came before their turn: kept until the gap before them is filled, within bounds."""

from tickwire.orders.fix.parse import Parsed

MESSAGES_MAX = 4_096
OCTETS_MAX = 1 << 24


class Early:
    """Messages by number. What does not fit is dropped: the other side will be asked for it."""

    def __init__(self) -> None:
        self._messages: dict[int, Parsed | None] = {}
        self._octets = 0

    def __len__(self) -> int:
        return len(self._messages)

    def keep(self, number: int, message: Parsed | None) -> bool:
        """Keep a message, or None for one that was acted on already; return whether it fits."""
        size = message.size if message is not None else 0
        if number in self._messages:
            return True
        if len(self._messages) >= MESSAGES_MAX or self._octets + size > OCTETS_MAX:
            return False
        self._messages[number] = message
        self._octets += size
        return True

    def has(self, number: int) -> bool:
        """Whether that number is kept."""
        return number in self._messages

    def take(self, number: int) -> Parsed | None:
        """Return the message with that number, which is kept, and forget it."""
        message = self._messages.pop(number)
        self._octets -= message.size if message is not None else 0
        return message

    def first(self) -> int:
        """Return the lowest number that is kept; there is one."""
        return min(self._messages)

    def forget_before(self, number: int) -> None:
        """Forget everything below ``number``."""
        for passed in [kept for kept in self._messages if kept < number]:
            self.take(passed)

    def clear(self) -> None:
        """Forget everything."""
        self._messages.clear()
        self._octets = 0
