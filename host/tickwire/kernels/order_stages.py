"""Stages of an order message's way, counted in histograms (component ``OrderStages``)."""

from tickwire.kernels import histogram
from tickwire.kernels.jit import kernel


@kernel(inline=True)
def left(risk, send, tick, begin, verdict, egress, ingress):
    """Count an order message that left, in the histograms at the first three addresses.

    ``begin``: it was taken; ``ingress``: stamp of what caused it, which counts when it lies before
    that and is not 0. Times in ns.
    """
    histogram.add(risk, verdict - begin)
    histogram.add(send, egress - verdict)
    if 0 < ingress < begin:
        histogram.add(tick, egress - ingress)


@kernel(inline=True)
def acknowledged(stage, sent, now):
    """Count the venue's first answer to an order; one that never left has ``sent`` = 0."""
    if stage != 0 and sent != 0:
        histogram.add(stage, now - sent)
