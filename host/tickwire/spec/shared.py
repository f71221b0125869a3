"""Shared memory of a device on this machine: one file, which other processes may read.

Every region begins on a page. The header names each region's place, so a reader needs the header
and the tables and nothing else; it refuses a file with another magic, ABI or digest. The owner
holds an exclusive lock on the file for as long as it lives: a file without a lock was left over.
"""

from dataclasses import dataclass

from .checks import CHECKS
from .limits import limits_rows
from .wire import Field, Message

SHARED_MAGIC = b"TICKWIRE"
SHARED_FOLDER = "/dev/shm"
SHARED_PREFIX = "tickwire."
REGION_ALIGNMENT = 4096
assert limits_rows(0) == 25                # rows of the region "limits" that are no instrument's


@dataclass(frozen=True, slots=True)
class Region:
    """One region: ``row`` octets, ``rows`` of them (a number, or the name of what gives it)."""

    name: str
    row: int
    rows: str
    writer: str
    doc: str


REGIONS = (
    Region("registers",   4096, "1",           "both",   "Register map; see registers."),
    Region("counters",    1024, "1",           "both",   "One word a counter; see counters."),
    Region("histograms", 15392, "stages",      "both",   "One latency histogram a stage; see stages."),
    Region("engine",      4096, "1",           "host",   "ENGINE_STATUS."),
    Region("state",         64, "instruments", "device", "STATE_LINE of each instrument."),
    Region("positions",    128, "instruments", "host",   "POSITION of each instrument."),
    Region("window",        64, "64",          "host",   "Intent window."),
    Region("limits",       128, "instruments + 25", "host", "Limits table as the host stages it."),
    Region("order_ring",    64, "order_log2",  "device", "Order ring, credited."),
    Region("market_ring",   64, "market_log2", "device", "Market ring, free running."),
)

SHARED_HEADER = Message("shared_header", "", "Header of the shared memory", "tickwire shared memory", (
    Field("magic",        8, "octets", "TICKWIRE, written last."),
    Field("abi",          4, "uint",   "Register ABI: major version in the high half, minor in the low half."),
    Field("process",      4, "uint",   "Process that owns the file."),
    Field("digest",       8, "uint",   "Digest of the tables."),
    Field("size",         8, "uint",   "Octets of the file."),
    Field("started",      8, "uint",   "Creation, ns since 1970."),
    Field("instruments",  4, "uint",   "Instruments of the geometry."),
    Field("depth",        4, "uint",   "Levels a side that readers keep; 0: no LEVEL records."),
    Field("market_log2",  4, "uint",   "Slots of the market ring, logarithm."),
    Field("order_log2",   4, "uint",   "Slots of the order ring, logarithm."),
    Field("token_log2",   4, "uint",   "Rows of the device's order table, logarithm."),
    Field("reserved",     4, "uint",   "Zero."),
    Field("kind",        16, "ascii",  "What runs behind the contract."),
    Field("name",        32, "ascii",  "Name of the device."),
    Field("version",     16, "ascii",  "Version of tickwire."),
    *(Field(f"at_{region.name}", 8, "uint", f"Offset of the region {region.name}.") for region in REGIONS),
), order="little")
assert SHARED_HEADER.size == 208

ENGINE_STATUS = Message("engine_status", "", "What the engine tells", "tickwire shared memory", (
    Field("market_records",   8, "uint", "Market records read."),
    Field("order_records",    8, "uint", "Order records read."),
    Field("market_digest",    8, "uint", "Digest of the market records read, volatile fields left out."),
    Field("order_digest",     8, "uint", "The same of the order records."),
    Field("intents",          8, "uint", "Intents put in the window."),
    Field("turn_time",        8, "uint", "Time of the last turn, ns since 1970."),
    Field("started",          8, "uint", "Begin of the engine's loop, ns since 1970."),
    Field("reserved",         8, "uint", "Zero."),
    Field("strategy",        64, "ascii", "Path of the strategy."),
    *(Field(f"rejects_{check.name}", 8, "uint", f"Orders refused by the risk gate because of check {check.name}.") for check in CHECKS),
), order="little")
assert ENGINE_STATUS.size == 128 + 8 * len(CHECKS)

POSITION = Message("position", "", "Position of one instrument, as the records tell it", "tickwire shared memory", (
    Field("version",      8, "uint",  "Odd while the row is being written."),
    Field("symbol",       8, "ascii", "Symbol."),
    Field("locate",       4, "uint",  "Stock locate code; 0 not known yet."),
    Field("tick",         4, "price", "Tick size."),
    Field("position",     8, "int",   "Shares, negative short."),
    Field("cash",         8, "int",   "Received less paid, 1e-4 dollars."),
    Field("bought",       8, "int",   "Shares bought."),
    Field("sold",         8, "int",   "Shares sold."),
    Field("fills",        8, "int",   "Executions."),
    Field("orders",       8, "int",   "New orders and replaces sent."),
    Field("rejects",      8, "int",   "Orders refused by the risk gate or the venue."),
    Field("open_buy",     8, "int",   "Shares that open buys may still execute."),
    Field("open_sell",    8, "int",   "Shares that open sells may still execute."),
    Field("open_orders",  4, "uint",  "Orders open at the venue."),
    Field("pending",      4, "uint",  "New orders and replaces whose fate is not known yet."),
    Field("buy_token",    4, "uint",  "Newest buy that is open; 0 none."),
    Field("sell_token",   4, "uint",  "Newest sell that is open; 0 none."),
    Field("buy_price",    4, "price", "Its price."),
    Field("sell_price",   4, "price", "Its price."),
    Field("fill_price",   4, "price", "Price of the last fill; 0 none."),
    Field("fill_quantity", 4, "uint", "Shares of the last fill."),
), order="little")
assert POSITION.size == 128
