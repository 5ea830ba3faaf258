"""What Prometheus is told."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from secondlook.gateway.audit import AuditRow

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Counters of one gateway."""

    def __init__(self) -> None:
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
        self._seconds = Histogram(
            "secondlook_seconds", "From request to the end of its answer.", registry=self._registry, buckets=_BUCKETS
        )
        self.in_flight = Gauge("secondlook_in_flight", "Requests being worked on.", registry=self._registry)

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

    def render(self) -> tuple[str, bytes]:
        """Content type and text."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)
