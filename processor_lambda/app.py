"""The entry point of the function, `processor_lambda.app.handler`. Importing it connects the ports, for warm starts."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from aws_requests import Service, Unavailable, credentials_of, endpoint_of, region_of
from processor_lambda import metrics
from processor_lambda.adapters.dynamodb import DynamoAlertTable, DynamoBarTable, DynamoQuoteTable, DynamoStateTable
from processor_lambda.adapters.rules import S3Rules
from processor_lambda.adapters.s3 import S3Archive, url_of_bucket
from processor_lambda.adapters.sns import SnsTopic
from processor_lambda.adapters.sqs import SqsQuarantine
from processor_lambda.alerts.rules_file import DEFAULT_FILE
from processor_lambda.current_rules import CurrentRules
from processor_lambda.processor import Processor
from processor_lambda.records import records_of
from processor_lambda.settings import Settings, from_environment


def wire(settings: Settings, environment: Mapping[str, str]) -> tuple[Processor, CurrentRules]:
    """The processor on AWS, and the rules that it uses.

    Endpoints, region, credentials and certificates are found as the AWS SDK finds them.
    """
    region, credentials = region_of(environment), credentials_of(environment)

    def service(name: str, url: str | None = None) -> Service:
        url = url or endpoint_of(name, region, environment)
        return Service(name, url, region, credentials, ca_bundle=environment.get("AWS_CA_BUNDLE") or None)

    dynamodb = service("dynamodb")
    bucket = url_of_bucket(settings.archive_bucket, endpoint_of("s3", region, environment))
    s3 = service("s3", bucket)
    rules = CurrentRules(
        S3Rules(s3, settings.archive_bucket, settings.rules_key), DEFAULT_FILE, settings.anomaly_percent, time.monotonic
    )
    processor = Processor(
        archive=S3Archive(s3, settings.archive_bucket),
        quotes=DynamoQuoteTable(dynamodb, settings.quotes_table),
        bars=DynamoBarTable(dynamodb, settings.bars_table),
        states=DynamoStateTable(dynamodb, settings.state_table),
        stored_alerts=DynamoAlertTable(dynamodb, settings.alerts_table),
        alerts=SnsTopic(service("sns"), settings.alerts_topic_arn),
        quarantine=SqsQuarantine(service("sqs"), settings.quarantine_queue_url),
        settings=settings,
        rules=rules.current,
    )
    return processor, rules


_settings = from_environment(os.environ)
_processor, _rules = wire(_settings, os.environ)


def handler(event: dict[str, Any], context: object) -> dict[str, list[dict[str, str]]]:  # noqa: ARG001  (Lambda's signature)
    """Process a Kinesis batch. A transient failure fails it at its first record, and bad input never fails it.

    Any other error is a bug, or an item that DynamoDB will never accept. It is raised, so Lambda bisects the batch.
    """
    started = time.perf_counter()
    records = records_of(event)
    if not records:
        return {"batchItemFailures": []}
    try:
        report = _processor.process(records)
    except Unavailable as error:
        _log(metrics.failed(str(error), records[-1], _rules.in_use, records=len(records), now=datetime.now(UTC)))
        return {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["kinesis"]["sequenceNumber"]}]}
    except Exception as error:
        _log(metrics.died(f"{type(error).__name__}: {error}", records[-1], records=len(records)))
        raise
    seconds = time.perf_counter() - started
    _log(metrics.processed(report, records[-1], _rules.in_use, seconds=seconds, now=datetime.now(UTC)))
    return {"batchItemFailures": []}


def _log(line: dict[str, Any]) -> None:
    """Write one JSON line. The runtime's JSON log format passes it on unchanged."""
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()
