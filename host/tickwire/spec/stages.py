"""Latency stages: each has a stated boundary, a histogram on the device and a row in reports."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: from the first boundary to the second, in nanoseconds.

    ``card_begins`` and ``card_ends`` are those of a card that counts it; empty when none does.
    """

    name: str
    begins: str
    ends: str
    card_begins: str = ""
    card_ends: str = ""


STAGES = (
    Stage("receive",      "recv of the datagram returned", "all its messages are in the books",
          "ingress stamp of the frame with an order message", "the message is in its book"),
    Stage("book",         "recv of the datagram returned", "BBO record is in the ring"),
    Stage("decision",     "BBO record is in the ring",     "strategy wrote its intent"),
    Stage("risk",         "intent taken from the window",  "verdict and encoded order",
          "order message taken, from window or trigger", "verdict"),
    Stage("send",         "encoded order",                 "send to the order socket returned",
          "verdict", "first word of the frame left"),
    Stage("tick_to_order", "recv of the datagram returned", "send to the order socket returned",
          "ingress stamp of what caused the order", "first word of the frame left"),
    Stage("order_to_ack", "send to the order socket returned", "venue's answer was settled",
          "first word of the frame left", "venue's answer was settled"),
)

StageIndex: Any = IntEnum("StageIndex", {stage.name.upper(): index
                                         for index, stage in enumerate(STAGES)})
"""Index of each stage by its upper-case name."""

HISTOGRAM_SUB_BITS = 5                     # 32 linear steps in each octave: 3 % resolution
HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS
HISTOGRAM_WORDS = HISTOGRAM_BUCKETS + 4    # count, sum, minimum, maximum before the buckets
HISTOGRAM_CARD_BITS = 36                   # a card counts a longer duration as the longest of so many bits
HISTOGRAM_CARD_BUCKETS = (HISTOGRAM_CARD_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS
