"""Components as fast batch models: one shared library each, NumPy rows in and out.

    model = verilate(Blocks())
    rows = model.rows(1_000)
    rows["payload__valid"] = 1
    found = model.run(rows, when="message__valid")

See :class:`tickwire_sim.model.Model` for rows and calls. A model is compiled once, in seconds;
later starts take milliseconds.
"""

import dataclasses
import re
import shutil
from pathlib import Path

from amaranth.lib import wiring

from tickwire.errors import TickwireError
from tickwire_hw.ports import Port, ports
from tickwire_sim import waves
from tickwire_sim.build import NAMES, Recipe, build, module_name
from tickwire_sim.model import CYCLE, Model, row_type

_LIBRARY = "model.so"


def verilate(component: wiring.Component, name: str | None = None,
             trace: str | Path | None = None, *, has_reset: bool = False,
             is_savable: bool = False, parameters: str | None = None) -> Model:
    """Return a model of ``component`` in the state in which a bitstream starts.

    ``name``, by default the class's, is the Verilog module's. With ``trace`` the model writes
    every signal to that file, as VCD, for :mod:`tickwire_sim.waves`; it is then many times slower.
    Only with ``has_reset`` it can be reset, at half the speed, and only with ``is_savable`` its
    state can be saved and restored. ``parameters`` as of ``build``.
    """
    found = ports(component)
    name = name or module_name(component)
    if trace is None and waves.FOLDER:
        trace = waves.place(name)
    key = [Path(__file__).read_text(),
           *(repr(row_type(found, is_input=is_input)) for is_input in (True, False))]
    recipe = dataclasses.replace(RECIPE, has_reset=has_reset)
    if is_savable:
        recipe = dataclasses.replace(recipe, verilate=("--savable",),
                                     runtime=(*recipe.runtime, "verilated_save.cpp"))
    folder = build(component, name, recipe, is_traced=trace is not None, key="".join(key),
                   parameters=parameters)
    if trace is not None:
        shutil.copy(folder / NAMES, Path(trace).with_suffix(".names.json"))
    return Model(folder / _LIBRARY, found, trace)


def _header(found: dict[str, Port], model: str) -> str:
    """Return ``ports.h``, with every port under the name that Verilator gave it in ``model``."""
    members = set(re.findall(r"VL_(?:IN|OUT)\w*\(&(\w+)", model))

    def member(name: str) -> str:
        encoded = name.replace("__", "___05F")
        for candidate in (encoded, f"__SYM__{encoded}"):
            if candidate in members:
                return candidate
        raise TickwireError(f"Verilator has no port {name!r} among {', '.join(sorted(members))}.")

    def fields(*, is_input: bool) -> str:
        row = row_type(found, is_input=is_input)
        return " ".join(f"X({member(name)}, {row.fields[name][1]}, {row[name].itemsize}, "
                        f"{port.width})"
                        for name, port in found.items() if port.is_input == is_input)

    flags = " ".join(f"X({index}, {member(name)})" for index, (name, port)
                     in enumerate(found.items()) if not port.is_input and port.width == 1)
    output = row_type(found, is_input=False)
    values = {"INPUTS(X)": fields(is_input=True), "OUTPUTS(X)": fields(is_input=False),
              "FLAGS(X)": flags, "INPUT_ROW": row_type(found, is_input=True).itemsize,
              "OUTPUT_ROW": output.itemsize, "CYCLE_OFFSET": output.fields[CYCLE][1],
              "CLOCKED": int("clk" in members), "RESET": int("rst" in members),
              "SAVABLE": int("VerilatedSerialize" in model)}
    return "".join(f"#define {name} {value}\n" for name, value in values.items())


RECIPE = Recipe("verilated", Path(__file__).with_name("verilated.cpp"), _LIBRARY,
                compile=("-fvisibility=hidden",), link=("-shared",), is_sampled=True,
                header=_header)
"""How a batch model is made; its C++ is ``verilated.cpp``."""
