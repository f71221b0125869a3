"""Any component on a package with few pins: shifted in, folded out."""

from amaranth.hdl import Cat, ClockDomain, Module, Signal, Value
from amaranth.lib import wiring

from tickwire_hw.ports import ports

FOLD = 4
"""Bits that one level of the fold takes together: one look-up table."""


class ThreePins(wiring.Component):
    """A component between a shift register and a fold, so that only it decides about the clock.

    Every input bit is a register of a long shift register, every output bit goes to a register
    and from there through one look-up table a cycle into a single bit. So all of the component is
    kept, and every path of the harness is a register, at most one table, and a register.

    Ports are ``i``, ``o`` and ``clk``. Nothing is reset: registers begin as they are configured.
    """

    i: wiring.In(1)
    o: wiring.Out(1)
    clk: wiring.In(1)

    def __init__(self, component: wiring.Component) -> None:
        self._component = component
        super().__init__()

    @property
    def harness_registers(self) -> int:
        """Registers that the harness adds."""
        widths = {is_input: sum(port.width for port in ports(self._component).values()
                                if port.is_input == is_input) for is_input in (True, False)}
        count, width = widths[True], widths[False]
        while width > 1:
            count += width
            width = -(-width // FOLD)
        return count + 1

    def elaborate(self, platform):
        """Return the component between its registers."""
        m = Module()

        m.domains.sync = domain = ClockDomain(reset_less=True)
        m.submodules.component = self._component
        found = ports(self._component).values()
        inputs = Cat(port.value for port in found if port.is_input)
        outputs: Value = Cat(port.value for port in found if not port.is_input)

        m.d.comb += domain.clk.eq(self.clk)
        chain = Signal(len(inputs))
        m.d.sync += chain.eq(Cat(self.i, chain))
        m.d.comb += inputs.eq(chain)
        while len(outputs) > 1:
            level = Signal(len(outputs))
            m.d.sync += level.eq(outputs)
            outputs = Cat(level[at:at + FOLD].xor() for at in range(0, len(level), FOLD))
        m.d.sync += self.o.eq(outputs)

        return m
