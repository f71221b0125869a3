"""Whole days of market data, made by the venue's own matching engine, and a way to blast them.

``python -m tickwire_sim.traffic OUT --messages N --symbols S --live L --seed K`` writes a
BinaryFILE. Its books never cross, executions hit the oldest order of the best level, and equal
arguments give equal octets. :class:`LoadPublisher` sends such a file on two multicast lines.
"""

import argparse
import mmap
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from tickwire.errors import InputError, TickwireError
from tickwire.kernels.arena import Arena
from tickwire_sim.exchange import store
from tickwire_sim.exchange.config import SYMBOLS_MAX, VenueConfig, symbols
from tickwire_sim.exchange.counters import COUNTER_SLOTS, COUNTERS
from tickwire_sim.exchange.layout import STORE
from tickwire_sim.exchange.lines import Lines
from tickwire_sim.exchange.publisher import answer, pace, pulse
from tickwire_sim.exchange.venue import DAY, NIGHT, Venue

MESSAGES_MIN, MESSAGES_MAX = 1_000, 1 << 32
_SECOND = 1_000_000_000
_END = b"\0\0"                             # a length of 0 ends a BinaryFILE


def generate(write: Callable[[memoryview], object], messages: int, symbol_count: int, live: int,
             seed: int) -> int:
    """Make a day of about ``messages`` with ``live`` resting orders; returns the exact number.

    ``write`` gets BinaryFILE records, the end mark excluded. The trading day is 6.5 hours of
    venue time whatever the number of messages.
    """
    if not MESSAGES_MIN <= messages <= MESSAGES_MAX:
        raise TickwireError(f"--messages must be {MESSAGES_MIN:,} to {MESSAGES_MAX:,}, "
                            f"not {messages:,}.")
    if messages < 4 * symbol_count:
        raise TickwireError(f"--messages must be at least 4 a symbol, {4 * symbol_count:,}, "
                            f"because the directory takes 3; not {messages:,}.")
    hours = (NIGHT[0] - DAY[2]) / _SECOND
    venue = Venue(VenueConfig(
        symbols=symbols(symbol_count, seed), seed=seed, live_orders=live,
        messages_per_second=max(round(messages / hours), 1),
        order_slots=max(2 * live, 1 << 16), accounts=()))
    return venue.run_virtual(messages, write)


class LoadPublisher:
    """Sends the messages of a BinaryFILE on two lines at a steady rate, and repeats lost ones.

    The file is mapped, so that it may be larger than memory. Groups, ports and impairments are
    those of ``config``; its agents and its order port play no part. A context manager.
    """

    def __init__(self, path: str | Path, config: VenueConfig | None = None) -> None:
        """Map and number the messages, and open the sockets."""
        config = config or VenueConfig()
        self.config, self.path = config, Path(path)
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"Cannot map {path}: {reason}.") from None
        self._octets = np.frombuffer(self._map, np.uint8)
        self._arena = arena = Arena()
        row_address = arena.take_rows("store", STORE)
        row = arena.view("store", STORE)[0]
        places = 1 << max(size // 14, 1).bit_length()
        row["base"], row["size"], row["oldest"] = self._octets.ctypes.data, size, 1
        row["index"], row["index_mask"] = arena.take("index", 8 * places), places - 1
        store.index(row_address, size)
        self.messages = int(row["count"])
        if self.messages == 0:
            raise InputError(f"{path} does not begin with a BinaryFILE message.")
        self._lines = Lines(arena, config, row_address, arena.take("counters", 8 * COUNTER_SLOTS))
        self.ports, self.request_port = self._lines.ports, self._lines.request_port

    def run(self, rate: int, seconds: float) -> int:
        """Send ``rate`` messages a second for ``seconds``, or until all are sent.

        Goes on where an earlier call ended; returns the messages sent so far.
        """
        if not 1 <= rate <= 50_000_000:
            raise TickwireError(f"The rate must be 1 to 50,000,000 messages a second, not {rate}.")
        now = time.monotonic_ns()
        # The pace counts from a time at which the messages already sent would have begun.
        begin = now - self._lines.published * _SECOND // rate
        end = now + round(seconds * _SECOND)
        while now < end and self._lines.published < self.messages:
            now = pace(self._lines.address, begin, rate, self.messages,
                       min(end, now + _SECOND // 20))
        return self._lines.published

    def end(self, seconds: float = 1.0) -> None:
        """Say that the session is over for ``seconds``, and answer requests meanwhile."""
        self._lines.end(min(self.config.heartbeat_seconds, max(seconds / 4, 0.01)))
        until = time.monotonic_ns() + round(seconds * _SECOND)
        while (now := time.monotonic_ns()) < until:
            pulse(self._lines.address, now)
            answer(self._lines.address)
            time.sleep(0.001)

    def statistics(self) -> dict[str, int]:
        """Every counter by its name."""
        words = self._arena.view("counters", np.int64)
        return {counter.name: int(words[index]) for index, counter in enumerate(COUNTERS)}

    def close(self) -> None:
        """Close the sockets and unmap the file."""
        self._lines.close()

    def __enter__(self) -> "LoadPublisher":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a day to a file; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tickwire_sim.traffic",
                                     description="Write a day of ITCH 5.0 as a BinaryFILE.")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write")
    parser.add_argument("--messages", type=int, default=5_000_000, metavar="N")
    parser.add_argument("--symbols", type=int, default=8_000, metavar="S",
                        help=f"1 to {SYMBOLS_MAX:,}")
    parser.add_argument("--live", type=int, default=400_000, metavar="L",
                        help="resting orders in all books together")
    parser.add_argument("--seed", type=int, default=1, metavar="K")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    try:
        with options.out.open("wb") as file:
            made = generate(file.write, options.messages, options.symbols, options.live,
                            options.seed)
            file.write(_END)
    except OSError as error:
        sys.stderr.write(f"Cannot write {options.out}: {error.strerror}.\n")
        return InputError.exit_code
    except TickwireError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    took = time.perf_counter() - began
    sys.stderr.write(f"{made:,} messages, {options.out.stat().st_size:,} octets, "
                     f"{made / took / 1e6:.2f} M messages/s.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
