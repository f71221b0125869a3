"""Prometheus endpoint: what a scrape shows is what the tables declare and the device counted.

Method: a stand-in observer with known counters and durations, scraped over HTTP on loopback and
read with the client library's own parser.
"""

import re
import socket
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tickwire.errors import TickwireError
from tickwire.kernels import histogram
from tickwire.observe.prometheus import Endpoint
from tickwire.spec.counters import COUNTERS
from tickwire.spec.registers import KillCause
from tickwire.spec.stages import HISTOGRAM_WORDS, STAGES

DURATIONS = (100, 127, 128, 1_000, 1_024, 2_000_000, (1 << 34) - 1, 1 << 34, 1 << 40)
"""ns; those at powers of two and right below belong to different buckets."""


class Stub:
    """An observer with values that are known."""

    name, age, killed = "stub", 0.25, KillCause.WATCHDOG

    def counters(self):
        return {counter.name: index for index, counter in enumerate(COUNTERS)}

    def stage_words(self):
        words = np.zeros((len(STAGES), HISTOGRAM_WORDS), np.int64)
        for duration in DURATIONS:
            histogram.add(words[0].ctypes.data, duration)
        return {stage.name: words[index] for index, stage in enumerate(STAGES)}

    def holdings(self):
        return [SimpleNamespace(symbol="AAPL", position=-200, profit=-12_345)]


@pytest.fixture(scope="module")
def scraped():
    endpoint = Endpoint(Stub(), 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    endpoint.close()
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_every_counter_of_the_table_is_there_with_its_value_and_text(scraped):
    for index, counter in enumerate(COUNTERS):
        family = scraped[f"tickwire_{counter.name}"]
        assert family.samples[0].value == index
        assert family.samples[0].labels == {"device": "stub"}
        assert counter.doc in family.documentation


def test_the_greatest_of_something_is_a_gauge_and_all_other_counters_are_counters(scraped):
    kinds = {counter.name: scraped[f"tickwire_{counter.name}"].type for counter in COUNTERS}
    assert {name for name, kind in kinds.items() if kind == "gauge"} == {
        "order_stash_max", "level_stash_max"}
    assert set(kinds.values()) == {"gauge", "counter"}
    assert scraped["tickwire_order_stash_max"].samples[0].name == "tickwire_order_stash_max"
    assert scraped["tickwire_messages"].samples[0].name == "tickwire_messages_total"


def test_the_page_names_what_is_there_beside_the_counters(scraped):
    page = (Path(__file__).parents[2] / "docs/files.md").read_text(encoding="utf-8")
    section = page.split("## Metrics for Prometheus")[1].split("\n## ")[0]
    assert set(re.findall(r"`(tickwire_[a-z_]+)`", section)) == (
        set(scraped) - {f"tickwire_{counter.name}" for counter in COUNTERS})


def test_a_bucket_counts_what_is_at_most_its_bound_as_prometheus_has_it(scraped):
    stage = STAGES[0].name
    samples = [sample for sample in scraped["tickwire_stage_latency_seconds"].samples
               if sample.labels["stage"] == stage]
    buckets = {float(sample.labels["le"]): sample.value for sample in samples
               if sample.name.endswith("_bucket")}
    assert buckets == {bound: sum(duration / 1e9 <= bound for duration in DURATIONS)
                       for bound in buckets}
    assert {1.27e-07, 2.55e-07, 17.179869183, float("inf")} <= set(buckets)
    total, count = (next(sample.value for sample in samples if sample.name.endswith(end))
                    for end in ("_sum", "_count"))
    assert total == pytest.approx(sum(DURATIONS) * 1e-9)
    assert count == buckets[float("inf")] == len(DURATIONS)


def test_a_stage_without_durations_has_all_its_rows_and_they_are_zero(scraped):
    samples = [sample for sample in scraped["tickwire_stage_latency_seconds"].samples
               if sample.labels["stage"] == STAGES[1].name]
    assert len(samples) > 2 and {sample.value for sample in samples} == {0}


def test_kill_and_position_are_gauges(scraped):
    causes = {sample.labels["cause"]: sample.value
              for sample in scraped["tickwire_killed"].samples}
    assert causes["WATCHDOG"] == 1 and sum(causes.values()) == 1
    assert scraped["tickwire_position_shares"].samples[0].value == -200
    assert scraped["tickwire_profit_dollars"].samples[0].value == -1.2345


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TickwireError, match=f"prometheus_port {port} cannot be served"):
            Endpoint(Stub(), port)
