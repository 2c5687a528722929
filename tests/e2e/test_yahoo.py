"""The real yfinance in the producer's container polls a local Yahoo through a proxy, with and without failures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.stack import HERE, Stack, docker, wait_until
from tests.fakes.yahoo.local_yahoo import QUOTE_PATH, LocalYahoo

pytestmark = pytest.mark.e2e

PORT = 8899
"""The port of the local Yahoo in its container."""


@pytest.fixture(scope="module")
def yahoo(stack: Stack) -> Iterator[LocalYahoo]:
    """A local Yahoo in a container, which the producer polls."""
    stack.files.append(HERE / "yahoo.yaml")
    stack.up("yahoo")
    local = LocalYahoo(stack.url("yahoo", PORT))
    local.set_clock(_last_session().timestamp())
    stack.up("producer")
    wait_until(lambda: _polls(stack, "complete"), seconds=60, what="a poll of Yahoo")
    yield local
    stack.compose("rm", "--stop", "--force", "yahoo")
    stack.files.pop()
    stack.up("producer")
    docker("volume", "rm", f"{stack.project}_certificates")


def _last_session() -> datetime:
    """Half an hour after the start of New York's last session that is at least a day old."""
    day = datetime.now(UTC).replace(hour=15, minute=0, second=0, microsecond=0) - timedelta(days=1)
    while day.weekday() > 4:
        day -= timedelta(days=1)
    return day


def _polls(stack: Stack, outcome: str) -> float:
    (sample,) = stack.query(f'stockstream_polls_total{{outcome="{outcome}"}}') or [{"value": (0, "0")}]
    return float(sample["value"][1])


def _breaker(stack: Stack) -> float:
    (sample,) = stack.query("stockstream_source_breaker_open")
    return float(sample["value"][1])


def _failures(stack: Stack, reason: str) -> float:
    (sample,) = stack.query(f'stockstream_source_failures_total{{reason="{reason}"}}')
    return float(sample["value"][1])


def test_quotes_of_yahoo_are_stored(stack: Stack, yahoo: LocalYahoo) -> None:
    findings = stack.audited()
    assert (findings.lost, findings.duplicated, findings.out_of_order) == (0, 0, 0), findings
    assert {"S1", "S5"} <= {identity.symbol for identity in stack.reader.read().rows}
    assert yahoo.requested_symbols()[0] == ["S1", "S2", "S3", "S4", "S5"]


def test_a_429_pauses_the_polls_for_a_minute_and_passes(stack: Stack, yahoo: LocalYahoo) -> None:
    before = _failures(stack, "rate_limited")
    yahoo.add_fault(status=429, body="Too Many Requests")

    wait_until(lambda: _failures(stack, "rate_limited") > before, seconds=30, what="a 429 counted")
    yahoo.reset()
    wait_until(lambda: _breaker(stack) == 1, seconds=15, what="an open breaker")
    complete, paused = _polls(stack, "complete"), _polls(stack, "paused")
    wait_until(lambda: _polls(stack, "paused") > paused + 1, seconds=30, what="polls that request nothing")
    assert not yahoo.requests(QUOTE_PATH)
    wait_until(lambda: _polls(stack, "complete") > complete, seconds=90, what="a complete poll after it")
    wait_until(lambda: _breaker(stack) == 0, seconds=15, what="a closed breaker")
    assert (stack.status("/healthz"), stack.status("/readyz")) == (200, 200)


def test_an_expired_crumb_is_renewed_within_the_poll(stack: Stack, yahoo: LocalYahoo) -> None:
    refused, complete = _failures(stack, "unauthorized"), _polls(stack, "complete")
    yahoo.reset()
    yahoo.expire_crumbs()

    wait_until(lambda: yahoo.requests("/v1/test/getcrumb"), seconds=30, what="a request for a new crumb")
    wait_until(lambda: _polls(stack, "complete") > complete + 1, seconds=30, what="complete polls after it")
    assert _failures(stack, "unauthorized") == refused
