"""Best levels of the venue's own books, as a state line has them."""


def best_level(orders) -> tuple[int, int, int]:
    """Price, shares and orders of the best level of a side; zeros of an empty one."""
    if not orders:
        return 0, 0, 0
    at_best = [order for order in orders if order.price == orders[0].price]
    return orders[0].price, sum(order.quantity for order in at_best), len(at_best)
