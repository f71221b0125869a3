"""Components as fast batch models: Amaranth, Verilog, Verilator, one shared library, NumPy rows.

    model = verilate(Blocks())
    rows = model.rows(1_000)
    rows["payload__valid"] = 1
    found = model.run(rows, when="message__valid")

A model is compiled once: it is kept in :data:`tickwire.kernels.cache.BASE` under a digest of the
component's netlist, of the interface's source and of the tools.
"""

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from amaranth.back import rtlil, verilog
from amaranth.lib import wiring

from tickwire.errors import TickwireError
from tickwire.kernels.cache import BASE
from tickwire_hw.ports import Port, ports
from tickwire_sim import verilator
from tickwire_sim.model import CYCLE, Model, row_type

_HARNESS = Path(__file__).with_name("verilated.cpp")
_KEPT = 8                                  # compiled variants of one name that are kept
_LIBRARY = "model.so"
_VERILATE = ("--cc", "-O3", "--prefix", "Vtop", "--Mdir", ".", "-Wno-fatal", "-Wno-lint",
             "-Wno-SYMRSVDWORD", "--x-assign", "fast", "--x-initial", "fast", "--no-assert",
             "--quiet")
_COMPILE = ("-std=gnu++17", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-faligned-new",
            "-w", "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TIMING=0")
_FAST, _SLOW, _GLOBAL = "-O2", "-O0", "-O1"   # slow is what runs once, at the start


def verilate(component: wiring.Component, name: str | None = None,
             trace: str | Path | None = None) -> Model:
    """Return a model of ``component`` in the state in which a bitstream starts.

    ``name``, by default the class's, is the Verilog module's. With ``trace`` the model writes
    every signal to that file, as VCD; it is then some ten times slower.
    """
    name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(component).__name__).lower()
    found = ports(component)
    plain = {port.name: (port.value, port.direction) for port in found.values()}
    netlist = rtlil.convert(component, name=name, ports=plain, emit_src=False)
    if CYCLE in found:
        raise TickwireError(f"A port of {name} may not be called {CYCLE!r}.")
    folder = _folder(name, netlist, found, is_traced=trace is not None)
    library = folder / _LIBRARY
    if library.is_file():
        os.utime(folder)
    else:
        text = verilog.convert(component, name=name, ports=plain, emit_src=False)
        _build(folder, name, text, found, is_traced=trace is not None)
        _prune(name)
    return Model(library, found, trace)


def _folder(name: str, netlist: str, found: dict[str, Port], *, is_traced: bool) -> Path:
    state = hashlib.blake2b(digest_size=10)
    rows = [repr(row_type(found, is_input=is_input)) for is_input in (True, False)]
    for part in (netlist, *rows, _HARNESS.read_text(), Path(__file__).read_text(),
                 verilator.versions(), str(is_traced)):
        state.update(part.encode() + b"\0")
    return BASE / f"verilated.{name}-{state.hexdigest()}"


def _build(folder: Path, name: str, text: str, found: dict[str, Port], *, is_traced: bool) -> None:
    """Build in a folder of our own and rename it: whoever comes second throws theirs away."""
    defines = [f"-DVM_TRACE={int(is_traced)}", f"-DVM_TRACE_VCD={int(is_traced)}",
               "-DVM_TRACE_FST=0", "-DVM_TRACE_SAIF=0"]
    runtime = _runtime(defines, is_traced=is_traced)
    BASE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".verilated-", dir=BASE) as temporary:
        work = Path(temporary)
        (work / "top.v").write_text(text)
        verilator.call([verilator.root() / "bin" / "verilator_bin", *_VERILATE,
                        *(["--trace-vcd"] if is_traced else []), "--top-module", name, "top.v"],
                       f"Verilator on {name}", work)
        (work / "ports.h").write_text(_header(found, (work / "Vtop.h").read_text()))
        for unit, sources in (("fast", [path for path in sorted(work.glob("Vtop*.cpp"))
                                        if "__Slow" not in path.name]),
                              ("slow", sorted(work.glob("Vtop*__Slow.cpp")))):
            lines = [f'#include "{path.name}"' for path in sources]
            lines += [f'#include "{_HARNESS}"'] if unit == "fast" else []
            (work / f"{unit}.cpp").write_text("\n".join(lines) + "\n")
        runs = [_compile(work, [f"{unit}.cpp"], f"{unit}.o", [level, *defines])
                for unit, level in (("fast", _FAST), ("slow", _SLOW))]
        for run in runs:
            verilator.finish(run, f"The C++ compiler on {name}")
        done = work / "done"
        done.mkdir()
        verilator.call([*verilator.compiler(), "-shared", "fast.o", "slow.o", runtime, "-pthread",
                        "-o", done / _LIBRARY], f"Linking {name}", work)
        shutil.move(work / "top.v", done)
        _publish(done, folder)


def _runtime(defines: list[str], *, is_traced: bool) -> Path:
    """Return Verilator's own part of every model, compiled once for each version of the tools."""
    sources = ["verilated.cpp", "verilated_threads.cpp",
               *(["verilated_vcd_c.cpp"] if is_traced else [])]
    key = hashlib.blake2b(" ".join([verilator.versions(), *_COMPILE, *sources]).encode(),
                          digest_size=10).hexdigest()
    folder = BASE / f"verilator-{key}"
    result = folder / "runtime.o"
    if not result.is_file():
        BASE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".verilator-", dir=BASE) as temporary:
            work, done = Path(temporary), Path(temporary) / "done"
            done.mkdir()
            (work / "runtime.cpp").write_text("".join(f'#include "{name}"\n' for name in sources))
            verilator.finish(_compile(work, ["runtime.cpp"], "done/runtime.o", [_GLOBAL, *defines]),
                             "The C++ compiler on Verilator's library")
            _publish(done, folder)
    return result


def _compile(work: Path, sources: list[str], target: str, more: list[str]):
    include = verilator.root() / "include"
    return verilator.start([*verilator.compiler(), *_COMPILE, *more, "-I.", f"-I{include}",
                            f"-I{include / 'vltstd'}", "-c", *sources, "-o", target], work)


def _publish(done: Path, folder: Path) -> None:
    """Give a finished folder its name, unless another process was first."""
    try:
        done.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _prune(name: str) -> None:
    """Remove the compiled variants of ``name`` that were not used for the longest time."""
    def used(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except OSError:
            return 0.0
    for path in sorted(BASE.glob(f"verilated.{name}-*"), key=used)[:-_KEPT]:
        shutil.rmtree(path, ignore_errors=True)


def _header(found: dict[str, Port], model: str) -> str:
    """Return ``ports.h``, with every port under the name that Verilator gave it in ``model``."""
    members = set(re.findall(r"VL_(?:IN|OUT)\w*\(&(\w+)", model))

    def member(name: str) -> str:
        encoded = name.replace("__", "___05F")
        for candidate in (encoded, f"__SYM__{encoded}"):
            if candidate in members:
                return candidate
        raise TickwireError(f"Verilator has no port {name!r} among {', '.join(sorted(members))}.")

    def fields(is_input: bool) -> str:
        row = row_type(found, is_input=is_input)
        return " ".join(f"X({member(name)}, {row.fields[name][1]}, {row[name].itemsize}, "
                        f"{port.width})"
                        for name, port in found.items() if port.is_input == is_input)

    flags = [name for name, port in found.items() if not port.is_input and port.width == 1]
    output = row_type(found, is_input=False)
    return "\n".join([
        f"#define INPUTS(X) {fields(True)}",
        f"#define OUTPUTS(X) {fields(False)}",
        "#define FLAGS(X) " + " ".join(f"X({list(found).index(name)}, {member(name)})"
                                       for name in flags),
        f"#define INPUT_ROW {row_type(found, is_input=True).itemsize}",
        f"#define OUTPUT_ROW {output.itemsize}",
        f"#define CYCLE_OFFSET {output.fields[CYCLE][1]}",
        f"#define CLOCKED {int('clk' in members)}"]) + "\n"
