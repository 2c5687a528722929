"""SNS: publishes alerts as JSON, with message attributes that subscriptions can filter on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from aws_requests import ATTEMPTS, Refused, Service, Unavailable, attempts
from lane_state import Alert, encode_alert
from processor_lambda.adapters.batches import batches
from processor_lambda.ports import RefusedAlert

_HEADERS = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
_INVALID = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "ValidationException"})


class _Failure(NamedTuple):
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class _Message(NamedTuple):
    alert: Alert
    fields: dict[str, str | bytes]
    """The form fields of its entry in a request."""


class SnsTopic:
    """The topic of the alerts. The body of a message is the alert as JSON."""

    def __init__(self, service: Service, arn: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._service, self._arn, self._sleep = service, arn, sleep

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        """See `ports.Topic`."""
        messages = [_Message(alert, _fields(alert)) for alert in alerts]
        return [refused for batch in batches(messages, _size) for refused in self._publish(batch)]

    def _publish(self, messages: list[_Message]) -> Iterator[RefusedAlert]:
        """Publish a batch, and publish again what SNS did not accept. Yields the alerts that it refuses permanently."""
        failures: dict[str, _Failure] = {}
        for _ in attempts(self._sleep):
            try:
                response = self._service.send("PublishBatch", _HEADERS, _form(self._arn, messages))
            except Refused as error:
                if error.code not in _INVALID:
                    raise
                if len(messages) == 1:
                    yield RefusedAlert(messages[0].alert, str(error))
                    return
                for message in messages:  # one of them makes the whole batch invalid
                    yield from self._publish([message])
                return
            failures = _failures(response, len(messages))
            failed = [(messages[int(number)], failure) for number, failure in failures.items()]
            yield from (RefusedAlert(each.alert, str(failure)) for each, failure in failed if failure.code in _INVALID)
            messages = [message for message, failure in failed if failure.code not in _INVALID]
            if not messages:
                return
        last = next(reversed(failures.values()))
        raise Unavailable(
            f"sns PublishBatch: {len(messages)} alerts are left after {ATTEMPTS} attempts; the last error was {last}"
        )


def _size(message: _Message) -> int:
    return sum(map(len, message.fields.values()))


def _fields(alert: Alert) -> dict[str, str | bytes]:
    symbols = msgspec.json.encode(alert.symbols or (alert.symbol,))
    attributes: list[tuple[str, str, str | bytes]] = [
        ("id", "String", alert.id),
        ("rule", "String", alert.rule),
        ("severity", "String", alert.severity),
        ("symbol", "String", alert.symbol),
        ("symbols", "String.Array", symbols),
    ]
    fields: dict[str, str | bytes] = {"Subject": alert.subject, "Message": encode_alert(alert)}
    for number, (name, kind, value) in enumerate(attributes, start=1):
        entry = f"MessageAttributes.entry.{number}"
        fields |= {f"{entry}.Name": name, f"{entry}.Value.DataType": kind, f"{entry}.Value.StringValue": value}
    return fields


def _form(arn: str, messages: Sequence[_Message]) -> bytes:
    # SNS has no JSON protocol, only the query protocol: https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
    form: dict[str, str | bytes] = {"Action": "PublishBatch", "Version": "2010-03-31", "TopicArn": arn}
    for number, message in enumerate(messages):
        entry = f"PublishBatchRequestEntries.member.{number + 1}"
        form[f"{entry}.Id"] = str(number)
        form |= {f"{entry}.{name}": value for name, value in message.fields.items()}
    return urlencode(form).encode()


def _failures(response: bytes, count: int) -> dict[str, _Failure]:
    """The failures in a batch of `count` messages, by message id. A message that is not in the response has failed."""
    from xml.etree import ElementTree as ET  # noqa: PLC0415  (a cold start without alerts does not import it)

    try:
        result = ET.fromstring(response)  # noqa: S314  (it comes from AWS)
    except ET.ParseError as error:
        raise Unavailable(f"sns PublishBatch: invalid response: {error}") from error
    failures = {str(number): _Failure("no result", "it is not in the response") for number in range(count)}
    for member in result.iterfind(".//{*}Failed/{*}member"):
        if (number := member.findtext("{*}Id", "")) in failures:
            failures[number] = _Failure(member.findtext("{*}Code", ""), member.findtext("{*}Message", ""))
    for member in result.iterfind(".//{*}Successful/{*}member"):
        failures.pop(member.findtext("{*}Id", ""), None)
    return failures
