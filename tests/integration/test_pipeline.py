"""The whole pipeline on this machine: real bars, invalid lines, killed and stopped producers, and the demo itself."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from analytics import local_tables
from deployment.functions import ROOT
from producer_service import accepted_log
from producer_service.sources import synthetic
from quotes import Quote, encode_line, lane_of, partition_key, whole_milliseconds
from replica import kept_archive
from replica.audit import audit
from replica.event_source import InvocationReport
from replica.event_source.aws import connect
from replica.pipeline import Pipeline
from replica.producer_process import ProducerProcess
from replica.producer_process import environment as producer_environment
from tests.support import demos, same_results, two_readers
from tests.support.queues import subscribed
from tests.support.recorded_bars import PRICES, copy_days, recorded_bars
from tests.support.sizes import sized
from tests.support.sql_command import query_rows
from tests.support.waiting import wait_until

PATIENCE = 120.0
LANES = 4
REAL_SYMBOLS = ("AAPL", "PPLT", "UGA", "VIX")  # a liquid one, two illiquid ones, and an index without volume


@pytest.fixture(scope="module")
def pipeline(replica_python: str) -> Iterator[Pipeline]:
    with Pipeline(lambda _: None, python=replica_python) as running:
        yield running


RunProducer = Callable[..., ProducerProcess]


@pytest.fixture
def producer(pipeline: Pipeline, tmp_path: Path) -> RunProducer:
    def make(environment: Mapping[str, str] | None = None, **settings: str) -> ProducerProcess:
        base = {**pipeline.emulator.environment(os.environ), **(environment or {})}
        return ProducerProcess(producer_environment(base, tmp_path, pipeline.outputs["StreamName"], settings))

    return make


def scan(pipeline: Pipeline, table: str) -> Iterator[dict[str, Any]]:
    pages = pipeline.emulator.client("dynamodb").get_paginator("scan").paginate(TableName=pipeline.outputs[table])
    for page in pages:
        yield from page["Items"]


def await_end(producer: ProducerProcess) -> None:
    deadline = time.monotonic() + PATIENCE
    while not producer.has_ended():
        assert time.monotonic() < deadline, producer.log_tail()
        time.sleep(0.1)


def assert_nothing_lost(pipeline: Pipeline, accepted_log_path: Path) -> None:
    """Compare the quotes of an accepted log with what is stored, without the quotes of other tests on the stream."""
    assert pipeline.runner.wait_until_caught_up(PATIENCE)
    accepted = list(accepted_log.read(accepted_log_path))
    evidence, symbols = pipeline.reader.read(), {identity.symbol for identity in accepted}
    tested = tuple(identity for identity in evidence.stream if identity.symbol in symbols)
    findings = audit(accepted, replace(evidence, stream=tested))
    assert (findings.lost, findings.duplicated, findings.out_of_order) == (0, 0, 0)
    assert findings.quotes_accepted > 0


def test_real_minute_bars_are_stored_unchanged(
    pipeline: Pipeline, producer: RunProducer, recordings: Path, tmp_path: Path
) -> None:
    folder = copy_days(recordings / "minute" / "eqker", tmp_path / "bars", REAL_SYMBOLS, days=sized(1, 2))
    with producer(SOURCE="replay", REPLAY_PATH=str(folder), SYMBOLS=",".join(REAL_SYMBOLS)) as running:
        await_end(running)
        running.stop()
    assert_nothing_lost(pipeline, tmp_path / "accepted_log.jsonl")
    stored = {
        (item["symbol"]["S"], item["key"]["S"].removeprefix("1m#")): tuple(Decimal(item[name]["N"]) for name in PRICES)
        for item in scan(pipeline, "BarsTable")
        if item["symbol"]["S"] in REAL_SYMBOLS and item["key"]["S"] < "1m#2020"
    }
    assert stored == {bar: values for symbol in REAL_SYMBOLS for bar, values in recorded_bars(folder, symbol)}


def test_invalid_lines_are_quarantined_one_by_one_and_their_neighbours_are_stored(pipeline: Pipeline) -> None:
    key = partition_key(lane_of("RUBBISH", LANES), LANES)
    now = whole_milliseconds(datetime.now(UTC))
    good = [
        encode_line(
            Quote(
                symbol="RUBBISH",
                event_time=now + timedelta(milliseconds=n),
                price=Decimal(n + 1),
                source="test",
                ingest_time=now,
            )
        )
        for n in range(20)
    ]
    bad = {
        "not JSON": b"hello, world",
        "wrong version": good[0].replace(b'"v":1', b'"v":7').rstrip(),
        "NaN price": good[0].replace(b'"price":1,', b'"price":NaN,').rstrip(),
        "another lane's": good[0].replace(b"RUBBISH", b"AAPL").rstrip(),
        "empty": b"",
    }
    assert lane_of("AAPL", LANES) != lane_of("RUBBISH", LANES)
    noise = random.Random(7).randbytes(2**20 - 100)
    records = [good[2 * n] + line + b"\n" + good[2 * n + 1] for n, line in enumerate(bad.values())]
    records += [b"", noise, b"".join(good[10:])]
    pipeline.emulator.client("kinesis").put_records(
        StreamName=pipeline.outputs["StreamName"], Records=[{"Data": data, "PartitionKey": key} for data in records]
    )
    assert pipeline.runner.wait_until_caught_up(PATIENCE)

    stored = [item for item in scan(pipeline, "QuotesTable") if item["symbol"]["S"] == "RUBBISH"]
    assert len(stored) == len(good)
    messages = [message for message in quarantined(pipeline) if message["partition_key"] == key]
    single = [message for message in messages if "object" not in message]
    assert sorted(b64decode(message["content"]) for message in single) == sorted([*bad.values(), b""])
    assert all(message["reason"] and message["sequence_number"] and message["line"] for message in single)
    [pointer] = [message for message in messages if "object" in message]
    bucket, _, name = pointer["object"].removeprefix("s3://").partition("/")
    body = gzip.decompress(pipeline.emulator.client("s3").get_object(Bucket=bucket, Key=name)["Body"].read())
    assert b"\n".join(b64decode(json.loads(line)["content"]) for line in body.splitlines()) == noise.removesuffix(b"\n")


def quarantined(pipeline: Pipeline) -> list[dict[str, Any]]:
    sqs, url = pipeline.emulator.client("sqs"), pipeline.outputs["QuarantineQueueUrl"]
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"]) for message in messages]
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def test_a_killed_producer_loses_no_accepted_quote(pipeline: Pipeline, producer: RunProducer, tmp_path: Path) -> None:
    settings = {"SOURCE": "synthetic", "SYMBOLS": ",".join(f"K{n}" for n in range(200)), "POLL_INTERVAL_SECONDS": "0.1"}
    for _ in range(3):
        before = accepted(tmp_path)
        with producer(**settings) as running:
            await_accepted(tmp_path, before + 400)
            running.kill()
    with producer(**settings) as running:
        running.stop()
    assert_nothing_lost(pipeline, tmp_path / "accepted_log.jsonl")


def test_what_a_stop_cannot_deliver_is_delivered_by_the_next_producer(
    pipeline: Pipeline, producer: RunProducer, tmp_path: Path
) -> None:
    """On Fargate, the disk is deleted with the task, so the next producer has a new journal. So it does here."""
    settings = {
        "SOURCE": "synthetic",
        "SYMBOLS": ",".join(f"H{n}" for n in range(100)),
        "POLL_INTERVAL_SECONDS": "0.2",
        "DRAIN_SECONDS": "1",
        "HANDOVER_BUCKET": pipeline.outputs["ArchiveBucket"],
    }
    unreachable = {"AWS_ENDPOINT_URL_KINESIS": "http://127.0.0.1:9"}
    with producer(**settings, JOURNAL_DIR=str(tmp_path / "first"), environment=unreachable) as first:
        await_accepted(tmp_path, 300)
        first.stop()
    left = accepted(tmp_path)
    with producer(**settings, JOURNAL_DIR=str(tmp_path / "second")) as second:
        await_accepted(tmp_path, left + 100)
        second.stop()
    assert_nothing_lost(pipeline, tmp_path / "accepted_log.jsonl")
    waiting = pipeline.emulator.client("s3").list_objects_v2(
        Bucket=pipeline.outputs["ArchiveBucket"], Prefix="undelivered/"
    )
    assert waiting["KeyCount"] == 1  # the history of the second producer, for a third one


def test_two_producers_of_the_same_symbols_lose_nothing(
    pipeline: Pipeline, producer: RunProducer, tmp_path: Path
) -> None:
    """The README says what two producers may do to each other: late quotes, and one identity with two contents."""
    settings = {"SOURCE": "synthetic", "SYMBOLS": "T1,T2,T3", "POLL_INTERVAL_SECONDS": "0.1"}
    one = producer(**settings, JOURNAL_DIR=str(tmp_path / "one"), SYNTHETIC_SEED="1")
    other = producer(**settings, JOURNAL_DIR=str(tmp_path / "other"), SYNTHETIC_SEED="2")
    with one, other:
        await_accepted(tmp_path, 200)
        one.stop()
        other.stop()
    assert pipeline.runner.wait_until_caught_up(PATIENCE)
    assert audit(list(accepted_log.read(tmp_path / "accepted_log.jsonl")), pipeline.reader.read()).lost == 0


def test_a_signal_while_a_replay_drains_gives_it_the_time_to_drain(
    pipeline: Pipeline, producer: RunProducer, recordings: Path, tmp_path: Path
) -> None:
    symbols, days = ("MSFT", "SPY", "TSLA"), 2
    folder = copy_days(recordings / "minute" / "eqker", tmp_path / "bars", symbols, days)
    settings = {
        "SOURCE": "replay",
        "REPLAY_PATH": str(folder),
        "SYMBOLS": ",".join(symbols),
        "DRAIN_SECONDS": "60",
        "REQUESTS_IN_FLIGHT": "1",
    }
    with producer(**settings) as running:
        # A bar becomes four quotes. Now nearly all are accepted, but many are not delivered yet.
        await_accepted(tmp_path, len(symbols) * days * 390 * 4 - 400 * days)
        running.stop()
    assert_nothing_lost(pipeline, tmp_path / "accepted_log.jsonl")


def accepted(directory: Path) -> int:
    path = directory / "accepted_log.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def await_accepted(directory: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while accepted(directory) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def demo(python: str, directory: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """The demo in a process of its own."""
    return subprocess.Popen(
        [python, "-m", "replica", "demo", *arguments],
        cwd=ROOT,
        env=demos.environment(directory, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_demo_runs_under_the_deployed_policies_and_loses_nothing(replica_python: str, tmp_path: Path) -> None:
    summary, rules, kept = tmp_path / "summary.json", tmp_path / "rules.toml", tmp_path / "kept"
    rules.write_text('[[rule]]\nkind = "price_move"\npercent = 0.01\n')
    options = ("--seconds", "8", "--summary", str(summary), "--rules", str(rules), "--keep", str(kept))
    run = demo(replica_python, tmp_path, *options, AUTH="true")
    asked_while_it_runs(run)
    output, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, output
    assert kept_archive.problem_of(kept) is None  # the next demo may replace what this one left
    (kept / "raw-data" / "mine").touch()
    assert kept_archive.problem_of(kept) is not None
    figures = json.loads(summary.read_bytes())
    assert figures["quotes_stored"] == figures["quotes_accepted"] > 50
    assert (figures["lost"], figures["duplicated"], figures["out_of_order"], figures["quarantined"]) == (0, 0, 0, 0)
    assert figures["prices"] == "simulated prices"
    assert [(group["source"], group["symbols"]) for group in figures["groups"]] == [("synthetic", 24)]
    assert figures["alerts"] >= len(synthetic.SYMBOLS) // 2  # by the rules of the user
    assert figures["alerts_unmatched"] == 0
    assert 0 < figures["latency_seconds"]["p50"] <= figures["latency_seconds"]["p99"]
    counted = query_rows(kept, "SELECT (SELECT count(*) FROM bars) AS b, (SELECT count(*) FROM alerts) AS a")
    assert counted == [{"b": figures["bars"], "a": figures["alerts"]}]


def asked_while_it_runs(run: subprocess.Popen[str]) -> None:
    """Ask the dashboard of a demo for what only the function's role can read."""
    assert run.stdout
    line = next(line for line in run.stdout if line.startswith("dashboard "))
    with httpx.Client(base_url=line.split()[1].rstrip(","), trust_env=False, timeout=30) as dashboard:
        wait_until(lambda: dashboard.get("/v1/latest").json().get("quotes"), "prices", seconds=PATIENCE)
        answers = {path: dashboard.get(path) for path in ("/v1/quotes/AAPL", "/v1/alerts", "/v1/status", "/udf/config")}
        assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
        assert dashboard.get("/config.json").json()["stage"] == "demo"


def test_bars_and_alerts_of_the_services_can_be_kept(pipeline: Pipeline, tmp_path: Path) -> None:
    table, dynamodb = pipeline.outputs["BarsTable"], pipeline.emulator.client("dynamodb")
    key = {"symbol": {"S": "KEPT"}, "key": {"S": "1m#2026-11-23T14:30:00.000Z"}}
    close, rsi = "741971.39012345678901", "81.2034117"
    dynamodb.put_item(TableName=table, Item={**key, "close": {"N": close}, "rsi_14": {"N": rsi}})
    alert = {"id": "x", "rule": "r", "severity": "info", "symbol": "KEPT", "timestamp": "2026-11-23T14:30:00.000Z#1"}
    message = json.dumps({**alert, "subject": "KEPT is kept", "values": {"close": 1.5}})
    pipeline.emulator.client("sns").publish(TopicArn=pipeline.outputs["AlertsTopicArn"], Message=message)
    try:
        evidence = pipeline.reader.read()
        local_tables.keep(tmp_path, pipeline.reader.bars(), pipeline.reader.alerts())
    finally:
        dynamodb.delete_item(TableName=table, Key=key)
    (tmp_path / "raw-data").mkdir()
    assert query_rows(tmp_path, "SELECT count(*) AS n FROM bars") == [{"n": evidence.bars}]
    assert {row["id"] for row in query_rows(tmp_path, "SELECT id FROM alerts")} == evidence.alerts.keys()
    [bar] = query_rows(tmp_path, "SELECT start, close, rsi_14, volume FROM bars WHERE symbol = 'KEPT'")
    assert bar == {"start": "2026-11-23 14:30:00", "close": Decimal(close), "rsi_14": Decimal(rsi), "volume": None}
    [kept] = query_rows(tmp_path, "SELECT symbols, subject, values FROM alerts WHERE id = 'x'")
    assert kept == {"symbols": ["KEPT"], "subject": "KEPT is kept", "values": {"close": Decimal("1.5")}}


def test_the_demo_ends_when_nobody_reads_its_output(replica_python: str, tmp_path: Path) -> None:
    run = demo(replica_python, tmp_path)
    assert run.stdout
    assert run.stdout.readline() == "starting the emulator\n"
    run.stdout.close()
    assert run.wait(PATIENCE) == 141
    assert not list(tmp_path.glob("stockstream-*"))


def test_ctrl_c_drains_the_demo_and_compares(replica_python: str, tmp_path: Path) -> None:
    run = demo(replica_python, tmp_path)
    assert run.stdout
    for line in run.stdout:
        if "quotes stored" in line and " 0 quotes" not in line:
            break
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, output
    assert "lost" in output


def test_the_demo_reports_mistakes_in_its_settings(replica_python: str, tmp_path: Path) -> None:
    run = demo(replica_python, tmp_path, "--source", "yahoo", PRODUCER_LANE="3")
    output, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 2
    assert "stockstream demo: 2 mistakes, nothing was started:" in output
    assert "--symbols / SYMBOLS: missing" in output
    assert "PRODUCER_LANE: unknown; did you mean PRODUCER_LANES?" in output
    assert "Traceback" not in output


def test_make_refuses_a_variable_that_the_demo_does_not_have() -> None:
    """It does so before it installs or starts anything."""
    run = subprocess.run(
        ["make", "--dry-run", "demo", "SYMBOL=AAPL", "SECONDS=5"],
        cwd=ROOT,
        # `make test` passes its own variables on.
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "make demo has no variable SYMBOL. Its variables are SECONDS SOURCE SYMBOLS " in run.stderr
    assert run.stdout == ""


def test_nothing_is_lost_or_published_twice_while_a_new_mapping_takes_over(pipeline: Pipeline) -> None:
    """The new one begins with the oldest record of the stream beside the old one, as when a stage changes its mode."""
    client, outputs = pipeline.emulator.client, pipeline.outputs
    lambda_, kinesis = client("lambda"), client("kinesis")
    scenario = list(two_readers.packets())
    before, after = scenario[: len(scenario) // 3], scenario[len(scenario) // 3 :]
    with subscribed(client, outputs["AlertsTopicArn"]) as inbox:
        records = two_readers.put(kinesis, outputs["StreamName"], before)
        assert pipeline.runner.wait_until_caught_up(PATIENCE)
        deployed = lambda_.get_event_source_mapping(UUID=outputs["EventSourceMappingId"])
        assert "/consumer/" in deployed["EventSourceArn"]
        mapping = lambda_.create_event_source_mapping(
            EventSourceArn=outputs["StreamArn"],
            FunctionName=outputs["LiveAliasArn"],
            Enabled=False,
            StartingPosition=deployed["StartingPosition"],
            BatchSize=deployed["BatchSize"],
            FunctionResponseTypes=deployed["FunctionResponseTypes"],
        )["UUID"]
        batches: list[InvocationReport] = []
        with connect(client, mapping, on_batch=batches.append, poll_interval_seconds=0.05) as new:
            records += two_readers.put(kinesis, outputs["StreamName"], after)
            assert pipeline.runner.wait_until_caught_up(PATIENCE)
            assert new.wait_until_caught_up(PATIENCE)
        lambda_.delete_event_source_mapping(UUID=mapping)
        numbers = {int(record.sequence_number) for batch in batches for record in batch.records[: batch.finished]}
        assert {record.sequence_number for record in records} <= numbers
        two_readers.assert_processed_once(client, outputs, inbox, records)


def test_the_packaged_function_does_what_the_processor_in_memory_does(pipeline: Pipeline) -> None:
    same_results.assert_same(pipeline.emulator.client, pipeline.outputs["FunctionName"], pipeline.outputs)
