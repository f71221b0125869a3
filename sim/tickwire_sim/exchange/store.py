"""Message store: every message of a session in sequence, the newest ones kept in bounded memory.

A message lies as ``length (2 octets, big-endian), octets``: the form of a MoldUDP64 block, of a
BinaryFILE record and of a SoupBinTCP packet, so that publishing, repeating and saving are copies.
Numbers begin at 1. When the memory is used up the store begins again at its front; the messages
that are overwritten are the oldest, and ``oldest`` moves past them beforehand.
"""

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import load64, load_be16, store64, store_be16, unlikely
from tickwire_sim.exchange.layout import store_at

LENGTH = 2                                 # octets before each message
CLEARED = 1 << 16                          # octets that are cleared of old messages at a time
SIZE_MIN = 4 * CLEARED


@kernel(inline=True)
def offset(store, number):
    """Offset of the length of message ``number``, which must be held."""
    s = store_at(store)
    return load64(s["index"] + 8 * ((number - 1) & s["index_mask"]))


@kernel
def _make_room(store, octets):
    """Clear the way for ``octets`` at the position, which may move to the front."""
    s = store_at(store)
    if s["position"] + octets > s["size"]:
        s["lap_end"] = s["position"]
        s["position"] = 0
        s["limit"] = 0
    while s["position"] + octets > s["limit"]:
        clear_end = s["limit"] + CLEARED
        while s["oldest"] <= s["count"]:
            place = offset(store, s["oldest"])
            if place < s["limit"] or place >= clear_end:
                break
            s["oldest"] += 1
        s["limit"] = clear_end


@kernel(inline=True)
def reserve(store, octets):
    """Address for a message of up to ``octets``; :func:`commit` makes it the next one."""
    s = store_at(store)
    if unlikely(s["position"] + LENGTH + octets > s["limit"]):
        _make_room(store, LENGTH + octets)
    return s["base"] + s["position"] + LENGTH


@kernel(inline=True)
def commit(store, octets):
    """Number the message of ``octets`` that was written to the reserved address."""
    s = store_at(store)
    position = s["position"]
    store_be16(s["base"] + position, octets)
    store64(s["index"] + 8 * (s["count"] & s["index_mask"]), position)
    s["count"] += 1
    if unlikely(s["count"] - s["oldest"] > s["index_mask"]):
        s["oldest"] += 1
    s["position"] = position + LENGTH + octets
    s["octets"] += LENGTH + octets


@kernel
def run(store, first, last, octets):
    """Messages from ``first`` to at most ``last`` that lie in one piece within ``octets``.

    Returns (offset, size, messages). Every message up to ``last`` must be held. The first one
    counts even when it alone is longer than ``octets``.
    """
    s = store_at(store)
    begin = offset(store, first)
    end = begin
    number = first
    while number <= last:
        place = offset(store, number)
        if place != end:
            break
        place += LENGTH + load_be16(s["base"] + place)
        if place - begin > octets and number > first:
            break
        end = place
        number += 1
    return begin, end - begin, number - first


@kernel
def index(store, octets):
    """Number the messages that fill the first ``octets`` of the store's memory already.

    Returns the octets of whole messages; a length of 0 or a cut message ends them.
    """
    s = store_at(store)
    position = 0
    while position + LENGTH <= octets and s["count"] <= s["index_mask"]:
        size = load_be16(s["base"] + position)
        if size == 0 or position + LENGTH + size > octets:
            break
        store64(s["index"] + 8 * s["count"], position)
        s["count"] += 1
        position += LENGTH + size
    s["position"] = position
    s["octets"] = position
    return position
