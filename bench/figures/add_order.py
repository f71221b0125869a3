"""One Add Order on its way through the card, cycle by cycle: docs/figures/add-order.svg.

The pipeline of the small card runs as a traced model; strobes and names are read from its waves.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from vcd.reader import TokenKind, tokenize

from bench.cycle.pipeline import MESSAGES, begin, frames_of
from bench.figures.lanes import Lane, Mark, draw
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.records import RecordType
from tickwire_hw.pipeline import Pipeline
from tickwire_sim.verilate import verilate
from tickwire_sim.waves import finish

OUTPUT = Path("docs") / "figures" / "add-order.svg"
TOP = "pipeline_small"
BEFORE, AFTER = 9, 52                      # cycles around the one with the last octet
PERIOD = 8                                 # of the trace, a cycle; a cycle is read at its half
LANES = (
    ("word from the MAC", "words__0", ""),
    ("LinePort: first octets", "port_0.early", ""),
    ("LinePort: message", "port_0.packet__message", ""),
    ("Arbiter: in sequence", "arbiter.o", "kind"),
    ("Early: best levels, added", "early_add", ""),
    ("Early: best levels", "early", ""),
    ("Sequencer: operation", "book.sequencer.o", "operation"),
    ("Commit: both tables", "book.commit.o", "change"),
    ("Window: best tick", "book.window.o", "kind"),
    ("BestValue: its value", "book.value.o", ""),
    ("Book: outcome", "publish.i", "kind"),
    ("Publish: record", "records", "kind"),
    ("Publish: state line", "lines_out", ""),
)
"""Name of a lane, stream, and the field of its payload that is written beside a strobe."""


def record(folder: Path) -> tuple[Path, int]:
    """Leave the waves of the simulation; return the file and the cycle of the last octet."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "add-order.vcd"
    model = verilate(Pipeline(CARD_SMALL), TOP, trace=path)
    start = begin(model)
    rows, _, last = frames_of(model, MESSAGES["A"], 3)
    model.run(rows)
    model.close()
    finish(path)
    return path, start + last


def samples(path: Path, names: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield every cycle with the values of signals, which are named from the top on.

    A name that several signals of a scope have got has a number behind it, which counts for
    nothing here if one of them alone has the whole name. Raises ValueError for a missing signal.
    """
    scopes: list[str] = []
    codes: dict[str, str] = {}
    values = dict.fromkeys(names, "0")
    known: dict[str, str] = {}
    now = 0
    with path.open("rb") as file:
        for token in tokenize(file):
            if token.kind is TokenKind.SCOPE:
                scopes.append(token.data.ident)
            elif token.kind is TokenKind.UPSCOPE:
                scopes.pop()
            elif token.kind is TokenKind.VAR:
                inner = scopes[scopes.index(TOP) + 1:] if TOP in scopes else scopes
                codes[".".join([*inner, token.data.reference])] = token.data.id_code
            elif token.kind is TokenKind.ENDDEFINITIONS:
                known = {_code(codes, name): name for name in names}
            elif token.kind is TokenKind.CHANGE_TIME:
                if now % PERIOD == PERIOD // 2:
                    yield now // PERIOD, values
                now = token.data
            elif token.kind in (TokenKind.CHANGE_SCALAR, TokenKind.CHANGE_VECTOR,
                                TokenKind.CHANGE_STRING) and token.data.id_code in known:
                values[known[token.data.id_code]] = str(token.data.value)


def _code(codes: dict[str, str], name: str) -> str:
    if name in codes:
        return codes[name]
    found = {code for full, code in codes.items() if re.sub(r"\$\d+", "", full) == name}
    if len(found) != 1:
        raise ValueError(f"{len(found)} signals are called {name}, not one.")
    return found.pop()


def main() -> Path:
    """Draw the figure; return its file."""
    wanted = [name for _, stream, field in LANES
              for name in (f"{stream}__valid", f"{stream}__payload.{field}")[:1 + bool(field)]]
    marks: dict[str, list[Mark]] = {name: [] for name, _, _ in LANES}
    with tempfile.TemporaryDirectory() as folder:
        path, last = record(Path(folder))
        for cycle, values in samples(path, wanted):
            for name, stream, field in LANES:
                if -BEFORE <= cycle - last <= AFTER and values[f"{stream}__valid"] == "1":
                    text = values[f"{stream}__payload.{field}"] if field else ""
                    if stream == "records":
                        text = RecordType(int(text)).name
                    marks[name].append(Mark(cycle - last, re.sub(r".*\.", "", text),
                                            cycle == last and stream == "words__0"))
    draw([Lane(name, found) for name, found in marks.items()], -BEFORE, AFTER, OUTPUT)
    return OUTPUT
