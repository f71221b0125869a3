"""Fuzz the FIX codec, guided by coverage: ``python -m tests.fuzz.fix_codec [libFuzzer options]``.

Kernels run as Python, so that atheris sees their branches. What must hold of any octets: none is
lost or read twice, a message that parses is what its fields say, one without a fault can be encoded
and parsed again to the same value, and whatever was framed can be sent again or is refused.
"""

import contextlib
import os

if __name__ == "__main__":
    os.environ["NUMBA_DISABLE_JIT"] = "1"

from tests.fix_rig import HEADER, ORDER, TIME, framed, message
from tests.fuzz.watch import fuzz
from tickwire.orders.fix.encode import EncodeError, encode, resend
from tickwire.orders.fix.parse import Parsed, Receiver, parse
from tickwire.orders.fix.rules import Rules

OWN = [Rules.own(begin) for begin in ("FIX.4.2", "FIX.4.4", "FIXT.1.1")]
OCTETS_MAX, MESSAGE_MAX = 2_048, 512
_FRAMED = 0x80                             # bit of the first octet: frame the rest ourselves

SEEDS = [
    b"\x01" + message("D", ORDER),
    b"\x01" + message("D", ORDER + "453=2|448=A|447=D|452=1|802=1|523=s|803=1|448=B|"),
    b"\x00" + message("A", "98=0|108=30|95=5|96=a\x01b=c|", "FIX.4.2"),
    b"\x02" + message("0", "112=x|", "FIXT.1.1", HEADER + f"627=1|628=H|629={TIME}|"),
    b"\x81" + f"35=D\x0134=1\x0149=A\x0152={TIME}\x0156=B\x01{ORDER}".replace("|", "\x01").encode(),
    b"\x81" + b"35=8\x01453=2\x01448=A\x01",
]


def _check(parsed: Parsed, rules: Rules) -> None:
    """Assert what holds of one message."""
    assert b"".join(b"%d=%b\x01" % pair for pair in parsed.pairs()) == _canonical(parsed.octets)
    value = parsed.message()
    if parsed.fault is None:
        with contextlib.suppress(EncodeError):         # empty group entries, empty values
            again = parse(encode(value, rules), rules)
            assert not again.garbled and again.fault is None, (parsed, again)
            assert again.message() == value, (parsed, again)
    with contextlib.suppress(EncodeError):
        repeated = parse(resend(parsed.octets, TIME.encode()), None)
        assert not repeated.garbled, (parsed, repeated)
        assert repeated.is_possible_duplicate


def _canonical(octets: bytes) -> bytes:
    """Return octets as `pairs` gives them back: tags may have zeros in front."""
    parsed = parse(octets, None)
    return octets if b"\x010" not in octets and b"\x01-0" not in octets else b"".join(
        b"%d=%b\x01" % pair for pair in parsed.pairs())


def one_input(data: bytes) -> None:
    """Run the codec over ``data``: the first octet chooses, the rest comes in pieces."""
    if not data:
        return
    rules, rest = OWN[(data[0] & 0x7F) % len(OWN)], data[1:]
    if data[0] & _FRAMED:
        rest = framed(f"8={rules.begin_string}|" + rest[:300].decode("latin-1").replace("|", " "))
    receiver = Receiver(rules, octets_max=OCTETS_MAX, message_octets_max=MESSAGE_MAX)
    total, step = 0, 1 + data[0] % 97
    for place in range(0, len(rest), step):
        receiver.feed(rest[place:place + step])
        while (parsed := receiver.next()) is not None:
            assert 0 < parsed.size <= MESSAGE_MAX or parsed.garbled
            total += parsed.size
            if not parsed.garbled:
                _check(parsed, rules)
        assert receiver.pending <= MESSAGE_MAX
    assert total + receiver.pending == len(rest)


if __name__ == "__main__":
    fuzz(one_input, SEEDS, ["tickwire.orders.fix", "tickwire.kernels.fix"])
