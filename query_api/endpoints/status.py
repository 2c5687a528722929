"""`/v1/status`: whether the feed is well. What is wrong is said in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from lane_state import LaneState
from query_api.freshness import OLDEST_CLOCK, freshness_of, is_behind
from query_api.http import Request, Response
from query_api.lanes import as_of
from query_api.openapi import AS_OF, COUNT, DAY, TEXT, Endpoint, array, described, record
from query_api.parameters import Parameters
from query_api.ports import Depth, Stores
from quotes import partition_key, to_iso

_TIME_OR_NULL = {"type": ["string", "null"], "format": "date-time"}


def answer(request: Request, stores: Stores) -> Response:
    """The lanes, the counts of the last days, and the quarantine."""
    Parameters(request.query, ENDPOINT.names)
    states, quarantine = stores.lanes.all(), stores.quarantine.depth()
    lanes = [_lane(key, state, request.now) for key, state in sorted(states.items())]
    arrivals = [state.arrival for state in states.values() if state.arrival is not None]
    body = {
        "as_of": _iso(as_of(states)),
        "lanes": lanes,
        "last_batch": _iso(max(arrivals, default=None)),
        "counts": _counts(states.values()),
        "quarantine": {"messages": quarantine.messages, "in_flight": quarantine.in_flight},
        "problems": _problems(states, quarantine, stores.settings.lanes, request.now),
    }
    return Response(body=msgspec.json.encode(body))


def _lane(key: str, state: LaneState, now: datetime) -> dict[str, str | int | None]:
    return {
        "lane": key,
        "symbols": len(state.symbols),
        "stale": _stale(state, now),
        "clock": _iso(state.clock),
        "complete_to": _iso(state.complete_to),
        "arrival": _iso(state.arrival),
        "newest_event_time": _iso(max((symbol.event_time for symbol in state.symbols.values()), default=None)),
    }


def _stale(state: LaneState, now: datetime) -> int:
    return sum(freshness_of(symbol, state, now) == "stale" for symbol in state.symbols.values())


def _counts(states: Iterable[LaneState]) -> list[dict[str, str | int]]:
    """The counts of all lanes by day, the newest last."""
    days: dict[str, list[int]] = {}
    for state in states:
        for counts in state.counts:
            day = days.setdefault(counts.day, [0, 0, 0])
            for index, count in enumerate((counts.quotes, counts.late, counts.repeated)):
                day[index] += count
    return [
        {"day": day, "quotes": quotes, "late": late, "repeated": repeated}
        for day, (quotes, late, repeated) in sorted(days.items())
    ]


def _problems(states: Mapping[str, LaneState], quarantine: Depth, lanes: int, now: datetime) -> list[str]:
    """What is wrong, one sentence each."""
    if not states:
        return ["Nothing is stored yet: no batch of the stream has been processed."]
    found = []
    has_heartbeats = any(state.clock is not None for state in states.values())  # they come to all lanes at once
    for number in range(lanes):
        key = partition_key(number, lanes)
        if key not in states:
            if not has_heartbeats:
                continue
            found.append(f"{key} has never been stored. Look whether the producer has {lanes} lanes.")
        elif is_behind(states[key], now):
            clock = states[key].clock
            since = "it has had none at all" if clock is None else f"the last one is of {to_iso(clock)}"
            minutes = OLDEST_CLOCK.seconds // 60
            found.append(f"{key} has had no heartbeat for {minutes} minutes: {since}. Look at the producer.")
        elif stale := _stale(states[key], now):
            found.append(f"{stale} of {len(states[key].symbols)} symbols of {key} are stale in an open market.")
    if quarantine.messages:
        found.append(f"The quarantine has {quarantine.messages} messages: lines or alerts that were refused.")
    return found


def _iso(time: datetime | None) -> str | None:
    return None if time is None else to_iso(time)


ENDPOINT = Endpoint(
    path="/v1/status",
    answer=answer,
    summary="Whether the feed is well.",
    description="Lanes are the units of order: each has some of the symbols. `counts` has the last 7 days of arrival, "
    "UTC.",
    schema=record(
        {
            "as_of": AS_OF,
            "lanes": array(
                record(
                    {
                        "lane": TEXT,
                        "symbols": described(COUNT, "How many symbols it has."),
                        "stale": described(COUNT, "How many of them are stale."),
                        "clock": described(_TIME_OR_NULL, "The clock of the last heartbeat."),
                        "complete_to": described(_TIME_OR_NULL, "Every quote up to this time has been stored."),
                        "arrival": described(_TIME_OR_NULL, "When Kinesis received the last record."),
                        "newest_event_time": _TIME_OR_NULL,
                    }
                )
            ),
            "last_batch": described(_TIME_OR_NULL, "When Kinesis received the last record of any lane."),
            "counts": array(
                record(
                    {
                        "day": DAY,
                        "quotes": COUNT,
                        "late": described(COUNT, "Quotes of a minute that had closed, or older than the last quote."),
                        "repeated": described(COUNT, "Quotes that came again."),
                    }
                )
            ),
            "quarantine": record(
                {"messages": COUNT, "in_flight": described(COUNT, "Those that somebody is looking at.")}
            ),
            "problems": array(TEXT, "What is wrong, one sentence each. Empty if nothing is."),
        }
    ),
)
