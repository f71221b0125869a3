"""From the wire's last octet to the first word of an order that waits: counted, at each alignment.

Method: market data and order path compiled as one; one message into a book at rest, for which an
order is armed. The rows are those of ``make cycles``.
"""

import pytest

from bench.cycle import armed

ADD, OTHERS = 7, 12                        # cycles, whatever the alignment


@pytest.mark.long
def test_an_armed_order_leaves_so_many_cycles_after_the_message_that_it_waits_for():
    counted = {row.message: (row.min, row.max) for row in armed.rows()}
    assert {name[0] for name in counted} == set("ADECXU")
    assert counted == {name: (ADD, ADD) if name == "A" else (OTHERS, OTHERS) for name in counted}
