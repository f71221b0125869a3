"""Command line of the venue: ``python -m tickwire_sim.exchange --symbols 8 --seed 1``."""

import argparse
import logging
import sys
from collections.abc import Sequence

from tickwire.errors import TickwireError
from tickwire_sim.exchange.config import AccountConfig, LineConfig, VenueConfig, symbols


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m tickwire_sim.exchange",
                                   description="Run a venue on the loopback interface.")
    made.add_argument("--symbols", type=int, default=8, help="how many symbols trade")
    made.add_argument("--seed", type=int, default=1, help="same seed, same market")
    made.add_argument("--rate", type=int, default=20_000, metavar="N",
                      help="messages a second on average; 0 without agents")
    made.add_argument("--live", type=int, default=0, metavar="N",
                      help="resting orders of the agents; 0 for 60 a symbol")
    made.add_argument("--seconds", type=float, default=0, help="how long; 0 until stopped")
    made.add_argument("--line-a", default="239.192.64.1:26401", metavar="GROUP:PORT")
    made.add_argument("--line-b", default="239.192.64.2:26402", metavar="GROUP:PORT")
    made.add_argument("--request-port", type=int, default=26_403, metavar="PORT")
    made.add_argument("--order-port", type=int, default=26_404, metavar="PORT")
    for what in ("loss", "duplicate", "reorder"):
        made.add_argument(f"--{what}", type=_pair, default=(0.0, 0.0), metavar="A,B",
                          help=f"probability of {what} of a packet on each line")
    made.add_argument("--delay-us", type=_pair, default=(0.0, 0.0), metavar="A,B",
                      help="delay of each line in microseconds")
    made.add_argument("--account", action="append", default=[], metavar="USER[:PASSWORD]",
                      help="who may log in; by default trader without a password")
    made.add_argument("--session", default="TICKWIRE01")
    made.add_argument("--cancel-on-disconnect", action="store_true")
    return made


def _pair(text: str) -> tuple[float, float]:
    """One number for both lines, or two with a comma between."""
    first, _, second = text.partition(",")
    return float(first), float(second or first)


def _line(text: str, index: int, options: argparse.Namespace) -> LineConfig:
    group, _, port = text.rpartition(":")
    if not port.isdigit():
        raise TickwireError(f"A line must be GROUP:PORT, not {text!r}.")
    return LineConfig(group, int(port), options.loss[index], options.duplicate[index],
                      options.reorder[index], round(options.delay_us[index]))


def configuration(options: argparse.Namespace) -> VenueConfig:
    """Return the configuration that the options ask for."""
    accounts = tuple(AccountConfig(*text.split(":", 1)) for text in options.account)
    return VenueConfig(
        symbols=symbols(options.symbols, options.seed), seed=options.seed,
        messages_per_second=options.rate, live_orders=options.live,
        line_a=_line(options.line_a, 0, options), line_b=_line(options.line_b, 1, options),
        request_port=options.request_port, order_port=options.order_port,
        accounts=accounts or (AccountConfig("trader"),), session=options.session,
        seconds=options.seconds, cancel_on_disconnect=options.cancel_on_disconnect)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the venue; return the exit status."""
    options = parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        config = configuration(options)
        from tickwire_sim.exchange.venue import run_venue
        return run_venue(config)
    except TickwireError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
