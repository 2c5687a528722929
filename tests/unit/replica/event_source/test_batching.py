from __future__ import annotations

import pytest

from aws_limits import LAMBDA_PAYLOAD_BYTES
from replica.event_source.batching import Gathered, Gathering
from tests.unit.replica.event_source.conftest import MakeRecords


def test_a_batch_is_whole_at_the_batch_size(make_records: MakeRecords) -> None:
    gathering = Gathering(batch_size=2, window_seconds=300)
    taken = [gathering.offer(Gathered(record, 10), now=0) for record in make_records(3)]

    assert taken == [True, True, False]
    assert gathering.seconds_left(0) == 0
    assert gathering.records == make_records(2)


def test_the_window_opens_with_the_first_record(make_records: MakeRecords) -> None:
    first, second = make_records(2)
    gathering = Gathering(batch_size=10, window_seconds=5)

    assert gathering.seconds_left(100) is None
    gathering.offer(Gathered(first, 10), now=100)
    gathering.offer(Gathered(second, 10), now=104)

    assert gathering.seconds_left(104) == 1
    assert gathering.seconds_left(105) == 0
    assert gathering.seconds_left(200) == 0


def test_without_a_window_a_batch_is_what_is_there(make_records: MakeRecords) -> None:
    gathering = Gathering(batch_size=10, window_seconds=0)
    for record in make_records(3):
        gathering.offer(Gathered(record, 10), now=7)

    assert gathering.seconds_left(7) == 0
    assert len(gathering.records) == 3


def test_a_batch_is_whole_before_its_payload_is_over_six_megabytes(make_records: MakeRecords) -> None:
    gathering = Gathering(batch_size=10, window_seconds=300)
    half = LAMBDA_PAYLOAD_BYTES // 2
    taken = [gathering.offer(Gathered(record, half), now=0) for record in make_records(2)]

    assert taken == [True, False]  # the two halves and the envelope are over it
    assert gathering.seconds_left(0) == 0
    assert gathering.records == make_records(1)


def test_no_smaller_record_overtakes_the_one_that_had_no_room(make_records: MakeRecords) -> None:
    first, large, small = make_records(3)
    gathering = Gathering(batch_size=10, window_seconds=300, max_payload_bytes=100)

    assert gathering.offer(Gathered(first, 50), now=0)
    assert not gathering.offer(Gathered(large, 60), now=0)
    assert not gathering.offer(Gathered(small, 1), now=0)


@pytest.mark.parametrize("size", [LAMBDA_PAYLOAD_BYTES, 2 * LAMBDA_PAYLOAD_BYTES])
def test_a_record_over_the_limit_makes_a_batch_alone(make_records: MakeRecords, size: int) -> None:
    large, small = make_records(2)
    gathering = Gathering(batch_size=10, window_seconds=300)

    assert gathering.offer(Gathered(large, size), now=0)
    assert gathering.seconds_left(0) == 0
    assert not gathering.offer(Gathered(small, 1), now=0)
