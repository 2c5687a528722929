"""SNS: alerts as JSON, with attributes that subscriptions can filter on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from processor_lambda.errors import InvalidAlert, Unavailable
from processor_lambda.state import Alert, encode_alert


class SnsTopic:
    """The alerts' topic. The message is the alert as JSON; `rule`, `severity`, `symbol` and `id` are attributes."""

    def __init__(self, connect: Callable[[], Any], arn: str) -> None:
        self._connect, self._arn = connect, arn

    @cached_property
    def _client(self) -> Any:
        return self._connect()  # alerts are rare, and a client costs a cold start some 10 ms

    def publish(self, alert: Alert) -> None:
        """See `ports.Topic`."""
        try:
            self._client.publish(
                TopicArn=self._arn,
                Subject=alert.subject,
                Message=encode_alert(alert).decode(),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in (
                        ("id", alert.id),
                        ("rule", alert.rule),
                        ("severity", alert.severity),
                        ("symbol", alert.symbol),
                    )
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in (
                "InvalidParameter",
                "InvalidParameterValue",
                "ParameterValueInvalid",
            ):
                raise InvalidAlert(str(error)) from error
            raise Unavailable(f"SNS: {error}") from error
        except BotoCoreError as error:
            raise Unavailable(f"SNS: {error}") from error
