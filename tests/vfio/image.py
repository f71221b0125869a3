"""What the virtual machine boots: a kernel of the distribution, and a root in memory.

The kernel's package is fetched by apt and unpacked, nothing of it is installed or kept in the
tree. The root has busybox, this Python, and the project, at the same paths as here: compiled
kernels are found by the paths of their sources.
"""

import compileall
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "vfio"
META = "linux-image-cloud-amd64"
VFIO = ("irqbypass", "vfio_virqfd", "vfio", "iommufd", "vfio_iommu_type1", "vfio-pci-core",
        "vfio-pci")
QEMU = "qemu-system-x86_64"
TOOLS = {QEMU: "qemu-system-x86", "busybox": "busybox-static", "cpio": "cpio"}
_BUSYBOX = ("sh", "mount", "insmod", "mkdir", "cat", "poweroff", "ls", "grep", "dmesg")
_LEFT_OUT = ("test", "tests", "idlelib", "tkinter", "ensurepip", "site-packages", "lib2to3",
             "turtledemo", "config-*", "distutils", "pydoc_data", "*.h", "*.pyi")
_OWN = "set TICKWIRE_KERNEL to the folder of an unpacked kernel package of Debian."
_SOURCES = ("host/tickwire", "tests/vfio")
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/shm /tmp
for module in {modules}; do insmod /modules/$module.ko; done
export {environment}
exec {python} -S -m tests.vfio.{guest}
"""


class Missing(Exception):
    """Something that the test needs and this machine lacks; a sentence."""


def tool(name: str, package: str) -> str:
    """Return the path of a program."""
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not installed: apt-get install {package}.")
    return found


def require() -> None:
    """Raise :class:`Missing` unless every program is there that the test needs."""
    for name, package in TOOLS.items():
        tool(name, package)


def kernel() -> Path:
    """Return the folder of an unpacked kernel package, fetched when it is not there."""
    given = os.environ.get("TICKWIRE_KERNEL")
    if given:
        return Path(given)
    unpacked = FOLDER / "kernel"
    if not list(unpacked.glob("boot/vmlinuz-*")):
        tool("dpkg-deb", "dpkg")
        told = subprocess.run([tool("apt-cache", "apt"), "depends", META], capture_output=True,
                              text=True, check=False).stdout
        package = re.search(r"linux-image-\S+-cloud-amd64\b", told.split("\n", 1)[-1])
        if package is None:
            raise Missing(f"apt knows no {META}; {_OWN}")
        FOLDER.mkdir(parents=True, exist_ok=True)
        if subprocess.run(["apt-get", "download", package[0]], cwd=FOLDER, check=False,
                          capture_output=True).returncode:
            raise Missing(f"apt cannot download {package[0]}; {_OWN}")
        archive, = FOLDER.glob("linux-image-*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
    return unpacked


def vmlinuz() -> Path:
    """Return the kernel."""
    found = sorted(kernel().glob("boot/vmlinuz-*"))
    if not found:
        raise Missing(f"There is no boot/vmlinuz-* in {kernel()}; {_OWN}")
    return found[0]


def initramfs(guest: str, *, modules: Sequence[str] = (), packages: Sequence[Path] = (),
              folders: Mapping[str, Path] | None = None,
              environment: Mapping[str, str] | None = None) -> Path:
    """Make the root whose init runs ``tests.vfio.guest``; return the archive.

    It has the kernel's ``modules``, loaded in this order, Python ``packages`` as they are
    installed here, ``folders`` by the path that they shall have, and an ``environment``.
    """
    tree = FOLDER / f"root-{guest}"
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("bin", "dev", "proc", "sys", "modules"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(tool("busybox", TOOLS["busybox"]), tree / "bin/busybox")
    for name in _BUSYBOX:
        (tree / "bin" / name).symlink_to("busybox")
    for path in (*(ROOT / source for source in _SOURCES), *packages):
        _copy_tree(path, _inside(tree, path))
    for source in _SOURCES:                    # what is imported for the first time is slow there
        compileall.compile_dir(_inside(tree, ROOT / source), quiet=1, stripdir=tree,
                               prependdir="/")
    for place, path in (folders or {}).items():
        _copy_tree(path, _inside(tree, Path(place)))
    libraries = sorted({package.parent for package in packages})
    path = ":".join(map(str, (ROOT, ROOT / "host", *libraries)))
    python = _python(tree, packages)
    exported = {"PYTHONHOME": str(Path(sysconfig.get_path("stdlib")).parents[1]),
                "PYTHONPATH": path, **(environment or {})}
    init = tree / "init"
    init.write_text(INIT.format(
        modules=" ".join(_copy_modules(tree, modules)), python=python, guest=guest,
        environment=" ".join(f"{name}='{value}'" for name, value in exported.items())))
    init.chmod(0o755)
    archive = FOLDER / f"{guest}.cpio"
    names = subprocess.run(["find", "."], cwd=tree, capture_output=True, check=True).stdout
    with archive.open("wb") as output:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree,
                       input=names, stdout=output, check=True)
    shutil.rmtree(tree)
    return archive


def _copy_modules(tree: Path, modules: Iterable[str]) -> list[str]:
    """Copy those of the kernel's modules that this version has; return their names."""
    found = {name: path for name in modules for path in kernel().rglob(f"{name}.ko")}
    for path in found.values():
        shutil.copy(path, tree / "modules")
    return list(found)


def _python(tree: Path, packages: Sequence[Path]) -> Path:
    """Copy this interpreter, its library and what all is linked with; return the program."""
    program = Path(os.path.realpath(sys.executable))
    library = Path(sysconfig.get_path("stdlib"))
    _copy(tree, program)
    _copy_tree(library, _inside(tree, library))
    linked = [program, *(library / "lib-dynload").glob("*.so"),
              *(path for package in packages for path in package.rglob("*.so"))]
    told = subprocess.run(["ldd", *linked], capture_output=True, text=True, check=True).stdout
    for path in set(re.findall(r"(?:=> )?(/\S+) \(0x", told)):
        if not _inside(tree, Path(path)).exists():
            _copy(tree, Path(path))
    return program


def _inside(tree: Path, path: Path) -> Path:
    """Place of an absolute path in the root."""
    return tree / path.relative_to("/")


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_LEFT_OUT))


def _copy(tree: Path, path: Path) -> None:
    target = _inside(tree, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)
