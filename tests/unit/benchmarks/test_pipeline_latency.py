"""Where the time of a quote goes, by what a run of the pipeline's benchmark has recorded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from benchmarks.latency import HandledBatch, Journey, Percentiles, journeys, latency, parts, percentiles, stored_rate
from benchmarks.offered_load import SentPacket
from quotes import Heartbeat, Quote, encode
from replica.event_source import InvocationReport, Record

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def record(lane: str, arrived: float, *received: float) -> Record:
    """A packet with a heartbeat, and a quote for each time of receipt."""
    quotes = [
        Quote(symbol="AAPL", event_time=at(time), price=Decimal(13), source="synthetic", ingest_time=at(time))
        for time in received
    ]
    return Record(
        shard_id="0",
        sequence_number="1",
        partition_key=lane,
        data=encode([Heartbeat(lane=lane, clock=NOW, complete_to=NOW), *quotes]),
        approximate_arrival_timestamp=at(arrived),
    )


def report(records: Sequence[Record], started: float, finished: float, *, stored: int) -> InvocationReport:
    return InvocationReport(
        shard_id="0",
        records=tuple(records),
        started_at=at(started),
        finished_at=at(finished),
        started_monotonic=started,
        finished_monotonic=finished,
        result="success",
        detail=None,
        retries=0,
        finished=stored,
    )


def sent(lane: str, began: float) -> SentPacket:
    return SentPacket(lane, at(began).timestamp(), at(began + 1).timestamp())


def journey(received: float, stored: float) -> Journey:
    return Journey(
        received_at=at(received), stored_at=at(stored), linger=0, put=0, wait=0, function=stored - received, handler=0
    )


def test_the_parts_of_each_quote_add_up_to_its_latency() -> None:
    reports = [
        report([record("0/2", 0.070, 0.010, 0.020), record("1/2", 0.075, 0.030)], 0.300, 0.400, stored=2),
        report([record("0/2", 0.350, 0.290)], 0.410, 0.500, stored=1),
    ]
    packets = [sent("0/2", 0.060), sent("1/2", 0.065), sent("0/2", 0.340)]
    handled = [HandledBatch(at(0.390), 0.030), HandledBatch(at(0.495), 0.020)]
    found = list(journeys(reports, packets, handled))
    assert [round(each.linger, 3) for each in found] == [0.050, 0.040, 0.035, 0.050]
    assert [round(each.put, 3) for each in found] == [0.010, 0.010, 0.010, 0.010]
    assert [round(each.wait, 3) for each in found] == [0.230, 0.230, 0.225, 0.060]
    assert [each.function for each in found] == [0.1, 0.1, 0.1, 0.09]
    assert [each.handler for each in found] == [0.030, 0.030, 0.030, 0.020]
    for each in found:
        whole = (each.stored_at - each.received_at).total_seconds()
        assert each.linger + each.put + each.wait + each.function == pytest.approx(whole, abs=1e-6)


def test_a_quote_counts_from_the_invocation_that_stored_it() -> None:
    packet = record("0/1", 0.1, 0.0)
    failed, good = report([packet], 0.2, 0.3, stored=0), report([packet], 0.4, 0.5, stored=1)
    (found,) = journeys([failed, good], [sent("0/1", 0.05)], [])
    assert found.stored_at == at(0.5)
    assert found.handler == found.function  # no line of its batch was logged


def test_a_packet_that_was_sent_twice_counts_from_the_request_that_arrived() -> None:
    packets = [sent("0/1", 0.05), sent("0/1", 5.0)]
    (found,) = journeys([report([record("0/1", 5.01, 0.0)], 6, 7, stored=1)], packets, [])
    assert (round(found.linger, 3), round(found.put, 3)) == (5.0, 0.01)


def test_the_percentiles_are_those_of_all_measured_quotes() -> None:
    found = [journey(0, 0.1)] * 990 + [journey(0, 0.2)] * 9 + [journey(0, 2)]
    assert latency(found) == Percentiles(p50=0.1, p99=0.1, p99_9=0.2)
    assert parts(found)["function"] == latency(found)
    assert latency([]) is None
    assert parts([]) == {}
    assert percentiles([0.0004, -0.001]) == Percentiles(p50=0, p99=0, p99_9=0)


def test_the_rate_is_that_of_whole_batches() -> None:
    found = [journey(0, 1.0)] * 7 + [journey(0, 2.0)] * 10 + [journey(0, 3.0)] * 10 + [journey(0, 4.0)] * 3
    assert stored_rate(found, at(0.5), at(3.5)) == 10
    assert stored_rate(found, at(1.5), at(2.5)) == 10  # one batch, since the one before
    assert stored_rate(found, at(0.5), at(1.5)) == 0  # one batch alone says nothing about a rate
    assert stored_rate([], at(0), at(9)) == 0
