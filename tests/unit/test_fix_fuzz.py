"""The fuzz target holds for its seeds and for what hypothesis makes of them, without a fuzzer.

Method: the target as a function; octets of the seeds are changed, cut, doubled and moved.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.fix_codec import SEEDS, one_input


@pytest.mark.parametrize("seed", SEEDS)
def test_the_seeds_hold(seed):
    one_input(seed)


@given(st.sampled_from(SEEDS), st.lists(st.tuples(
    st.integers(0, 400), st.integers(0, 40), st.binary(max_size=12)), max_size=5))
@settings(max_examples=200, deadline=None)
def test_changed_seeds_hold(seed, changes):
    for place, size, octets in changes:
        seed = seed[:place] + octets + seed[place + size:]
    one_input(seed)


@given(st.integers(0, 2), st.lists(st.tuples(
    st.sampled_from(["34", "52", "11", "453", "448", "802", "523", "95", "96", "212", "213", "0034",
                     "-1", "43", "122", "89", "93"]),
    st.sampled_from(["1", "2", "0", "x", "", "A", "\x01", "20260101-00:00:00", "3"])), max_size=20))
@settings(max_examples=200, deadline=None)
def test_fields_in_any_order_hold(version, fields):
    text = "35=D\x01" + "".join(f"{tag}={value}\x01" for tag, value in fields)
    one_input(bytes([0x80 | version]) + text.encode("latin-1"))
