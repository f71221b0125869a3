"""Figures of the documents, drawn from simulations: ``python -m bench.figures``."""
