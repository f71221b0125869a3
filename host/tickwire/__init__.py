"""tickwire: an open trading NIC and its Python host."""

__version__ = "0.1.0"
