"""A mass cancel reaches every order that was open when it began, in whatever cycle that is.

Method: the compiled order path, with a cause of the kill in every cycle around what is executed;
what its records tell as open at the end has had a cancel.
"""

import numpy as np
import pytest

from tests.order_card import CardPair, model_of
from tests.order_rig import DOLLAR, LOCATES, pack_intent, sealed
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.intents import Operation
from tickwire.spec.records import RECORDS, RecordType
from tickwire.spec.registers import KillCause
from tickwire.spec.wire import decode

ORDER = {"price": 100 * DOLLAR, "quantity": 100}
CYCLES = 40                                # of the longest intent and the first cancels
ROWS = 16


@pytest.fixture(scope="module")
def model():
    return model_of(CARD_SMALL)


@pytest.fixture(params=(0, 1), ids=("framed", "released"))
def pair(model, request):
    """A pair whose kill cancels everything, and whose session the device or the host runs."""
    found = CardPair(model)
    found.ready()
    found.card.fixed |= {"mass_cancel": 1, "released": request.param}
    return found


def given(sequence, **fields):
    """Columns of an intent."""
    octets = sealed(pack_intent(**fields), 2, sequence)
    return {"i": {"intent": np.frombuffer(octets, np.uint64).reshape(1, 8)}}


def killed(pair, cycle, columns):
    """Give an intent and, so many cycles later, a cause; return records as type and fields."""
    card = pair.card
    card.records = []
    card.run(cycle, {0: columns})
    card.cycles(1, causes=int(KillCause.EXTERNAL))
    card.give()
    return [(kind, decode(RECORDS[kind], octets + bytes(8))) for kind, octets in card.records]


def tokens(records, *operations):
    """Tokens of the messages of these operations that left."""
    return [record["token"] for kind, record in records
            if kind == RecordType.ORDER_SENT and record["operation"] in operations]


@pytest.mark.parametrize("operation", (Operation.NEW, Operation.REPLACE))
def test_an_order_that_left_before_a_kill_is_cancelled_by_it(pair, operation):
    pair.card.give(**given(1, **ORDER))
    saved, left = pair.card.save(), 0
    for cycle in range(1, CYCLES):
        pair.card.restore(saved)
        found = killed(pair, cycle, given(2, operation=operation, token=1, **ORDER))
        sent = tokens(found, Operation.NEW, Operation.REPLACE)
        assert tokens(found, Operation.CANCEL) == [1, *sent], cycle
        left += len(sent)
    assert 0 < left < CYCLES - 1


def test_a_kill_while_a_mass_cancel_is_under_way_begins_with_the_first_row(pair):
    """That of another instrument asks for its first cancel; row 0 was not meant by it."""
    pair.card.give(i_number__valid=1, i_number__payload=ROWS)
    for number in (1, 0):
        pair.card.give(**given(1, locate=LOCATES[number], **ORDER))
    saved = pair.card.save()
    for cycle in range(1, CYCLES):
        pair.card.restore(saved)
        found = killed(pair, cycle, given(3, operation=Operation.MASS_CANCEL, locate=LOCATES[0]))
        assert set(tokens(found, Operation.CANCEL)) == {ROWS, ROWS + 1}, cycle
