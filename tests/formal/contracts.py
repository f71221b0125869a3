"""Assertions that several properties share."""

from amaranth.hdl import Assert, Module, ResetSignal, Signal, Value


def assert_source_holds(m: Module, stream) -> None:
    """Assert that a beat that is offered stays as it is until it is taken: AXI-Stream's rule."""
    was_waiting, payload = Signal(), Signal(len(Value.cast(stream.payload)))
    m.d.sync += [was_waiting.eq(stream.valid & ~stream.ready),
                 payload.eq(Value.cast(stream.payload))]
    with m.If(was_waiting & ~ResetSignal()):
        m.d.comb += [Assert(stream.valid), Assert(Value.cast(stream.payload) == payload)]
