"""The data plane in Numba: one kernel per gateware component, over raw addresses."""
