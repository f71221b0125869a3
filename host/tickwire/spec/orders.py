"""What every device keeps of an order."""

from enum import IntEnum

from .intents import TRIGGERS

OWN_ORDERS = 8                             # open orders of an instrument whose prices are kept
ANSWER_RECORDS = 24                        # most of an intent or answer; 16 hedges take of the reserve
FIRE_RECORDS = TRIGGERS + 2                # most of a market record: its triggers, the gate or path
RESERVED_RECORDS = 32                      # room that only kills and limits commits may use


class OrderState(IntEnum):
    """State of a row of the order table."""

    DEAD = 0
    SENT = 1             # not yet answered
    LIVE = 2             # accepted
    REPLACING = 3        # asks to take the place of ``previous``; not yet answered
