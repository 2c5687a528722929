"""Symbols that change while a producer runs: added, removed and broken in S3, by the commands and by hand."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from typer.testing import CliRunner

from configuration import WATCHLIST_KEY, ChangedMeanwhile, ConfigurationObject
from operations.cli import app
from producer_service.errors import WatchlistUnavailable
from producer_service.s3_watchlist import S3Watchlist
from quotes import Heartbeat, Quote, decode
from replica.emulator import Emulator
from replica.producer_process import ProducerProcess, environment
from tests.support.waiting import wait_until
from watchlist import written

BUCKET, STREAM, LANES = "symbols-archive", "symbols", 4
A_MINUTE = 60.0
ADDRESS = f"s3://{BUCKET}/{WATCHLIST_KEY}"


@pytest.fixture(scope="module")
def stream(emulator: Emulator) -> Emulator:
    emulator.client("kinesis").create_stream(StreamName=STREAM, ShardCount=1)
    emulator.client("kinesis").get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})
    emulator.client("s3").create_bucket(Bucket=BUCKET)
    return emulator


@pytest.fixture
def started(stream: Emulator, tmp_path: Path) -> Iterator[Callable[[], AbstractContextManager[ProducerProcess]]]:
    """Starts a producer that polls the simulated market every 200 ms, and looks for other symbols every second."""
    settings = {
        "SOURCE": "synthetic",
        "POLL_INTERVAL_SECONDS": "0.2",
        "HEARTBEAT_SECONDS": "0.5",
        "WATCHLIST": ADDRESS,
        "WATCHLIST_SECONDS": "1",
    }
    yield lambda: ProducerProcess(environment(stream.environment(os.environ), tmp_path, STREAM, settings))
    stream.client("s3").delete_object(Bucket=BUCKET, Key=WATCHLIST_KEY)


def put(emulator: Emulator, content: bytes) -> None:
    emulator.client("s3").put_object(Bucket=BUCKET, Key=WATCHLIST_KEY, Body=content)


def symbols(emulator: Emulator, tmp_path: Path, *arguments: str, code: int = 0) -> str:
    """What `stockstream symbols` prints for the stage of the test."""
    names = tmp_path / "outputs.env"
    names.write_text(f"ArchiveBucket={BUCKET}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the environment of an earlier test
        command = ["symbols", *arguments, "--outputs-file", str(names)]
        done = CliRunner().invoke(app, command, env=emulator.environment())
        patch.setattr(boto3, "DEFAULT_SESSION", None)
    assert done.exit_code == code, done.output
    return done.output


def status(producer: ProducerProcess) -> dict[str, Any]:
    with urllib.request.urlopen(f"{producer.url}/status", timeout=10) as response:
        page: dict[str, Any] = json.load(response)
        return page


def polled(producer: ProducerProcess) -> list[int]:
    """How many symbols each group had in its last poll."""
    groups = status(producer)["groups"]
    return [group["last_poll"]["fetched"] if group["last_poll"] else 0 for group in groups]


def readiness(producer: ProducerProcess) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{producer.url}/readyz", timeout=10) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def stored(emulator: Emulator) -> list[Quote | Heartbeat]:
    """The quotes and heartbeats on the stream, in their order."""
    kinesis = emulator.client("kinesis")
    shard = kinesis.list_shards(StreamName=STREAM)["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(StreamName=STREAM, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    position, lines = iterator["ShardIterator"], list[Quote | Heartbeat]()
    while True:
        answer = kinesis.get_records(ShardIterator=position, Limit=1000)
        for record in answer["Records"]:
            lines += [good.line for good in decode(record["Data"]).good if isinstance(good.line, Quote | Heartbeat)]
        if not answer["Records"]:
            return lines
        position = answer["NextShardIterator"]


def test_a_symbol_is_added_and_removed_without_a_restart(
    stream: Emulator, started: Callable[[], AbstractContextManager[ProducerProcess]], tmp_path: Path
) -> None:
    put(stream, written(["AAPL", "MSFT"]))
    with started() as producer:
        wait_until(lambda: polled(producer) == [2], "two symbols are polled", seconds=A_MINUTE)

        assert "group default: added NVDA, KO" in symbols(stream, tmp_path, "add", "NVDA", "KO")
        wait_until(lambda: polled(producer) == [4], "the added symbols are polled", seconds=A_MINUTE)

        bad = written(["AAPL"]).replace(b'"AAPL"', b'"AA PL"')
        put(stream, bad)
        wait_until(lambda: status(producer)["watchlist"]["mistakes"], "the mistake is reported", seconds=A_MINUTE)
        assert "'AA PL'" in status(producer)["watchlist"]["mistakes"][0]
        assert polled(producer) == [4]
        assert readiness(producer)[0] == 200
        assert "has mistakes, so the producer does not use it" in symbols(stream, tmp_path, "add", "V", code=2)

        put(stream, written(["AAPL", "MSFT", "NVDA", "KO"]))
        wait_until(lambda: not status(producer)["watchlist"]["mistakes"], "it is right again", seconds=A_MINUTE)
        symbols(stream, tmp_path, "remove", "MSFT", "KO")
        wait_until(lambda: polled(producer) == [2], "the removed symbols are not polled", seconds=A_MINUTE)
        removed_at = status(producer)["now"]
        wait_until(lambda: status(producer)["groups"][0]["complete_to"] > removed_at, "polls go on", seconds=A_MINUTE)
        producer.stop()
    lines = stored(stream)
    quotes = [line for line in lines if isinstance(line, Quote)]
    assert {quote.symbol for quote in quotes} == {"AAPL", "MSFT", "NVDA", "KO"}
    for symbol in ("AAPL", "MSFT", "NVDA", "KO"):
        times = [(quote.event_time, quote.revision) for quote in quotes if quote.symbol == symbol]
        assert times == sorted(set(times))
    last = {line.lane: line.complete_to for line in lines if isinstance(line, Heartbeat)}
    assert len(last) == LANES  # the lanes of removed symbols go on
    assert min(to for to in last.values() if to is not None) > max(
        quote.event_time for quote in quotes if quote.symbol in ("MSFT", "KO")
    )


def test_a_producer_waits_for_its_first_watchlist_and_starts_again_without_one(
    stream: Emulator, started: Callable[[], AbstractContextManager[ProducerProcess]]
) -> None:
    with started() as producer:
        code, text = readiness(producer)
        assert code == 503
        assert "there is no such object" in text
        put(stream, written(["AAPL"]))
        wait_until(lambda: readiness(producer)[0] == 200, "the producer is ready", seconds=A_MINUTE)
        wait_until(lambda: polled(producer) == [1], "it polls", seconds=A_MINUTE)
        producer.stop()
    stream.client("s3").delete_object(Bucket=BUCKET, Key=WATCHLIST_KEY)
    with started() as producer:  # it has a copy beside its journal
        wait_until(lambda: polled(producer) == [1], "it polls the last good symbols", seconds=A_MINUTE)
        assert "there is no such object" in status(producer)["watchlist"]["unavailable"]


def test_two_people_do_not_overwrite_each_other(stream: Emulator, tmp_path: Path) -> None:
    put(stream, written(["AAPL"]))
    target = ConfigurationObject(stream.client("s3"), BUCKET, WATCHLIST_KEY)
    read = target.read()
    symbols(stream, tmp_path, "add", "NVDA")
    with pytest.raises(ChangedMeanwhile):
        target.write(written(["AAPL", "KO"]), read)
    assert "NVDA" in symbols(stream, tmp_path, "list")


def test_an_object_that_has_not_changed_is_not_read_again(stream: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stream.environment().items():
        monkeypatch.setenv(name, value)
    put(stream, written(["AAPL"]))
    store = S3Watchlist(ADDRESS)
    found = store.read(None)
    assert found is not None
    assert found.content == written(["AAPL"])
    assert store.read(found.version) is None
    put(stream, written(["KO"]))
    changed = store.read(found.version)
    assert changed is not None
    assert changed.content == written(["KO"])
    with pytest.raises(WatchlistUnavailable, match="there is no such object"):
        S3Watchlist(f"s3://{BUCKET}/none.toml").read(None)


def test_an_s3_that_does_not_answer_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(WatchlistUnavailable, match="Could not connect"):
        S3Watchlist(ADDRESS).read(None)
