"""The Lambda's entry point: `processor_lambda.app.handler`. Wires at import, since a warm start is the point of it."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

import boto3
import msgspec
from botocore.config import Config

from processor_lambda import metrics
from processor_lambda.dynamodb import DynamoBarTable, DynamoStateTable, DynamoTable
from processor_lambda.errors import Unavailable
from processor_lambda.processor import Processor
from processor_lambda.records import records_of
from processor_lambda.rules import DEFAULT_FILE, Rules, read
from processor_lambda.s3 import S3Archive
from processor_lambda.settings import Settings, from_environment
from processor_lambda.sns import SnsTopic
from processor_lambda.sqs import SqsQuarantine

# Parameters are built in one place and tested; validating them again is a third of the cost of a row.
_CONFIG = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "max_attempts": 3}, parameter_validation=False
)


def wire(settings: Settings, rules: Rules) -> Processor:
    """The processor on AWS; endpoint, region and credentials come the SDK's own way."""
    dynamodb = boto3.client("dynamodb", config=_CONFIG)
    return Processor(
        archive=S3Archive(boto3.client("s3", config=_CONFIG), settings.archive_bucket),
        quotes=DynamoTable(dynamodb, settings.quotes_table, ("symbol", "timestamp")),
        bars=DynamoBarTable(dynamodb, settings.bars_table, ("symbol", "minute")),
        states=DynamoStateTable(dynamodb, settings.state_table),
        alerts=SnsTopic(lambda: boto3.client("sns", config=_CONFIG), settings.alerts_topic_arn),
        quarantine=SqsQuarantine(lambda: boto3.client("sqs", config=_CONFIG), settings.quarantine_queue_url),
        settings=settings,
        rules=rules,
    )


_settings = from_environment(os.environ)
_processor = wire(_settings, read(DEFAULT_FILE, _settings.anomaly_percent))


def handler(event: dict[str, Any], context: object) -> dict[str, list[dict[str, str]]]:  # noqa: ARG001  (Lambda's signature)
    """Process a Kinesis batch. A transient failure fails it at its first record; bad input never does."""
    started = time.perf_counter()
    records = records_of(event)
    if not records:
        return {"batchItemFailures": []}
    try:
        report = _processor.process(records)
    except Unavailable as error:
        _log(metrics.failed(str(error), records[-1], records=len(records), now=datetime.now(UTC)))
        return {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["kinesis"]["sequenceNumber"]}]}
    _log(metrics.processed(report, records[-1], seconds=time.perf_counter() - started, now=datetime.now(UTC)))
    return {"batchItemFailures": []}


def _log(line: dict[str, Any]) -> None:
    """One JSON line; the runtime's JSON log format takes it as it is."""
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()
