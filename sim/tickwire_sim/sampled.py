"""A component whose outputs are what they were before the clock edge: one evaluation a cycle.

Verilator evaluates all that follows from inputs once in every call, and a cycle of a model that is
looked at before the edge takes two calls. When registers take the outputs at the edge, one call
does: it lets the inputs settle, and then moves registers and the copies of the outputs together.
"""

from amaranth.hdl import Module
from amaranth.lib import wiring

from tickwire_hw.ports import ports


class Sampled(wiring.Component):
    """A component with its own ports, whose outputs come a cycle late. It may be combinational."""

    def __init__(self, component: wiring.Component) -> None:
        self._component = component
        super().__init__(component.signature)

    def elaborate(self, platform):
        """Return the component and the registers."""
        m = Module()

        m.submodules.component = self._component
        inner = ports(self._component)
        for name, port in ports(self).items():
            if port.is_input:
                m.d.comb += inner[name].value.eq(port.value)
            else:
                m.d.sync += port.value.eq(inner[name].value)

        return m
