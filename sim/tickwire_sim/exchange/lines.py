"""The publisher's memory and sockets: two lines, their impairments, the request port."""

import socket
import time

import numpy as np

from tickwire.kernels.arena import Arena
from tickwire_sim.exchange.agents import LINE_STREAMS, REQUEST_STREAM
from tickwire_sim.exchange.config import LineConfig, VenueConfig
from tickwire_sim.exchange.layout import DELAYED, LINE, PACKET_SPACE, PUBLISHER
from tickwire_sim.exchange.publisher import FIRST_LINE_COUNTER, LINE_COUNTERS, SOCKET_ADDRESS
from tickwire_sim.exchange.randomness import seeded
from tickwire_sim.exchange.sockets import free_port, line_socket, request_socket

DELAY_QUEUE = 4_096                        # packets of a delayed line; a power of two


def _part(probability: float) -> int:
    """Probability in 2^-32."""
    return round(probability * (1 << 32))


class Lines:
    """Publishes the store at address ``store`` for ``config``; opens its sockets at once.

    ``address`` is the PUBLISHER row, ``ports`` the groups and ports in use, A then B.
    """

    def __init__(self, arena: Arena, config: VenueConfig, store: int, counters: int) -> None:
        """Open the sockets; raises :class:`TickwireError` when one cannot be opened."""
        self.address = arena.take_rows("publisher", PUBLISHER)
        row = arena.view("publisher", PUBLISHER)[0]
        row["store"], row["counters"] = store, counters
        arena.view("publisher")[PUBLISHER.fields["session"][1]:][:10] = np.frombuffer(
            config.session.ljust(10).encode(), np.uint8)
        row["packet"] = arena.take("packet", PACKET_SPACE)
        row["packet_octets"] = config.packet_octets
        row["lines"], row["line_count"] = arena.take_rows("lines", LINE, 2), 2
        row["heartbeat"] = round(config.heartbeat_seconds * 1e9)
        row["last_sent"] = time.monotonic_ns()
        row["request"] = arena.take("request", 64)
        row["peer"] = arena.take("peer", 2 * SOCKET_ADDRESS)
        row["request_loss"] = _part(config.request_loss)
        arena.take("line random", 24)
        row["random"] = arena.address("line random") + 16
        arena.view("line random", np.int64)[2] = seeded(config.seed, REQUEST_STREAM)
        self.row = row
        self.sockets: list[socket.socket] = []
        self.ports: list[tuple[str, int]] = []
        try:
            for index, (name, line) in enumerate((("A", config.line_a), ("B", config.line_b))):
                self._open(arena, config, index, name, line)
            self.requests = request_socket(config.interface, config.request_port)
            self.sockets.append(self.requests)
        except BaseException:
            self.close()
            raise
        row["request_socket"] = self.requests.fileno()
        self.request_port: int = self.requests.getsockname()[1]

    def _open(self, arena: Arena, config: VenueConfig, index: int, name: str,
              line: LineConfig) -> None:
        """Set one line up."""
        port = line.port or free_port(line.group)
        made = line_socket(name, line.group, port, config.interface)
        self.sockets.append(made)
        self.ports.append((line.group, port))
        row = arena.view("lines", LINE)[index]
        arena.view("line random", np.int64)[index] = seeded(config.seed, LINE_STREAMS[index])
        row["socket"] = made.fileno()
        row["random"] = arena.address("line random") + 8 * index
        row["loss"], row["duplicate"] = _part(line.loss), _part(line.duplicate)
        row["reorder"], row["delay"] = _part(line.reorder), line.delay_us * 1_000
        row["held"] = arena.take(f"held {name}", PACKET_SPACE)
        row["counters"] = int(self.row["counters"]) + 8 * (FIRST_LINE_COUNTER
                                                          + LINE_COUNTERS * index)
        row["queue_mask"] = DELAY_QUEUE - 1
        if line.delay_us:
            row["queue"] = arena.take_rows(f"queue {name}", DELAYED, DELAY_QUEUE)

    @property
    def published(self) -> int:
        """Number of the last message that was sent."""
        return int(self.row["published"])

    def end(self, heartbeat_seconds: float) -> None:
        """From now on idle lines say that the session is over, first at once."""
        self.row["ended"] = 1
        self.row["heartbeat"] = round(heartbeat_seconds * 1e9)
        self.row["last_sent"] = 0

    def close(self) -> None:
        """Close every socket."""
        for made in self.sockets:
            made.close()
        self.sockets.clear()



