"""Routes of a placed design: nets negotiate for wires, and late paths lose detours."""
