from __future__ import annotations

import pytest

from aws_limits import LAMBDA_PAYLOAD_BYTES
from replica.event_source.batching import BatchBuilder, SizedRecord
from tests.support.event_source import make_records


def test_a_batch_is_whole_at_the_batch_size() -> None:
    builder = BatchBuilder(batch_size=2, window_seconds=300)
    taken = [builder.offer(SizedRecord(record, 10), now=0) for record in make_records(3)]

    assert taken == [True, True, False]
    assert builder.seconds_left(0) == 0
    assert builder.records == make_records(2)


def test_the_window_opens_with_the_first_record() -> None:
    first, second = make_records(2)
    builder = BatchBuilder(batch_size=10, window_seconds=5)

    assert builder.seconds_left(100) is None
    builder.offer(SizedRecord(first, 10), now=100)
    builder.offer(SizedRecord(second, 10), now=104)

    assert builder.seconds_left(104) == 1
    assert builder.seconds_left(105) == 0
    assert builder.seconds_left(200) == 0


def test_without_a_window_a_batch_is_what_is_there() -> None:
    builder = BatchBuilder(batch_size=10, window_seconds=0)
    for record in make_records(3):
        builder.offer(SizedRecord(record, 10), now=7)

    assert builder.seconds_left(7) == 0
    assert len(builder.records) == 3


def test_a_batch_is_whole_before_its_payload_is_over_six_megabytes() -> None:
    builder = BatchBuilder(batch_size=10, window_seconds=300)
    half = LAMBDA_PAYLOAD_BYTES // 2
    taken = [builder.offer(SizedRecord(record, half), now=0) for record in make_records(2)]

    assert taken == [True, False]  # together with the envelope, two halves exceed the limit
    assert builder.seconds_left(0) == 0
    assert builder.records == make_records(1)


def test_no_smaller_record_overtakes_the_one_that_had_no_room() -> None:
    first, large, small = make_records(3)
    builder = BatchBuilder(batch_size=10, window_seconds=300, max_payload_bytes=100)

    assert builder.offer(SizedRecord(first, 50), now=0)
    assert not builder.offer(SizedRecord(large, 60), now=0)
    assert not builder.offer(SizedRecord(small, 1), now=0)


@pytest.mark.parametrize("size", [LAMBDA_PAYLOAD_BYTES, 2 * LAMBDA_PAYLOAD_BYTES])
def test_a_record_over_the_limit_makes_a_batch_alone(size: int) -> None:
    large, small = make_records(2)
    builder = BatchBuilder(batch_size=10, window_seconds=300)

    assert builder.offer(SizedRecord(large, size), now=0)
    assert builder.seconds_left(0) == 0
    assert not builder.offer(SizedRecord(small, 1), now=0)
