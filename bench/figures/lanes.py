"""Lanes of marks over cycles, as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

CYCLE, LANE, BOX, NAMES, HEAD = 18, 36, 16, 176, 34     # pixels
_STYLE = ("text{font:11px sans-serif;fill:#1c2733}.axis{fill:#5b6b7b;font-size:10px}"
          ".name{font-size:12px}.value{font-size:9px}.grid{stroke:#dfe5ea}"
          ".now{stroke:#c0392b;stroke-dasharray:3 2}.mark{fill:#bcd6ee;stroke:#3b6ea5}"
          ".last{fill:#f3c6bd;stroke:#c0392b}")


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happens in a cycle, with a word about it; ``is_last`` makes it stand out."""

    cycle: int
    text: str = ""
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Lane:
    """A name and its marks."""

    name: str
    marks: Sequence[Mark]


def draw(lanes: Sequence[Lane], first: int, last: int, path: Path) -> None:
    """Write lanes over cycles ``first`` to ``last``; cycle 0 has a line through all of them."""
    width = NAMES + CYCLE * (last - first + 1) + 60
    height = HEAD + LANE * len(lanes) + 8

    def x(cycle: int) -> int:
        return NAMES + CYCLE * (cycle - first)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             f'viewBox="0 0 {width} {height}"><style>{_STYLE}</style>'
             f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for cycle in range(-(-first // 4) * 4, last + 1, 4):
        parts += [f'<line class="grid" x1="{x(cycle)}" y1="{HEAD}" x2="{x(cycle)}" '
                  f'y2="{height - 8}"/>',
                  f'<text class="axis" x="{x(cycle)}" y="{HEAD - 8}">{cycle}</text>']
    parts.append(f'<line class="now" x1="{x(0)}" y1="{HEAD - 4}" x2="{x(0)}" y2="{height - 8}"/>')
    for number, lane in enumerate(lanes):
        y = HEAD + LANE * number
        parts.append(f'<text class="name" x="8" y="{y + 18}">{escape(lane.name)}</text>')
        for mark in lane.marks:
            kind = "last" if mark.is_last else "mark"
            parts.append(f'<rect class="{kind}" x="{x(mark.cycle) + 1}" y="{y + 5}" '
                         f'width="{CYCLE - 2}" height="{BOX}" rx="2"/>')
            if mark.text:
                parts.append(f'<text class="value" x="{x(mark.cycle) + 1}" y="{y + BOX + 15}">'
                             f'{escape(mark.text)}</text>')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>", ""]))
