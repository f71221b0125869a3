"""Faults of messages: each is counted, and the first of a kind is remembered by its number."""

from tickwire.kernels.jit import kernel
from tickwire.kernels.layout import book_at
from tickwire.kernels.memory import load64, store64
from tickwire.kernels.ring import count


@kernel
def fault(book, counter, sequence):
    """Count a fault of message ``sequence``, which is never 0."""
    b = book_at(book)
    count(b["counters"], counter)
    first = b["first_faults"] + 8 * counter
    if load64(first) == 0:
        store64(first, sequence)
