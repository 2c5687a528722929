"""The metrics exporter: the newest stored quote and the size of the quarantine, for Prometheus.

On AWS, CloudWatch has such figures. An emulator does not, so the exporter asks the state table and the queue at each
scrape.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from lane_state import unpack
from operations.aws import client
from operations.errors import WrongUsage

_SETTINGS = {"connect_timeout": 2, "read_timeout": 3, "retries": {"total_max_attempts": 1}}
"""A failed scrape must end before Prometheus's timeout of 10 s. It then shows as `up == 0`."""


class PipelineCollector(Collector):
    """Reads the figures at each scrape. If a service does not answer, the scrape fails: old figures would mislead."""

    def __init__(self, outputs: Mapping[str, str], *, dynamodb: Any, sqs: Any) -> None:
        self._outputs, self._dynamodb, self._sqs = outputs, dynamodb, sqs

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The current gauges. Before the first quote is stored, there is no gauge of the newest quote."""
        yield GaugeMetricFamily(
            "stockstream_quarantine_messages",
            "The number of refused lines that wait in the quarantine queue. A rise means that the function gets lines "
            "that it cannot store; `operations quarantine list` shows them.",
            value=self._quarantined(),
        )
        newest = max(self._event_times(), default=None)
        if newest is not None:
            yield GaugeMetricFamily(
                "stockstream_stored_quote_timestamp_seconds",
                "The exchange's time of the newest quote that the function has stored, in seconds since 1970. It "
                "stands still while markets are closed, or if no quotes arrive.",
                value=newest.timestamp(),
            )

    def _quarantined(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._sqs.get_queue_attributes(QueueUrl=self._outputs["QuarantineQueueUrl"], AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def _event_times(self) -> Iterator[datetime]:
        """The time of the last quote of each symbol."""
        for page in self._dynamodb.get_paginator("scan").paginate(TableName=self._outputs["StateTable"]):
            for item in page["Items"]:
                if "state" in item:  # the other items are published marks and checkpoints
                    yield from (symbol.event_time for symbol in unpack(item["state"]["B"]).symbols.values())


def serve(outputs: Mapping[str, str], host: str, port: int) -> None:
    """Serve /metrics of the pipeline with these outputs, until SIGTERM or Ctrl-C. Raises `WrongUsage`."""
    registry = CollectorRegistry()
    clients = {name: client(name, **_SETTINGS) for name in ("dynamodb", "sqs")}
    registry.register(PipelineCollector(outputs, **clients))
    signals = {signal.SIGTERM, signal.SIGINT}
    # The server's threads inherit the mask, so it is set before they start.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise WrongUsage(f"/metrics cannot be served at {host}:{port}: {error}") from error
    signal.sigwait(signals)
    server.shutdown()
