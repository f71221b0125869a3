"""Codes of OUCH 5.0 and ITCH 5.0 that the venue uses, by name, taken from their tables."""

from collections.abc import Mapping

from tickwire.spec import itch50, ouch50


def _tag(table: Mapping[str, str], text: str) -> int:
    """Octet whose meaning in ``table`` is ``text``."""
    return ord(next(code for code, meaning in table.items() if meaning == text))


def _number(text: str) -> int:
    """Reject reason whose meaning is ``text``."""
    return next(code for code, meaning in ouch50.REJECT_REASONS.items() if meaning == text)


class Reject:
    """Reasons of a Rejected."""

    CLOSED = _number("destination closed")
    DISPLAY = _number("display")
    MAXIMUM_FLOOR = _number("maximum floor")
    PEG = _number("peg type")
    HALTED = _number("halted")
    ISO = _number("ISO")
    SIDE = _number("side")
    PROCESSING = _number("processing")
    FIRM = _number("firm")
    MINIMUM_QUANTITY = _number("minimum quantity")
    OTHER = _number("other")
    QUANTITY = _number("quantity")
    CROSS = _number("cross order")
    SYMBOL = _number("symbol")
    PRICE = _number("price")


class Cancel:
    """Reasons of a Canceled."""

    CLOSED = _tag(ouch50.CANCEL_REASONS, "closed")
    POST_ONLY = _tag(ouch50.CANCEL_REASONS, "post only")
    HALTED = _tag(ouch50.CANCEL_REASONS, "halted")
    IMMEDIATE = _tag(ouch50.CANCEL_REASONS, "immediate or cancel")
    SUPERVISORY = _tag(ouch50.CANCEL_REASONS, "supervisory")
    USER = _tag(ouch50.CANCEL_REASONS, "user")
    SYSTEM = _tag(ouch50.CANCEL_REASONS, "system")


class Liquidity:
    """Liquidity flags of an execution."""

    ADDED = _tag(ouch50.LIQUIDITY_FLAGS, "added")
    REMOVED = _tag(ouch50.LIQUIDITY_FLAGS, "removed")


class State:
    """Trading states."""

    HALTED = _tag(itch50.TRADING_STATES, "halted")
    TRADING = _tag(itch50.TRADING_STATES, "trading")


class Event:
    """System events of ITCH; START_OF_DAY and END_OF_DAY of OUCH."""

    START_OF_MESSAGES = _tag(itch50.EVENTS, "start of messages")
    START_OF_SYSTEM = _tag(itch50.EVENTS, "start of system hours")
    START_OF_MARKET = _tag(itch50.EVENTS, "start of market hours")
    END_OF_MARKET = _tag(itch50.EVENTS, "end of market hours")
    END_OF_SYSTEM = _tag(itch50.EVENTS, "end of system hours")
    END_OF_MESSAGES = _tag(itch50.EVENTS, "end of messages")
    START_OF_DAY = _tag(ouch50.EVENTS, "start of day")
    END_OF_DAY = _tag(ouch50.EVENTS, "end of day")
