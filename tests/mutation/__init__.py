"""Whether the tests notice a wrong operator in the gateware: ``python -m tests.mutation``."""
