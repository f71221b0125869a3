"""A compiled model that is driven cycle by cycle, its inputs chosen by what it has just shown."""

from typing import Any

from tickwire_sim import bits
from tickwire_sim.model import Model


class Cycles:
    """Inputs stay as they were set until they are set anew."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.row = model.rows(1)
        model.restart()

    def set(self, port: str, value: int = 0, **fields: int) -> None:
        """Set a port, or fields of a structured one; ``a__b`` is field b of field a."""
        if fields:
            self.model.put(self.row, port, **fields)
        else:
            width = self.model.ports[port].width
            self.row[port] = bits.words([value], width)

    def cycle(self) -> Any:
        """Run one cycle; return its outputs."""
        return self.model.run(self.row)

    def get(self, found: Any, port: str, field: str = "") -> int:
        """Return a port of :meth:`cycle`'s outputs, or a field of it, as an integer."""
        column = self.model.get(found, port, field) if field else found[port]
        return bits.integer(column[0])
