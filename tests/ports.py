"""Ports, groups and a name that no other test and no running demo uses."""

import itertools
import os
import socket
from dataclasses import dataclass

_numbers = itertools.count()


@dataclass(frozen=True)
class Ports:
    """Where a run of its own is."""

    name: str
    group: str
    line_a: int
    line_b: int
    request: int
    orders: int

    def overrides(self) -> list[str]:
        """KEY=VALUE for the command line."""
        return [f"{key}={value!r}".replace("'", '"') for key, value in self.document().items()]

    def document(self) -> dict[str, object]:
        """The same as a mapping for ``Config.with_overrides``."""
        return {"device.name": self.name, "feed.group_a": self.group, "feed.group_b": self.group,
                "feed.port_a": self.line_a, "feed.port_b": self.line_b,
                "feed.request_port": self.request, "orders.port": self.orders}


def free_ports() -> Ports:
    """Find ports that are free now."""
    held = [socket.socket(socket.AF_INET, kind)
            for kind in (socket.SOCK_DGRAM, socket.SOCK_DGRAM, socket.SOCK_DGRAM,
                         socket.SOCK_STREAM)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    numbers = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    process, number = os.getpid(), next(_numbers)
    group = f"239.{process >> 8 & 255}.{process & 255}.{number}"
    return Ports(f"test-{process}-run{number}", group, *numbers)
