"""The stand-in of Kinesis itself: a verdict that cannot be bad would prove nothing."""

from __future__ import annotations

from typing import Any

import boto3
import msgspec
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from benchmarks.kinesis_standin.arrivals import Arrivals, Request
from benchmarks.kinesis_standin.faults import ALL_FAULTS, Fate, FaultDice, Faults
from benchmarks.kinesis_standin.process import STREAM, Standin, running
from benchmarks.kinesis_standin.stream import FaultyStream

KEY = "lane-00-of-01"


def line(second: int, symbol: str = "AAPL", revision: int = 0) -> bytes:
    time = f"2026-11-23T14:30:{second:02d}.000Z"
    return f'{{"kind":"quote","v":1,"symbol":"{symbol}","event_time":"{time}","revision":{revision}}}\n'.encode()


def client(standin: Standin, read_timeout: float = 5.0) -> Any:
    return boto3.client(
        "kinesis",
        endpoint_url=standin.environment["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(read_timeout=read_timeout, retries={"total_max_attempts": 1}),
    )


def record(data: bytes = b"") -> dict[str, Any]:
    return {"Data": data, "PartitionKey": KEY}


def test_sees_a_quote_behind_a_later_one_of_its_symbol() -> None:
    arrivals = Arrivals()
    for data in (line(1), line(3), line(2), line(2, "MSFT"), line(3, revision=1)):
        arrivals.store(Request(Fate.ANSWERED), KEY, data)
    assert arrivals.verdict().out_of_order == 1
    assert arrivals.verdict().distinct == 5


def test_separates_repeats_that_a_lost_answer_explains_from_others() -> None:
    arrivals = Arrivals()
    hidden, read, unread = Request(Fate.RESET), Request(Fate.ANSWERED, is_answer_read=True), Request(Fate.SLOW)
    for second, request in enumerate((hidden, read, unread)):
        arrivals.store(request, KEY, line(second))
    assert arrivals.verdict().repeated == 0
    arrivals.store(Request(Fate.ANSWERED), KEY, line(0) + line(1) + line(2) + line(3))
    verdict = arrivals.verdict()
    assert (verdict.repeated, verdict.repeated_after_fault) == (3, 1)
    assert (verdict.repeated_after_unread_answer, verdict.repeated_without_reason) == (1, 1)
    assert verdict.out_of_order == 0
    assert verdict.repeats_by_key == {KEY: 1}


def test_explains_a_third_arrival_by_the_second() -> None:
    arrivals = Arrivals()
    for request in (Request(Fate.RESET), Request(Fate.ANSWERED, is_answer_read=True), Request(Fate.ANSWERED)):
        arrivals.store(request, KEY, line(0))
    assert (arrivals.verdict().repeated_after_fault, arrivals.verdict().repeated_without_reason) == (1, 1)


def test_the_same_seed_has_the_same_fates_in_their_shares() -> None:
    fates = [dice.fate() for dice in [FaultDice(ALL_FAULTS)] for _ in range(20_000)]
    assert fates == [dice.fate() for dice in [FaultDice(ALL_FAULTS)] for _ in range(20_000)]
    assert fates.count(Fate.UNANSWERED) == pytest.approx(20_000 * ALL_FAULTS.unanswered, rel=0.2)
    assert set(fates) == set(Fate)


def test_a_reshard_changes_the_ids_of_shards() -> None:
    stream = FaultyStream(Faults(reshard_every=1))
    body = b'{"Data":"","PartitionKey":"%s"}' % KEY.encode()
    shards = [msgspec.json.decode(stream.answer("PutRecord", body).content)["ShardId"] for _ in range(3)]
    assert len(set(shards)) == 3


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([record()] * 501, "ValidationException"),
        ([record(b"x" * 2**20)], "ValidationException"),
        ([record(b"x" * 10**6)] * 6, "InvalidArgumentException"),
    ],
)
def test_refuses_what_kinesis_refuses(records: list[dict[str, Any]], code: str) -> None:
    with running() as standin, pytest.raises(ClientError) as refusal:
        client(standin).put_records(StreamName=STREAM, Records=records)
    assert refusal.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("faults", "error", "stored"),
    [
        (Faults(unanswered=1), ReadTimeoutError, 1),
        (Faults(reset=1), ConnectionClosedError, 1),
        (Faults(refused=1), ConnectionClosedError, 0),
        (Faults(throttled=1), ClientError, 0),
        (Faults(failed=1), ClientError, 0),
    ],
)
def test_each_fault_is_what_boto3_calls_it(faults: Faults, error: type[Exception], stored: int) -> None:
    with running(faults) as standin:
        with pytest.raises(error):
            client(standin, read_timeout=0.2).put_records(StreamName=STREAM, Records=[record(line(0))])
        assert standin.report().verdict.distinct == stored


def test_an_answer_that_is_cut_short_is_an_error_of_boto3_although_the_records_were_taken() -> None:
    with running(Faults(closed=1)) as standin:
        with pytest.raises(ConnectionClosedError):
            client(standin).put_records(StreamName=STREAM, Records=[record(line(0))])
        assert standin.report().verdict.distinct == 1
