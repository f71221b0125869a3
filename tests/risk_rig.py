"""The risk gate twice, as compiled gateware and as kernels, for one sequence of operations.

An operation is a tuple: ``("order", gap, request, market, gates)``, ``("answer", answer)``,
``("message", session)``, ``("limits", firm, instruments, strategies, sessions)`` or
``("kill", table, number, is_killed)``. Orders come ``gap`` cycles behind one another; everything
else is offered right behind the last order and must wait for it.
"""

import ctypes
import random

import numpy as np
from amaranth.hdl import Const
from amaranth.lib import data

from tests.order_rig import Rig
from tickwire.device.limits_table import fill
from tickwire.kernels import exposures, order_path, risk
from tickwire.kernels.order_layout import FIRM, REQUEST
from tickwire.kernels.risk_rules import own_key
from tickwire.spec.limits import UNLIMITED, LimitFlag
from tickwire.spec.records import FeedState
from tickwire_hw.risk import AHEAD, ANSWER_CYCLES, ROWS, Risk, Table
from tickwire_hw.risk_port import FACTOR_SHIFT
from tickwire_sim.bits import words
from tickwire_sim.verilate import verilate

NEVER = -(1 << 62)
MARKET = ("bid", "ask", "last", "trading_state", "flags", "operational", "reg_sho")
GATES = ("is_killed", "feed_live", "phase", "sessions_up", "now")
FIELDS = ("is_sell", "is_new", "kinds", "has_place", "price", "quantity", "added_quantity",
          "added_notional", "decided", "static")


def factor(bps: int) -> int:
    """Basis points as the collar's factor."""
    return -(-(bps << FACTOR_SHIFT) // 10_000)


def room(interval: int, burst: int) -> int:
    """Most that a bucket's time may be ahead."""
    return interval * (burst - 1) if burst else NEVER


def divisor(number: int) -> dict:
    """Divisor of a number, by other means than the kernel's."""
    if not number:
        return {"number": 0, "inverse": 0, "shift": 0, "room": 0}
    shift = (number & -number).bit_length() - 1
    odd = number >> shift
    return {"number": number, "inverse": pow(odd, -1, 1 << 32), "shift": shift,
            "room": 32 - odd.bit_length()}


def row_of(table: Table, limits: dict) -> dict:
    """Row of the gateware for a row of the limits table."""
    derived = {}
    if table == Table.SESSION:
        derived["rate_room"] = room(limits["message_interval_ns"], limits["message_burst"])
    else:
        derived["rate_room"] = room(limits["rate_interval_ns"], limits["rate_burst"])
    if table == Table.STRATEGY:
        derived["is_enabled"] = limits["flags"] & LimitFlag.ENABLED
    if table == Table.INSTRUMENT:
        derived |= {
            "collar_factor": factor(limits["collar_bps"]),
            "last_collar_factor": factor(limits["last_collar_bps"]),
            "has_last_collar": int((limits["last_collar_price"], limits["last_collar_bps"])
                                   != (UNLIMITED, UNLIMITED)),
            "static": static_row(limits)}
    return {name: derived[name] if name in derived else limits[name]
            for name, _ in data.Layout.cast(ROWS[table])}


def static_row(limits: dict) -> dict:
    """Row of ``RiskStatic`` for an instrument's row of the limits table."""
    found = {name: limits[name] for name in ("flags", "quantity_min", "quantity_max",
                                             "notional_max", "band_lower", "band_upper")}
    found |= {"permits": limits["permits"] & 0xFF}
    found |= {name: divisor(limits[name]) for name in ("tick", "tick_below_dollar", "lot")}
    return found


def bits_of(shape, values: dict) -> int:
    """Values of a structure as one integer."""
    return Const.cast(shape.const(values)).value & ((1 << shape.as_shape().size) - 1)


class Kernels:
    """The gate's kernels, one operation after the other."""

    def __init__(self, instruments: int) -> None:
        self.rig = Rig(sessions=8, is_ready=False)
        self.rig.path.gate["killed"] = 0
        self.risk = self.rig.path.risk
        self.request = np.zeros(1, REQUEST)
        self.instruments = instruments

    def limits(self, firm, instruments, strategies, sessions):
        """Commit a table."""
        table = self.rig.path.table
        fill(table.firm, firm)
        for rows, values in zip((table.instruments, table.strategies, table.sessions),
                                (instruments, strategies, sessions), strict=True):
            for number, row in enumerate(values):
                fill(rows[number:][:1], row)
        self.rig.path.commit(0)

    def set_market(self, instrument, market):
        """Write state line and status."""
        line, status = self.rig.state[instrument], self.rig.status[instrument]
        for name, value in (("bid_price", "bid"), ("ask_price", "ask"), ("last_price", "last"),
                            ("trading_state", "trading_state"), ("flags", "flags")):
            line[name] = market[value]
        status["operational"], status["reg_sho"] = market["operational"], market["reg_sho"]

    def order(self, request, market, gates):
        """Mask of an order; takes it up when it passes."""
        rig, gate = self.rig, self.rig.path.gate
        self.set_market(request["instrument"], market)
        gate["killed"] = gates["is_killed"]
        rig.feed_word[0] = FeedState.LIVE if gates["feed_live"] else FeedState.STALE
        rig.status[-1]["market_phase"] = gates["phase"]
        rig.up[:] = [gates["sessions_up"] >> number & 1 for number in range(8)]
        for name in self.request.dtype.names:
            self.request[name] = request.get(name, 0)
        at = self.request.ctypes.data
        mask = int(risk.check(self.risk, at, gates["now"])) & 0xFFFF_FFFF
        passes = not mask & ~int(gate_soft(rig))
        if passes:
            exposures.reserve(self.risk, at, gates["now"])
            row, side = rig.path.exposures[request["instrument"]], request["is_sell"]
            key = own_key(side, request["price"])
            row["best_key"][side] = max(int(row["best_key"][side]), key)
        return mask, passes

    def answer(self, answer):
        """Give back one part in ``share`` of what is open on a side, then execute."""
        instrument, side, share = answer["instrument"], answer["is_sell"], answer.pop("share")
        row, gate = self.rig.path.exposures[instrument], self.rig.path.gate
        held = int(row["open_sell" if side else "open_buy"])
        value = min(int(row["open_notional"]), int(gate["open_notional"]
                                                   - gate["open_buy_notional"]) if side
                    else int(gate["open_buy_notional"]))
        answer |= {"quantity": -(held // share), "notional": -(value // share),
                   "orders": -min(1, int(row["open_orders"]))}
        self.rig.state[instrument]["last_price"] = answer["last"]
        exposures.expose(self.risk, instrument, side, answer["quantity"], answer["notional"],
                         answer["orders"])
        if answer["is_fill"]:
            exposures.execution(self.risk, instrument, answer["session"], side,
                                answer["executed"], answer["price"])
        row = self.rig.path.exposures[instrument]
        row["best_key"] = answer["buy_key"], answer["sell_key"]

    def kill(self, table, number, is_killed):
        """Block or release a part."""
        kernel = {Table.INSTRUMENT: order_path.kill_instrument,
                  Table.STRATEGY: order_path.kill_strategy,
                  Table.SESSION: order_path.kill_session}[table]
        kernel(self.rig.address, number, is_killed)


def gate_soft(rig) -> int:
    """Mask of soft checks in force."""
    octets = (ctypes.c_char * FIRM.itemsize).from_address(int(rig.path.gate["limits"]))
    return int(np.frombuffer(octets, FIRM)[0]["soft_checks"])


class Card:
    """The compiled gate."""

    def __init__(self, geometry) -> None:
        self.geometry = geometry
        self.model = verilate(Risk(geometry), f"risk_{geometry.instruments}")

    def schedule(self, operations) -> tuple[list[dict], list[int]]:
        """Columns of every cycle, and the cycle of each order's fields."""
        cycles: list[dict] = [{}]
        fields: list[int] = []
        ahead = 0                            # cycle of the next order's instrument
        free = 0                             # first cycle in which nothing is on its way

        def at(cycle):
            while len(cycles) <= cycle:
                cycles.append({})
            return cycles[cycle]
        for kind, *rest in operations:
            if kind == "order":
                gap, request, market, gates = rest
                row = at(ahead)
                row["ahead__valid"] = 1
                for name in ("instrument", "strategy", "session"):
                    row[f"ahead__payload.{name}"] = request[name]
                for name in MARKET:
                    row[f"ahead__payload.market.{name}"] = market[name]
                row = at(ahead + AHEAD)
                for name in FIELDS:
                    row[f"i.{name}"] = request[name]
                row |= gates
                fields.append(ahead + AHEAD)
                free = ahead + AHEAD + 1
                ahead += gap
                continue
            if kind == "kill":
                table, number, is_killed = rest
                at(free)
                cycles[free] |= {"i_kill__valid": 1, "i_kill__payload.table": table.value,
                                 "i_kill__payload.number": number,
                                 "i_kill__payload.is_killed": is_killed}
                free += 1
            elif kind == "message":
                for cycle in range(min(ahead, free), free + 1):
                    at(cycle)
                    cycles[cycle] |= {"message__valid": 1, "message__payload.session": rest[0]}
                at(free + 1)
                cycles[free + 1]["now"] = rest[1]
                free += 1
            elif kind == "answer":
                for cycle in range(min(ahead, free), free + 1):
                    at(cycle)
                    cycles[cycle]["answer__valid"] = 1
                    for name, value in rest[0].items():
                        cycles[cycle][f"answer__payload.{name}"] = value
                at(free + ANSWER_CYCLES)
                free += ANSWER_CYCLES
            else:
                version, (firm, *tables) = rest
                writes = [(Table.FIRM, 0, firm)] + [
                    (table, number, row) for table, rows in zip(
                        (Table.INSTRUMENT, Table.STRATEGY, Table.SESSION), tables, strict=True)
                    for number, row in enumerate(rows)]
                for table, number, row in writes:
                    at(free)
                    cycles[free] |= {
                        "i_limits__valid": 1, "i_limits__payload.table": table.value,
                        "i_limits__payload.number": number,
                        "i_limits__payload.row": bits_of(ROWS[table], row_of(table, row))}
                    free += 1
                at(free)
                cycles[free] |= {"commit__valid": 1, "commit__payload": version}
                free += 1
            ahead = max(ahead, free)
        at(free + 2)
        return cycles, fields

    def verdicts(self, operations) -> list[tuple[int, int]]:
        """Mask of each order, and whether it passes."""
        cycles, fields = self.schedule(operations)
        self.model.restart()
        rows = self.model.rows(len(cycles))
        self.put(rows, cycles)
        found = self.model.run(rows, when="o__valid")
        assert found["cycle"].tolist() == [cycle + 1 for cycle in fields]
        masks = self.model.get(found, "o__payload", "mask")
        passes = self.model.get(found, "o__payload", "passes")
        return [(int(mask), int(passed)) for mask, passed in zip(masks, passes, strict=True)]

    def put(self, rows, cycles):
        """Write every port's column; what is not due or not valid is noise."""
        noise = random.Random(1)
        now = 0
        for cycle in cycles:
            now = cycle.setdefault("now", now)
        places = {}
        for cycle in cycles:
            for name in cycle:
                if name not in places:
                    port, _, path = name.partition(".")
                    start, width = self.model.ports[port].bits(path) if path else (
                        0, self.model.ports[port].width)
                    places[name] = port, start, (1 << width) - 1
        columns = {port: [0] * len(cycles) for port in rows.dtype.names}
        for port in ("i", "ahead__payload", "answer__payload"):
            width = self.model.ports[port].width
            columns[port] = [noise.getrandbits(width) for _ in cycles]
        for number, cycle in enumerate(cycles):
            for name in cycle:
                columns[places[name][0]][number] = 0
            for name, value in cycle.items():
                port, start, mask = places[name]
                columns[port][number] |= (value & mask) << start
        for port, values in columns.items():
            rows[port] = words(values, self.model.ports[port].width)


def operations_of_kernels(kernels: Kernels, operations) -> list[tuple[int, int]]:
    """Verdicts of the kernels on the same operations."""
    found = []
    for kind, *rest in operations:
        if kind == "order":
            _, request, market, gates = rest
            mask, passes = kernels.order(request, market, gates)
            found.append((mask, int(passes)))
        elif kind == "answer":
            kernels.answer(rest[0])
        elif kind == "message":
            exposures.message(kernels.risk, *rest)
        elif kind == "kill":
            kernels.kill(*rest)
        else:
            kernels.limits(*rest[1])
    return found
