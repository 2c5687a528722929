"""SNS: alerts as JSON, with attributes that subscriptions can filter on."""

from __future__ import annotations

from urllib.parse import urlencode

from processor_lambda.aws import Refused, Service
from processor_lambda.errors import InvalidAlert
from processor_lambda.state import Alert, encode_alert

_HEADERS = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
_INVALID = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid"})


class SnsTopic:
    """The alerts' topic. The message is the alert as JSON; `rule`, `severity`, `symbol` and `id` are attributes."""

    def __init__(self, service: Service, arn: str) -> None:
        self._service, self._arn = service, arn

    def publish(self, alert: Alert) -> None:
        """See `ports.Topic`."""
        # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: SNS speaks the query protocol alone.
        form = {
            "Action": "Publish",
            "Version": "2010-03-31",
            "TopicArn": self._arn,
            "Subject": alert.subject,
            "Message": encode_alert(alert).decode(),
        }
        attributes = {"id": alert.id, "rule": alert.rule, "severity": alert.severity, "symbol": alert.symbol}
        for number, (name, value) in enumerate(attributes.items(), start=1):
            entry = f"MessageAttributes.entry.{number}"
            form |= {
                f"{entry}.Name": name,
                f"{entry}.Value.DataType": "String",
                f"{entry}.Value.StringValue": value,
            }
        try:
            self._service.send("Publish", _HEADERS, urlencode(form).encode())
        except Refused as error:
            if error.code in _INVALID:
                raise InvalidAlert(str(error)) from error
            raise
