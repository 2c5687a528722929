"""The DynamoDB adapter of the table of calendars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from botocore.config import Config

from producer_service.aws_client import AwsClient, failure_of, in_words
from producer_service.clock import Clock
from producer_service.errors import CalendarsUnavailable
from producer_service.service_time import sign_with
from producer_service.session_years import Item


class DynamoDbCalendars:
    """See `CalendarStore`. Requests are signed with the clock's time, as those of the handover store are."""

    def __init__(self, table: str, clock: Clock | None = None) -> None:
        config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})

        def prepare(client: Any) -> None:
            if clock is not None:
                sign_with(client, clock)

        self._aws = AwsClient("dynamodb", config, prepare)
        self._table = table

    def put(self, items: Iterable[Item]) -> None:
        """See `CalendarStore.put`. It takes as many items as one BatchWriteItem."""
        requests = [{"PutRequest": {"Item": {name: {"S": text} for name, text in item.items()}}} for item in items]
        try:
            response = self._aws.get().batch_write_item(RequestItems={self._table: requests})
        except Exception as error:
            if failure_of(error) == "refused":
                self._aws.renew_credentials()
            raise CalendarsUnavailable(f"the table {self._table}: {in_words(error)}") from error
        left = len(response.get("UnprocessedItems", {}).get(self._table, ()))
        if left:
            raise CalendarsUnavailable(f"the table {self._table}: DynamoDB left out {left} of {len(requests)} items")
