"""What the virtual machine boots: a kernel of the distribution, and a root in memory.

The kernel's package is fetched by apt and unpacked, nothing of it is installed or kept in the
tree. The root has busybox, this Python, modules for VFIO, and the driver.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "vfio"
META = "linux-image-cloud-amd64"
MODULES = ("irqbypass", "vfio_virqfd", "vfio", "iommufd", "vfio_iommu_type1", "vfio-pci-core",
           "vfio-pci")
_BUSYBOX = ("sh", "mount", "insmod", "mkdir", "cat", "poweroff", "ls", "grep", "dmesg")
_LEFT_OUT = ("test", "idlelib", "tkinter", "ensurepip", "site-packages", "lib2to3", "turtledemo",
             "__pycache__", "config-*", "distutils", "pydoc_data")
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/shm /tmp
for module in {modules}; do insmod /modules/$module.ko; done
PYTHONHOME={home} PYTHONPATH=/tickwire exec {python} -S -m tests.vfio.{guest}
"""


class Missing(Exception):
    """Something that the test needs and this machine lacks; a sentence."""


def tool(name: str, package: str) -> str:
    """Return the path of a program."""
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not installed: apt-get install {package}.")
    return found


def kernel() -> Path:
    """Return the folder of an unpacked kernel package, fetched when it is not there."""
    given = os.environ.get("TICKWIRE_KERNEL")
    if given:
        return Path(given)
    unpacked = FOLDER / "kernel"
    if not list(unpacked.glob("boot/vmlinuz-*")):
        tool("dpkg-deb", "dpkg")
        told = subprocess.run(["apt-cache", "depends", META], capture_output=True, text=True,
                              check=False).stdout
        package = re.search(r"linux-image-\S+-cloud-amd64\b", told.split("\n", 1)[-1])
        if package is None:
            raise Missing(f"apt knows no {META}; set TICKWIRE_KERNEL to the folder of an unpacked "
                          "kernel package of Debian.")
        FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", package[0]], cwd=FOLDER, check=True,
                       capture_output=True)
        archive, = FOLDER.glob("linux-image-*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
    return unpacked


def vmlinuz() -> Path:
    """Return the kernel."""
    return next(iter(sorted(kernel().glob("boot/vmlinuz-*"))))


def initramfs(guest: str) -> Path:
    """Make the root whose init runs ``tests.vfio.guest``; return the archive."""
    busybox = tool("busybox", "busybox-static")
    tree = FOLDER / f"root-{guest}"
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("bin", "dev", "proc", "sys", "modules", "tickwire/tests/vfio"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(busybox, tree / "bin/busybox")
    for name in _BUSYBOX:
        (tree / "bin" / name).symlink_to("busybox")
    home, interpreter = _python(tree)
    modules = []
    for name in MODULES:
        found = [path for path in kernel().rglob(f"{name}.ko*") if path.suffix == ".ko"]
        if found:                                  # which there are differs between versions
            shutil.copy(found[0], tree / "modules")
            modules.append(name)
    shutil.copytree(ROOT / "host/tickwire", tree / "tickwire/tickwire",
                    ignore=shutil.ignore_patterns("__pycache__"))
    for path in ("tests/__init__.py", "tests/vfio/__init__.py", f"tests/vfio/{guest}.py"):
        target = tree / "tickwire" / path
        target.write_text((ROOT / path).read_text() if (ROOT / path).exists() else "")
    init = tree / "init"
    init.write_text(INIT.format(modules=" ".join(modules), home=home, python=interpreter,
                                guest=guest))
    init.chmod(0o755)
    archive = FOLDER / f"{guest}.cpio"
    names = subprocess.run(["find", "."], cwd=tree, capture_output=True, check=True).stdout
    with archive.open("wb") as output:
        subprocess.run([tool("cpio", "cpio"), "-o", "-H", "newc", "--quiet"], cwd=tree,
                       input=names, stdout=output, check=True)
    shutil.rmtree(tree)
    return archive


def _python(tree: Path) -> tuple[str, str]:
    """Copy this interpreter, its library and what both are linked with; return home and program."""
    program = Path(os.path.realpath(sys.executable))
    library = Path(sysconfig.get_path("stdlib"))
    _copy(tree, program)
    shutil.copytree(library, tree / str(library).lstrip("/"), symlinks=False,
                    ignore=shutil.ignore_patterns(*_LEFT_OUT))
    linked = [program, *(library / "lib-dynload").glob("*.so")]
    told = subprocess.run(["ldd", *linked], capture_output=True, text=True, check=True).stdout
    for path in set(re.findall(r"(?:=> )?(/\S+) \(0x", told)):
        _copy(tree, Path(path))
    return str(Path(sysconfig.get_path("stdlib")).parents[1]), str(program)


def _copy(tree: Path, path: Path) -> None:
    target = tree / str(path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)
