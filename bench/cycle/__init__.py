"""Cycles of the gateware: one module a component, each with ``rows()``; see ``bench.cycles``."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """Cycles from one thing to another, the least and the most that simulation has seen.

    ``figure`` names what is counted and ``boundary`` from what to what, exactly; ``message`` and
    ``alignment`` are the class of input, empty where it makes no difference.
    """

    figure: str
    message: str
    alignment: str
    min: int
    max: int
    boundary: str

    @classmethod
    def of(cls, figure: str, cycles: Iterable[int], boundary: str, *, message: str = "",
           alignment: str = "") -> "Row":
        """Return the row of all cycles that were counted."""
        counted = [int(count) for count in cycles]
        if not counted:
            name = " ".join(filter(None, (figure, message, alignment)))
            raise ValueError(f"{name}: nothing was counted")
        return cls(figure, message, alignment, min(counted), max(counted), boundary)
