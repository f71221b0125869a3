"""Register map (BAR0): 32-bit registers, 64-bit values as LO and HI, little-endian.

The software device keeps the same map in shared memory; the card decodes the same addresses. What
sets up a card's network side (0x0200 to 0x02FF) is configuration of the software device's process.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Literal

MAGIC = 0x4B435454                         # "TTCK"
ABI_MAJOR, ABI_MINOR = 1, 0
ARM_KEY = 0xA5A5_A5A5                      # first arming key is EPOCH ^ ARM_KEY, the second its complement
ARM_WINDOW_NS = 1_000_000                  # the second arming key must follow within this time
CLOCK_FRACTION_BITS = 32                   # the clock counts 2^-32 ns
REGISTER_SPACE = 0x1000
COUNTER_OFFSET = 0x0800                    # in BAR 0: the counter page, 8 octets a counter
HISTOGRAM_OFFSET = 0x4000                  # in BAR 0: the histogram page, words of one stage
FRAME_OFFSET = 0x8000                      # in BAR 0: the frame page, octets of a frame of the host
FRAME_TO_ORDERS = 1 << 31
"""Bit of FRAME_SEND: the frame is for the order line."""
FRAME_PAGE = 16_384                        # octets of the frame page
BAR_REGISTERS, BAR_WINDOW, BAR_INTERRUPTS = 0, 2, 4
BAR_LOG2 = 16                              # octets of BAR 0 and of BAR 4, logarithm
WINDOW_LOG2 = 12                           # octets of BAR 2
PCI_VENDOR, PCI_DEVICE = 0x10EE, 0x7443    # the hard block's vendor: no number of our own is registered
INTERRUPT_VECTORS = 8                      # rows of the MSI-X table, at the begin of BAR 4
INTERRUPT_PENDING = 0x0800                 # MSI-X pending bits, in BAR 4
RING_LOG2_MIN, RING_LOG2_MAX = 6, 20


class KillCause(IntFlag):
    """Why the device is killed; every bit is sticky until the two-key re-arm."""

    POWER_ON = 1
    REGISTER = 2
    WATCHDOG = 4
    LINK_DOWN = 8
    INTENT_ERRORS = 16
    LOSS_LIMIT = 32
    FEED_STALE = 64
    EXTERNAL = 128
    SESSION_DOWN = 256
    CONFIGURATION = 512
    SETTLEMENT = 1024    # an answer of the venue contradicts the order table


class KillAction(IntFlag):
    """Register KILL_ACTION: what the kill does beyond keeping orders back."""

    MASS_CANCEL = 1      # cancels every open order


class Capability(IntFlag):
    """Register CAPABILITIES: what a device can do, or is."""

    LEVELS = 1           # LEVEL records
    TRIGGERS = 2
    SIMULATED_TIME = 4   # time is that of cycles which are simulated
    HOST_FRAMES = 8      # frames of the host, by the frame page
    ORDER_LINE = 16      # the order line's frames: captured in both directions, and sent for the host


class Status(IntFlag):
    """Register STATUS."""

    RUNNING = 1
    ARMED = 2
    KILLED = 4
    FEED_LIVE = 8
    SESSION_UP = 16
    ENDED = 32
    RING_ERROR = 64      # a ring or the state table was refused: see its CONTROL


class RingControl(IntFlag):
    """Registers RING_*_CONTROL and STATE_CONTROL."""

    ENABLE = 1           # set: begin at record 1; clear: write nothing more
    REFUSED = 2          # reads as set when base or size were refused; a clear of ENABLE clears it


class FeedSetting(IntFlag):
    """Register FEED_SETTING of a card."""

    WAIT_FOR_B = 1       # a gap waits for line B too
    CHECK_UDP = 2        # datagrams with a wrong checksum are dropped
    OTHER_SESSION = 4    # another session may take over
    HAS_SESSION = 8      # FEED_SESSION is set
    WATCH_ALL = 16       # every stock locate below the number of instruments is its own instrument


class Interrupt(IntFlag):
    """Slow events, registers INTERRUPT_*; bit n is MSI-X vector n."""

    KILL = 1             # the kill latched
    CONFIGURATION = 2    # a limits table was committed or refused
    RING_ERROR = 4       # a ring was refused
    LOST = 8             # records were dropped before a ring
    FEED = 16            # FEED_STATE changed
    INTENT_ERROR = 32    # an intent was refused before the risk gate


class HistogramControl(IntFlag):
    """Register HISTOGRAM_CONTROL: what becomes of the histograms that a card counts in."""

    SHOW = 1             # show what was counted since the last time, and count elsewhere; ignored unless READY
    RELEASE = 2          # what is shown is read: it is cleared


class HistogramState(IntFlag):
    """Register HISTOGRAM_STATE, low octet; the next one is the stage that the page shows."""

    READY = 1            # there is a clear place to count in: SHOW works
    SHOWN = 2            # the page stands still


class GapPolicy(IntEnum):
    """Register GAP_POLICY: what becomes of messages that no line can bring any more."""

    WAIT = 0             # until the recovery line brings them
    SKIP = 1             # they are lost: go on, and mark every book desynced


@dataclass(frozen=True, slots=True)
class Register:
    """One register: ``offset`` in octets, ``size`` 4 or 8, access as the host sees it."""

    name: str
    offset: int
    size: Literal[4, 8]
    access: Literal["ro", "rw", "wo"]
    doc: str


REGISTERS = (
    Register("MAGIC",          0x0000, 4, "ro", "0x4B435454; anything else is not a tickwire device."),
    Register("ABI",            0x0004, 4, "ro", "Major version in the high half, minor in the low half."),
    Register("DIGEST",         0x0008, 8, "ro", "Digest of the tables in tickwire.spec; the host refuses another."),
    Register("CAPABILITIES",   0x0010, 4, "ro", "Capability."),
    Register("CORE_HZ",        0x0014, 4, "ro", "Clock of the core, 1e9 where time is nanoseconds."),
    Register("ECHO",           0x0018, 4, "rw", "Reads as the complement of what was written."),
    Register("CONTROL",        0x0020, 4, "rw", "Bit 0 run, bit 1 stop when idle."),
    Register("STATUS",         0x0024, 4, "ro", "Status."),
    Register("FEED_STATE",     0x0028, 4, "ro", "FeedState."),
    Register("GAP_POLICY",     0x002C, 4, "rw", "0 wait for recovery, 1 skip and mark every book desynced."),
    Register("FEED_EXPECTED",  0x0030, 8, "ro", "Next sequence that the book needs."),
    Register("FEED_HIGHEST",   0x0038, 8, "ro", "Highest sequence that any line has shown, plus one."),
    Register("FEED_GIVE_UP",   0x0040, 8, "wo", "Messages before this number are lost: go on with it, and mark every book desynced."),
    Register("RING_MARKET_SEQUENCE", 0x0118, 8, "ro", "Records written to the market ring."),
    Register("RING_MARKET_LOG2", 0x0120, 4, "rw", "Slots of the market ring, logarithm."),
    Register("RING_ORDER_SEQUENCE", 0x0158, 8, "ro", "Records written to the order ring."),
    Register("RING_ORDER_LOG2", 0x0160, 4, "rw", "Slots of the order ring, logarithm."),
    Register("RING_ORDER_CONSUMED", 0x0168, 8, "wo", "Order records that the host has read: the ring's credit."),
    Register("RING_EPOCH",     0x0170, 4, "ro", "Epoch of this run, 1 to 255."),
    Register("LIMITS_VERSION", 0x0440, 4, "ro", "Version of the committed limits table."),
    Register("LIMITS_CRC",     0x0444, 4, "ro", "CRC-32C of the committed limits table."),
    Register("LIMITS_COMMIT",  0x0448, 8, "wo", "Version in the low half, CRC-32C in the high half: puts the staged limits in force."),
    Register("ARM",            0x0600, 8, "wo", "Two keys: EPOCH ^ 0xA5A5A5A5, then its complement, within 1 ms."),
    Register("KILL",           0x0608, 4, "wo", "Any write latches the kill; the value is the cause, REGISTER when it names none."),
    Register("KILL_CAUSE",     0x060C, 4, "ro", "KillCause mask."),
    Register("KILL_TIME",      0x0610, 8, "ro", "Time of the kill, ns."),
    Register("WATCHDOG_PERIOD", 0x0618, 4, "rw", "Microseconds without a kick until the kill; 0 off."),
    Register("WATCHDOG_CLOSED", 0x061C, 4, "rw", "Microseconds after a kick in which the next one comes too soon and kills; 0 off."),
    Register("WATCHDOG_KICK",  0x0620, 8, "wo", "Must rise with every kick."),
    Register("KILL_ACTION",    0x0628, 4, "rw", "KillAction."),
    Register("EPOCH",          0x062C, 4, "ro", "Arming token that intents must carry."),
    Register("INSTRUMENT_KILL", 0x0630, 4, "wo", "Instrument in the low half; bit 16 set blocks its orders, clear lets them pass."),
    Register("SESSION_STATE",  0x0634, 4, "wo", "Order session that the host runs, in the low half; bit 16 set: it is up, clear: it is down and no order passes."),
    Register("STRATEGY_KILL",  0x0638, 4, "wo", "Strategy in the low half; bit 16 set blocks its orders, clear releases it: orders pass, and their count begins anew."),
    Register("SESSION_KILL",   0x063C, 4, "wo", "Order session in the low half; bit 16 set blocks its orders but not cancels, clear lets them pass."),
    Register("TIME_NOW",       0x0700, 8, "ro", "Device clock, ns."),
    Register("INTERRUPT_MASK", 0x0048, 4, "rw", "Interrupt: events that may send a message."),
    Register("INTERRUPT_CAUSE", 0x004C, 4, "rw", "Interrupt: events since they were cleared; a bit written as 1 clears it."),
    Register("GEOMETRY_BOOK",  0x0050, 8, "ro", "Octets from the lowest: instruments - 1 (two), orders_log2, levels_log2, window_words, lookups, depth, token_log2."),
    Register("GEOMETRY_QUEUES", 0x0058, 8, "ro", "Two octets each: order_stash, level_stash, sweep_queue, cached."),
    Register("COUNTERS_TAKE",  0x0064, 4, "wo", "A write takes a picture of all counters of one instant, which the counter page shows from then on."),
    Register("LINE_A",         0x0200, 8, "rw", "UDP port in 16 bits, IPv4 group in the 32 above, bit 48: line A listens there."),
    Register("LINE_B",         0x0208, 8, "rw", "The same for line B."),
    Register("LINE_RECOVERY",  0x0210, 8, "rw", "The same for frames of the host: address and port of what it has recovered."),
    Register("FEED_SETTING",   0x0218, 4, "rw", "FeedSetting."),
    Register("FRAME_SIZE_MAX", 0x021C, 4, "rw", "Octets that a frame may have at most, without its check."),
    Register("FEED_START",     0x0220, 8, "rw", "First message of the session that the books need; 0 joins wherever the stream is."),
    Register("FEED_SESSION",   0x0228, 8, "rw", "First eight characters of the only session that will do at first, the first one lowest."),
    Register("FEED_SESSION_END", 0x0230, 4, "rw", "Its last two characters."),
    Register("LINE_TIMEOUT",   0x0238, 8, "rw", "Silence after which a line is not waited for, ns; 0 never."),
    Register("GAP_PATIENCE",   0x0240, 8, "rw", "Age at which a hole counts as a gap, ns; 0 at once."),
    Register("FEED_STALE",     0x0248, 8, "rw", "Silence that makes the feed stale, ns; 0 never."),
    Register("INSTRUMENT_INDEX", 0x0250, 4, "rw", "Instrument that the next three are about."),
    Register("GRID_MULTIPLIER", 0x0254, 4, "rw", "Multiplier of its tick grid."),
    Register("INSTRUMENT_GRID", 0x0258, 8, "wo", "Sets its tick grid: tick size in the low 32 bits, then 8 bits of shift, then the least tick of bids above a dollar; all 0: from its first order."),
    Register("INSTRUMENT_SYMBOL", 0x0260, 8, "wo", "Watches the stock with these eight characters, the first one highest, as this instrument."),
    Register("SESSION_INDEX",  0x0268, 4, "rw", "Order session, and in bits 8 to 10 the word of its template, that the next three are about."),
    Register("SESSION_UPDATE", 0x026C, 4, "rw", "SessionOperation, and the window of the connection's peer in the high half; ignored while it does not read as 0, until the update before has been taken."),
    Register("SESSION_TEMPLATE", 0x0270, 8, "wo", "Sets a word of the session's template, octet 0 lowest."),
    Register("SESSION_POSITION", 0x0278, 8, "rw", "Sequence number of the connection's next octet, for a lease, and acknowledgment number in the high half."),
    Register("ORDER_SESSIONS", 0x0280, 4, "rw", "Order sessions that there are, from number 0 on."),
    Register("SESSIONS_RELEASED", 0x0284, 4, "rw", "Mask of the sessions whose order messages the host sends."),
    Register("ORDER_NUMBER",   0x0288, 4, "wo", "Orders have no number below this from now on: the venue's next one."),
    Register("RING_MARKET_BASE", 0x0100, 8, "rw", "Bus address of the market ring, a multiple of its octets; taken when it is enabled."),
    Register("RING_MARKET_CONTROL", 0x0108, 4, "rw", "RingControl."),
    Register("RING_MARKET_DROPS", 0x0128, 8, "ro", "Records that found no room before the market ring."),
    Register("RING_MARKET_QUEUE_MAX", 0x0130, 4, "ro", "Greatest fill of the queue before the market ring."),
    Register("RING_ORDER_BASE", 0x0140, 8, "rw", "Bus address of the order ring, a multiple of its octets; taken when it is enabled."),
    Register("RING_ORDER_CONTROL", 0x0148, 4, "rw", "RingControl."),
    Register("RING_CAPTURE_BASE", 0x0180, 8, "rw", "Bus address of the capture ring, a multiple of its octets; taken when it is enabled."),
    Register("RING_CAPTURE_CONTROL", 0x0188, 4, "rw", "RingControl."),
    Register("RING_CAPTURE_SEQUENCE", 0x0198, 8, "ro", "Records written to the capture ring."),
    Register("RING_CAPTURE_LOG2", 0x01A0, 4, "rw", "Slots of the capture ring, logarithm."),
    Register("RING_CAPTURE_DROPS", 0x01A8, 8, "ro", "Records that found no room before the capture ring."),
    Register("STATE_BASE",     0x0300, 8, "rw", "Bus address of the state table, a multiple of its octets rounded up to a power of two."),
    Register("STATE_CONTROL",  0x0308, 4, "rw", "RingControl."),
    Register("TABLE_INDEX",    0x0450, 4, "rw", "Next word of the limits table that TABLE_DATA loads, in units of 8 octets; 0 begins a table."),
    Register("TABLE_DATA",     0x0458, 8, "wo", "Loads a word into the bank that is not in force; TABLE_INDEX goes on by one."),
    Register("TABLE_CRC",      0x0460, 4, "ro", "CRC-32C of the words that were loaded in sequence since TABLE_INDEX was 0."),
    Register("CLOCK_INCREMENT", 0x0708, 8, "wo", "What a cycle adds to the clock, 2^-32 ns, below 2^40; 0 is ignored."),
    Register("CLOCK_SET",      0x0710, 8, "wo", "Sets the clock, ns; ignored while the device is armed."),
    Register("CLOCK_SLEW",     0x0718, 8, "wo", "Correction in ns, signed, below 2^31 either way; replaces what is left of the one before."),
    Register("CLOCK_SLEW_RATE", 0x0720, 4, "rw", "Correction of a cycle at most, 2^-32 ns; never more than half an increment."),
    Register("CLOCK_SNAP",     0x0724, 4, "wo", "Any write keeps clock and cycle counter, as they are when it arrives."),
    Register("CLOCK_SNAP_TIME", 0x0728, 8, "ro", "Clock at the snapshot, ns."),
    Register("CLOCK_SNAP_COUNTER", 0x0730, 8, "ro", "Cycles since reset at the snapshot."),
    Register("CLOCK_SLEW_LEFT", 0x0738, 8, "ro", "Correction that is still to be made, 2^-32 ns, signed."),
    Register("HISTOGRAM_CONTROL", 0x0068, 4, "wo", "HistogramControl."),
    Register("HISTOGRAM_STAGE", 0x006C, 4, "rw", "Stage of which the histogram page shows the words, 8 octets each."),
    Register("FRAME_SEND",     0x028C, 4, "rw", "Gives so many octets of the frame page, in the low half, to the market side as a frame of the host, or with bit 31 to the order line; 0 and what the page does not hold are ignored. Reads as 0 when the page may be written."),
    Register("HISTOGRAM_STATE", 0x0070, 4, "ro", "HistogramState in the low octet, the stage that the page shows in the next one."),
)

RegisterOffset: Any = IntEnum("RegisterOffset", {row.name: row.offset for row in REGISTERS})
"""Offset of each register by its name."""
