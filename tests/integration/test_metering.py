"""The metered calls agree with what can be read back, and the expected usage agrees with the metered calls."""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
from pathlib import Path

import pytest

from aws_limits import KINESIS_PAYLOAD_UNIT_BYTES
from costs.expected_usage import Setup, expected_usage
from deployment.functions import ROOT
from producer_service import accepted_log
from replica.event_source import Position
from replica.event_source.aws import KinesisStream
from replica.pipeline import Pipeline
from replica.producer_process import ProducerProcess, environment
from tests.support.sizes import sized
from tests.support.sql_command import query_rows

PATIENCE = 60.0
SYMBOLS = [f"M{number}" for number in range(60)]
LANES, WINDOW_SECONDS = 4, 2
POLLS = sized(7, 14)


def test_metered_usage_is_what_can_be_read_back_and_what_was_expected(replica_python: str, tmp_path: Path) -> None:
    parameters = {"BatchingWindowSeconds": str(WINDOW_SECONDS)}
    with Pipeline(lambda _: None, python=replica_python, latency="cheap", parameters=parameters) as pipeline:
        base = pipeline.emulator.environment(os.environ)
        settings = {"SOURCE": "synthetic", "SYMBOLS": ",".join(SYMBOLS), "POLL_INTERVAL_SECONDS": "1"}
        began = time.time()
        with ProducerProcess(environment(base, tmp_path, pipeline.outputs["StreamName"], settings)) as producer:
            time.sleep(POLLS)  # the usage of this number of polls is what is tested
            producer.stop()
        assert pipeline.runner.wait_until_caught_up(PATIENCE)
        took = time.time() - began
        accepted = len(list(accepted_log.read(tmp_path / "accepted_log.jsonl")))
        usage = pipeline.usage(accepted, producer.log_bytes)
        snapshot, evidence = pipeline.monitor.snapshot(), pipeline.reader.read()
        stream = KinesisStream(pipeline.emulator.client("kinesis"), pipeline.outputs["StreamArn"])
        records = [record for shard in stream.list_shards() for record in read(stream, shard.shard_id)]
        pages = (
            pipeline.emulator.client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=pipeline.outputs["ArchiveBucket"], Prefix="raw-data/")
        )
        objects = [listed["Size"] for page in pages for listed in page.get("Contents", [])]

    assert usage.row_writes == len(evidence.rows) == accepted
    assert usage.bar_writes == evidence.bars
    assert usage.alert_writes == len(evidence.stored_alerts)
    assert usage.payload_units == sum(math.ceil(size / KINESIS_PAYLOAD_UNIT_BYTES) for size in records)
    assert usage.stream_bytes == sum(records)
    assert usage.archive_puts == len(objects) == usage.invocations == snapshot.batches
    assert usage.archive_bytes == sum(objects)
    assert usage.alerts >= len(evidence.alerts)
    assert 0 < usage.gb_seconds < took
    assert usage.log_bytes > 500 * usage.invocations

    polls = round(accepted / len(SYMBOLS) * 1.05)  # one in twenty simulated quotes is a repetition
    setup = Setup(
        symbols=len(SYMBOLS),
        interval_seconds=1,
        lanes=LANES,
        shards=1,
        window_seconds=WINDOW_SECONDS,
        share_of_new_quotes=accepted / polls / len(SYMBOLS),
    )
    expected = expected_usage(setup, polls=polls, minutes=1)
    rounds = 3  # of heartbeats: at the start, at the end, and perhaps one in between
    assert usage.payload_units == pytest.approx(expected.payload_units, rel=0.15, abs=LANES * rounds)
    assert usage.archive_puts == pytest.approx(expected.archive_puts, abs=2)
    assert usage.stream_bytes == pytest.approx(expected.stream_bytes, rel=0.1)
    assert usage.read_units == LANES * 3 + len(SYMBOLS)  # states, marks, checkpoints, and stored bars of new symbols


def read(stream: KinesisStream, shard_id: str) -> list[int]:
    """The size of each record of a shard, with its partition key."""
    sizes: list[int] = []
    iterator: str | None = stream.shard_iterator(shard_id, Position(type="TRIM_HORIZON"))
    while iterator is not None:
        page = stream.get_records(shard_id, iterator)
        sizes += [len(record.data) + len(record.partition_key) for record in page.records]
        iterator = None if page.at_tip and not page.records else page.next_iterator
    return sizes


def test_the_demo_reports_its_usage_and_leaves_its_archive(replica_python: str, tmp_path: Path) -> None:
    summary, archive = tmp_path / "summary.json", tmp_path / "archive"
    run = subprocess.run(
        [replica_python, "-m", "replica", "demo", "--seconds", "5", "--summary", str(summary), "--keep", str(archive)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    figures = json.loads(summary.read_bytes())
    usage = figures["usage"]
    assert usage["row_writes"] == usage["quotes"] == figures["quotes_stored"] > 0
    assert usage["archive_puts"] == usage["invocations"] == figures["batches"]
    assert 0.625 < figures["usd_per_million_quotes"] < 5
    assert f"cost ${figures['usd_per_million_quotes']:.2f} per million quotes" in run.stdout
    days = query_rows(archive, "cost")
    assert sum(day["quotes"] for day in days) == figures["quotes_stored"]
    assert sum(day["batches"] for day in days) == usage["archive_puts"]
    assert sum(day["payload_units_at_most"] for day in days) >= usage["payload_units"]
