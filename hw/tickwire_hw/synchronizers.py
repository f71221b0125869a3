"""Registers between two clocks, marked for AMD's tools, in the Verilog that is exported."""

from amaranth.hdl import C, Cat, ClockDomain, ClockSignal, Module, ResetSignal, Signal, Value
from amaranth.lib.cdc import AsyncFFSynchronizer, FFSynchronizer

MARK = {"ASYNC_REG": "TRUE"}
"""Attribute of a register that may be metastable: the next one is put beside it, none is merged."""


class Synchronizers:
    """A platform whose synchronizers are Amaranth's own, register by register, with ``MARK``.

    Without it tools take them for any other registers, and may place the two far apart. All stages
    are one signal, so none of them is a port, whose attributes say nothing of a register.
    """

    def get_ff_sync(self, sync: FFSynchronizer) -> Module:
        """Return a chain of registers in the domain that reads."""
        m = Module()

        given = Value.cast(sync.i)
        first = Value.cast(Signal(sync.i.shape(), init=sync._init))
        stages = Signal(len(given) * sync._stages, reset_less=sync._reset_less, attrs=MARK,
                        init=Cat(*[C(first.init, len(given))] * sync._stages))
        m.d[sync._o_domain] += stages.eq(Cat(given, stages))
        m.d.comb += sync.o.eq(stages[-len(given):])

        return m

    def get_async_ff_sync(self, sync: AsyncFFSynchronizer) -> Module:
        """Return a chain of registers that are set at once, and fall with the clock."""
        m = Module()

        m.domains += ClockDomain("async_ff", async_reset=True, local=True)
        stages = Signal(sync._stages, init=-1, attrs=MARK)
        m.d.async_ff += stages.eq(Cat(C(0, 1), stages))
        m.d.comb += [
            ClockSignal("async_ff").eq(ClockSignal(sync._o_domain)),
            ResetSignal("async_ff").eq(sync.i if sync._edge == "pos" else ~sync.i),
            sync.o.eq(stages[-1])]

        return m
