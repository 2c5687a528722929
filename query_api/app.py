"""The entry point of the function, `query_api.app.handler`. Importing it connects the ports, for warm starts."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from aws_requests import Service, credentials_of, endpoint_of, region_of
from query_api.application import Application
from query_api.calendars import SymbolCalendars
from query_api.lanes import Lanes
from query_api.ports import Stores
from query_api.queue import SqsQueue
from query_api.settings import Settings, from_environment
from query_api.tables import DynamoStateTable, DynamoTable


def wire(settings: Settings, environment: Mapping[str, str]) -> Stores:
    """The tables and the queue on AWS. Endpoints, region, credentials and certificates are found as the SDK does."""
    region, credentials = region_of(environment), credentials_of(environment)
    ca_bundle = environment.get("AWS_CA_BUNDLE") or None
    dynamodb, sqs = (
        Service(name, endpoint_of(name, region, environment), region, credentials, ca_bundle=ca_bundle)
        for name in ("dynamodb", "sqs")
    )
    sessions = DynamoTable(dynamodb, settings.calendars_table, "id", "name")
    return Stores(
        settings=settings,
        lanes=Lanes(DynamoStateTable(dynamodb, settings.state_table), settings.lanes, time.monotonic),
        calendars=SymbolCalendars(sessions, time.monotonic),
        quotes=DynamoTable(dynamodb, settings.quotes_table, "symbol", "timestamp"),
        bars=DynamoTable(dynamodb, settings.bars_table, "symbol", "key"),
        alerts=DynamoTable(dynamodb, settings.alerts_table, "day", "key"),
        sessions=sessions,
        quarantine=SqsQueue(sqs, settings.quarantine_queue_url),
    )


def _log(line: dict[str, Any]) -> None:
    """Write one JSON line. The runtime's JSON log format passes it on unchanged."""
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()


stores = wire(from_environment(os.environ), os.environ)
_application = Application(stores, lambda: datetime.now(UTC), _log)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001  (Lambda's signature)
    """Answer a request of API Gateway or of a function URL."""
    return _application(event)
