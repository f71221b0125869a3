"""Mutants that do what the right gateware does, each with its reason."""

EQUIVALENT: dict[tuple[str, str, str], str] = {
    ("counters", "m.d.comb += is_round.eq(slot == 0)", "== 0 -> == 1"):
        "a round may begin at any slot: each counter is put aside once a round, and read once",
    ("counters", "with m.If(fill > greatest):", "> -> >="): "the same fill once more",
    ("receive", "left.eq(length - before), is_end.eq(length <= before + LANES),", "<= -> <"):
        "the end comes with the next word, without octets, and says the same",
}
"""By module, line of its source without indentation, and change."""
