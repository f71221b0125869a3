"""The session's fuzz target holds for its seeds and for random steps, without a fuzzer.

Method: the target as a function of octets; hypothesis draws them step by step.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.fix_session import SEEDS, Rig, one_input

STEP = st.tuples(st.sampled_from([0, 0, 0, 0, 5, 6, 7]), st.integers(0, 255),
                 st.one_of(st.sampled_from([0, 1, 2, 2, 2, 3]), st.integers(0, 255)),
                 st.integers(0, 255), st.integers(0, 63)).map(bytes)
LOGON = bytes([0, 0, 2, 1, 0])


def test_the_steps_reach_a_session_that_is_logged_on():
    for kind in range(8):
        rig = Rig(kind)
        rig.message(*LOGON[1:])
        assert rig.session.is_logged_on, kind


@pytest.mark.parametrize("seed", SEEDS)
def test_the_seeds_hold(seed):
    one_input(seed)


@settings(max_examples=150)
@given(kind=st.integers(0, 7), steps=st.lists(st.one_of(STEP, st.just(LOGON)), max_size=30))
def test_any_steps_hold(kind, steps):
    one_input(bytes([kind]) + LOGON + b"".join(steps))
