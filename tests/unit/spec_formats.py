"""Layouts of every protocol message written a second time, by hand, as struct formats.

``6s`` is an integer of 6 octets, ``c`` a letter, other ``s`` text. The type octet is the ``c`` at
its place; an open end is left out. Nothing here comes from the tables.
"""

import struct

ITCH50 = {
    "system_event": ">cHH6sc",
    "stock_directory": ">cHH6s8sccIcc2scccccIc",
    "stock_trading_action": ">cHH6s8scc4s",
    "reg_sho_restriction": ">cHH6s8sc",
    "market_participant_position": ">cHH6s4s8sccc",
    "mwcb_decline_level": ">cHH6sQQQ",
    "mwcb_status": ">cHH6sc",
    "ipo_quoting_period_update": ">cHH6s8sIcI",
    "luld_auction_collar": ">cHH6s8sIIII",
    "operational_halt": ">cHH6s8scc",
    "add_order": ">cHH6sQcI8sI",
    "add_order_with_mpid": ">cHH6sQcI8sI4s",
    "order_executed": ">cHH6sQIQ",
    "order_executed_with_price": ">cHH6sQIQcI",
    "order_cancel": ">cHH6sQI",
    "order_delete": ">cHH6sQ",
    "order_replace": ">cHH6sQQII",
    "trade": ">cHH6sQcI8sIQ",
    "cross_trade": ">cHH6sQ8sIQc",
    "broken_trade": ">cHH6sQ",
    "net_order_imbalance": ">cHH6sQQc8sIIIcc",
    "retail_price_improvement": ">cHH6s8sc",
    "direct_listing": ">cHH6s8scIIIQII",
}
ITCH50_SIZES = {
    "S": 12, "R": 39, "H": 25, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "h": 21,
    "A": 36, "F": 40, "E": 31, "C": 36, "X": 23, "D": 19, "U": 35, "P": 44, "Q": 40, "B": 19,
    "I": 50, "N": 20, "O": 48,
}
# The appendage length closes every format that may carry an appendage.
OUCH50 = {
    "enter_order": ">cIcI8sQccccc14sH",
    "replace_order": ">cIIIQccc14sH",
    "cancel_order": ">cIIH",
    "modify_order": ">cIcIH",
    "mass_cancel": ">cI4s8sH",
    "disable_order_entry": ">cI4sH",
    "enable_order_entry": ">cI4sH",
    "account_query": ">cH",
    "system_event": ">cQc",
    "order_accepted": ">cQIcI8sQccQcccc14sH",
    "order_replaced": ">cQIIcI8sQccQcccc14sH",
    "order_canceled": ">cQIIcH",
    "aiq_canceled": ">cQIIcIQccH",
    "order_executed": ">cQIIQcQH",
    "broken_trade": ">cQIQc14sH",
    "rejected": ">cQIH14sH",
    "cancel_pending": ">cQIH",
    "cancel_reject": ">cQIH",
    "order_priority_update": ">cQIQcQH",
    "order_modified": ">cQIcIH",
    "order_restated": ">cQIcH",
    "mass_cancel_response": ">cQI4s8sH",
    "disable_order_entry_response": ">cQI4sH",
    "enable_order_entry_response": ">cQI4sH",
    "account_query_response": ">cQIH",
    "trade_correction": ">cQIIQcQc14s",
}
OUCH50_WITHOUT_APPENDAGE = frozenset({"system_event", "trade_correction"})
OUCH50_LENGTH_ALWAYS = frozenset({
    "enter_order", "replace_order", "mass_cancel", "disable_order_entry", "enable_order_entry",
    "order_accepted", "order_replaced", "order_executed", "order_restated", "mass_cancel_response",
    "disable_order_entry_response", "enable_order_entry_response"})
SOUPBINTCP = {
    "debug": ">Hc", "login_accepted": ">Hc10s20s", "login_rejected": ">Hcc",
    "sequenced_data": ">Hc", "server_heartbeat": ">Hc", "end_of_session": ">Hc",
    "login_request": ">Hc6s10s10s20s", "unsequenced_data": ">Hc", "client_heartbeat": ">Hc",
    "logout_request": ">Hc",
}
SOUPBINTCP_OPEN = frozenset({"debug", "sequenced_data", "unsequenced_data"})
MOLDUDP64 = {"downstream_header": ">10sQH", "message_block": ">H", "request": ">10sQH"}
NETWORK = {
    "ethernet": ">6s6sH", "vlan": ">HH", "ipv4": ">BBHHHBBHII", "udp": ">HHHH",
    "tcp": ">HHIIHHHH",
}
GLIMPSE50 = {"end_of_snapshot": ">c20s"}


def number(part: object) -> int:
    """Return a struct value as the integer that kernels use for it."""
    return part if isinstance(part, int) else int.from_bytes(part, "big")


def offsets(form: str) -> list[tuple[int, int]]:
    """Return the offset and size of each item of a format."""
    items, count = [], ""
    for letter in form[1:]:
        if letter.isdigit():
            count += letter
        else:
            items.append(f">{count}{letter}")
            count = ""
    places, offset = [], 0
    for item in items:
        places.append((offset, struct.calcsize(item)))
        offset += struct.calcsize(item)
    return places
