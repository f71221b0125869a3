"""The flat ports of a component, as every tool outside of Amaranth sees them."""

from dataclasses import dataclass

from amaranth.hdl import Const, Shape, ShapeLike, Signal, Value
from amaranth.hdl._ir import PortDirection
from amaranth.lib import data, wiring


@dataclass(frozen=True, slots=True)
class Port:
    """One port: a name without dots, its signal, and the shape that its signature gives it."""

    name: str
    value: Signal
    shape: ShapeLike
    is_input: bool

    @property
    def width(self) -> int:
        """Number of bits."""
        return len(self.value)

    @property
    def direction(self) -> PortDirection:
        """Direction in the words of Amaranth's backends."""
        return PortDirection.Input if self.is_input else PortDirection.Output

    def bits(self, path: str) -> tuple[int, int]:
        """Return first bit and width of a field; ``path`` is ``a.b`` or ``a.3`` for arrays."""
        shape, start = self.shape, 0
        for part in path.split("."):
            try:
                field = data.Layout.cast(shape)[int(part) if part.isdecimal() else part]
            except (TypeError, KeyError):
                raise KeyError(f"{self.name} has no field {path!r}") from None
            shape, start = field.shape, start + field.offset
        return start, Shape.cast(shape).width


def ports(component: wiring.Component | wiring.PureInterface) -> dict[str, Port]:
    """Return the ports of ``component`` by name, members of nested interfaces joined by ``__``.

    What is constant, such as ``ready`` of a stream that is always ready, is no port.
    """
    found = {}
    for path, member, value in component.signature.flatten(component):
        if not isinstance(value, Const):
            name = "__".join(map(str, path))
            found[name] = Port(name, Value.cast(value), member.shape, member.flow == wiring.In)
    return found
