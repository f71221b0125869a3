"""The MAC: from START to a frame's first word, from a first word to START, frame after frame."""

import zlib
from collections.abc import Iterator

import numpy as np

from bench.cycle import Row
from tickwire.spec import xgmii
from tickwire_hw.mac_receive import MACReceive
from tickwire_hw.mac_transmit import MACTransmit
from tickwire_sim.verilate import verilate

LANES = 8
SIZES = range(xgmii.FRAME_SIZE_MIN, xgmii.FRAME_SIZE_MIN + LANES)
FRAMES = 400                               # back to back, of each size
_LEAD = bytes([xgmii.PREAMBLE] * 6 + [xgmii.FRAME_DELIMITER])
_IDLE = (xgmii.Character.IDLE, 1)
_SPACE = 8 * LANES


def rows() -> Iterator[Row]:
    """Yield the cycles of both halves, over every size modulo a word and both lanes of START."""
    yield from _receiving()
    yield from _sending()


def _receiving() -> Iterator[Row]:
    model = verilate(MACReceive())
    for lane in (0, xgmii.HALF):
        firsts, lasts = [], []
        for size in SIZES:
            frame = bytes(size)
            frame += zlib.crc32(frame).to_bytes(xgmii.CHECK_SIZE, "little")
            octets = [*[_IDLE] * (_SPACE + lane), (xgmii.Character.START, 1),
                      *((octet, 0) for octet in _LEAD + frame), (xgmii.Character.TERMINATE, 1)]
            octets += [_IDLE] * (2 * _SPACE - len(octets) % LANES)
            given = model.rows(len(octets) // LANES, size_max=xgmii.FRAME_SIZE_MIN + LANES)
            values, controls = np.array(octets, np.uint8).T
            given["data"] = np.ascontiguousarray(values).view("<u8")
            given["control"] = np.packbits(controls.reshape(-1, LANES), axis=1,
                                           bitorder="little")[:, 0]
            model.restart()
            found = model.run(given, when="words__valid")
            start = _SPACE // LANES
            firsts.append(int(found["cycle"][0]) - start)
            lasts.append(int(found["cycle"][-1])
                         - (_SPACE + lane + xgmii.PREAMBLE_SIZE + size - 1) // LANES)
        yield Row.of("MAC, receiving: START to first word", firsts,
                     "data to words valid", alignment=f"lane {lane}")
        yield Row.of("MAC, receiving: last octet to last word, with the verdict", lasts,
                     "data to words valid", alignment=f"lane {lane}")


def _sending() -> Iterator[Row]:
    model = verilate(MACTransmit())
    starts: list[int] = []
    for size in SIZES:
        words = -(-size // LANES)
        ends = np.arange(1, FRAMES * words + 1) % words == 0
        row, taken, came = model.rows(1, i__valid=1), 0, []
        firsts = []
        model.restart()
        while taken < len(ends):
            last = bool(ends[taken])
            model.put(row, "i__payload", keep=(1 << (size - 1) % LANES + 1) - 1 if last else 0xFF,
                      last=last)
            found = model.run(row)[0]
            if found["is_start"]:
                came.append(int(found["cycle"]))
            if found["i__ready"]:
                if taken % words == 0:
                    firsts.append(int(found["cycle"]))
                taken += 1
        starts += np.subtract(came, firsts[:len(came)]).tolist()
        apart = np.diff(came)
        yield Row.of("MAC, sending: from START to START at full rate", apart,
                     f"is_start; {apart.mean():.2f} on average", message=f"{size} octets")
    yield Row.of("MAC, sending: first word taken to START", starts, "i valid to is_start")
