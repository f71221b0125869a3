"""Records and state lines as dictionaries, unpacked by hand from ``docs/protocols/records.md``."""

import struct

import numpy as np

BBO, LEVEL, TRADE, STATUS, IMBALANCE, DIRECTORY = 2, 3, 4, 6, 7, 8

_LAYOUTS = {
    BBO: ("bbo", "<QQIIIIHBBIIIIHH",
          "timestamp feed_sequence bid_price ask_price bid_quantity ask_quantity locate "
          "trading_state flags book_version last_price last_quantity latency_ns bid_orders "
          "ask_orders"),
    LEVEL: ("level", "<QQIIIIHBBIQII",
            "timestamp feed_sequence price quantity orders book_version locate side reserved_0 "
            "reserved_1 reserved_2 latency_ns reserved_3"),
    TRADE: ("trade", "<QQQIIHBBIQII",
            "timestamp feed_sequence match_number price quantity locate side flags book_version "
            "order_reference latency_ns reserved_1"),
    STATUS: ("status", "<QQIII4sHBBIBBBBBBHII",
             "timestamp feed_sequence band_lower band_upper reference reason locate "
             "trading_state flags book_version cause reg_sho market_phase breach_level "
             "operational reserved_1 reserved_2 latency_ns reserved_3"),
    IMBALANCE: ("imbalance", "<QQQQHBBIIIII",
                "timestamp feed_sequence paired_shares imbalance_shares locate direction "
                "cross_type book_version far_price near_price latency_ns reference_price"),
    DIRECTORY: ("directory", "<QQ8sIIHBBIQII",
                "timestamp feed_sequence symbol round_lot instrument locate market_category "
                "financial_status book_version reserved_1 latency_ns reserved_2"),
}
_LAYOUTS = {kind: (name, struct.Struct(layout), tuple(fields.split()))
            for kind, (name, layout, fields) in _LAYOUTS.items()}
_STATE = struct.Struct("<IHBBQIIIIQIIQIHH")
_STATE_FIELDS = (
    "version_head", "locate", "trading_state", "flags", "timestamp", "bid_price", "ask_price",
    "bid_quantity", "ask_quantity", "feed_sequence", "last_price", "last_quantity",
    "book_checksum", "version", "bid_orders", "ask_orders")


def record(octets: bytes) -> dict:
    """Unpack one market record; the trailer's number is ``number``."""
    assert len(octets) == 64
    number, kind, epoch, credit = struct.unpack_from("<IBBH", octets, 56)
    name, layout, fields = _LAYOUTS[kind]
    assert layout.size == 56, (name, layout.size)
    values = dict(zip(fields, layout.unpack_from(octets), strict=True))
    reserved = [field for field in fields if field.startswith("reserved") and values.pop(field)]
    assert not reserved, f"{name}: {reserved} must be zero: {octets.hex()}"
    return {"record": name, **values, "number": number, "epoch": epoch, "credit": credit}


def state(octets: bytes) -> dict:
    """Unpack one state line."""
    return dict(zip(_STATE_FIELDS, _STATE.unpack(octets), strict=True))


# Octets of a record by type that every device must agree on, as 0xFF; from the same page.
def compared(kind: int) -> bytes:
    """Mask of the octets of a market record that are the same on every device."""
    mask = bytearray(b"\xff" * 64)
    mask[0:8] = bytes(8)                       # time stamp
    mask[61:64] = bytes(3)                     # epoch and credit
    latency_at = {BBO: 48, LEVEL: 48, TRADE: 48, STATUS: 48, IMBALANCE: 48, DIRECTORY: 48}[kind]
    mask[latency_at:latency_at + 4] = bytes(4)
    return bytes(mask)


def comparable(records: np.ndarray) -> np.ndarray:
    """Copy of ``records`` (n, 64) without what may differ between devices."""
    masks = np.zeros((256, 64), np.uint8)
    for kind in _LAYOUTS:
        masks[kind] = np.frombuffer(compared(kind), np.uint8)
    return records & masks[records[:, 60]]
