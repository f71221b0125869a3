"""A card that trades, and its engine, as a run of this market has them."""

import contextlib
from collections.abc import Iterator

from tests.vfio.market import RING_LOG2
from tickwire.config import Config
from tickwire.device.card_device import CardDevice
from tickwire.device.limits_rows import fill_limits
from tickwire.device.pcie import PCIeDevice
from tickwire.device.transport import Transport
from tickwire.engine import Engine
from tickwire.strategy.base import load

PCIeDevice.seconds = 60.0                  # in which a card answers: emulated, beside other work


@contextlib.contextmanager
def engine_on(transport: Transport, config: Config) -> Iterator[tuple[CardDevice, Engine]]:
    """Open the card with its limits staged, and start the engine; stop both at the end.

    There is no IOMMU, so everything that the card writes lies in huge pages of this process.
    """
    feed = config.feed
    ticks = {entry.symbol: entry.tick for entry in config.symbols}
    with CardDevice("guest", transport, ticks, shared=(), market_log2=RING_LOG2,
                    order_log2=RING_LOG2, lines=((feed.group_a, feed.port_a),
                                                 (feed.group_b, feed.port_b))) as card:
        engine = Engine(card, load(config.strategy.path, config.symbols,
                                   config.strategy.parameters))
        fill_limits(card.stage_limits(), config.risk, dict(enumerate(ticks.items())))
        engine.start()
        with contextlib.closing(engine):
            yield card, engine
