"""The loop of the venue: agents, clients, market data and requests, in turns in one thread.

It sleeps when nothing is due; an order wakes it at once. Whatever needs Python - accepting, login,
closing, stopping - ends the call.
"""

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import (
    CLOCK_MONOTONIC,
    c_ppoll,
    nanoseconds,
    store64,
)
from tickwire.kernels.ring import count
from tickwire_sim.exchange import answers, flow
from tickwire_sim.exchange.connection import receive, transmit
from tickwire_sim.exchange.counters import CounterIndex
from tickwire_sim.exchange.layout import (
    CONNECTION_SIZE,
    POLLED_SIZE,
    ConnectionState,
    connection_at,
    engine_at,
    flow_at,
    polled_at,
    publisher_at,
    server_at,
    store_at,
)
from tickwire_sim.exchange.publisher import answer, publish, pulse

POLL_IN, POLL_OUT, POLL_BROKEN = 1, 4, 8 | 16 | 32
LISTENER, WAKER, REQUESTS, CONNECTIONS = range(4)
"""Rows of the polled sockets; connection n is row CONNECTIONS + n."""

ACTIONS_PER_TURN = 256
PACKETS_PER_TURN = 64
TIME_IS_UP, CONTROL = 0, 1

_ACTIVE = int(ConnectionState.ACTIVE)
_CLOSING = int(ConnectionState.CLOSING)
_LAG = int(CounterIndex.LAG_DROPPED_NS)


@kernel
def _trade(server, clock):
    """Let the agents do what is due, up to a bound."""
    v = server_at(server)
    f = flow_at(v["flow"])
    e = engine_at(v["engine"])
    lag = clock - (f["due"] >> 8)
    if lag > v["lag_max"]:
        count(e["counters"], _LAG, lag - v["lag_max"])
        f["due"] = (clock - v["lag_max"]) << 8
    for _ in range(ACTIONS_PER_TURN):
        if f["due"] >> 8 > clock:
            break
        flow.advance(v["flow"], flow.act(v["flow"]))
        if e["event_count"]:
            answers.report(v["engine"])


@kernel
def _transmit_all(server, now):
    """Send to every client what it has not had; wait for room where a socket is full."""
    v = server_at(server)
    needs_control = False
    for index in range(v["connection_count"]):
        connection = v["connections"] + CONNECTION_SIZE * index
        c = connection_at(connection)
        if c["state"] == _ACTIVE:
            is_full = transmit(v["engine"], connection, now)
            row = polled_at(v["polled"] + POLLED_SIZE * (CONNECTIONS + index))
            row["events"] = POLL_IN | POLL_OUT if is_full else POLL_IN
            needs_control |= c["state"] == _CLOSING
    return needs_control


@kernel
def _receive_all(server, now):
    """Serve the sockets that have something. Returns whether the control loop must act."""
    v = server_at(server)
    needs_control = False
    for index in range(v["polled_count"]):
        row = polled_at(v["polled"] + POLLED_SIZE * index)
        if row["socket"] < 0 or row["returned"] == 0:
            continue
        if index == REQUESTS:
            answer(v["publisher"])
        elif index < CONNECTIONS:
            needs_control = True
        elif row["returned"] != POLL_OUT:
            connection = v["connections"] + CONNECTION_SIZE * (index - CONNECTIONS)
            is_broken = row["returned"] & POLL_BROKEN != 0
            needs_control |= receive(v["engine"], connection, is_broken, now)
    return needs_control


@kernel(inline=True)
def _wait(server, timeout):
    """Wait for a socket up to ``timeout`` nanoseconds; returns the number that are ready."""
    v = server_at(server)
    store64(v["timeout"], timeout // 1_000_000_000)
    store64(v["timeout"] + 8, timeout % 1_000_000_000)
    return c_ppoll(v["polled"], v["polled_count"], v["timeout"], 0)


@kernel
def serve(server, until):
    """Run the venue until a monotonic time; returns TIME_IS_UP, or CONTROL when Python must act."""
    v = server_at(server)
    e = engine_at(v["engine"])
    store = store_at(e["store"])
    p = publisher_at(v["publisher"])
    while True:
        now = nanoseconds(CLOCK_MONOTONIC)
        e["clock"] = max(e["clock"], now - v["midnight"])
        due = until
        if v["is_trading"]:
            _trade(server, e["clock"])
            due = min(due, max((flow_at(v["flow"])["due"] >> 8) + v["midnight"], now + v["rest"]))
        if _transmit_all(server, now):
            return CONTROL
        publish(v["publisher"], store["count"], PACKETS_PER_TURN, now)
        due = min(due, pulse(v["publisher"], now))
        if now >= until:
            return TIME_IS_UP
        if p["published"] < store["count"] or (
                v["is_trading"] and (flow_at(v["flow"])["due"] >> 8) <= e["clock"]):
            due = now
        if _wait(server, max(due - now, 0)) > 0:
            now = nanoseconds(CLOCK_MONOTONIC)
            e["clock"] = max(e["clock"], now - v["midnight"])
            if _receive_all(server, now):
                return CONTROL
