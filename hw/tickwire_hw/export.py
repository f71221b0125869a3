"""Verilog of components with plain ports: ``python -m tickwire_hw.export [NAME ...]``.

The module has the component's name, ``clk`` and, active high and synchronous, ``rst``. Streams
are AXI-Stream (:class:`tickwire_hw.plain.Plain`); where one carries a structure, comments in the
file's head say which bits of ``tdata`` are what.
"""

import argparse
import sys
from pathlib import Path

from amaranth.back import verilog

from tickwire.spec.digest import digest
from tickwire_hw.catalogue import GEOMETRIES, component, names
from tickwire_hw.plain import Plain
from tickwire_hw.ports import ports
from tickwire_hw.synchronizers import Synchronizers

FOLDER = Path("build") / "verilog"


def export(name: str, geometry: str) -> str:
    """Return the Verilog of the component ``name``."""
    plain = Plain(component(name, geometry))
    signals = {port.name: (port.value, port.direction) for port in ports(plain).values()}
    text = verilog.convert(plain, name=name, platform=Synchronizers(), ports=signals,
                           emit_src=False, strip_internal_attrs=True)
    head = [f"tickwire {name}, geometry {geometry}, tables {digest():016x}"]
    for wire in plain.wires:
        head += [f"{wire.name}[{start + width - 1}:{start}] {part}"
                 for part, start, width in wire.fields]
    return "".join(f"// {line}\n" for line in head) + text


def main(arguments: list[str]) -> int:
    """Write what the arguments ask for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tickwire_hw.export",
                                     description="Write a component as Verilog.")
    parser.add_argument("names", metavar="COMPONENT", nargs="*", help="all by default")
    parser.add_argument("--geometry", choices=GEOMETRIES, default="small")
    parser.add_argument("-o", "--output", type=Path,
                        help="file, for one component; build/verilog/NAME_GEOMETRY.v by default")
    parser.add_argument("--list", action="store_true", help="tell what there is")
    options = parser.parse_args(arguments)
    if options.list:
        sys.stdout.write("\n".join(names()) + "\n")
        return 0
    chosen = options.names or names()
    if options.output and len(chosen) != 1:
        parser.error(f"--output is for one component, not {len(chosen)}")
    for name in chosen:
        try:
            text = export(name, options.geometry)
        except ValueError as error:
            parser.error(str(error))
        output = options.output or FOLDER / f"{name}_{options.geometry}.v"
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text)
        sys.stdout.write(f"{output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
