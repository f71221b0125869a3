"""The market of the soft card's run, as both sides of the bus are configured for it."""

from tickwire.config import Config, demo

# Slow, and its strategy content with small moves: an emulated processor has to keep up.
_SLOW = {"venue.messages_per_second": 200, "strategy.parameters.threshold": "0.01",
         "strategy.parameters.spread_max": "0.05", "strategy.parameters.mean_shift": 6,
         "strategy.parameters.quantity": 50}
RING_LOG2 = 12                             # slots of a ring: 256 KiB, within one huge page
WATCHDOG_US = 5_000_000                    # the guest's loop may stand for so long
KINDS = ("ORDER_ACCEPTED", "ORDER_FILLED", "ORDER_CANCELED", "ORDER_REJECTED")
"""Records that tell an answer of the venue, each one message of OUCH."""


def market(overrides: dict[str, object] | None = None) -> Config:
    """Return the demo's configuration for this market."""
    return demo().with_overrides({**_SLOW, **(overrides or {})})
