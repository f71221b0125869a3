"""Prometheus endpoint: the counters, stages and positions of a device, as the tables declare them.

Names and help texts come from ``spec.counters`` and ``spec.stages``. A scrape reads shared memory
and costs the engine nothing. Latency histograms are cumulative buckets of octaves: a duration is a
whole number of nanoseconds and ``le`` is inclusive, so their bounds are 2^n - 1 ns.
"""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from tickwire.config import METRICS_HOST
from tickwire.errors import TickwireError
from tickwire.kernels import histogram
from tickwire.observe.observer import DOLLAR, Observer, by_symbol
from tickwire.spec.counters import COUNTERS
from tickwire.spec.registers import KillCause
from tickwire.spec.stages import HISTOGRAM_WORDS, STAGES

_SUM, _FIRST_BUCKET = histogram.SUM, histogram.BUCKETS
_NANOSECONDS = 1e-9
_SECOND = 10 ** 9
_SMALLEST, _LARGEST = 7, 34                # octaves end below 128 ns to 17 s


class DeviceCollector(Collector):
    """Collector of one device's shared memory."""

    def __init__(self, observer: Observer) -> None:
        """Read through ``observer``."""
        self._observer = observer

    def collect(self) -> Iterator[Metric]:
        """Yield every counter, gauge and histogram, labelled with the device's name."""
        device = [self._observer.name]
        values = self._observer.counters()
        for counter in COUNTERS:
            # The greatest of something is no sum: a rate of it would mean nothing.
            kind = GaugeMetricFamily if counter.name.endswith("_max") else CounterMetricFamily
            family = kind(f"tickwire_{counter.name}", f"{counter.doc} [{counter.unit}]",
                          labels=["device"])
            family.add_metric(device, values[counter.name])
            yield family
        yield from self._gauges(device)
        yield from self._stages(device)

    def _gauges(self, device: list[str]) -> Iterator[Metric]:
        killed = GaugeMetricFamily("tickwire_killed", "1 for every cause of the kill that holds.",
                                   labels=["device", "cause"])
        held = self._observer.killed
        for cause in KillCause:
            killed.add_metric([*device, cause.name or ""], float(cause in held))
        yield killed
        age = GaugeMetricFamily("tickwire_engine_age_seconds", "Time since the engine's last turn.",
                                labels=["device"])
        age.add_metric(device, self._observer.age)
        yield age
        labels = ["device", "symbol"]
        position = GaugeMetricFamily("tickwire_position_shares", "Shares held.", labels=labels)
        profit = GaugeMetricFamily("tickwire_profit_dollars",
                                   "Cash plus the position at the middle price.", labels=labels)
        holdings = list(self._observer.holdings())
        for symbol, shares in by_symbol(holdings, lambda holding: holding.position).items():
            position.add_metric([*device, symbol], shares)
        for symbol, amount in by_symbol(holdings, lambda holding: holding.profit).items():
            profit.add_metric([*device, symbol], amount / DOLLAR)
        yield position
        yield profit

    def _stages(self, device: list[str]) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "tickwire_stage_latency_seconds",
            "Latency of a stage. " + " ".join(f"{stage.name}: from {stage.begins} to {stage.ends}."
                                              for stage in STAGES), labels=["device", "stage"])
        for name, words in self._observer.stage_words().items():
            family.add_metric([*device, name], buckets=_buckets(words),
                              sum_value=float(words[_SUM]) * _NANOSECONDS)
        yield family
        quantiles = GaugeMetricFamily(
            "tickwire_stage_latency_quantile_seconds",
            "Latency that this part of all passages did not exceed; quantile 1 is the greatest.",
            labels=["device", "stage", "quantile"])
        for name, words in self._observer.stage_words().items():
            for fraction in histogram.QUANTILES.values():
                quantiles.add_metric([*device, name, f"{fraction:g}"],
                                     histogram.quantile(words, fraction) * _NANOSECONDS)
            quantiles.add_metric([*device, name, "1"],
                                 float(words[histogram.MAXIMUM]) * _NANOSECONDS)
        yield quantiles


def _buckets(words: np.ndarray) -> list[tuple[str, float]]:
    """Cumulative counts of durations below each power of two; the last row is all of them.

    The last row is the sample ``_count`` too.
    """
    cumulative = np.cumsum(words[_FIRST_BUCKET:HISTOGRAM_WORDS])
    rows: list[tuple[str, float]] = []
    for power in range(_SMALLEST, _LARGEST + 1):
        greatest = (1 << power) - 1            # is the greatest of its bucket too
        rows.append((repr(greatest / _SECOND), float(cumulative[histogram.bucket_of(greatest)])))
    rows.append(("+Inf", float(cumulative[-1])))
    return rows


class Endpoint:
    """HTTP endpoint of one device on the loopback interface."""

    def __init__(self, observer: Observer, port: int) -> None:
        """Serve on ``port``; raises :class:`TickwireError` when it is taken."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(DeviceCollector(observer))
        try:
            self._server: Any
            self._thread: threading.Thread
            self._server, self._thread = start_http_server(
                port, METRICS_HOST, registry)
        except OSError as error:
            raise TickwireError(f"observe.prometheus_port {port} cannot be served on "
                                f"{METRICS_HOST}: {error.strerror or error}.") from None

    @property
    def port(self) -> int:
        """Port that is served."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
