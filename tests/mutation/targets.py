"""What is mutated together, and which tests are to notice it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Modules of ``tickwire_hw``, and the files whose tests are run on each mutant."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


TARGETS = {
    "receive": Target(("receive", "internet_sum"), ("test_receive.py",)),
    "blocks": Target(("block_walker", "backlog"), ("test_blocks.py",)),
    "arbiter": Target(("arbiter_machine", "arbiter_sequences", "arbiter_deeds", "lane",
                       "due_event", "packet_queue", "feed_state"),
                      ("test_arbiter_rules.py", "test_arbiter_retract.py",
                       "test_arbiter_overlap.py", "test_arbiter.py")),
    "commit": Target(("hashed_table", "stash", "commit"),
                     ("test_commit.py", "test_early.py")),
    "window": Target(("window", "window_rules", "sweep"), ("test_window.py",)),
    "grid": Target(("grid", "product"), ("test_grid.py",)),
    "filter": Target(("instrument_filter",), ("test_instrument_filter.py",)),
    "book": Target(("sequencer", "best_value", "book"),
                   ("test_pipeline_marks.py", "test_book.py", "test_early.py",
                    "test_pipeline.py")),
    "publish": Target(("publish", "message_record", "rows"), ("test_publish.py",)),
    "counters": Target(("counters",), ("test_counters.py",)),
}
"""Targets by name; each is compiled once, with all of its mutants."""
