"""Arbiter, rule by rule: each test is one sentence of ``docs/feed.md``.

Method: packets are built by hand, and what must happen is written out, record by record where the
record matters. That the rules also hold in combination is for ``tests/parity``.
"""

import ctypes
import os
import struct
import subprocess
import sys

import pytest

from tests.feed_rig import SESSION, FeedRig, mold
from tests.reference import itch, records
from tickwire.spec.counters import CounterIndex
from tickwire.spec.records import FeedState
from tickwire.spec.registers import GapPolicy

A, B, RECOVERY = 0, 1, 2
IDLE, LIVE, RECOVERING, STALE, ENDED, NEW_SESSION, RETRACTED = range(7)
DESYNCED, FLAG_STALE, FLAG_RECOVERING = 8, 4, 1
S = itch.system(b"O")
D = itch.delete(9, 1)                      # of an instrument that is not watched
END = 0xFFFF
OTHER_SESSION = b"SESSION  2"


def halt(locate: int) -> bytes:
    """Return a message that rewrites an instrument's line and leaves its book alone."""
    return itch.action(locate, b"H")


@pytest.fixture
def rig():
    return FeedRig()


def joined(**settings) -> FeedRig:
    """A feed with message 1 taken at time 1000 on both lines, 2 the next."""
    rig = FeedRig(**settings)
    assert rig.send(mold(1, S), A, 1_000) == 1
    assert rig.send(mold(1, S), B, 1_000) == 0
    rig.events()
    return rig


# In sequence


def test_nothing_received_is_idle(rig):
    assert rig.memory.state == FeedState.IDLE
    assert rig.tick(10**18) == IDLE
    assert (rig.events(), rig.counters()) == ([], {})


def test_the_first_packet_names_the_session_and_makes_the_feed_live(rig):
    assert rig.send(mold(1, S, D), B, 77_000) == 2
    first = rig.records()[0].tobytes()
    #                     time     expected  received  line, state
    assert first[:26] == struct.pack("<QQQBB", 77_000, 1, 1, B, LIVE)
    assert first[26:36] == SESSION
    assert first[36:56] == bytes(20)
    assert first[56:64] == struct.pack("<IBBH", 1, 5, 1, 0)
    assert rig.memory.session == SESSION.decode()
    assert (rig.memory.expected, rig.memory.highest) == (3, 3)
    assert rig.register(0x28) == rig.memory.state == LIVE
    assert (rig.register(0x30, 8), rig.register(0x38, 8)) == (3, 3)
    assert rig.counters() == {"frames_b": 1, "sessions": 1, "messages": 2, "unknown_locate": 1,
                              "records": 2}


def test_records_carry_the_ingress_time(rig):
    rig.send(mold(1, S), A, 123_456)
    for row in rig.records():
        assert int.from_bytes(row[:8].tobytes(), "little") == 123_456


def test_the_other_lines_copy_is_a_duplicate(rig):
    assert [rig.send(mold(1, S, S), line) for line in (A, B, B)] == [2, 0, 0]
    assert rig.send(mold(3, S), B) == 1
    assert rig.send(mold(3, S), A) == 0
    assert rig.counters()["messages_duplicate"] == 5
    assert rig.events() == [("feed", LIVE, 1, 1, A, SESSION),
                            *(("message", number) for number in (1, 2, 3))]


def test_of_a_packet_that_overlaps_the_new_messages_are_taken(rig):
    rig.send(mold(1, S, S), A)
    assert rig.send(mold(1, D, D, S, S), B) == 2
    assert rig.send(mold(4, D, S), A) == 1
    assert rig.counters()["messages_duplicate"] == 3
    assert [event[1] for event in rig.events()[1:]] == [1, 2, 3, 4, 5]


def test_a_heartbeat_that_repeats_the_expected_number_changes_nothing(rig):
    rig.send(mold(1, S))
    rig.events()
    for line in (A, B):
        assert rig.send(mold(2), line) == 0
    assert rig.events() == []
    assert rig.counters()["heartbeats"] == 2


def test_a_first_heartbeat_in_sequence_makes_the_feed_live(rig):
    rig.send(mold(1))
    assert rig.events() == [("feed", LIVE, 1, 1, A, SESSION)]


# Gaps


def test_after_a_loss_on_line_a_alone_line_b_delivers_and_no_gap_is_declared():
    rig = joined()
    assert rig.send(mold(3, S), A) == 0                     # 2 is lost on A
    assert rig.memory.state == FeedState.LIVE
    assert (rig.memory.expected, rig.memory.highest) == (2, 4)
    assert rig.send(mold(2, S), B) == 1
    assert rig.send(mold(3, S), B) == 1
    assert rig.send(mold(4, S), A) == 1
    assert rig.events() == [("message", 2), ("message", 3), ("message", 4)]
    counters = rig.counters()
    assert counters["messages_ahead"] == 1 and "gaps" not in counters


def test_a_gap_is_declared_when_both_lines_have_shown_a_later_message():
    rig = joined()
    rig.send(mold(4, S, S), A, 2_000)
    assert rig.events() == []
    assert rig.send(mold(3, S), B, 2_001) == 0
    assert rig.events() == [("feed", RECOVERING, 2, 6, B, SESSION)]
    assert rig.memory.state == FeedState.RECOVERING
    assert rig.register(0x28) == RECOVERING
    assert (rig.register(0x30, 8), rig.register(0x38, 8)) == (2, 6)
    assert rig.counters()["gaps"] == 1
    assert rig.counters()["messages_ahead"] == 3


def test_the_packets_that_follow_a_gap_do_not_declare_it_again():
    rig = joined()
    for number in range(3, 9):
        for line in (A, B):
            rig.send(mold(number, S), line)
    assert rig.states() == [RECOVERING]
    assert rig.counters()["gaps"] == 1
    assert rig.memory.highest == 9


def test_what_a_line_has_passed_stays_passed_when_the_other_one_delivers():
    # A lost 2 and its later messages were dropped; B then loses 4: nobody can bring 4.
    rig = joined()
    rig.send(mold(3, S, S, S), A)
    rig.send(mold(2, S, S), B)
    rig.events()
    rig.send(mold(5, S), B)
    assert rig.events() == [("feed", RECOVERING, 4, 6, B, SESSION)]


def test_a_recovered_gap_makes_the_feed_live_again():
    rig = joined()
    rig.send(mold(4, S), A)
    rig.send(mold(4, S), B)
    rig.events()
    assert rig.send(mold(2, S), RECOVERY) == 1
    assert rig.memory.state == FeedState.RECOVERING
    assert rig.send(mold(3, S, S), RECOVERY) == 2
    assert rig.events() == [("message", 2), ("message", 3), ("message", 4),
                            ("feed", LIVE, 5, 5, RECOVERY, SESSION)]
    assert rig.counters()["messages_recovered"] == 3
    assert rig.counters()["frames_recovery"] == 2
    assert rig.send(mold(5, S), B) == 1


def test_any_line_may_close_a_gap():
    rig = joined()
    rig.send(mold(3, S), A)
    rig.send(mold(3, S), B)
    assert rig.send(mold(2, S, S), B) == 2                  # B swapped two packets
    assert rig.states() == [RECOVERING, LIVE]
    assert "messages_recovered" not in rig.counters()


def test_the_recovery_line_is_believed_only_in_sequence():
    rig = joined()
    rig.send(mold(5, S), A)
    rig.send(mold(5, S), B)
    assert rig.send(mold(3, S, S), RECOVERY) == 0
    assert rig.send(mold(9), RECOVERY) == 0
    assert rig.counters()["messages_ahead"] == 4
    assert rig.memory.highest == 6                          # what a line showed, not an answer
    assert rig.send(mold(1, S, S, S, S, S, S, S), RECOVERY) == 6
    assert rig.memory.expected == rig.memory.highest == 8


def test_while_recovering_lines_show_how_far_there_is_to_go():
    rig = joined()
    rig.send(mold(3, S), A)
    rig.send(mold(3, S), B)
    rig.send(mold(10, S, S), A)
    assert rig.register(0x38, 8) == rig.memory.highest == 12
    rig.send(mold(2, S, S), RECOVERY)
    assert rig.memory.state == FeedState.RECOVERING


@pytest.mark.parametrize("count", [0, END])
def test_heartbeats_and_the_end_of_session_show_a_loss_at_the_end_of_a_burst(count):
    rig = joined()
    rig.send(mold(3, count=count), A)
    assert rig.events() == []
    rig.send(mold(3, count=count), B)
    assert rig.events() == [("feed", RECOVERING, 2, 3, B, SESSION)]


def test_with_one_line_a_gap_is_declared_at_once():
    rig = FeedRig(both_lines=False)
    rig.send(mold(1, S))
    rig.send(mold(3, S))
    assert rig.states() == [LIVE, RECOVERING]


def test_a_late_start_is_a_gap_from_the_first_message(rig):
    rig.send(mold(500, S), A)
    assert (rig.events(), rig.memory.state) == ([], FeedState.IDLE)
    rig.send(mold(500, S), B)
    assert rig.events() == [("feed", RECOVERING, 1, 501, B, SESSION)]
    for first in range(1, 501, 100):
        assert rig.send(mold(first, *[D] * 100), RECOVERY) == 100
    assert rig.events() == [("feed", LIVE, 501, 501, RECOVERY, SESSION)]


def test_a_feed_may_join_where_the_stream_is():
    rig = FeedRig(start=0)
    assert rig.send(mold(499, S), RECOVERY) == 0
    assert rig.send(mold(500, S, S), A) == 2
    assert rig.send(mold(500, S, S, S), B) == 1
    assert rig.states() == [LIVE]
    assert rig.memory.expected == 503


def test_a_line_that_is_silent_for_too_long_is_not_waited_for():
    for silence, states in ((1_000, []), (1_001, [RECOVERING])):
        rig = joined(line_timeout_ns=1_000)
        rig.send(mold(3, S), A, 1_000 + silence)
        assert rig.states() == states


def test_a_line_that_never_spoke_is_silent_from_the_first_packet_on():
    rig = FeedRig(line_timeout_ns=1_000)
    rig.send(mold(1, S), A, 5_000)
    rig.send(mold(3, S), A, 6_000)
    assert rig.states() == [LIVE]
    rig.send(mold(4, S), A, 6_001)
    assert rig.states() == [RECOVERING]


def test_time_alone_ends_the_wait_for_a_silent_line():
    rig = joined(line_timeout_ns=1_000)
    rig.send(mold(3, S), A, 1_900)
    assert rig.tick(2_000) == LIVE
    assert rig.tick(2_001) == RECOVERING
    assert rig.events() == [("feed", RECOVERING, 2, 4, A, SESSION)]
    assert rig.counters()["line_silences_b"] == 1


def test_a_lines_silence_is_counted_once_until_it_speaks_again():
    rig = joined(line_timeout_ns=1_000)
    for now in (2_001, 2_002, 9_000):
        rig.tick(now)
    assert (rig.counters()["line_silences_a"], rig.counters()["line_silences_b"]) == (1, 1)
    rig.send(mold(2), B, 9_000)
    rig.tick(10_001)
    assert (rig.counters()["line_silences_a"], rig.counters()["line_silences_b"]) == (1, 2)
    assert rig.events() == []


def test_a_hole_that_outlasts_patience_is_a_gap_whatever_a_line_may_yet_bring():
    rig = joined(patience_ns=500)
    rig.send(mold(3, S), A, 2_000)
    rig.send(mold(1, S), B, 2_400)                          # B speaks, but is behind
    rig.send(mold(4, S), A, 2_500)
    assert rig.events() == []
    rig.tick(2_501)
    assert rig.events() == [("feed", RECOVERING, 2, 5, A, SESSION)]
    assert rig.send(mold(2, S, S, S), B, 2_600) == 3        # and brings it after all
    assert rig.memory.state == FeedState.LIVE


def test_patience_begins_anew_with_every_message_that_comes():
    rig = joined(patience_ns=500)
    rig.send(mold(10, S), A, 2_000)
    for number in range(2, 10):
        now = 2_000 + 400 * number
        assert rig.send(mold(number, S), B, now) == 1
        assert rig.tick(now) == LIVE
        assert rig.tick(now + 1) == LIVE
    assert rig.tick(10_000) == RECOVERING


# Flags and lines of instruments


def test_a_flag_of_the_feed_shows_while_it_holds_and_is_taken_back_when_it_falls():
    rig = joined()
    rig.send(mold(2, halt(1)), A)
    rig.send(mold(4, S), A)
    rig.send(mold(4, S), B)
    assert rig.book.context["feed_flags"] == FLAG_RECOVERING
    rig.events()
    rig.send(mold(3, halt(2)), RECOVERY)
    assert (rig.flags(1), rig.flags(2), rig.flags(3)) == (0, FLAG_RECOVERING, 0)
    rig.send(mold(4, S), RECOVERY)
    assert rig.events() == [("message", 3), ("message", 4),
                            ("feed", LIVE, 5, 5, RECOVERY, SESSION), ("shown", 2, 0)]
    assert (rig.flags(1), rig.flags(2), rig.flags(3)) == (0, 0, 0)


# Giving up


def test_the_policy_of_skipping_goes_on_with_the_packet_in_hand():
    rig = joined(policy=GapPolicy.SKIP)
    rig.send(mold(5, S), A)
    assert rig.send(mold(5, S, S), B) == 2
    assert rig.events() == [
        ("feed", RECOVERING, 2, 6, B, SESSION),
        ("shown", 1, DESYNCED), ("shown", 2, DESYNCED), ("shown", 3, DESYNCED),
        ("feed", LIVE, 5, 6, B, SESSION), ("message", 5), ("message", 6)]
    assert rig.counters()["messages_lost"] == 3
    assert rig.counters()["gaps"] == 1
    assert rig.memory.expected == 7


def test_skipping_goes_on_with_the_first_message_that_a_line_can_still_bring():
    # A is far ahead and dropped what it had; B will bring everything from 5 on.
    rig = joined(policy=GapPolicy.SKIP)
    rig.send(mold(100, S), A)
    rig.send(mold(2, S), B)
    rig.send(mold(4, S), B)
    assert rig.memory.expected == 5
    assert rig.counters()["messages_lost"] == 1
    assert rig.memory.state == FeedState.LIVE
    rig.send(mold(101, S), A)
    assert rig.memory.state == FeedState.LIVE
    assert rig.send(mold(5, S), B) == 1


def test_skipping_does_not_go_on_with_what_a_line_only_might_bring():
    rig = joined(policy=GapPolicy.SKIP, patience_ns=500)
    rig.send(mold(3, S), A, 2_000)
    assert rig.send(mold(4, S), A, 2_501) == 1              # B would be next with 2, but is late
    assert (rig.memory.expected, rig.counters()["messages_lost"]) == (5, 2)


def test_skipping_after_a_heartbeat_goes_on_with_the_next_message():
    rig = joined(policy=GapPolicy.SKIP)
    rig.send(mold(4), A)
    rig.send(mold(4), B)
    assert (rig.memory.expected, rig.counters()["messages_lost"]) == (4, 2)
    assert rig.send(mold(4, S), A) == 1


def test_a_change_of_policy_ends_the_wait_for_recovery():
    rig = joined()
    rig.send(mold(4, S), A)
    rig.send(mold(4, S), B)
    rig.memory.context["policy"] = GapPolicy.SKIP
    rig.events()
    assert rig.tick(2_000) == LIVE
    assert rig.events()[-1] == ("feed", LIVE, 5, 5, B, SESSION)
    assert rig.counters()["messages_lost"] == 3


def test_messages_that_recovery_found_nowhere_are_given_up():
    rig = joined()
    rig.send(mold(5, S), A)
    rig.send(mold(5, S), B)
    rig.events()
    rig.give_up(4, now=3_000)
    assert rig.events() == [("shown", 1, DESYNCED), ("shown", 2, DESYNCED),
                            ("shown", 3, DESYNCED), ("feed", LIVE, 4, 6, RECOVERY, SESSION)]
    assert rig.counters()["messages_lost"] == 2
    rig.give_up(4)
    rig.give_up(3)
    assert rig.events() == []
    assert rig.memory.expected == 4


def test_a_book_is_marked_with_the_time_and_the_last_number_that_is_missing():
    rig = joined(policy=GapPolicy.SKIP, cut_through=True)
    rig.send(mold(2, halt(1)), A, 2_000)

    def line(instrument: int) -> tuple[int, int]:
        state = records.state(rig.table()[instrument].tobytes())
        return state["timestamp"], state["feed_sequence"]
    rig.give_up(9, now=3_000)
    assert line(1) == line(2) == (3_000, 8)
    rig = joined(cut_through=True)
    rig.send(mold(2, S, S), A, 2_000)
    rig.retract(A, 2_500)
    assert line(1) == (2_500, 3)
    rig = joined()
    rig.send(mold(5, S, session=OTHER_SESSION), A, 4_000)
    assert line(1) == (4_000, 0)


def test_an_instrument_is_shown_anew_with_the_time_at_which_the_flag_fell():
    rig = joined(stale_ns=1_000)
    rig.tick(2_001)
    rig.send(mold(2, halt(1)), RECOVERY, 2_100)
    rig.send(mold(3), A, 2_200)
    state = records.state(rig.table()[1].tobytes())
    assert (state["timestamp"], state["feed_sequence"], state["flags"]) == (2_200, 2, 0)


def test_a_book_that_is_desynced_already_is_not_shown_again():
    rig = joined(policy=GapPolicy.SKIP)
    for first in (3, 5, 7):
        rig.send(mold(first, S), A)
        rig.send(mold(first, S), B)
    shown = [event for event in rig.events() if event[0] == "shown"]
    assert shown == [("shown", 1, DESYNCED), ("shown", 2, DESYNCED), ("shown", 3, DESYNCED)]
    assert rig.counters()["messages_lost"] == 3


def test_only_watched_symbols_are_marked():
    rig = FeedRig(watch_symbols={"AAPL": 100, "MSFT": 100}, policy=GapPolicy.SKIP)
    rig.send(mold(1, itch.directory(7, "MSFT")), A)
    rig.events()
    for line in (A, B):
        rig.send(mold(3, S), line)
    # The directory message of AAPL may be among the lost ones: its locate is not known yet.
    assert [event for event in rig.events() if event[0] == "shown"] == [
        ("shown", 0, DESYNCED), ("shown", 7, DESYNCED)]
    assert [rig.flags(instrument) for instrument in range(4)] == [DESYNCED, DESYNCED, 0, 0]


# Sessions


def test_packets_of_another_session_stay_out_where_none_may_take_over():
    rig = joined(accept_session=False)
    assert rig.send(mold(1, S, session=OTHER_SESSION)) == 0
    assert rig.send(mold(2, S, session=OTHER_SESSION)) == 0
    assert rig.events() == []
    assert rig.counters()["packets_session"] == 2
    assert rig.memory.expected == 2


@pytest.mark.parametrize("other", [SESSION[:-1] + b"\0", b"\1" + SESSION[1:]])
def test_every_octet_of_the_session_counts(other):
    rig = joined(accept_session=False)
    assert rig.send(mold(2, S, session=other)) == 0
    assert rig.counters()["packets_session"] == 1


def test_a_new_session_begins_at_1_and_marks_every_book():
    rig = joined()
    rig.send(mold(2, halt(1)), A)
    rig.events()
    assert rig.send(mold(1, S, session=OTHER_SESSION), B) == 1
    assert rig.events() == [
        ("feed", NEW_SESSION, 1, 1, B, OTHER_SESSION), ("shown", 1, DESYNCED),
        ("shown", 2, DESYNCED), ("shown", 3, DESYNCED),
        ("feed", LIVE, 1, 1, B, OTHER_SESSION), ("message", 1)]
    assert rig.memory.session == "SESSION  2"
    assert rig.counters()["sessions"] == 2


def test_late_packets_of_the_session_before_stay_out():
    rig = joined()
    rig.send(mold(1, S, session=OTHER_SESSION), A)
    rig.events()
    assert rig.send(mold(2, S), B) == 0
    assert rig.counters()["packets_session"] == 1
    assert rig.send(mold(2, S, session=OTHER_SESSION), B) == 1
    assert rig.events() == [("message", 2)]


def test_a_stray_packet_of_another_session_cannot_lock_the_feed_out_for_good():
    rig = joined(line_timeout_ns=1_000)
    rig.send(mold(1, S, session=OTHER_SESSION), A, 2_000)
    assert rig.send(mold(2, S), A, 2_001) == 0
    assert rig.send(mold(2, S), B, 3_000) == 0
    assert rig.counters()["packets_session"] == 2
    rig.send(mold(2, S), A, 3_001)                          # nothing of the other one since 2000
    assert rig.memory.session == SESSION.decode()
    assert rig.states() == [NEW_SESSION, LIVE, NEW_SESSION, RECOVERING]
    assert (rig.memory.expected, rig.memory.highest) == (1, 3)


def test_a_new_session_ends_the_recovery_of_the_old_one():
    rig = joined()
    rig.send(mold(3, S), A)
    rig.send(mold(3, halt(1)), B)
    rig.events()
    rig.send(mold(4, S, session=OTHER_SESSION), A)
    assert rig.states() == [NEW_SESSION]
    assert (rig.memory.state, rig.memory.expected, rig.memory.highest) == (FeedState.IDLE, 1, 5)
    assert rig.book.context["feed_flags"] == 0
    rig.send(mold(4, S, session=OTHER_SESSION), B)
    assert rig.events() == [("feed", RECOVERING, 1, 5, B, OTHER_SESSION)]


def test_the_recovery_line_never_names_the_session(rig):
    assert rig.send(mold(1, S), RECOVERY) == 0
    rig.send(mold(1, S), A)
    assert rig.send(mold(2, S, session=OTHER_SESSION), RECOVERY) == 0
    assert rig.counters()["packets_session"] == 2
    assert rig.memory.expected == 2


def test_a_configured_session_is_waited_for():
    rig = FeedRig(session="SESSION  2", accept_session=False)
    assert rig.send(mold(1, S)) == 0
    assert rig.memory.state == FeedState.IDLE
    assert rig.send(mold(1, S, session=OTHER_SESSION)) == 1
    assert rig.counters()["packets_session"] == 1
    assert "sessions" not in rig.counters()


def test_a_short_session_name_is_padded_with_blanks():
    rig = FeedRig(session="DAY1", accept_session=False)
    assert rig.send(mold(1, S, session=b"DAY1      ")) == 1
    assert rig.memory.session == "DAY1"
    with pytest.raises(ValueError, match="at most 10 characters, not 'ELEVEN CHAR'"):
        FeedRig(session="ELEVEN CHAR")


# End of session


def test_the_end_of_a_session_is_told_once_when_everything_is_there():
    rig = joined()
    rig.send(mold(2, S), A)
    for line in (B, A, B):
        rig.send(mold(3, count=END), line)
    assert rig.events() == [("message", 2), ("feed", ENDED, 3, 3, B, SESSION)]
    assert rig.memory.state == FeedState.ENDED


def test_a_session_that_ends_with_messages_missing_is_recovered_first():
    rig = joined()
    rig.send(mold(4, count=END), A)
    rig.send(mold(4, count=END), B)
    rig.send(mold(2, S, S), RECOVERY)
    assert rig.events() == [("feed", RECOVERING, 2, 4, B, SESSION), ("message", 2), ("message", 3),
                            ("feed", ENDED, 4, 4, RECOVERY, SESSION)]


def test_silence_after_the_end_is_not_stale():
    rig = joined(stale_ns=1_000)
    rig.send(mold(2, count=END), A, 1_500)
    assert rig.tick(10**9) == ENDED
    assert "stales" not in rig.counters()


def test_a_new_session_may_follow_the_end():
    rig = joined()
    rig.send(mold(2, count=END), A)
    assert rig.send(mold(1, S, session=OTHER_SESSION), A) == 1
    assert rig.states() == [ENDED, NEW_SESSION, LIVE]


# Silence of the whole feed


def test_a_feed_without_a_packet_for_too_long_is_stale_until_the_next_one():
    rig = joined(stale_ns=1_000)
    rig.send(mold(2, halt(1)), B, 2_000)
    rig.events()
    assert rig.tick(3_000) == LIVE
    assert rig.tick(3_001) == STALE
    assert rig.tick(3_002) == STALE
    assert rig.events() == [("feed", STALE, 3, 3, B, SESSION)]
    assert rig.book.context["feed_flags"] == FLAG_STALE
    assert rig.register(0x28) == rig.memory.state == STALE
    assert rig.counters()["stales"] == 1
    rig.send(mold(3), A, 4_000)
    assert rig.events() == [("feed", LIVE, 3, 3, A, SESSION)]
    assert rig.book.context["feed_flags"] == 0


def test_an_answer_to_a_request_is_no_sign_of_life():
    rig = joined(stale_ns=1_000)
    rig.send(mold(2, halt(1)), RECOVERY, 1_900)
    assert rig.tick(2_001) == STALE
    rig.events()
    assert rig.send(mold(3, halt(2)), RECOVERY, 2_100) == 1
    assert rig.memory.state == FeedState.STALE
    assert rig.flags(2) == FLAG_STALE
    rig.send(mold(4), B, 2_200)
    assert rig.events() == [("message", 3), ("feed", LIVE, 4, 4, B, SESSION), ("shown", 2, 0)]


def test_a_packet_of_another_session_is_no_sign_of_life():
    rig = joined(stale_ns=1_000, accept_session=False)
    rig.send(mold(2, S, session=OTHER_SESSION), A, 1_900)
    assert rig.tick(2_001) == STALE


def test_a_feed_that_falls_silent_while_recovering_goes_on_recovering_afterwards():
    rig = joined(stale_ns=1_000)
    rig.send(mold(3, S), A)
    rig.send(mold(3, S), B)
    assert rig.tick(2_001) == STALE
    assert rig.book.context["feed_flags"] == FLAG_STALE | FLAG_RECOVERING
    rig.send(mold(4), A, 2_100)
    assert rig.states() == [RECOVERING, STALE, RECOVERING]


# Numbers that cannot be


@pytest.mark.parametrize("number", [0, (1 << 63) - (1 << 16) + 1, (1 << 63) - 1, 1 << 63,
                                    (1 << 64) - 1, (1 << 64) - 5])
@pytest.mark.parametrize("count", [None, 0, END])
def test_a_number_that_cannot_be_is_malformed_and_changes_nothing(number, count):
    rig = joined()
    for line in (A, B, RECOVERY):
        assert rig.send(mold(number, S, count=count), line) == 0
    assert rig.counters()["packets_malformed"] == 3
    assert rig.events() == []
    assert (rig.memory.expected, rig.memory.highest) == (2, 2)


def test_the_greatest_number_does_not_overflow():
    rig = FeedRig(start=0)
    greatest = (1 << 63) - (1 << 16)
    assert rig.send(mold(greatest, *[S] * 100)) == 100
    assert rig.memory.expected == greatest + 100


def test_the_last_number_of_a_packet_is_beyond_belief_only_for_the_next_packet():
    rig = FeedRig(start=0)
    greatest = (1 << 63) - (1 << 16)
    rig.send(mold(greatest, S))
    assert rig.send(mold(greatest + 1, S)) == 0
    assert rig.counters()["packets_malformed"] == 1


# Damage that shows at the end of a frame


def test_a_damaged_frame_whose_messages_were_used_marks_every_book():
    rig = joined(cut_through=True)
    rig.send(mold(2, S, S), A)
    rig.retract(A)
    assert rig.events() == [
        ("message", 2), ("message", 3), ("feed", RETRACTED, 2, 4, A, SESSION),
        ("shown", 1, DESYNCED), ("shown", 2, DESYNCED), ("shown", 3, DESYNCED)]
    assert rig.memory.expected == 4
    assert rig.memory.state == FeedState.LIVE
    assert rig.counters()["frames_retracted"] == 1
    assert rig.send(mold(2, S, S), B) == 0                  # they were used


@pytest.mark.parametrize("octets", [
    mold(1, S), mold(9, S), mold(9), mold(2, count=END), mold(9, count=END), mold(0, S), b"",
    mold(2)], ids=("duplicate", "ahead", "heartbeat ahead", "end", "end ahead", "number 0", "empty",
                   "heartbeat"))
def test_a_damaged_frame_that_gave_no_message_is_forgotten(octets):
    rig = joined(cut_through=True)
    rig.send(octets, A)
    rig.retract(A)
    assert (rig.memory.expected, rig.memory.highest) == (2, 2)
    assert rig.memory.state == FeedState.LIVE
    rig.send(mold(3, S), B)
    assert rig.memory.state == FeedState.LIVE, "line A must not count as one that passed 2"
    assert rig.send(mold(2, S), A) == 1
    assert [event for event in rig.events() if event[0] != "message"][-2:] in (
        [], [("feed", ENDED, 2, 2, A, SESSION), ("feed", LIVE, 2, 2, A, SESSION)])


def test_a_damaged_frame_does_not_change_the_session():
    rig = joined(cut_through=True)
    rig.send(mold(1, S, session=OTHER_SESSION), A)
    rig.retract(A)
    assert rig.states() == [NEW_SESSION, LIVE, RETRACTED]
    assert rig.memory.session == SESSION.decode()
    assert rig.memory.expected == 2
    assert rig.send(mold(2, S), B) == 1
    assert rig.send(mold(1, S, session=OTHER_SESSION), B) == 1, "it may still take over"


def test_a_damaged_frame_does_not_skip_messages():
    rig = joined(cut_through=True, policy=GapPolicy.SKIP)
    rig.send(mold(3, S), B)
    rig.send(mold(50, S), A)
    assert rig.memory.expected == 4
    rig = joined(cut_through=True, policy=GapPolicy.SKIP)
    rig.send(mold(60, S), B)
    rig.send(mold(50, S), A)
    assert rig.memory.expected == 51
    rig.retract(A)
    assert rig.memory.expected == 2
    assert rig.send(mold(2, S), A) == 1


def test_a_damaged_frame_is_no_sign_of_life():
    rig = joined(cut_through=True, stale_ns=1_000)
    rig.send(mold(2), A, 1_900)
    rig.retract(A, 1_900)
    assert rig.tick(2_001) == STALE
    rig.send(mold(2), A, 2_100)
    rig.retract(A, 2_100)
    assert rig.states() == [STALE, LIVE, STALE]


# Without registers, without the compiler


def test_a_feed_without_registers_keeps_the_same_state():
    rig = joined()
    rig.memory.context["registers"] = 0
    rig.send(mold(3, S), A)
    rig.send(mold(3, S), B)
    assert rig.memory.state == FeedState.RECOVERING
    assert rig.register(0x30, 8) == 2 and rig.register(0x28) == LIVE


SCENARIO = """
import hashlib
from tests.feed_rig import FeedRig, mold
from tests.reference import itch, records
from tickwire.spec.registers import GapPolicy
rig = FeedRig(line_timeout_ns=1_000, patience_ns=5_000, stale_ns=9_000, cut_through=True)
S, X = itch.system(b"O"), b"Z\\0\\1"
halts = [itch.action(locate, b"H") for locate in (1, 2, 3, 4)]
rig.send(mold(1, S, *halts, *halts), 0, 1_000)
rig.send(mold(1, S, *halts), 1, 1_001)
rig.send(mold(11, S), 0, 1_100); rig.send(mold(12, itch.delete(1, 3)), 1, 1_200)
rig.send(mold(10, itch.executed(2, 4, 30, 5), S, X), 2, 1_300)
rig.send(mold(13, b"", itch.delete(2, 3)[:5]), 0, 1_400); rig.retract(0, 1_400)
rig.tick(99_000)
rig.send(mold(1, S, session=b"ANOTHER   "), 1, 99_100)
rig.memory.context["policy"] = GapPolicy.SKIP
rig.send(mold(9, S, session=b"ANOTHER   "), 0, 99_200)
rig.send(mold(9, count=0xFFFF, session=b"ANOTHER   "), 1, 99_300)
print(hashlib.sha256(rig.records().tobytes() + rig.table().tobytes()).hexdigest(),
      sorted(rig.counters().items()))
"""


def test_packets_have_the_same_effects_without_the_compiler():
    def run(**environment):
        found = subprocess.run([sys.executable, "-c", SCENARIO], capture_output=True, text=True,
                               check=False, env={**os.environ, **environment,
                                                 "PYTHONPATH": os.pathsep.join(sys.path)})
        assert found.returncode == 0, found.stderr
        return found.stdout
    plain = run(NUMBA_DISABLE_JIT="1")
    assert "'frames_retracted', 1" in plain and "'messages_lost'" in plain
    assert plain == run()


def test_counters_are_where_the_page_says(rig):
    rig.send(mold(1, S), B)
    page = (ctypes.c_uint64 * 128).from_address(rig.book.counters)
    assert page[1] == 1 and CounterIndex.FRAMES_B == 1
