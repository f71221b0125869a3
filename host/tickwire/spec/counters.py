"""Counters of the device: whatever is dropped or goes wrong has a name, a unit and a sentence.

One 64-bit word each, in this order, in the counter page. Never renumber: append.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from .checks import CHECKS


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter; ``name`` in snake case, ``unit`` of one step."""

    name: str
    unit: str
    doc: str


COUNTERS = (
    Counter("frames_a",            "frames",   "Frames or datagrams received on line A."),
    Counter("frames_b",            "frames",   "Frames or datagrams received on line B."),
    Counter("frames_recovery",     "frames",   "Datagrams received on the recovery line."),
    Counter("frames_other",        "frames",   "Frames that are not for a configured group and port."),
    Counter("frames_malformed",    "frames",   "Frames with a length or checksum that lies, fragments and IP options included."),
    Counter("packets_malformed",   "packets",  "MoldUDP64 packets whose number cannot be, or whose blocks do not end where the datagram ends; whole blocks are used."),
    Counter("packets_session",     "packets",  "MoldUDP64 packets of another session."),
    Counter("heartbeats",          "packets",  "MoldUDP64 heartbeats."),
    Counter("messages",            "messages", "Messages accepted in sequence."),
    Counter("messages_duplicate",  "messages", "Messages seen before, the other line's copies included."),
    Counter("messages_ahead",      "messages", "Messages dropped because an earlier one is missing; asked for again."),
    Counter("messages_recovered",  "messages", "Messages accepted from the recovery line."),
    Counter("messages_lost",       "messages", "Messages given up for good."),
    Counter("gaps",                "gaps",     "Gaps that both lines showed."),
    Counter("sessions",            "sessions", "Session names taken up."),
    Counter("unknown_type",        "messages", "Messages of a type that ITCH 5.0 does not have."),
    Counter("wrong_length",        "messages", "Messages whose length is not that of their type."),
    Counter("zero_length",         "messages", "Messages whose length field is zero: in a file the type gives the length, on a line nothing is left."),
    Counter("unknown_locate",      "messages", "Messages for a stock locate above the greatest instrument."),
    Counter("filtered",            "messages", "Messages of instruments that are not watched."),
    Counter("unknown_order",       "messages", "Executions, cancels, deletes and replaces of an order that is not in the book."),
    Counter("duplicate_order",     "messages", "Adds and replaces to a reference that is in the book already."),
    Counter("over_execution",      "messages", "Executions and cancels of more shares than were open."),
    Counter("zero_quantity",       "messages", "Adds and replaces of no shares."),
    Counter("bad_side",            "messages", "Adds whose side is neither B nor S."),
    Counter("bad_price",           "messages", "Adds whose price is 0 or above 2^31-1."),
    Counter("off_grid",            "messages", "Prices that are not on the instrument's tick grid."),
    Counter("order_overflow",      "orders",   "Orders that found no place in the order table."),
    Counter("level_overflow",      "orders",   "Orders whose price found no place in the level table."),
    Counter("order_stash_max",     "orders",   "Greatest fill of the order stash."),
    Counter("level_stash_max",     "levels",   "Greatest fill of the level stash."),
    Counter("window_shifts",       "shifts",   "Moves of a price window to follow a better price."),
    Counter("window_sweeps",       "sweeps",   "Sides that began to look for levels below their window."),
    Counter("hidden",              "events",   "Times a side's best level lay outside its window."),
    Counter("records",             "records",  "Records written to the market ring."),
    Counter("order_records",       "records",  "Records written to the order ring."),
    Counter("records_dropped",     "records",  "Records that found no room; the next one is LOST."),
    Counter("intents",             "intents",  "Intents taken from the window."),
    Counter("intent_errors",       "intents",  "Intents refused before the risk gate."),
    Counter("risk_rejects",        "orders",   "Orders refused by the risk gate."),
    Counter("orders_sent",         "orders",   "New orders sent."),
    Counter("cancels_sent",        "orders",   "Cancels sent, mass cancels included."),
    Counter("replaces_sent",       "orders",   "Replaces sent."),
    Counter("orders_accepted",     "orders",   "Orders accepted by the venue."),
    Counter("orders_canceled",     "orders",   "Cancels reported by the venue."),
    Counter("orders_rejected",     "orders",   "Orders rejected by the venue."),
    Counter("orders_replaced",     "orders",   "Replaces reported by the venue."),
    Counter("fills",               "fills",    "Executions reported by the venue."),
    Counter("settle_unknown",      "messages", "Answers for an order that the device does not know."),
    Counter("order_octets",        "octets",   "Octets sent to the order session."),
    Counter("session_malformed",   "packets",  "Order-session packets that could not be decoded."),
    Counter("kills",               "kills",    "Times the kill switch latched."),
    Counter("watchdog_kicks",      "kicks",    "Accepted watchdog kicks."),
    Counter("loops",               "turns",    "Turns of the engine loop."),
    Counter("loops_idle",          "turns",    "Turns of the engine loop that found nothing to do."),
    Counter("settle_mismatch",     "messages", "Answers that contradict the order table: filled, cancelled or accepted more than was open."),
    Counter("replaces_lapsed",     "orders",   "Replaces that the venue ignored because their order was gone."),
    Counter("orders_lost",         "orders",   "Orders that never reached the venue, told by its next number after a reconnect."),
    Counter("broken_trades",       "trades",   "Executions that the venue broke; positions are not changed by them."),
    Counter("cancels_unsent",      "orders",   "Cancels of a mass cancel that found the order's session down."),
    Counter("watchdog_refused",    "kicks",    "Watchdog kicks whose value did not rise."),
    Counter("arms",                "times",    "Times that the two keys armed the device."),
    Counter("arms_refused",        "keys",     "Arming keys that were wrong, late or not needed."),
    Counter("limits_committed",    "tables",   "Limits tables committed."),
    Counter("limits_refused",      "tables",   "Limits tables refused."),
    Counter("session_drops",       "sessions", "Times an order session went down."),
    Counter("session_messages",    "messages", "Sequenced messages of the order session."),
    Counter("heartbeats_sent",     "packets",  "Heartbeats sent on the order session."),
    Counter("records_lost",        "records",  "Market records that the host did not read before they were overwritten."),
    Counter("intents_dropped",     "intents",  "Intents of the strategy that found the window full, or were beyond the room of its call."),
    Counter("strategy_calls",      "calls",    "Records given to the strategy."),
    Counter("strategy_ticks",      "calls",    "Times that the strategy's timer called it."),
    Counter("send_backlog",        "octets",   "Octets that an order socket did not take at once; they left later, in order."),
    Counter("frames_retracted",    "frames",   "Frames whose end showed damage after their messages were used (cut-through)."),
    Counter("line_silences_a",     "times",    "Times line A was silent for longer than its limit."),
    Counter("line_silences_b",     "times",    "Times line B was silent for longer than its limit."),
    Counter("stales",              "times",    "Times that neither line brought a packet for longer than the limit."),
    Counter("mac_bad_starts",      "frames",   "Frames that a MAC did not begin because their preamble was wrong."),
    Counter("mac_damaged",         "frames",   "Frames whose check was wrong, or with a control character inside."),
    Counter("mac_runts",           "frames",   "Frames of fewer than 64 octets, check included."),
    Counter("mac_oversize",        "frames",   "Frames longer than the limit."),
    Counter("mac_underruns",       "frames",   "Frames that a MAC had to cut because their words did not come in time."),
    Counter("port_overflows",      "packets",  "Packets that a port of the card cut short or dropped, because earlier octets still waited."),
    Counter("port_losses",         "events",   "Events of a port that found the card's arbiter full; their packets count as damaged."),
    *(Counter(f"soft_{check.name}", "orders",
              f"Orders that were let pass although the soft check {check.name} failed.")
      for check in CHECKS if not check.is_hard),
    Counter("triggers_armed",      "triggers", "Triggers armed."),
    Counter("triggers_fired",      "triggers", "Triggers that fired, refused by the gate or not."),
    Counter("triggers_disarmed",   "triggers", "Triggers disarmed before they fired: by the host, their group, their time to live or a kill."),
    Counter("triggers_missed",     "records",  "Market records that a card's triggers did not look at, because too many others waited."),
    Counter("samples_lost",        "messages", "Latencies of stage receive that a card's histograms did not count, because too many others waited."),
)

CounterIndex: Any = IntEnum("CounterIndex", {counter.name.upper(): index
                                             for index, counter in enumerate(COUNTERS)})
"""Index of each counter by its upper-case name."""

COUNTER_SLOTS = 128                        # words in the counter page
assert len(COUNTERS) <= COUNTER_SLOTS
