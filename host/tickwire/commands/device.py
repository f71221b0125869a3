"""``tickwire device``: what devices there are, what one says of itself, kill, arm, load."""

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from tickwire.errors import TickwireError
from tickwire.spec.registers import REGISTERS, Capability, KillCause, Status

if TYPE_CHECKING:
    from tickwire.device.base import Device

device = App(name="device", help="List, look at, test, kill, arm and load devices.")
Name = Annotated[str, Parameter(
    help="PCI address of a card, or name of a device that runs; the only one by default.")]
Json = Annotated[bool, Parameter(help="As JSON.", negative="")]


@device.command(name="list")
def list_devices(*, json: Json = False) -> int:
    """List the devices of this machine in the order in which `auto` takes them, with reasons."""
    from tickwire.device import shared
    from tickwire.device.discovery import candidates
    found, running = candidates(), shared.running()
    taken = next(one for one in found if not one.reason)
    if json:
        document = {"candidates": [{"kind": one.kind, "name": one.name, "reason": one.reason,
                                    "is_taken": one is taken} for one in found],
                    "running": running}
        sys.stdout.write(json_format.dumps(document, indent=1) + "\n")
        return 0
    for number, one in enumerate(found, 1):
        says = "auto takes it." if one is taken else one.reason[0].upper() + one.reason[1:]
        sys.stdout.write(f"{number}. {' '.join(filter(None, (one.kind, one.name)))}: {says}\n")
    sys.stdout.write(f"Running: {', '.join(running) or 'none'}.\n")
    return 0


@device.command
def info(name: Name = "", /, *, json: Json = False) -> int:
    """Say who a device is: ABI, tables, clock, geometry, what it can do, state."""
    with _opened(name) as found:
        read = found.read_register
        abi = read("ABI")
        told = {
            "name": found.name, "kind": found.kind, "abi": f"{abi >> 16}.{abi & 0xFFFF}",
            "digest": f"{read('DIGEST'):016x}", "core_hz": read("CORE_HZ"),
            "geometry": _geometry(found),
            "capabilities": _flags(Capability(read("CAPABILITIES"))),
            "status": _flags(Status(read("STATUS"))),
            "kill_cause": _flags(KillCause(read("KILL_CAUSE"))),
            "limits_version": read("LIMITS_VERSION"),
            "remarks": getattr(found, "remarks", [])}
    _show(told, json)
    return 0


@device.command
def regs(name: Name = "", /, *, json: Json = False) -> int:
    """Show every register that may be read."""
    with _opened(name) as found:
        values = {row.name: found.read_register(row.name) for row in REGISTERS
                  if row.access != "wo"}
    if json:
        sys.stdout.write(json_format.dumps(values, indent=1) + "\n")
    else:
        for row in REGISTERS:
            if row.name in values:
                digits = 2 * row.size
                sys.stdout.write(f"{row.offset:04x} {row.name:<22} "
                                 f"{values[row.name]:>#{digits + 2}x} {values[row.name]:,}\n")
    return 0


@device.command
def counters(name: Name = "", /, *, json: Json = False, every: Annotated[bool, Parameter(
        name="--all", help="Those that are 0 too.", negative="")] = False) -> int:
    """Show the counters."""
    with _opened(name) as found:
        values = {key: value for key, value in found.counters().items() if value or every}
    _show(values, json)
    return 0


@device.command
def kill(name: Name = "", /) -> int:
    """Latch the kill of a device: no order passes any more; cancels still do."""
    with _opened(name) as found:
        found.kill(KillCause.REGISTER)
        found.wait(lambda: bool(found.killed), 1.0, "latch the kill")
        sys.stdout.write(f"Device {found.name!r} is killed: {_flags(found.killed)}.\n")
    return 0


@device.command
def arm(name: Name = "", /) -> int:
    """Arm a killed device, with both keys; its limits must be in force."""
    with _opened(name) as found:
        if found.read_register("LIMITS_VERSION") == 0:
            raise TickwireError(f"Device {found.name!r} has no limits yet, so nothing could pass; "
                                "its owner commits them first.")
        found.arm()
        sys.stdout.write(f"Device {found.name!r} is armed.\n")
    return 0


@device.command
def selftest(name: Name = "", /) -> int:
    """Test a card that nobody uses: registers, rings, window; exit status 1 if anything fails."""
    from tickwire.device.selftest import CHECKS
    failed = 0
    with _opened(name) as found:
        if found.kind != "pcie":
            raise TickwireError(f"Device {found.name!r} runs, and is a {found.kind} device; the "
                                "self-test is for a card that nobody uses.")
        for check in CHECKS:
            complaint = check(found)                              # type: ignore[arg-type]
            failed += bool(complaint)
            title = (check.__doc__ or "").strip().splitlines()[0].rstrip(".")
            sys.stdout.write(f"{'FAILED' if complaint else 'ok':<7}{title}"
                             f"{': ' + complaint if complaint else ''}\n")
    return 1 if failed else 0


@device.command
def load(
    folder: Annotated[Path, Parameter(help="Folder of a bitstream and its manifest.toml.")], /, *,
    check: Annotated[bool, Parameter(
        help="Check manifest, hash and digest, and load nothing.", negative="")] = False,
) -> int:
    """Check the bitstream in FOLDER against its manifest and this host, then load it."""
    from tickwire.device import bitstream
    found = bitstream.read(folder)
    sys.stdout.write(f"{found.path}: for {found.board} ({found.part}), by {found.toolchain}, "
                     f"{found.geometry.instruments} instruments; hash and digest are right.\n")
    if not found.is_timing_met:
        sys.stdout.write("Its timing was not met: it may do anything at all.\n")
    if not check:
        sys.stdout.write(f"Loading it into board {found.board} ...\n")
        bitstream.load(found)
        sys.stdout.write("Loaded. The link was lost: remove the function and rescan the bus "
                         "(/sys/bus/pci/rescan) before the next use.\n")
    return 0


def _opened(name: str) -> "Device":
    """Open the device that is meant: a card, or one that another process runs."""
    from tickwire.device import pci, shared
    cards, running = [one.address for one in pci.functions()], shared.running()
    if not name:
        known = [*cards, *running]
        if len(known) != 1:
            raise TickwireError(
                f"Say which device: {', '.join(known)}." if known else
                "No card is in this machine and no device runs; `tickwire device list` says more.")
        name = known[0]
    if name in cards:
        from tickwire.device.pcie import PCIeDevice
        from tickwire.device.vfio import VFIO
        return PCIeDevice(VFIO(name))
    from tickwire.device.attached import AttachedDevice
    return AttachedDevice(name)


def _geometry(found: "Device") -> str:
    from tickwire.spec.geometry import Geometry
    geometry, token_log2 = Geometry.of(found.read_register("GEOMETRY_BOOK"),
                                       found.read_register("GEOMETRY_QUEUES"))
    return (f"{geometry.instruments:,} instruments, {geometry.order_places:,} orders, "
            f"{geometry.level_places:,} levels, window of {geometry.window_ticks:,} ticks, "
            f"{geometry.depth} levels a side, {1 << token_log2:,} own orders")


def _flags(value: Status | KillCause | Capability) -> str:
    return ", ".join(str(one.name).lower() for one in value) or "none"


def _show(values: dict, is_json: bool) -> None:
    if is_json:
        sys.stdout.write(json_format.dumps(values, indent=1) + "\n")
        return
    for key, value in values.items():
        shown = "; ".join(value) if isinstance(value, list) else value
        if shown != "":
            sys.stdout.write(f"{key:<22} {shown:,}\n" if isinstance(shown, int)
                             else f"{key:<22} {shown}\n")
