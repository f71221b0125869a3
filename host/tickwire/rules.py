"""Rules for values that an operator writes: what is allowed, in words, and how it is stored.

A rule completes the sentence "KEY must be ..." and turns the written value into the stored one:
dollars into ten-thousandths, a fraction into parts per million. No float passes through here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import AddressValueError, IPv4Address
from typing import Any

DOLLAR = 10_000                            # stored money units of one dollar
MILLION = 1_000_000                        # stored parts of the fraction 1


class Refused(ValueError):
    """The value breaks its rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: ``words`` completes "must be ...", ``read`` returns the stored value.

    ``read`` raises :class:`Refused` for anything that is not allowed, whatever its type.
    ``show`` turns a stored value back into what an operator would write.
    """

    words: str
    read: Callable[[object], Any]
    show: Callable[[Any], str] = repr


def integer(least: int = -(1 << 63), most: int = (1 << 63) - 1) -> Rule:
    """Integers from ``least`` to ``most``, 64 bits at most; a boolean is not an integer."""
    def read(value: object) -> int:
        if type(value) is not int or not least <= value <= most:
            raise Refused
        return value
    is_bounded = most < (1 << 63) - 1
    return Rule(f"an integer from {least:,} to {most:,}" if is_bounded else
                f"an integer of {least} or more" if least >= 0 else "an integer", read)


def boolean() -> Rule:
    """``true`` or ``false``."""
    def read(value: object) -> bool:
        if type(value) is not bool:
            raise Refused
        return value
    return Rule("true or false", read, lambda value: str(value).lower())


def text(pattern: str, words: str) -> Rule:
    """Text that matches the whole of ``pattern``."""
    compiled = re.compile(pattern)

    def read(value: object) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise Refused
        return value
    return Rule(words, read, _quoted)


def choice(*allowed: str) -> Rule:
    """One of the words in ``allowed``."""
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise Refused
        return value
    return Rule(" or ".join(f'"{word}"' for word in allowed), read, _quoted)


def listed(words: str, *allowed: str) -> Rule:
    """Arrays of ``words``, which are ``allowed``, each at most once; stored as a tuple."""
    def read(value: object) -> tuple[str, ...]:
        if (not isinstance(value, list) or any(word not in allowed for word in value)
                or len(set(value)) != len(value)):
            raise Refused
        return tuple(value)
    return Rule(f"an array of {words}", read, _array)


def texts(pattern: str, words: str, most: int) -> Rule:
    """Arrays of at most ``most`` texts that match the whole of ``pattern``; stored as a tuple."""
    entry = text(pattern, words)

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > most:
            raise Refused
        return tuple(map(entry.read, value))
    return Rule(f"an array of at most {most} texts, each {words}", read, _array)


def address(*, is_multicast: bool | None = None) -> Rule:
    """IPv4 addresses, as text; only multicast or only unicast ones when asked for."""
    def read(value: object) -> str:
        try:
            parsed = IPv4Address(value) if isinstance(value, str) else None
        except AddressValueError:
            parsed = None
        if parsed is None or is_multicast not in (None, parsed.is_multicast):
            raise Refused
        return str(parsed)
    words = {None: "an IPv4 address", False: "an IPv4 unicast address",
             True: "an IPv4 multicast address, 224.0.0.0 to 239.255.255.255"}
    return Rule(words[is_multicast], read, _quoted)


def host() -> Rule:
    """IPv4 addresses or host names (RFC 1123)."""
    label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    name = text(rf"(?=.{{1,253}}$){label}(\.{label})*", "a host name or an IPv4 address")

    def read(value: object) -> str:
        found: str = name.read(value)
        if re.fullmatch(r"[0-9.]+", found):
            return address().read(found)
        return found
    return Rule(name.words, read, _quoted)


def dollars(least: str, most: str) -> Rule:
    """Amounts from ``least`` to ``most`` dollars, stored in ten-thousandths.

    Written as an integer, a decimal number or text; every form is exact.
    """
    bounds = f"{Decimal(least):,} to {Decimal(most):,}"
    return Rule(f"an amount from {bounds} dollars in steps of 0.0001",
                lambda value: _scaled(value, least, most, DOLLAR),
                lambda value: f'"{Decimal(value) / DOLLAR:f}"')


def scalar() -> Rule:
    """Single values of any kind that TOML has, but dates."""
    def read(value: object) -> int | bool | str | Decimal:
        if not isinstance(value, bool | int | str | Decimal):
            raise Refused
        return value
    return Rule("a number, text, true or false", read)


def fraction() -> Rule:
    """Fractions from 0 to 1, stored in parts per million."""
    return Rule("a fraction from 0 to 1 in steps of 0.000001",
                lambda value: _scaled(value, "0", "1", MILLION),
                lambda value: str(Decimal(value) / MILLION))


def _scaled(value: object, least: str, most: str, scale: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise Refused
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", value):
        raise Refused
    number = Decimal(value)
    # The range is checked first: the integer of 1e999999 would fill the memory.
    if not number.is_finite() or not Decimal(least) <= number <= Decimal(most):
        raise Refused
    if number != number.quantize(Decimal(1) / scale):
        raise Refused
    return int(number * scale)


def _array(value: Any) -> str:
    return f"[{', '.join(map(_quoted, value))}]"


def _quoted(value: Any) -> str:
    return f'"{value}"'
