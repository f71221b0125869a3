"""Kernels compiled or loaded before the first message, which would wait for them otherwise."""

from tickwire.orders.fix.encode import assemble, resend
from tickwire.orders.fix.parse import parse
from tickwire.orders.fix.rules import Rules
from tickwire.orders.fix.times import utc_timestamp

_LONG = 1_000                              # octets: longer than any short cut


def load_kernels(rules: Rules) -> None:
    """Run every kernel that a session calls: a minute the first time on a machine, then less."""
    moment = utc_timestamp(0)
    message = assemble(rules.begin_string.encode(), b"B", [
        (34, b"1"), (49, b"A"), (52, moment), (56, b"B")], b"58=%b\x01" % (b"x" * _LONG))
    parse(resend(message, moment), rules)
