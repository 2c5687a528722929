"""Every quote that the producer accepts is stored once and in order, whatever happens to the containers."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from deployment.stacks import PIPELINE
from quotes import Identity, Quote, encode, lane_of, partition_key, whole_milliseconds
from replica.audit import Findings
from tests.e2e.stack import Stack, docker, wait_until
from tests.support import same_results

pytestmark = pytest.mark.e2e

LANES = 4
OUTAGE_SECONDS = 30.0


def assert_sound(findings: Findings) -> None:
    assert (findings.lost, findings.duplicated, findings.out_of_order) == (0, 0, 0), findings
    assert findings.quotes_stored >= findings.quotes_accepted > 0


def put(stack: Stack, data: bytes, symbol: str) -> None:
    """Put a record on the stream that the producer did not send."""
    key = partition_key(lane_of(symbol, LANES), LANES)
    stack.session.client("kinesis").put_record(StreamName=stack.outputs["StreamName"], Data=data, PartitionKey=key)


def quote(symbol: str) -> Quote:
    """A quote with a price 20% above the previous close."""
    now = whole_milliseconds(datetime.now(UTC))
    return Quote(
        symbol=symbol,
        event_time=now,
        price=Decimal(120),
        previous_close=Decimal(100),
        source="test",
        ingest_time=now,
    )


def last_log_line(stack: Stack, event: str) -> dict[str, object]:
    lines = docker("logs", stack.container("producer")).stdout.splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    found: dict[str, object] = [entry for entry in entries if entry["event"] == event][-1]
    return found


def test_quotes_are_stored_when_up_returns(stack: Stack) -> None:
    assert stack.reader.read().rows


def test_every_accepted_quote_is_stored_once_and_in_order(stack: Stack) -> None:
    assert_sound(stack.audited())


def test_the_function_in_its_container_does_what_the_processor_in_memory_does(stack: Stack) -> None:
    same_results.assert_same(stack.session.client, stack.outputs["FunctionName"], stack.outputs)


def test_an_alert_reaches_a_subscriber(stack: Stack) -> None:
    put(stack, encode([quote("JUMPY")]), "JUMPY")
    subjects: list[str] = []

    def has_alert() -> bool:
        subjects.extend(stack.reader.new_alerts())
        return any("JUMPY" in subject for subject in subjects)

    wait_until(has_alert, seconds=30, what="the subscriber's queue has an alert about JUMPY")


def test_a_bad_line_is_quarantined_and_the_good_line_beside_it_is_stored(stack: Stack) -> None:
    good = quote("CALM")
    before = sum(stack.reader.read().quarantined.values())
    put(stack, b'{"v":1,"symbol":"CALM","price":"NaN"}\n' + encode([good]), "CALM")

    wait_until(
        lambda: sum(stack.reader.read().quarantined.values()) == before + 1, seconds=30, what="a line is in quarantine"
    )
    assert Identity("CALM", good.event_time, 0) in stack.reader.read().rows


def test_deploying_again_changes_nothing(stack: Stack) -> None:
    again = stack.compose("exec", "deployer", "python", "-m", "deployment", "deploy", "--architecture", "native")
    assert again.stderr.count("is up to date") == len(PIPELINE)
    assert f"StreamName={stack.outputs['StreamName']}\n" in again.stdout


class TestStop:
    def test_sigterm_drains(self, stack: Stack) -> None:
        stack.compose("stop", "producer")
        assert last_log_line(stack, "stopped")["undelivered"] == 0
        assert stack.state("producer")["ExitCode"] == 0
        assert_sound(stack.audited())
        stack.up("producer")

    def test_sigkill_loses_nothing_that_was_accepted(self, stack: Stack) -> None:
        # LocalStack is paused first, so the producer dies with accepted quotes that are not delivered yet.
        with stack.frozen("localstack"):
            # Prometheus may show what waited for a moment before the pause, so it is not asked.
            wait_until(lambda: stack.status("/readyz") == 503, seconds=30, what="quotes wait for the stream")
            stack.compose("kill", "--signal", "KILL", "producer")
        accepted = len(stack.accepted())
        stack.up("producer")

        assert last_log_line(stack, "started")["recovered"]
        findings = stack.audited()
        assert_sound(findings)
        assert findings.quotes_accepted >= accepted


def test_an_outage_of_the_stream_is_survived(stack: Stack) -> None:
    before = stack.state("producer")
    accepted = len(stack.accepted())
    with stack.frozen("localstack"):
        ends = time.monotonic() + OUTAGE_SECONDS
        wait_until(lambda: stack.status("/readyz") == 503, seconds=OUTAGE_SECONDS, what="the producer is not ready")
        while time.monotonic() < ends:
            assert (stack.status("/healthz"), stack.status("/readyz")) == (200, 503)
            time.sleep(1)
        assert len(stack.accepted()) > accepted

    wait_until(lambda: stack.status("/readyz") == 200, seconds=60, what="the producer is ready again")
    assert_sound(stack.audited())
    assert stack.state("producer")["StartedAt"] == before["StartedAt"]
