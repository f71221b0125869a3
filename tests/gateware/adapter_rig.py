"""Adapters of blocks for PCIe in Amaranth's simulator, between a host and the memory of a core."""

from amaranth.sim import Simulator

from tests.gateware.pcie_rig import GenericHost, UltraScaleHost
from tickwire_hw.pcie.generic import Generic
from tickwire_hw.pcie.ultrascale import UltraScale

SIZE = 1 << 16
ADAPTERS = {f"{adapter.__name__}-{width}": (adapter, host, width) for adapter, host, widths in (
    (UltraScale, UltraScaleHost, (256, 512)), (Generic, GenericHost, (64, 128)))
    for width in widths}


def run(name, script, seed=1):
    """Run ``script(context, host, core, step)``; the core's requests are served all the while."""
    adapter, host, width = ADAPTERS[name]
    dut = adapter(width)
    host = host(dut, width, seed)
    core = Core(dut, host.chance)

    async def bench(context):
        async def step(count=1):
            for _ in range(count):
                core.before(context)
                await host.cycle(context)
                core.after(context)
                await context.tick()
        await script(context, host, core, step)

    simulator = Simulator(dut)
    simulator.add_clock(4e-9)
    simulator.add_testbench(bench)
    simulator.run()


class Core:
    """Memory behind the core's streams, one a BAR."""

    def __init__(self, dut, chance):
        self.dut, self.chance = dut, chance
        self.bars = {bar: bytearray(chance.randbytes(SIZE)) for bar in (0, 2, 4)}
        self.answer = None
        self.bursts = []
        self.requests = 0

    def before(self, context):
        dut = self.dut
        context.set(dut.request.ready, int(self.chance.random() < 0.7))
        context.set(dut.answer.valid, int(self.answer is not None))
        if self.answer is not None:
            context.set(dut.answer.p, self.answer)
        context.set(dut.burst.valid, bool(self.bursts))
        if self.bursts:
            address, octets = self.bursts[0]
            context.set(dut.burst.p, {"address": address, "data": int.from_bytes(octets, "little"),
                                      "is_word": len(octets) == 4})

    def after(self, context):
        dut = self.dut
        if self.answer is not None and context.get(dut.answer.ready):
            self.answer = None
        if self.bursts and context.get(dut.burst.ready):
            self.bursts.pop(0)
        if not (context.get(dut.request.valid) and context.get(dut.request.ready)):
            return
        given = context.get(dut.request.p)
        self.requests += 1
        start, memory = 4 * given.address, self.bars[given.bar]
        if given.is_read:
            assert self.answer is None, "two reads at a time"
            octets = memory[start:start + 4 * given.count]
            self.answer = int.from_bytes(octets.ljust(64, b"\0"), "little")
        else:
            data = given.data.to_bytes(64, "little")
            for place in range(64):
                if given.enables >> place & 1:
                    memory[start + place] = data[place]
