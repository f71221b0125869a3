"""From a component to a compiled product: Amaranth, Verilog, Verilator, C++, and a cache.

What is compiled is kept in :data:`tickwire.kernels.cache.BASE` under a digest of the component's
netlist, of our own C++ and of the tools. Builds happen in a folder of their own that is renamed
when it is whole, so processes may build the same thing at once: whoever is second throws theirs
away.
"""

import contextlib
import functools
import gc
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil, verilog
from amaranth.hdl import ClockDomain, Fragment
from amaranth.hdl._ast import SignalDict
from amaranth.lib import wiring

import tickwire.spec
import tickwire_hw
from tickwire.kernels.cache import BASE
from tickwire_hw.ports import Port, ports
from tickwire_sim import verilator, waves
from tickwire_sim.sampled import Sampled

KEPT = 8
"""Products of one kind and name that are kept; the ones used last stay."""
VERILOG = "top.v"
"""The Verilog that a product was made from, in its folder."""
NAMES = "names.json"
"""Names of the values of enumerations and states, for :mod:`tickwire_sim.waves`."""
_VERILATE = ("--cc", "-O3", "--prefix", "Vtop", "--Mdir", ".", "-Wno-fatal", "-Wno-lint",
             "-Wno-SYMRSVDWORD", "--x-assign", "fast", "--x-initial", "fast", "--no-assert",
             "--timescale", "1ns/1ns", "--quiet")
_COMPILE = ("-std=gnu++17", "-fPIC", "-faligned-new", "-w",
            "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TIMING=0", "-DVM_TRACE_FST=0",
            "-DVM_TRACE_SAIF=0")
_ZERO_MEMORY = re.compile(
    r"  initial begin\n    (\S+ ?)\[0\] = (\d+'h0+);\n(?:    \1\[\d+\] = \2;\n)+  end\n")
_FAST, _SLOW, _GLOBAL = "-O1", "-O0", "-O1"   # slow is what runs once, at the start
"""Levels of optimization. -O2 takes twice as long and makes no model faster."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is made of a component's C++.

    ``main`` is compiled with it and sees ``Vtop.h`` and, where ``header`` is given, what that
    returns as ``ports.h``; its arguments are the ports and the text of ``Vtop.h``. ``runtime``
    names the parts of Verilator's library; ``verilate``, ``compile`` and ``link`` are more
    arguments of these steps. Without ``has_reset`` there is no ``rst``: every next state depends
    on it, and a model without it is compiled in less time and runs twice as fast. A component that
    ``is_sampled``, unless it is traced, is put into :class:`tickwire_sim.sampled.Sampled`, and each
    edge of its clock is a cycle.
    """

    kind: str
    main: Path
    product: str
    runtime: tuple[str, ...] = ("verilated.cpp", "verilated_threads.cpp")
    verilate: tuple[str, ...] = ()
    compile: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    is_sampled: bool = False
    header: Callable[[dict[str, Port], str], str] | None = None
    has_reset: bool = True


def build(component: wiring.Component, name: str, recipe: Recipe, *,
          is_traced: bool = False, key: str = "", parameters: str | None = None) -> Path:
    """Return the folder with the product of ``component``, compiled if it is not there.

    ``name`` is the Verilog module's, ``key`` what besides the component decides about the product.
    With ``parameters``, all that decides about the component besides the sources of the gateware,
    a product that is there is found without making the netlist, which takes many seconds.
    """
    is_sampled = recipe.is_sampled and not is_traced
    component = Sampled(component) if is_sampled else component
    found = ports(component)
    plain = {port.name: (port.value, port.direction) for port in found.values()}

    def convert() -> tuple[str, SignalDict]:
        with _without_collector():
            return rtlil.convert_fragment(
                Fragment.get(component, None), plain, name, emit_src=False,
                missing_domain=functools.partial(ClockDomain, reset_less=not recipe.has_reset))

    if parameters is None:
        netlist, signals = convert()
        known_by = netlist
    else:
        netlist, signals, known_by = "", None, _sources() + parameters
    folder = BASE / f"{recipe.kind}.{name}-{_digest(known_by, recipe, is_traced, key)}"
    if (folder / recipe.product).is_file():
        os.utime(folder)
        return folder
    if signals is None:
        netlist, signals = convert()
    BASE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=BASE) as temporary:
        work = Path(temporary)
        text = verilog._convert_rtlil_text(netlist)    # as verilog.convert_fragment does
        (work / VERILOG).write_text(_simulated(text, is_sampled=is_sampled))
        known = {"top": name, "names": waves.names(text, ((path, signal)
                                                          for signal, path in signals.items()))}
        (work / NAMES).write_text(json.dumps(known))
        _make(work, name, recipe, found, is_traced=is_traced)
        _publish(work / "done", folder)
    _prune(f"{recipe.kind}.{name}-")
    return folder


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Millions of small objects, none of them garbage yet: collecting costs a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _simulated(text: str, *, is_sampled: bool) -> str:
    """Return Verilog as it simulates well: what is constant is set, zero memory in one line."""
    def loop(block: re.Match[str]) -> str:
        rows = block[0].splitlines()[1:-1]
        return (f"  initial for (int row = 0; row < {len(rows)}; row++) "
                f"{block[1]}[row] = {block[2]};\n")

    if is_sampled:
        text = text.replace("@(posedge clk)", "@(edge clk)")
    # `always @*` never runs when all that it reads is constant.
    return _ZERO_MEMORY.sub(loop, text.replace("always @*", "always_comb"))


def _sources() -> str:
    """Return the text of everything that a component of ours is made of."""
    folders = (Path(tickwire_hw.__file__).parent, Path(tickwire.spec.__file__).parent)
    return "".join(path.read_text() for folder in folders for path in sorted(folder.rglob("*.py")))


def _digest(netlist: str, recipe: Recipe, is_traced: bool, key: str) -> str:
    state = hashlib.blake2b(digest_size=10)
    for part in (netlist, recipe.main.read_text(), Path(__file__).read_text(),
                 verilator.versions(), *recipe.runtime, *recipe.verilate, *recipe.compile,
                 *recipe.link, str(is_traced), key):
        state.update(part.encode() + b"\0")
    return state.hexdigest()


def _make(work: Path, name: str, recipe: Recipe, found: dict[str, Port], *,
          is_traced: bool) -> None:
    """Make ``done`` below ``work`` from the Verilog there."""
    trace = ["--trace-vcd"] if is_traced else []
    verilator.run([verilator.root() / "bin" / "verilator_bin", *_VERILATE, *recipe.verilate,
                   *trace, "--top-module", name, VERILOG], f"Verilator on {name}", work)
    if recipe.header:
        (work / "ports.h").write_text(recipe.header(found, (work / "Vtop.h").read_text()))
    slow = sorted(work.glob("Vtop*__Slow.cpp"))
    fast = [path for path in sorted(work.glob("Vtop*.cpp")) if path not in slow]
    units = {"fast": (_FAST, [*fast, recipe.main]), "slow": (_SLOW, slow)}
    runs = []
    for unit, (level, sources) in units.items():
        (work / f"{unit}.cpp").write_text("".join(f'#include "{path}"\n' for path in sources))
        runs.append(verilator.start(_compile(recipe, unit, level, is_traced), work))
    for run in runs:
        verilator.finish(run, f"The C++ compiler on {name}")
    (work / "done").mkdir()
    verilator.run([*verilator.compiler(), "fast.o", "slow.o", _runtime(recipe, is_traced),
                   *recipe.link, "-pthread", "-o", f"done/{recipe.product}"],
                  f"Linking {name}", work)
    for file in (VERILOG, NAMES):
        (work / file).rename(work / "done" / file)


def _runtime(recipe: Recipe, is_traced: bool) -> Path:
    """Return Verilator's own part of a product, compiled once for each version of the tools."""
    sources = [*recipe.runtime, *(["verilated_vcd_c.cpp"] if is_traced else [])]
    key = " ".join([verilator.versions(), *_COMPILE, *recipe.compile, *sources])
    folder = BASE / f"verilator-{hashlib.blake2b(key.encode(), digest_size=10).hexdigest()}"
    if not (folder / "runtime.o").is_file():
        with tempfile.TemporaryDirectory(prefix=".build-", dir=BASE) as temporary:
            work = Path(temporary)
            (work / "runtime.cpp").write_text("".join(f'#include "{name}"\n' for name in sources))
            verilator.run(_compile(recipe, "runtime", _GLOBAL, is_traced),
                          "The C++ compiler on Verilator's library", work)
            (work / "done").mkdir()
            (work / "runtime.o").rename(work / "done" / "runtime.o")
            _publish(work / "done", folder)
    return folder / "runtime.o"


def _compile(recipe: Recipe, unit: str, level: str, is_traced: bool) -> list[str | Path]:
    include = verilator.root() / "include"
    return [*verilator.compiler(), *_COMPILE, *recipe.compile, level,
            f"-DVM_TRACE={int(is_traced)}", f"-DVM_TRACE_VCD={int(is_traced)}",
            "-I.", f"-I{include}", f"-I{include / 'vltstd'}",
            "-c", f"{unit}.cpp", "-o", f"{unit}.o"]


def _publish(done: Path, folder: Path) -> None:
    """Give a finished folder its name, unless another process was first."""
    try:
        done.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _prune(prefix: str) -> None:
    """Remove the products whose names begin so and that were not used for the longest time."""
    def used(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except OSError:
            return 0.0
    for path in sorted(BASE.glob(f"{prefix}*"), key=used)[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)


def module_name(component: wiring.Component) -> str:
    """Return the name of a component's class as a Verilog module is called: ``LinePort`` is
    ``line_port``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(component).__name__).lower()
