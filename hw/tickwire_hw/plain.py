"""Components with plain ports: AXI-Stream and single signals, for whoever instantiates them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Const, Module, Shape, ShapeLike, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tickwire_hw.stream import Word

AXI = {"data": "tdata", "keep": "tkeep", "last": "tlast", "error": "tuser"}
"""AXI-Stream names of a word's fields; ``first`` is what follows ``last``."""


@dataclass
class Wire:
    """One plain port: its name, the bits of the component that it is, and what it carries."""

    name: str
    inner: Value
    is_input: bool
    fields: list[tuple[str, int, int]] = field(default_factory=list)   # name, first bit, width


@dataclass
class Begin:
    """A stream of words into the component, whose ``first`` no plain port carries."""

    interface: Any


class Plain(wiring.Component):
    """A component with plain ports.

    A stream becomes AXI-Stream: ``tvalid``, ``tready`` unless it is always ready, and ``tdata``
    with the whole payload; a stream of :class:`Word` has ``tkeep``, ``tlast`` and ``tuser`` (an
    error) beside it. Any other structure becomes one port a field. Names are those of the
    component, joined by one underscore. No cycle is added.
    """

    def __init__(self, component: wiring.Component) -> None:
        self.component = component
        found = list(_walk(component.signature, component, ()))
        self.wires = [entry for entry in found if isinstance(entry, Wire)]
        self._begins = [entry for entry in found if isinstance(entry, Begin)]
        names = [wire.name for wire in self.wires]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two ports would be called {', '.join(twice)}")
        super().__init__({wire.name: (In if wire.is_input else Out)(len(wire.inner))
                          for wire in self.wires})

    def elaborate(self, platform):
        """Return the component behind its plain ports."""
        m = Module()

        m.submodules.component = self.component
        for wire in self.wires:
            outer = getattr(self, wire.name)
            m.d.comb += wire.inner.eq(outer) if wire.is_input else outer.eq(wire.inner)
        for begin in self._begins:
            words, is_first = begin.interface, Signal(init=1)
            m.d.comb += words.payload.first.eq(is_first)
            with m.If(words.valid & words.ready):
                m.d.sync += is_first.eq(words.payload.last)

        return m


def _walk(signature: wiring.Signature, interface: Any,
          path: tuple[str, ...]) -> Iterator[Wire | Begin]:
    for name, member in signature.members.items():
        value = getattr(interface, name)
        for index, element in _elements(value, member.dimensions):
            here = (*path, name, *map(str, index))
            if member.is_port:
                if not isinstance(element, Const):
                    yield from _leaves("_".join(here), element, member.shape,
                                       member.flow == wiring.In)
            elif _is_stream(member.signature):
                yield from _stream(member, element, "_".join(here))
            else:
                yield from _walk(member.signature, element, here)


def _elements(value: Any, dimensions: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Any]]:
    if not dimensions:
        yield (), value
        return
    for number in range(dimensions[0]):
        for index, element in _elements(value[number], dimensions[1:]):
            yield (number, *index), element


def _is_stream(signature: wiring.Signature) -> bool:
    plain = signature.flip() if isinstance(signature, wiring.FlippedSignature) else signature
    return isinstance(plain, stream.Signature)


def _stream(member: wiring.Member, interface: Any, name: str) -> Iterator[Wire | Begin]:
    is_input = member.flow == wiring.In
    yield Wire(f"{name}_tvalid", interface.valid, is_input)
    if not isinstance(interface.ready, Const):
        yield Wire(f"{name}_tready", interface.ready, not is_input)
    payload = interface.payload
    if isinstance(payload, Word):
        for part, suffix in AXI.items():
            yield Wire(f"{name}_{suffix}", Value.cast(getattr(payload, part)), is_input)
        if is_input:
            yield Begin(interface)
    else:
        shape = payload.shape() if isinstance(payload, data.View) else Shape.cast(payload.shape())
        yield Wire(f"{name}_tdata", Value.cast(payload), is_input, list(fields(shape)))


def _leaves(name: str, value: Any, shape: ShapeLike, is_input: bool) -> Iterator[Wire]:
    found = list(fields(shape))
    if not found:
        yield Wire(name, Value.cast(value), is_input)
    for part, start, width in found:
        yield Wire(f"{name}_{part}".replace(".", "_"), Value.cast(value)[start:start + width],
                   is_input)


def fields(shape: ShapeLike, prefix: str = "",
           start: int = 0) -> Iterator[tuple[str, int, int]]:
    """Yield name, first bit and width of every innermost field of a structure; none of others.

    A union is one field: its members share their bits.
    """
    try:
        layout = data.Layout.cast(shape)
    except TypeError:
        return
    if isinstance(layout, data.UnionLayout):
        if prefix:
            yield prefix, start, layout.size
        return
    for key, entry in layout:
        name = f"{prefix}.{key}" if prefix else str(key)
        inner = list(fields(entry.shape, name, start + entry.offset))
        width = Shape.cast(entry.shape).width
        if inner:
            yield from inner
        elif width:
            yield name, start + entry.offset, width
