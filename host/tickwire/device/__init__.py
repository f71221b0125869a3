"""The contract with a device, and the software device behind it."""
