"""Stores to a card: a whole line at once where the processor can, in words where it cannot.

MOVDIR64B writes 64 octets as one, whatever the mapping's type is; so the card sees one packet.
Without it eight stores of 8 octets go out, which a write-combining mapping joins as it likes. The
card takes both: it waits for every word of a line, in any order.
"""

import ctypes

from llvmlite import ir
from numba import types

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import HAS_MOVDIR64B, _both

_I64 = ir.IntType(64)
_INT = types.int64
_LINE = 64


def _store_line(target, source):
    """Store 64 octets to an aligned line of a card; a later store to it may overtake them."""
    for offset in range(0, _LINE, 8):
        word = ctypes.c_uint64.from_address(int(source) + offset).value
        ctypes.c_uint64.from_address(int(target) + offset).value = word


@_both(_store_line)
def store_line(typingctx, target, source):  # noqa: D103 - it takes its fallback's docstring
    def directly(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.VoidType(), [_I64, _I64])
        builder.asm(kind, "movdir64b ($1), $0", "r,r,~{memory}", list(arguments), side_effect=True)
        return context.get_dummy_value()

    def in_words(context, builder, signature, arguments):
        for offset in range(0, _LINE, 8):
            place = ir.Constant(_I64, offset)
            source, target = (builder.inttoptr(builder.add(address, place), _I64.as_pointer())
                              for address in (arguments[1], arguments[0]))
            word = builder.load(source)
            word.align = 8
            builder.store_atomic(word, target, "monotonic", 8)
        return context.get_dummy_value()
    return types.void(_INT, _INT), directly if HAS_MOVDIR64B else in_words


@kernel
def push_line(target, source):
    """Store the 64 octets at ``source`` to the card's line ``target``: an intent to its slot."""
    store_line(target, source)
