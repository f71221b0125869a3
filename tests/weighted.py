"""A choice with weights: ``st.one_of`` counts a strategy that is named twice once.

It also takes nested choices apart, so that one of ten rare things is as frequent as a common one.
"""

from hypothesis import strategies as st


def weighted(*choices):
    """Draw from one of the strategies, each as often as it is named, a nested choice as one."""
    return st.sampled_from(choices).flatmap(lambda choice: choice)
