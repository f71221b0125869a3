"""Waves that show names instead of numbers: ``python -m tickwire_sim.waves FOLDER``.

A simulation leaves ``NAME.vcd`` and ``NAME.names.json`` there, the names of every enumeration and
state machine. Afterwards ``NAME.vcd`` has these signals as strings, which GTKWave and Surfer both
show, lacks the signals that only synthesis knows, and has ``NAME.gtkw`` beside it, with the
component's ports.
"""

import itertools
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from vcd.gtkw import GTKWSave

FOLDER = os.environ.get("TICKWIRE_WAVES")
"""Folder in which every simulation leaves its waves, if any; ``make waves`` sets it."""
Names = dict[str, dict[str, str]]
"""By ``module.signal``: binary digits of a value, and its name."""
_WIDTH_MAX = 10                            # wider state registers are shown as numbers
_MODULE = re.compile(r"module \\?([^\s(;]+)")
_DECLARED = re.compile(r"(?:input|output|wire|reg)\b.*?(?:\[\d+:\d+\] )?\\?([^\s;=]+) *(?:;|=)")
_VALUE = re.compile(r'\(\* enum_value_([01]+) = "([^"]*)" \*\)')


def place(name: str) -> Path:
    """Return where in :data:`FOLDER` the next simulation of ``name`` leaves its waves."""
    folder = Path(FOLDER or ".").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return next(path for number in itertools.count()
                if not (path := folder / f"{name}{number or ''}.vcd").exists())


def names(verilog: str, signals: Iterable[tuple[tuple[str, ...], object]] = ()) -> Names:
    """Return the names of values that Amaranth wrote into Verilog as attributes.

    ``signals`` are path and signal of what has a decoder instead, as state machines have.
    """
    found: Names = {}
    module, values = "", {}
    for line in verilog.splitlines():
        text = line.strip()
        if text.startswith("module "):
            module = _MODULE.match(text)[1]
        elif match := _VALUE.fullmatch(text):
            values[match[1]] = match[2]
        elif not text.startswith("(*"):
            declared = _DECLARED.match(text)
            if values and declared:
                found[f"{module}.{declared[1]}"] = values
            values = {}
    for path, signal in signals:
        decoder = getattr(signal, "decoder", None)
        if decoder is not None and len(signal) <= _WIDTH_MAX:
            width = len(signal)
            known = {f"{value:0{width}b}": _decoded(decoder, value) for value in range(1 << width)}
            found.setdefault(".".join(path), {key: name for key, name in known.items() if name})
    return found


def _decoded(decoder: object, value: int) -> str:
    """Return a value's name, nothing where it has none."""
    try:
        return str(decoder(value)).rpartition("/")[0] or str(decoder(value))
    except (KeyError, ValueError):
        return ""


def decode(lines: Iterable[str], known: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield a VCD with strings for the values that have a name, without nameless signals."""
    tops = {name.partition(".")[0] for name in known}
    scopes: list[str] = []
    held: dict[str, list[tuple[str, str]]] = {}     # by code: declarations and signals
    header: list[str | tuple[str, str]] = []        # lines, and (code, declaration)
    lines = iter(lines)
    for line in lines:
        words = line.split()
        if words[:1] == ["$scope"]:
            scopes.append(words[2])
        elif words[:1] == ["$upscope"]:
            scopes.pop()
        if words[:1] == ["$var"]:
            code, name = words[3], words[4]
            if not name.startswith("$"):
                start = next((at for at, scope in enumerate(scopes) if scope in tops), len(scopes))
                held.setdefault(code, []).append((line, ".".join([*scopes[start:], name])))
                header.append((code, line))
        else:
            header.append(line)
        if words[:1] == ["$enddefinitions"]:
            break
    strings = {code: known[signal] for code, entries in held.items()
               for _, signal in reversed(entries) if known.get(signal)}
    for entry in header:
        if isinstance(entry, str):
            yield entry
        else:
            code, line = entry
            yield re.sub(r"\$var \w+ \d+ (\S+) (\S+).*", r"$var string 1 \1 \2 $end", line) \
                if code in strings else line
    for line in lines:
        if line[0] in "01xz":
            value, code = line[0], line[1:].strip()
        elif line[0] == "b":
            value, code = line[1:].split()
        else:
            yield line
            continue
        if code in strings:
            yield f"s{strings[code].get(value, f'{int(value, 2):#x}')} {code}\n"
        elif code in held:
            yield line


def finish(path: Path) -> None:
    """Decode one trace in its place and write the viewer's file beside it."""
    known = json.loads(path.with_suffix(".names.json").read_text())
    new = path.with_suffix(".new")
    with path.open() as source, new.open("w") as target:
        target.writelines(decode(source, known["names"]))
    new.replace(path)
    with path.open() as source, path.with_suffix(".gtkw").open("w") as target:
        save = GTKWSave(target)
        save.dumpfile(path.name, abspath=False)
        for signal in _ports(source, known["top"]):
            save.trace(signal)


def _ports(lines: Iterable[str], top: str) -> Iterator[str]:
    """Yield what is declared in the first scope called ``top``, without its inner ones."""
    scopes: list[str] = []
    for line in lines:
        words = line.split()
        if words[:1] == ["$scope"]:
            scopes.append(words[2])
        elif words[:1] == ["$upscope"]:
            if scopes.pop() == top:
                return
        elif words[:1] == ["$var"] and scopes[-1:] == [top] and not set(".[") & set(words[4]):
            yield ".".join([*scopes, "".join(words[4:-1])])
        elif words[:1] == ["$enddefinitions"]:
            return


def main(arguments: list[str]) -> int:
    """Finish every trace of a folder; return the exit status."""
    [folder] = arguments
    for path in sorted(Path(folder).glob("*.vcd")):
        if path.with_suffix(".names.json").exists():
            finish(path)
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
