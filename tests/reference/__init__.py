"""An order book written a second time, slowly and from the rules alone, and what tests share."""
