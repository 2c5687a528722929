"""What people cost who look at the dashboard, or programs that poll the API. Pure.

An open dashboard asks for the latest quotes once a second, and the function reads the states of the lanes at most once
a second in each of its instances. So the requests cost nearly all, and what is stored matters little.
"""

from __future__ import annotations

import math

import msgspec

from aws_limits import DYNAMODB_READ_UNIT_BYTES, KIB
from costs.expected_usage import CALL_MS, EVENT_LOG_BYTES, PLATFORM_LOG_BYTES, VCPU_MB, Setup, sizes_of
from costs.usage import GIGABYTE

REQUESTS_A_SECOND = 1.0
"""The polls of an open dashboard. It pauses them while its tab is hidden."""
EVENTUALLY_CONSISTENT = 0.5
"""The read units of an eventually consistent read of 4 KB."""
CPU_US = {"request": 150.0, "symbol": 20.0}
"""Microseconds of a whole core for an answer, and for each symbol in it. With 10, 100 and 500 symbols, whose states are
read anew, the function took 0.5, 2.0 and 10.3 ms here."""
ANSWER_BYTES = {"request": 900.0, "symbol": 40.0}
"""What an answer takes, compressed, and what a symbol takes in it. Bodies with 10, 100 and 500 symbols took 0.7, 4.0
and 18.7 KB here, and headers with those of CloudFront 0.7 KB."""
ACCESS_LOG_BYTES = 300
"""A line of the access log."""
BUSY = 0.5
"""The share of the time that an instance of the function is busy, at most."""
FUNCTION_MB = 512
"""The memory of the query function (QueryMemorySize)."""
ALARMS = 5
"""The alarms of the stack api."""
WORKING_HOURS = 21 * 8
"""Eight hours on 21 days, the hours of a month in which a dashboard is open by default."""


class Viewers(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks, all at the same hours."""

    number: int
    hours: float = WORKING_HOURS
    """How long in a month each of them looks."""


class Views(msgspec.Struct, frozen=True, kw_only=True):
    """What a month of looking uses."""

    requests: float
    gb_seconds: float
    read_units: float
    """Read units of the state table."""
    sent_bytes: float
    log_bytes: float


def views_of(setup: Setup, viewers: Viewers) -> Views:
    """The usage of a month by these viewers, each of whom looks at all symbols."""
    seconds = viewers.hours * 3600
    rate = viewers.number * REQUESTS_A_SECOND
    share = min(1.0, FUNCTION_MB / VCPU_MB)
    computed = (CPU_US["request"] + setup.symbols * CPU_US["symbol"]) / 1e6 / share
    instances = math.ceil(rate * computed / BUSY)
    reads = min(rate, instances)
    """How often a second the states of all lanes are read."""
    units = math.ceil(sizes_of(setup).state * setup.symbols_of_lane / DYNAMODB_READ_UNIT_BYTES) * EVENTUALLY_CONSISTENT
    changed = min(1.0, 1 / setup.interval_seconds / REQUESTS_A_SECOND)
    answer = ANSWER_BYTES["request"] + changed * setup.symbols * ANSWER_BYTES["symbol"]
    return Views(
        requests=rate * seconds,
        gb_seconds=(rate * computed + reads * CALL_MS["dynamodb"] / 1000) * seconds * FUNCTION_MB / KIB,
        read_units=reads * units * setup.busy_lanes * seconds,
        sent_bytes=rate * seconds * answer,
        log_bytes=rate * seconds * (ACCESS_LOG_BYTES + EVENT_LOG_BYTES + PLATFORM_LOG_BYTES + 2 * EVENT_LOG_BYTES),
    )


def parts_of(setup: Setup, viewers: Viewers, architecture: str) -> list[tuple[str, float, str]]:
    """The lines of the bill: a name, a quantity and the name of its price."""
    if not viewers.number:
        return []
    used = views_of(setup, viewers)
    return [
        ("CloudFront requests", used.requests, "cloudfront_request"),
        ("CloudFront data", used.sent_bytes / GIGABYTE, "cloudfront_gb"),
        ("API Gateway requests", used.requests, "http_api_request"),
        ("Lambda requests of the API", used.requests, "lambda_request"),
        ("Lambda time of the API", used.gb_seconds, f"lambda_gb_second_{architecture}"),
        ("DynamoDB reads of the API", used.read_units, "dynamodb_read_on_demand"),
        ("Logs of the API", used.log_bytes / GIGABYTE, "logs_gb"),
        ("CloudWatch alarms of the API", ALARMS, "alarm"),
    ]
