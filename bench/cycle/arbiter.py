"""From a message at the arbiter to the message that leaves it, on one line and on two."""

from collections.abc import Iterator

import numpy as np

from bench.cycle import Row
from tickwire.spec import itch50, moldudp64, network
from tickwire_hw.arbiter import Arbiter
from tickwire_sim.model import Model
from tickwire_sim.verilate import verilate

PACKETS, MESSAGES = 12, 40
LAGS = range(8)                            # cycles by which line B is behind line A
BETWEEN = 24                               # octets between frames: FCS, gap and preamble
KINDS = (itch50.SYSTEM_EVENT, itch50.ORDER_DELETE, itch50.ADD_ORDER)
WORD = 8
_DRAIN = 16


def rows() -> Iterator[Row]:
    """Yield the latency of messages at full rate, of each size and number of VLAN tags."""
    model = verilate(Arbiter())
    for kind in KINDS:
        for tags in range(network.VLAN_TAGS_MAX + 1):
            one = [cycles for lines in ((0,), (1,)) for cycles in _run(model, kind.size, tags,
                                                                       lines, 0)]
            two = [cycles for lag in LAGS
                   for cycles in _run(model, kind.size, tags, (0, 1), lag)]
            for figure, counted in (("arbiter, one line", one), ("arbiter, two lines", two)):
                yield Row.of(f"{figure}: message in to message out", counted,
                             "first i[n].message valid to o valid", message=kind.tag,
                             alignment=f"{tags} VLAN tags")


def _run(model: Model, size: int, tags: int, lines: tuple[int, ...], lag: int) -> list[int]:
    """Return the cycles that each message of back-to-back packets took."""
    header = (network.ETHERNET.size + tags * network.VLAN.size + network.IPV4.size
              + network.UDP.size + moldudp64.DOWNSTREAM_HEADER.size)
    block = moldudp64.MESSAGE_BLOCK.size + size
    frame = header + block * MESSAGES
    starts = np.arange(PACKETS) * -(-(frame + BETWEEN) // WORD)
    messages = (starts[:, None] + (header - 1 + block * np.arange(1, MESSAGES + 1)) // WORD)
    ends = starts + (frame - 1) // WORD
    model.restart()
    given = model.rows(int(ends[-1]) + lag + _DRAIN, lines=3)
    for line in lines:
        at = lag * line
        events = (("header", starts + (header - 1) // WORD),
                  ("message", messages.ravel()), ("end", ends), ("verdict", ends + 1))
        for name, cycles in events:
            given[f"i__{line}__{name}__valid"][at + cycles] = 1
        model.put(given, f"i__{line}__header__payload", line=line, stamp=1_000)
        _put(model, given, f"i__{line}__header__payload", at + events[0][1],
             first=1 + MESSAGES * np.arange(PACKETS), count=MESSAGES)
        _put(model, given, f"i__{line}__message__payload", at + events[1][1], length=size)
        _put(model, given, f"i__{line}__end__payload", at + ends, passed=MESSAGES)
    found = model.run(given, when="o__valid")
    is_message = model.get(found, "o__payload", "kind") == 0
    came = messages.ravel() + min(lag * line for line in lines)
    return (found["cycle"][is_message].astype(int) - came)[MESSAGES:].tolist()


def _put(model: Model, given: np.ndarray, port: str, cycles: np.ndarray, **fields) -> None:
    columns = given[cycles]
    model.put(columns, port, **fields)
    given[cycles] = columns
