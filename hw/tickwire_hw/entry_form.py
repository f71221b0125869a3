"""What an intent can not be, before the gate is asked (kernels ``order_path``, ``triggers``)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tickwire.spec.intents import TRIGGERS, IntentError, IntentFlag, Operation, TriggerKind
from tickwire.spec.limits import STRATEGIES
from tickwire.spec.orders import OrderState
from tickwire.spec.sessions import SESSIONS_MAX
from tickwire_hw.intent_window import Taken
from tickwire_hw.order_rows import OrderRow
from tickwire_hw.triggers_port import TRIGGER_LAYOUT

_ALL_FLAGS = sum(IntentFlag)
_SIDES = (IntentFlag.SELL | IntentFlag.SHORT).value


class Refusal(data.Struct):
    """Why a message is refused: an IntentError, 0 when it is not; what there is and what came."""

    error: 8
    expected: 32
    received: 32


class EntryForm(wiring.Component):
    """Give the first reason, in the kernels' order, why a message can not be; combinational.

    Members
    -------
    taken, old : ``In``
        The message, and the order that it is about.
    is_watched, instrument, version : ``In``
        Whether its locate is of an instrument, of which one, and the version of its book.
    sessions, is_up : ``In``
        How many order sessions there are, and whether that of ``old`` is up.
    is_timed : ``In(1)``
        Its age and the book that it saw count.
    generation, is_armed : ``In``
        Of the slot of a trigger.
    o : ``Out(Refusal)``
        The reason.
    """

    taken: In(Taken)
    old: In(OrderRow)
    is_watched: In(1)
    instrument: In(16)
    version: In(32)
    sessions: In(range(SESSIONS_MAX + 1))
    is_up: In(1)
    is_timed: In(1)
    generation: In(32)
    is_armed: In(1)
    o: Out(Refusal)

    def elaborate(self, platform):
        """Return a chain of reasons for each operation."""
        m = Module()

        intent, old, timed = self.taken.intent, self.old, self.is_timed
        lag = Signal(32)
        m.d.comb += lag.eq(self.version - intent.book_version)
        is_unknown = ((old.token != intent.token) | (old.state == OrderState.DEAD)
                      | ~intent.token.any())
        strategy = (intent.strategy >= STRATEGIES, IntentError.UNKNOWN_STRATEGY, STRATEGIES,
                    intent.strategy)
        instrument = (~self.is_watched, IntentError.UNKNOWN_INSTRUMENT, 0, intent.locate)
        order = (is_unknown, IntentError.UNKNOWN_ORDER, 0, intent.token)
        flags = (intent.flags & (0xFF ^ _ALL_FLAGS)).any()
        trigger, following = data.View(TRIGGER_LAYOUT, intent.as_value()), Signal(32)
        m.d.comb += following.eq(self.generation + 1)
        slot = (trigger.slot >= TRIGGERS, IntentError.TRIGGER_SLOT, TRIGGERS - 1, trigger.slot)
        generation = IntentError.TRIGGER_GENERATION
        # A fill is looked at by the slots of its own instrument.
        is_elsewhere = ((trigger.kind == TriggerKind.FILL_HEDGE)
                        & (old.instrument != self.instrument))
        timing = (
            (timed & self.taken.is_old, IntentError.STALE, intent.ttl_ns, self.taken.age),
            (timed & intent.max_version_lag.any() & (lag > intent.max_version_lag),
             IntentError.BOOK_VERSION, self.version, intent.book_version))
        new = (
            (intent.session >= self.sessions, IntentError.UNKNOWN_SESSION, self.sessions,
             intent.session), strategy, instrument,
            (flags | (intent.flags & _SIDES == IntentFlag.SHORT), IntentError.FLAGS,
             _ALL_FLAGS, intent.flags), *timing)
        chains = {
            Operation.NEW: new,
            Operation.PRE_ARM: (
                *new[:-1], slot,
                (~trigger.kind.any() | (trigger.kind > TriggerKind.FILL_HEDGE),
                 IntentError.TRIGGER_KIND, TriggerKind.FILL_HEDGE, trigger.kind),
                (trigger.generation != following, generation, following, trigger.generation),
                ((trigger.kind >= TriggerKind.CANCEL_ON_MOVE) & (is_unknown | is_elsewhere),
                 *order[1:])),
            Operation.DISARM: (
                instrument, slot, (
                    ~self.is_armed | (trigger.generation != self.generation), generation,
                    self.generation, trigger.generation)),
            Operation.MASS_CANCEL: (
                (intent.locate.any() & ~self.is_watched, *instrument[1:]),),
            Operation.CANCEL: (order, (~self.is_up, IntentError.SESSION_DOWN, 1, old.session)),
            Operation.REPLACE: (
                order, (old.successor.any() | (old.state == OrderState.REPLACING),
                        IntentError.REPLACE_PENDING, 0, intent.token), strategy,
                (flags, IntentError.FLAGS, _ALL_FLAGS, intent.flags), *timing)}
        with m.Switch(intent.operation):
            for operation, chain in chains.items():
                with m.Case(operation):
                    for number, reason in enumerate(chain):
                        with (m.Elif if number else m.If)(reason[0]):
                            self._give(m, *reason[1:])
            with m.Default():
                self._give(m, IntentError.OPERATION, 0, intent.operation)

        return m

    def _give(self, m, error, expected, received):
        m.d.comb += [self.o.error.eq(error), self.o.expected.eq(expected),
                     self.o.received.eq(received)]
