"""Prometheus metrics of all workers, told by one of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from secondlook.gateway.audit import AuditRow
from secondlook.gateway.examining import Examined

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Name of the variable that tells Prometheus' client where workers share their counters; read when it is imported."""
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics(Collector):
    """Counters of one gateway.

    Args:
        in_flight: Gives the number of requests being worked on.
    """

    def __init__(self, in_flight: Callable[[], int]) -> None:
        self._in_flight = in_flight
        self._registry = CollectorRegistry()

        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(f"secondlook_{name}", says, labels, registry=self._registry)

        self._requests = counter("requests", "Requests answered.", "status", "reason", "outcome")
        self._tokens = counter("tokens", "Tokens of all upstream calls.", "kind")
        self._calls = counter("upstream_calls", "Requests sent to the upstream.")
        self._unanswered = counter(
            "upstream_unanswered", "Of these, those that may have been billed without an answer."
        )
        self._looks = counter("second_looks", "Second looks made.")
        self._critiques = counter(
            "critiques",
            "Answers examined; failed is a critic that failed or said nothing, abstained one that cannot judge.",
            "critic",
            "outcome",
        )
        self._seconds = Histogram(
            "secondlook_seconds", "From request to the end of its answer.", registry=self._registry, buckets=_BUCKETS
        )

    def observe(self, row: AuditRow) -> None:
        """Count one request."""
        self._requests.labels(row.status, row.reason or "", str(row.outcome)).inc()
        self._seconds.observe(row.seconds)
        self._calls.inc(row.calls)
        for counter, count in (
            (self._unanswered, row.unanswered),
            (self._looks, row.rounds),
            (self._tokens.labels("in"), row.tokens_in or 0),
            (self._tokens.labels("out"), row.tokens_out or 0),
        ):
            if count:
                counter.inc(count)

    def examined(self, critic: str, outcome: Examined) -> None:
        """Count one examination by a kind of critic."""
        self._critiques.labels(critic, outcome).inc()

    def collect(self) -> Iterator[Metric]:
        """Gauges that are asked for at every scrape rather than counted."""
        yield GaugeMetricFamily("secondlook_in_flight", "Requests being worked on.", value=self._in_flight())

    def render(self) -> tuple[str, bytes]:
        """Content type and text."""
        # in_flight counts all workers already (see Limits), so it stays apart from the counters, which are added up
        # over the files of all workers.
        asked, counted = CollectorRegistry(), self._registry
        asked.register(self)
        if SHARED in os.environ:
            counted = CollectorRegistry()
            MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
        return CONTENT_TYPE_LATEST, generate_latest(counted) + generate_latest(asked)
