"""What the far end of the pipeline shows, for Prometheus: the newest quote stored, and what lies in quarantine.

On AWS CloudWatch has such figures. An emulator has not, so the tables and the queue are asked, once a scrape.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from lane_state import unpack

_CONFIG = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
"""A scrape that fails shows as `up == 0`, and soon: Prometheus gives it 10 s."""


class PipelineCollector(Collector):
    """Asks anew at each scrape. A service that does not answer fails the scrape: an old figure would be a lie."""

    def __init__(self, outputs: Mapping[str, str], *, dynamodb: Any, sqs: Any) -> None:
        self._outputs, self._dynamodb, self._sqs = outputs, dynamodb, sqs

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges as they are now; that of the newest quote is missing before the first one."""
        yield GaugeMetricFamily(
            "stockstream_quarantine_messages", "Messages that wait in the quarantine queue.", value=self._quarantined()
        )
        newest = max(self._event_times(), default=None)
        if newest is not None:
            yield GaugeMetricFamily(
                "stockstream_stored_quote_timestamp_seconds",
                "Event time of the newest quote that the processor has stored.",
                value=newest.timestamp(),
            )

    def _quarantined(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._sqs.get_queue_attributes(QueueUrl=self._outputs["QuarantineQueueUrl"], AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def _event_times(self) -> Iterator[datetime]:
        for page in self._dynamodb.get_paginator("scan").paginate(TableName=self._outputs["StateTable"]):
            for item in page["Items"]:
                if "state" in item:  # the published marks lie beside the states
                    yield from (symbol.event_time for symbol in unpack(item["state"]["B"]).symbols.values())


def serve(outputs: Mapping[str, str], host: str, port: int) -> None:
    """Serve /metrics of the pipeline with these outputs until SIGTERM or Ctrl-C."""
    registry = CollectorRegistry()
    clients = {name: boto3.client(name, config=_CONFIG) for name in ("dynamodb", "sqs")}
    registry.register(PipelineCollector(outputs, **clients))
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before the threads of the server, which inherit it
    server, _ = start_http_server(port, host, registry)
    signal.sigwait(signals)
    server.shutdown()
