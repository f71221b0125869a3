"""Combinational expressions in Amaranth's simulator."""

from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator


def evaluate(inputs, outputs, vectors):
    """Return the outputs for each vector of inputs."""
    m = Module()
    results = [Signal(len(value), name=f"result_{place}") for place, value in enumerate(outputs)]
    m.d.comb += [result.eq(value) for result, value in zip(results, outputs, strict=True)]
    found = []

    async def bench(context):
        for vector in vectors:
            for signal, value in zip(inputs, vector, strict=True):
                context.set(signal, value)
            await context.delay(1e-9)
            found.append([context.get(result) for result in results])

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return found
