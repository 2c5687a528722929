"""The settings of the function. `app` reads them once from the environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

import msgspec

from lane_state.codec import WRITES
from processor_lambda.errors import SettingsError

MAX_DAYS = 36_500
"""The longest lifetime of a row, bar or alert."""
RULES_REFRESH_SECONDS = 30
"""How often an instance of the function looks whether the alert rules have changed. Each look is a GET request."""
Resolution = Literal["every", "minute"]
"""Which quotes become rows: every quote, or the last quote of each symbol and minute."""

_REQUIRED = (
    "QUOTES_TABLE",
    "BARS_TABLE",
    "STATE_TABLE",
    "ALERTS_TABLE",
    "ARCHIVE_BUCKET",
    "ALERTS_TOPIC_ARN",
    "QUARANTINE_QUEUE_URL",
    "RULES_KEY",
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the tables, bucket, topic, queue and rules, and the parameters of the function."""

    quotes_table: str
    bars_table: str
    state_table: str
    alerts_table: str
    archive_bucket: str
    alerts_topic_arn: str
    quarantine_queue_url: str
    rules_key: str
    """The key of the alert rules in the archive's bucket."""
    release: str = ""
    """What the deployer calls this code and configuration. It is in messages to the quarantine."""
    anomaly_percent: Decimal = Decimal(5)
    """A quote is an anomaly if its price is further than this from the previous close. Rules may use it as well."""
    row_resolution: Resolution = "every"
    """Which quotes become rows. The archive holds every quote in either case."""
    quote_ttl_days: int = 30
    """Rows expire this many days after their quote was received. 0 keeps them forever."""
    bar_ttl_days: int = 365
    """Bars expire this many days after their last quote was received. 0 keeps them forever."""
    alert_ttl_days: int = 365
    """Stored alerts expire this many days after what raised them arrived. 0 keeps them forever."""
    state_version: int = WRITES
    """The latest version of the lanes' states that is written. Before a function that reads 2 replaces one that reads
    only 1, it writes 1, so that it can be rolled back."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings in an environment. Raises `SettingsError` with all mistakes, one a line."""
    mistakes = [f"{name}: missing" for name in _REQUIRED if not environment.get(name)]
    values: dict[str, Any] = {name.lower(): environment.get(name) for name in _REQUIRED}
    for name, parse, wanted in (
        ("ANOMALY_PERCENT", _positive, "a positive number"),
        ("QUOTE_TTL_DAYS", _count, f"a number of days from 0 to {MAX_DAYS}"),
        ("BAR_TTL_DAYS", _count, f"a number of days from 0 to {MAX_DAYS}"),
        ("ALERT_TTL_DAYS", _count, f"a number of days from 0 to {MAX_DAYS}"),
        ("STATE_VERSION", _version, f"a version of the lanes' states from 1 to {WRITES}"),
    ):
        text = environment.get(name)
        if not text:
            continue
        value = _parsed(parse, text)
        if value is None:
            mistakes.append(f"{name}: {text!r} is not {wanted}")
        values[name.lower()] = value
    if resolution := environment.get("ROW_RESOLUTION"):
        if resolution not in get_args(Resolution):
            mistakes.append(f"ROW_RESOLUTION: {resolution!r} is neither every nor minute")
        values["row_resolution"] = resolution
    values["release"] = environment.get("RELEASE", "")
    if mistakes:
        raise SettingsError("the function's environment is wrong:\n" + "\n".join(mistakes))
    return Settings(**values)


def _parsed(parse: Callable[[str], Decimal | int | None], text: str) -> Decimal | int | None:
    try:
        return parse(text)
    except (ValueError, InvalidOperation):
        return None


def _positive(text: str) -> Decimal | None:
    number = Decimal(text)
    return number if number.is_finite() and number > 0 else None


def _count(text: str) -> int | None:
    number = int(text)
    return number if 0 <= number <= MAX_DAYS else None


def _version(text: str) -> int | None:
    number = int(text)
    return number if 1 <= number <= WRITES else None
