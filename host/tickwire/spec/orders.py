"""What every device keeps of an order."""

from enum import IntEnum

OWN_ORDERS = 8                             # open orders of an instrument whose prices are kept


class OrderState(IntEnum):
    """State of a row of the order table."""

    DEAD = 0
    SENT = 1             # not yet answered
    LIVE = 2             # accepted
    REPLACING = 3        # asks to take the place of ``previous``; not yet answered
