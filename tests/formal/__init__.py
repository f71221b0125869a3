"""Properties that solvers prove: ``python -m tests.formal [NAME ...]``, ``make formal``."""
