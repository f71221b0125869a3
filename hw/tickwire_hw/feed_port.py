"""What `Arbiter` says to the book: messages and states of the feed, one ordered stream."""

from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import Out

from tickwire.spec.records import FeedState, Line
from tickwire_hw.blocks_port import Header, Message

LINE_SHAPE = range(len(Line))
STATE_SHAPE = range(len(FeedState))
SESSION_SHAPE = Header.as_shape()["session"].shape
FLAGS_SHAPE = 8


class EventKind(enum.Enum, shape=2):
    """What an event is; it decides which of the fields mean something."""

    MESSAGE = 0          # `message` has number `sequence`
    FEED = 1             # a FEED_STATE record: `state`, `sequence` is expected, `received`
    DESYNC_ALL = 2       # messages up to `sequence` may be missing from every book; also FLAGS
    FLAGS = 3            # the BookFlag bits of the whole feed are now `flags`


class FeedEvent(data.Struct):
    """One event. ``stamp`` is the ingress time of what caused it, or the time of the tick."""

    kind: EventKind
    sequence: 64
    stamp: 64
    line: LINE_SHAPE
    message: Message
    received: 64
    session: SESSION_SHAPE
    state: STATE_SHAPE
    flags: FLAGS_SHAPE


def event_stream() -> wiring.Flow:
    """Member of a component that gives events; nothing can hold them back."""
    return Out(stream.Signature(FeedEvent, always_ready=True))
