"""Every protocol, record and register fact, as tables. Imports neither Numba nor Amaranth."""
