"""Frames of the feed, and frames that no sane sender sends."""

import random

from tests.captures import ethernet, ipv4, mold, udp
from tests.pipeline_rig import GROUPS, PORT


def packet(number: int, messages: list[bytes], line: int = 0, **damage) -> bytes:
    """Return the frame of a MoldUDP64 packet on a line."""
    return ethernet(ipv4(udp(mold(number, *messages, **damage), PORT), destination=GROUPS[line]))


def garbage(draw: random.Random, number: int, messages: list[bytes]) -> bytes:
    """A frame that no sane sender sends, wrong at one layer or at all of them."""
    noise = draw.randbytes(draw.randrange(1, 400))
    kind = draw.randrange(8)
    if kind == 0:
        return noise
    if kind == 1:
        return ethernet(noise, draw.choice((0x0800, 0x8100, 0x86DD, 0x0806)))
    if kind == 2:
        return ethernet(ipv4(noise, draw.choice((6, 17)), destination=GROUPS[draw.randrange(3)]))
    if kind == 3:
        return ethernet(ipv4(udp(noise, PORT), destination=GROUPS[draw.randrange(2)]))
    if kind == 4:                              # blocks that are no messages
        blocks = [noise[at:at + draw.randrange(6, 60)] for at in range(0, len(noise), 60)]
        return packet(number, blocks, draw.randrange(2))
    if kind == 5:
        good = bytearray(packet(number, messages, draw.randrange(2)))
        for _ in range(draw.randrange(1, 4)):
            good[draw.randrange(len(good))] = draw.randrange(256)
        return bytes(good)
    if kind == 6:
        return packet(draw.getrandbits(64), messages, draw.randrange(2))
    return packet(number, messages, draw.randrange(2), count=draw.randrange(1 << 16))
