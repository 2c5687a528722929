"""Alerts as their table has them: for each UTC date, in the order of their times. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from lane_state import Alert
from processor_lambda.rows import expiry


class StoredAlert(NamedTuple):
    """An item of the table. It depends only on what a commit decided, so writing it again changes nothing."""

    alert: Alert
    expires_at: int | None
    """When the item expires, in Unix seconds. None for never."""

    @property
    def key(self) -> tuple[str, str]:
        """The date of the alert's timestamp, and the timestamp with the id. Both sort by time."""
        timestamp = self.alert.timestamp
        return timestamp[:10], f"{timestamp} {self.alert.id}"


def stored_alerts(alerts: Iterable[Alert], arrival: datetime, ttl_days: int) -> list[StoredAlert]:
    """The items of alerts. `arrival` is when Kinesis received what raised them; 0 `ttl_days` keep them forever."""
    expires_at = expiry(arrival, ttl_days)
    return [StoredAlert(alert, expires_at) for alert in alerts]
