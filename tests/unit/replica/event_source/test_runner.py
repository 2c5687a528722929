from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replica.event_source import (
    Destination,
    EventSourceMapping,
    EventSourceRunner,
    InvocationReport,
    Page,
    Position,
    PushedEvent,
    RunnerFailed,
    StreamUnavailable,
    full_jitter,
)
from tests.fakes.event_source import (
    SUBSCRIPTION_SECONDS,
    FakeDestination,
    FakeFunction,
    FakeStream,
    FakeSubscription,
)
from tests.support.event_source import CONSUMER, STREAM, make_mapping

_TIMEOUT_SECONDS = 20.0
"""The longest wait. Every wait should be over in milliseconds."""


@pytest.fixture(params=[STREAM, CONSUMER], ids=["polling", "fan_out"])
def source(request: pytest.FixtureRequest) -> str:
    """The EventSourceArn of a mapping that polls, and of one to which records are pushed."""
    return str(request.param)


def _runner(
    mapping: EventSourceMapping,
    stream: FakeStream,
    handler: Callable[[dict[str, Any]], object],
    destination: Destination | None = None,
    on_batch: Callable[[InvocationReport], None] = lambda _: None,
) -> EventSourceRunner:
    return EventSourceRunner(
        mapping,
        stream,
        FakeFunction(handler),
        destination,
        invoke_identity_arn="arn:aws:iam::123456789012:role/processor",
        on_batch=on_batch,
        poll_interval_seconds=0.001,
        backoff=lambda _: 0.0,
    )


def _numbers(event: dict[str, Any]) -> list[int]:
    return [int(record["kinesis"]["sequenceNumber"]) for record in event["Records"]]


class Recorder:
    """A function that fails each record as often as planned, and stops at the first failure.

    It records which records succeeded, and which partition keys were processed by two invocations at once.
    """

    def __init__(self, failures: dict[int, int], *, reports: bool) -> None:
        self.succeeded: list[tuple[str, int]] = []
        self.overlaps: list[str] = []
        self._failures = failures
        self._reports = reports
        self._lock = threading.Lock()
        self._keys: Counter[str] = Counter()

    def __call__(self, event: dict[str, Any]) -> object:
        keys = {str(record["kinesis"]["partitionKey"]) for record in event["Records"]}
        with self._lock:
            self.overlaps += [key for key in keys if self._keys[key]]
            self._keys.update(keys)
        try:
            return self._process(event)
        finally:
            with self._lock:
                self._keys.subtract(keys)

    def _process(self, event: dict[str, Any]) -> object:
        for record in event["Records"]:
            number = int(record["kinesis"]["sequenceNumber"])
            with self._lock:
                if self._failures.get(number, 0) > 0:
                    self._failures[number] -= 1
                    if self._reports:
                        return {"batchItemFailures": [{"itemIdentifier": str(number)}]}
                    raise ValueError(number)
                self.succeeded.append((record["kinesis"]["partitionKey"], number))
        return None


@settings(max_examples=60, deadline=None)
@given(
    plan=st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([0, 0, 0, 1, 2, 9])), min_size=1, max_size=40),
    factor=st.integers(1, 4),
    batch_size=st.integers(1, 12),
    retries=st.integers(0, 3),
    bisects=st.booleans(),
    reports=st.booleans(),
    source=st.sampled_from([STREAM, CONSUMER]),
)
def test_every_record_is_delivered_in_the_order_of_its_key_or_discarded_once(
    *,
    plan: list[tuple[str, int]],
    factor: int,
    batch_size: int,
    retries: int,
    bisects: bool,
    reports: bool,
    source: str,
) -> None:
    mapping = make_mapping(
        EventSourceArn=source,
        ParallelizationFactor=factor,
        BatchSize=batch_size,
        MaximumRetryAttempts=retries,
        BisectBatchOnFunctionError=bisects,
        FunctionResponseTypes=["ReportBatchItemFailures"] if reports else [],
    )
    stream = FakeStream(page_size=7)
    put = [stream.put(key) for key, _ in plan]
    failures = {record.position: times for record, (_, times) in zip(put, plan, strict=True)}
    function, destination = Recorder(dict(failures), reports=reports), FakeDestination()

    with _runner(mapping, stream, function, destination) as runner:
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)
        assert runner.caught_up()
        assert runner.checkpoints == {put[0].shard_id: put[-1].sequence_number}

    succeeded = {number for _, number in function.succeeded}
    payloads = [json.loads(json.loads(document)["payload"]) for _, document in destination.puts]
    discarded = [number for payload in payloads for number in _numbers(payload)]
    assert len(discarded) == len(set(discarded))
    assert succeeded | set(discarded) == {record.position for record in put}
    assert function.overlaps == []
    for key in "abcdef":
        firsts = list(dict.fromkeys(number for each, number in function.succeeded if each == key))
        assert firsts == sorted(firsts)
    if reports:
        assert not succeeded & set(discarded)  # records before the reported one are past the checkpoint
    if bisects:
        assert all(failures[number] > retries for number in discarded)  # no record is discarded because of another one
        assert all(len(_numbers(payload)) == 1 for payload in payloads)


def test_only_the_bad_record_is_discarded() -> None:
    stream, destination = FakeStream(), FakeDestination()
    bad = [stream.put("key") for _ in range(100)][41]
    function = Recorder({bad.position: 1_000}, reports=False)
    mapping = make_mapping(BisectBatchOnFunctionError=True, MaximumRetryAttempts=2)

    with _runner(mapping, stream, function, destination) as runner:
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)

    ((_, document),) = destination.puts
    assert json.loads(document)["KinesisBatchInfo"]["startSequenceNumber"] == bad.sequence_number
    assert len({number for _, number in function.succeeded}) == 99


def test_a_blocked_partition_key_does_not_hold_up_the_other_batchers(source: str) -> None:
    release, others = threading.Event(), threading.Event()

    def handler(event: dict[str, Any]) -> None:
        if event["Records"][0]["kinesis"]["partitionKey"] == "a":
            assert release.wait(_TIMEOUT_SECONDS)
        else:
            others.set()

    stream = FakeStream()
    blocked = stream.put("a")
    stream.put("d")  # this key goes to the other batcher
    with _runner(make_mapping(EventSourceArn=source, ParallelizationFactor=2), stream, handler) as runner:
        assert others.wait(_TIMEOUT_SECONDS)
        assert runner.checkpoints == {}
        assert not runner.caught_up()
        release.set()
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)
        assert set(runner.checkpoints) == {blocked.shard_id}


def test_children_are_processed_after_their_parent(source: str) -> None:
    numbers: list[int] = []
    stream = FakeStream()
    before = [stream.put("key") for _ in range(20)]
    stream.split("shardId-000000000000", "left", "right")
    after = [stream.put("key", shard_id="left") for _ in range(20)]
    mapping = make_mapping(EventSourceArn=source, BatchSize=3, MaximumBatchingWindowInSeconds=0)

    with _runner(mapping, stream, lambda event: numbers.extend(_numbers(event))) as runner:
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)

    assert numbers == [record.position for record in (*before, *after)]


def test_a_shard_that_is_split_while_it_is_read_is_followed_by_its_children_from_their_beginning(source: str) -> None:
    numbers: list[int] = []
    stream = FakeStream()
    stream.put("key", b"before the start")
    with _runner(
        make_mapping(EventSourceArn=source, StartingPosition="LATEST"),
        stream,
        lambda event: numbers.extend(_numbers(event)),
    ) as runner:
        before = stream.put("key")
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)
        stream.split("shardId-000000000000", "child")
        after = stream.put("key", shard_id="child")
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)

    assert numbers == [before.position, after.position]


def test_latest_delivers_what_is_put_once_start_has_returned(source: str) -> None:
    numbers: list[int] = []
    stream = FakeStream()
    stream.put("key")
    runner = _runner(
        make_mapping(EventSourceArn=source, StartingPosition="LATEST"),
        stream,
        lambda event: numbers.extend(_numbers(event)),
    )
    runner.start()
    put = stream.put("key")
    assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)
    runner.stop()

    assert numbers == [put.position]


def test_throttled_reads_lose_nothing(source: str) -> None:
    numbers: list[int] = []
    stream = FakeStream(page_size=3)
    put = [stream.put("key") for _ in range(10)]
    stream.faults += [StreamUnavailable("ProvisionedThroughputExceededException")] * 5

    with _runner(make_mapping(EventSourceArn=source), stream, lambda event: numbers.extend(_numbers(event))) as runner:
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)

    assert numbers == [record.position for record in put]


def test_records_wait_for_the_window_and_the_end_of_the_shard_ends_it(source: str) -> None:
    reports: list[InvocationReport] = []
    stream = FakeStream(page_size=1)
    put = [stream.put("key") for _ in range(5)]
    stream.split("shardId-000000000000")
    mapping = make_mapping(EventSourceArn=source, MaximumBatchingWindowInSeconds=300)

    with _runner(mapping, stream, lambda _: None, on_batch=reports.append) as runner:
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)

    assert [report.records for report in reports] == [tuple(put)]


def test_a_report_says_what_was_sent_and_when() -> None:
    reports: list[InvocationReport] = []
    stream = FakeStream()
    record = stream.put("key")
    with _runner(make_mapping(), stream, lambda _: None, on_batch=reports.append) as runner:
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)

    (report,) = reports
    assert report.records == (record,)
    assert (report.result, report.detail, report.retries, report.finished) == ("success", None, 0, 1)
    assert record.approximate_arrival_timestamp <= report.started_at <= report.finished_at
    assert report.started_monotonic <= report.finished_monotonic


def test_stop_ends_retries_without_a_limit_and_windows_that_are_open(source: str) -> None:
    failing = threading.Event()

    def handler(_: dict[str, Any]) -> None:
        failing.set()
        raise ValueError

    stream = FakeStream("shardId-000000000000", "shardId-000000000001")
    stream.put("key", shard_id="shardId-000000000000")
    stream.put("key", shard_id="shardId-000000000000")
    stream.put("key", shard_id="shardId-000000000001")
    # The batch of the second shard waits for its window.
    mapping = make_mapping(EventSourceArn=source, BatchSize=2, MaximumBatchingWindowInSeconds=300)
    runner = _runner(mapping, stream, handler)
    runner.start()
    assert failing.wait(_TIMEOUT_SECONDS)

    runner.stop(timeout=_TIMEOUT_SECONDS)

    assert runner.checkpoints == {}
    assert not runner.caught_up()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("event-source")]


def test_ctrl_c_does_not_wait_for_an_invocation_in_progress(source: str) -> None:
    entered, release = threading.Event(), threading.Event()

    def handler(_: dict[str, Any]) -> None:
        entered.set()
        release.wait(_TIMEOUT_SECONDS)

    stream = FakeStream()
    stream.put("key")
    runner = _runner(make_mapping(EventSourceArn=source), stream, handler)
    runner.start()
    assert entered.wait(_TIMEOUT_SECONDS)
    runner.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not release.is_set()
    release.set()
    runner.stop(timeout=_TIMEOUT_SECONDS)


def test_waiting_gives_up_in_time_while_a_batch_is_blocked(source: str) -> None:
    release = threading.Event()
    stream = FakeStream()
    stream.put("key")
    with _runner(
        make_mapping(EventSourceArn=source), stream, lambda _: release.wait(_TIMEOUT_SECONDS) and None
    ) as runner:
        assert not runner.wait_until_caught_up(0.01)
        release.set()
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)


def test_waiting_does_not_trust_a_read_from_before_the_call() -> None:
    class GatedStream(FakeStream):
        def __init__(self) -> None:
            super().__init__()
            self.gate = threading.Event()
            self.gate.set()
            self.blocked = threading.Event()

        def get_records(self, shard_id: str, iterator: str) -> Page:
            if not self.gate.is_set():
                self.blocked.set()
                assert self.gate.wait(_TIMEOUT_SECONDS)
            return super().get_records(shard_id, iterator)

    stream = GatedStream()
    with _runner(make_mapping(), stream, lambda _: None) as runner:
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)
        stream.gate.clear()
        assert stream.blocked.wait(_TIMEOUT_SECONDS)
        put = stream.put("key")
        assert not runner.wait_until_caught_up(0.05)
        stream.gate.set()
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)
        assert runner.checkpoints == {put.shard_id: put.sequence_number}


def test_waiting_does_not_trust_an_event_that_was_made_before_the_call() -> None:
    held, called, renew = threading.Event(), threading.Event(), threading.Event()

    class Delayed(FakeSubscription):
        def next_event(self) -> PushedEvent | None:
            event = super().next_event()
            if event is not None and event.records and not called.is_set():
                held.set()
                assert called.wait(_TIMEOUT_SECONDS)
            return event

        def interrupt(self) -> None:
            called.set()
            super().interrupt()

    class Stream(FakeStream):
        def subscribe(self, consumer_arn: str, shard_id: str, position: Position) -> FakeSubscription:
            assert not self.subscriptions or renew.wait(_TIMEOUT_SECONDS)
            return super().subscribe(consumer_arn, shard_id, position)

    stream = Stream(subscription=Delayed)
    with _runner(make_mapping(EventSourceArn=CONSUMER), stream, lambda _: None) as runner:
        stream.put("key")
        assert held.wait(_TIMEOUT_SECONDS)
        put = stream.put("key")
        assert not runner.wait_until_caught_up(0.05)
        renew.set()
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)
        assert runner.checkpoints == {put.shard_id: put.sequence_number}


def test_a_subscription_is_renewed_while_the_runner_runs() -> None:
    now = 0.0
    numbers: list[int] = []
    stream = FakeStream(clock=lambda: now, takeover_seconds=5.0)
    with _runner(
        make_mapping(EventSourceArn=CONSUMER), stream, lambda event: numbers.extend(_numbers(event))
    ) as runner:
        put = [stream.put("key")]
        for _ in range(3):
            now += SUBSCRIPTION_SECONDS
            stream.tick()
            put.append(stream.put("key"))
        now += SUBSCRIPTION_SECONDS
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)

    assert numbers == [record.position for record in put]
    assert len(stream.subscriptions) > 1


def test_a_thread_that_dies_stops_the_runner_and_its_error_is_raised(source: str) -> None:
    stream = FakeStream()
    stream.faults.append(PermissionError("AccessDeniedException"))
    runner = _runner(make_mapping(EventSourceArn=source), stream, lambda _: None)
    runner.start()

    with pytest.raises(RunnerFailed, match="AccessDeniedException"):
        runner.wait_until_caught_up(_TIMEOUT_SECONDS)
    with pytest.raises(RunnerFailed, match="AccessDeniedException"):
        runner.stop()


def test_a_runner_starts_once() -> None:
    with _runner(make_mapping(), FakeStream(), lambda _: None) as runner, pytest.raises(RuntimeError, match="once"):
        runner.start()


def test_the_backoff_doubles_up_to_half_a_minute() -> None:
    longest = [full_jitter(failures, uniform=lambda _, high: high) for failures in (1, 2, 3, 10, 10_000)]

    assert longest == [0.1, 0.2, 0.4, 30.0, 30.0]


def test_reading_does_not_run_far_ahead_of_a_blocked_function(source: str) -> None:
    release, entered = threading.Event(), threading.Event()

    def handler(_: dict[str, Any]) -> None:
        entered.set()
        release.wait(_TIMEOUT_SECONDS)

    stream = FakeStream(page_size=5)
    for _ in range(1_000):
        stream.put("key")
    with _runner(make_mapping(EventSourceArn=source, BatchSize=10), stream, handler) as runner:
        assert entered.wait(_TIMEOUT_SECONDS)
        assert not runner.wait_until_caught_up(0.05)
        assert len(stream.read) <= 30  # the batch in progress, one complete batch, and a page
        release.set()
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)
