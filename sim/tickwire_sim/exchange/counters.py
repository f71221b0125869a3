"""Counters of the venue: whatever is dropped or refused has a name, a unit and a sentence."""

from enum import IntEnum

from tickwire.spec.counters import Counter

_LINE = (
    ("packets",    "packets",  "Packets sent on line {}, heartbeats, copies and late ones included."),
    ("octets",     "octets",   "UDP payload sent on line {}."),
    ("lost",       "packets",  "Packets that the impairment of line {} dropped."),
    ("duplicated", "packets",  "Packets that line {} sent twice."),
    ("reordered",  "packets",  "Packets that another one overtook on line {}."),
    ("crowded",    "packets",  "Packets sent before their delay was over, because the queue of line {} was full."),
    ("errors",     "packets",  "Packets that the system refused to send on line {}."),
)

COUNTERS = (
    Counter("orders_entered",      "orders",   "Orders entered, replacements included."),
    Counter("executions",          "trades",   "Matches of a resting order."),
    Counter("levels_refused",      "orders",   "Orders canceled because their side has no room for another price."),
    Counter("actions",             "actions",  "Actions of the agents."),
    Counter("lag_dropped_ns",      "ns",       "Time that the agents gave up because the venue fell behind."),
    Counter("packets",             "packets",  "Different packets published."),
    Counter("heartbeats",          "packets",  "MoldUDP64 heartbeats and ends of session."),
    Counter("unpublished",         "messages", "Messages that left the store before they were sent."),
    Counter("requests",            "requests", "MoldUDP64 requests received."),
    Counter("requests_malformed",  "requests", "Requests of a wrong size or for no message."),
    Counter("requests_session",    "requests", "Requests for another session."),
    Counter("requests_unknown",    "requests", "Requests for messages that are not there any more, or not yet."),
    Counter("messages_repeated",   "messages", "Messages sent in answer to requests."),
    Counter("connections",         "clients",  "Connections accepted on the order port."),
    Counter("connections_refused", "clients",  "Connections closed because there are too many."),
    Counter("logins",              "logins",   "Logins accepted."),
    Counter("logins_rejected",     "logins",   "Logins rejected."),
    Counter("packets_malformed",   "packets",  "SoupBinTCP packets that closed their connection."),
    Counter("messages_malformed",  "messages", "OUCH messages that closed their connection."),
    Counter("clients_slow",        "clients",  "Connections closed because the client did not read."),
    Counter("clients_silent",      "clients",  "Connections closed because the client fell silent."),
    Counter("orders_accepted",     "orders",   "Orders accepted from clients."),
    Counter("orders_rejected",     "orders",   "Orders and requests of clients rejected."),
    Counter("orders_ignored",      "messages", "Messages of clients that ask for silence: repeated or dead numbers."),
    Counter("orders_replaced",     "orders",   "Orders of clients replaced."),
    Counter("orders_canceled",     "orders",   "Cancels reported to clients."),
    Counter("fills",               "fills",    "Executions reported to clients."),
    *(Counter(f"line_{line}_{name}", unit, doc.format(line.upper()))
      for line in "ab" for name, unit, doc in _LINE),
)

CounterIndex = IntEnum("CounterIndex", {counter.name.upper(): index
                                        for index, counter in enumerate(COUNTERS)})
"""Index of each counter by its upper-case name."""

COUNTER_SLOTS = 64
assert len(COUNTERS) <= COUNTER_SLOTS
