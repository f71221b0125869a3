"""PCI functions of this machine that could be cards, as sysfs tells them."""

from dataclasses import dataclass
from pathlib import Path

from tickwire.spec.registers import PCI_DEVICE, PCI_VENDOR

ROOT = Path("/")
DRIVER = "vfio-pci"
_DEVICES = "sys/bus/pci/devices"


@dataclass(frozen=True, slots=True)
class Function:
    """One function: its address such as ``0000:65:00.0``, and who has it now."""

    address: str
    driver: str              # empty: nobody
    group: str               # IOMMU group; empty without an IOMMU
    others: tuple[str, ...]  # functions of the same group, "address (driver)", that block it

    @property
    def obstacle(self) -> str:
        """Sentence that says what keeps a process from opening it; empty when nothing does."""
        if not self.group:
            return (f"Card {self.address} has no IOMMU group, so its writes could not be confined: "
                    "switch the IOMMU on in the firmware (VT-d, AMD-Vi) and boot with "
                    "intel_iommu=on or amd_iommu=on.")
        if self.driver != DRIVER:
            has = f"belongs to driver {self.driver}" if self.driver else "has no driver"
            return (f"Card {self.address} {has}, not {DRIVER}: as root, modprobe {DRIVER}; "
                    f"echo {DRIVER} > /sys/bus/pci/devices/{self.address}/driver_override; "
                    + (f"echo {self.address} > /sys/bus/pci/drivers/{self.driver}/unbind; "
                       if self.driver else "")
                    + f"echo {self.address} > /sys/bus/pci/drivers_probe.")
        if self.others:
            return (f"IOMMU group {self.group} of card {self.address} is not viable: it holds "
                    f"{', '.join(self.others)} as well; bind them to {DRIVER}, or use a slot of "
                    "another group.")
        return ""


def functions(root: Path = ROOT) -> list[Function]:
    """Return the functions with a card's vendor and device number, by address."""
    folder = root / _DEVICES
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if (_number(path / "vendor"), _number(path / "device")) == (PCI_VENDOR, PCI_DEVICE):
            found.append(function(path.name, root))
    return found


def function(address: str, root: Path = ROOT) -> Function:
    """Return what there is to know of the function at ``address``."""
    path = root / _DEVICES / address
    group = _target(path / "iommu_group")
    others = []
    if group:
        members = root / "sys/kernel/iommu_groups" / group / "devices"
        for other in sorted(members.iterdir()) if members.is_dir() else []:
            driver = _target(root / _DEVICES / other.name / "driver")
            # Bridges and functions without a driver do not take part in writing memory for others.
            if other.name != address and driver not in ("", DRIVER, "pcieport", "pci-stub"):
                others.append(f"{other.name} ({driver})")
    return Function(address, _target(path / "driver"), group, tuple(others))


def _number(path: Path) -> int:
    try:
        return int(path.read_text(), 16)
    except (OSError, ValueError):
        return -1


def _target(path: Path) -> str:
    """Return the last part of what a link leads to, empty without one."""
    return path.readlink().name if path.is_symlink() else ""
