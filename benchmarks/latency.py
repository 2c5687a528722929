"""Where the time of a quote goes, from its receipt to its row. Pure: it reads what a run has recorded."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from benchmarks.offered_load import SentPacket
from quotes import Quote, decode
from replica.event_source import InvocationReport, Record
from replica.monitor import percentile


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    """One stored quote, and how many seconds each part of its way took. The parts but `handler` add up."""

    received_at: datetime
    stored_at: datetime
    linger: float
    """From the receipt to the request that carries the quote: acceptance, journal, packing, linger."""
    put: float
    """From the request to the arrival in the stream, by the stream's own time."""
    wait: float
    """From the arrival to the invocation: the poll or the push, the batching window, and the batch before."""
    function: float
    """From the invocation to its answer."""
    handler: float
    """The part of `function` that the function's own code took. The rest is the emulator's."""


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds."""

    p50: float
    p99: float
    p99_9: float


PARTS = ("linger", "put", "wait", "function", "handler")


class HandledBatch(msgspec.Struct, frozen=True):
    """What the function logs of a batch."""

    ended_at: datetime
    seconds: float


class _Requests:
    """Finds the request that brought a record to the stream."""

    _SLACK_SECONDS = 0.002
    """The stream states times in whole milliseconds."""

    def __init__(self, sent: Iterable[SentPacket]) -> None:
        self._began: defaultdict[str, list[float]] = defaultdict(list)
        for packet in sent:
            self._began[packet.partition_key].append(packet.began)

    def began(self, record: Record) -> float:
        """When the request began. A lane has one packet in flight, so it is the last one before the arrival."""
        times = self._began[record.partition_key]
        arrived = record.approximate_arrival_timestamp.timestamp()
        return times[max(0, bisect_right(times, arrived + self._SLACK_SECONDS) - 1)]


def journeys(
    reports: Iterable[InvocationReport], sent: Iterable[SentPacket], handled: Sequence[HandledBatch]
) -> Iterator[Journey]:
    """The way of each quote that an invocation stored, in the order of the invocations.

    Invocations follow each other, as they do with one shard. A quote counts as stored when its invocation has ended;
    its row is visible a little earlier.
    """
    requests = _Requests(sent)
    ends = [batch.ended_at for batch in handled]
    for report in reports:
        function = (report.finished_at - report.started_at).total_seconds()
        place = bisect_right(ends, report.finished_at) - 1
        handler = handled[place].seconds if place >= 0 and ends[place] >= report.started_at else function
        for record in report.records[: report.finished]:
            began, arrived = requests.began(record), record.approximate_arrival_timestamp
            for good in decode(record.data).good:
                if isinstance(good.line, Quote):
                    yield Journey(
                        received_at=good.line.ingest_time,
                        stored_at=report.finished_at,
                        linger=max(0.0, began - good.line.ingest_time.timestamp()),
                        put=max(0.0, arrived.timestamp() - began),
                        wait=(report.started_at - arrived).total_seconds(),
                        function=function,
                        handler=handler,
                    )


def latency(found: Sequence[Journey]) -> Percentiles | None:
    """The latency from receipt to row. None without quotes."""
    return percentiles((each.stored_at - each.received_at).total_seconds() for each in found)


def parts(found: Sequence[Journey]) -> dict[str, Percentiles]:
    """The latency of each part. Percentiles of parts do not add up to the percentile of the whole."""
    measured = {part: percentiles(getattr(each, part) for each in found) for part in PARTS}
    return {part: value for part, value in measured.items() if value is not None}


def percentiles(seconds: Iterable[float]) -> Percentiles | None:
    """The percentiles of some durations, in whole milliseconds. None if there are none."""
    counted = Counter(max(0, round(value * 1000)) for value in seconds)
    p50, p99, p99_9 = (percentile(counted, percent) for percent in (50, 99, 99.9))
    return None if p50 is None or p99 is None or p99_9 is None else Percentiles(p50=p50, p99=p99, p99_9=p99_9)


def stored_rate(found: Sequence[Journey], since: datetime, until: datetime) -> float:
    """Quotes a second that were stored in a time, from the end of one invocation to the end of another.

    Quotes are stored in batches, so counting from any other instant would count a part of a batch too much.
    """
    ends = [each.stored_at for each in found if each.stored_at <= until]
    last = max(ends, default=since)
    first = max((end for end in ends if end <= since), default=min(ends, default=since))
    return sum(end > first for end in ends) / (last - first).total_seconds() if last > first else 0.0
