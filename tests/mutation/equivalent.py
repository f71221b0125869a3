"""Mutants that do what the right gateware does, each with its reason."""

EQUIVALENT: dict[tuple[str, str, str], str] = {
    ("arbiter_deeds", "Cat(does.shows[line] & (hand.first > know.shown[line]) "
     "for line in range(LINES)))", "> -> >="): "the same number once more",
    ("lane", "self.is_clear & (~queue.is_stored | part.message)))]", "~ -> nothing"):
        "a stored message follows another, or its header, which has gone to its register",
    ("lane", "counted_before.eq(counted & ~(due.part_next.header & ~due.is_valid))]",
     "~ -> nothing"): "an end comes between a message and the next header, and waits for its turn",
    ("book", "self.ready.eq(commit.ready & window.ready & early.ready),", "& -> |"):
        "both tables of orders are the largest ones, and are clear in the same cycle",
    ("counters", "m.d.comb += is_round.eq(slot == 0)", "== 0 -> == 1"):
        "a round may begin at any slot: each counter is put aside once a round, and read once",
    ("counters", "with m.If(fill > greatest):", "> -> >="): "the same fill once more",
    ("message_record", 'found |= {"quantity": Mux(shares > _U32, _U32, shares[:32]), '
     '"side": C(_BLANK, 8),', "> -> >="): "the greatest quantity is what it saturates at",
    ("publish", "self.ready.eq(books.ready & lines.ready),", "& -> |"):
        "both have as many rows, so both are clear in the same cycle",
    ("receive", "left.eq(length - before), is_end.eq(length <= before + LANES),", "<= -> <"):
        "the end comes with the next word, without octets, and says the same",
}
"""By module, line of its source without indentation, and change."""
