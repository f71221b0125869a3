"""The driver against a real kernel's VFIO and IOMMU, in a virtual machine: ``make test-vfio``."""
