"""A local Yahoo behind a proxy: yfinance polls it, with and without failures, and its charts fill gaps of the bars."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from boto3.dynamodb.conditions import ConditionBase, Key

from analytics import current
from analytics.compacted_tables import BARS
from bars.keys import bar_key
from tests.e2e.stack import HERE, Stack, docker, wait_until
from tests.fakes.yahoo.local_yahoo import QUOTE_PATH, LocalYahoo
from tests.fakes.yahoo.markets import NASDAQ
from tests.fakes.yahoo.sessions import Session, session_before

pytestmark = pytest.mark.e2e

PORT = 8899
"""The port of the local Yahoo in its container."""


@pytest.fixture(scope="module")
def yahoo(stack: Stack) -> Iterator[LocalYahoo]:
    """A local Yahoo in a container, which the producer polls."""
    stack.files.append(HERE / "yahoo.yaml")
    stack.up("yahoo")
    local = LocalYahoo(stack.url("yahoo", PORT))
    local.set_clock(_last_session().start + 1_800)
    stack.up("producer")
    wait_until(lambda: _polls(stack, "complete"), seconds=60, what="a poll of Yahoo")
    yield local
    stack.compose("rm", "--stop", "--force", "yahoo")
    stack.files.pop()
    stack.up("producer", "history")
    docker("volume", "rm", f"{stack.project}_certificates")


def _last_session() -> Session:
    """New York's last session before today. The local Yahoo's clock is half an hour after its start."""
    return session_before(NASDAQ, datetime.now(ZoneInfo(NASDAQ.timezone)).date())


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


def operations(stack: Stack, *arguments: str) -> dict[str, Any]:
    """Run a command in the service `history`, as an operator does. Returns its summary."""
    program = ("exec", "-T", "history", "python", "-m", "operations")
    summary: dict[str, Any] = json.loads(stack.compose(*program, *arguments, "--outputs-file", "/tmp/outputs").stdout)
    return summary


def test_the_history_service_fills_a_gap_from_yahoo_and_compacts_it(stack: Stack, yahoo: LocalYahoo) -> None:
    stack.up("history")
    session = session_before(NASDAQ, _last_session().day)
    day, minutes = session.day, (session.end - session.start) // 60
    gap = ("backfill", "--source", "yahoo", "--symbols", "S1", "--from", f"{day}", "--to", f"{day}")
    filled = operations(stack, *gap)
    bars = stored_minutes(stack, "S1", day)
    assert len(bars) == minutes
    assert {bar["provenance"] for bar in bars} == {"backfill"}
    assert filled["written"] == len(bars) + len(stored_days(stack, "S1"))
    assert minutes_asked_for(yahoo) == 1

    # The producer always polls here. Its symbols still have the days of their exchange, so the answer was whole.
    assert operations(stack, *gap)["written"] == 0
    assert minutes_asked_for(yahoo) == 1
    assert stored_minutes(stack, "S1", day) == bars

    bucket, s3 = stack.outputs["ArchiveBucket"], stack.session.client("s3")
    compacted = operations(stack, "compact", "--catalog", f"sqlite:////var/lib/stockstream/{bucket}.db")
    assert compacted["failures"] == []
    tables = current.decode(s3.get_object(Bucket=bucket, Key=current.KEY)["Body"].read()).tables
    assert sum(file.rows for file in tables[BARS.name].files) >= minutes


@pytest.mark.usefixtures("yahoo")
def test_the_history_service_does_its_daily_round_at_the_times_that_are_set(stack: Stack) -> None:
    session = session_before(NASDAQ, _last_session().day)
    day, minutes = session.day, (session.end - session.start) // 60
    assert stored_minutes(stack, "S5", day) == []
    forget_symbols_but(stack, "S5")  # 29 days of a symbol are 8,000 rows, which LocalStack needs two minutes for
    backfill_at = datetime.now(UTC) + timedelta(minutes=2)  # its service starts within a minute
    compact_at = backfill_at + timedelta(minutes=1)
    with (
        stack.setting("BACKFILL_AT", f"{backfill_at:%H:%M}"),
        stack.setting("COMPACT_AT", f"{compact_at:%H:%M}"),
    ):
        stack.up("history")
        wait_until(lambda: "compaction" in ended_commands(stack), seconds=600, what="the end of the daily round")
    ended = ended_commands(stack)
    # The lines from which the metrics of a stage on AWS come.
    assert list(ended) == ["backfill", "compaction"]
    assert [(line["status"], line["failures"]) for line in ended.values()] == [("done", [])] * 2

    assert {bar["provenance"] for bar in stored_minutes(stack, "S5", day)} == {"backfill"}
    assert len(stored_minutes(stack, "S5", day)) == minutes
    assert ended["backfill"]["symbols"] == 1
    assert ended["compaction"]["bar_months_changed"] >= 1
    bucket, s3 = stack.outputs["ArchiveBucket"], stack.session.client("s3")
    written = current.decode(s3.get_object(Bucket=bucket, Key=current.KEY)["Body"].read())
    assert datetime.fromisoformat(written.written_at) >= compact_at.replace(second=0, microsecond=0)
    assert sum(file.rows for file in written.tables[BARS.name].files) >= minutes


def forget_symbols_but(stack: Stack, kept: str) -> None:
    """Remove the calendars of all other symbols. A producer writes those of its symbols when it starts."""
    table = stack.session.resource("dynamodb").Table(stack.outputs["CalendarsTable"])
    for item in table.query(KeyConditionExpression=Key("id").eq("symbols"))["Items"]:
        if item["name"] != kept:
            table.delete_item(Key={"id": item["id"], "name": item["name"]})


def ended_commands(stack: Stack) -> dict[str, Any]:
    """The summaries that the service `history` has printed, by their events, in their order."""
    lines = docker("logs", stack.container("history")).stdout.splitlines()  # compose adds control characters
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return {line["event"]: line for line in found}


def minutes_asked_for(yahoo: LocalYahoo) -> int:
    """How often minutes were requested. The producer requests days."""
    return sum(count for chart, count in yahoo.requested_charts().items() if chart.interval == "1m")


def stored_minutes(stack: Stack, symbol: str, day: date) -> list[dict[str, Any]]:
    """The stored minutes of a day in New York."""
    start = datetime.combine(day, time(), ZoneInfo("America/New_York")).astimezone(UTC)
    last = start + timedelta(hours=23)
    return stored_bars(stack, symbol, Key("key").between(bar_key("1m", start), bar_key("1m", last)))


def stored_days(stack: Stack, symbol: str) -> list[dict[str, Any]]:
    """The stored bars of whole days. A backfill of minutes asks for them because they show the splits."""
    return stored_bars(stack, symbol, Key("key").begins_with("1d#"))


def stored_bars(stack: Stack, symbol: str, keys: ConditionBase) -> list[dict[str, Any]]:
    """The stored bars of a symbol whose keys meet a condition."""
    table = stack.session.resource("dynamodb").Table(stack.outputs["BarsTable"])
    found: list[dict[str, Any]] = table.query(KeyConditionExpression=Key("symbol").eq(symbol) & keys)["Items"]
    return found
