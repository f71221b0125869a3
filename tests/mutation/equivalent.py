"""Mutants that do what the right gateware does, each with its reason."""

EQUIVALENT: dict[tuple[str, str, str], str] = {}
"""By module, line of its source without indentation, and change."""
