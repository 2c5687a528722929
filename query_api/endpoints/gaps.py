"""`/v1/gaps/{symbol}`: the minutes of sessions that have no bar."""

from __future__ import annotations

from datetime import datetime, timedelta

from bars.coverage import coverage_of
from bars.keys import ONE_MINUTE, bar_keys
from query_api import json_text
from query_api.endpoints.sessions import bounded, check_days, newest_time, sessions_of, sessions_unknown
from query_api.errors import unknown_symbol
from query_api.http import Request, Response
from query_api.minutes import Minutes
from query_api.openapi import COUNT, END, START, SYMBOL, SYMBOL_SCHEMA, TIME, Endpoint, array, described, record
from query_api.parameters import Parameters, Range
from query_api.ports import Stores
from query_api.stored_bars import start_of
from query_api.symbol_facts import SymbolFacts, facts_of
from quotes import to_iso

MAX_DAYS = 7
_LOOK_BACK = timedelta(days=14)
"""How far back the last session is looked for: further than the longest run of holidays."""
_DAY_MINUTES = 1_440


def answer(request: Request, stores: Stores) -> Response:
    """The gaps of a range, as far as the lane of the symbol is complete."""
    asked = bounded(Parameters(request.query, ENDPOINT.names).times())
    facts = facts_of(request.symbol, stores)
    if not facts.is_known:
        raise unknown_symbol(request.symbol)
    start, end = _range(asked, facts, stores, request.now)
    found = sessions_of(facts, stores, start, end)
    if not found.is_known or found.known_from >= end or found.known_to <= start:
        raise sessions_unknown(facts)
    end = max(start, min(end, _whole(newest_time(facts, request.now))))
    minutes = Minutes(stores.bars, request.symbol, facts.lane)
    first = next(minutes.read(bar_keys(ONE_MINUTE, None, end), newest_first=False, expected=1), None)
    start = end if first is None else min(max(start, start_of(first)), end)
    keys = bar_keys(ONE_MINUTE, start, end)
    expected = (MAX_DAYS + 1) * _DAY_MINUTES
    stored = {start_of(item) for item in minutes.read(keys, newest_first=False, expected=expected)}
    coverage = coverage_of([(max(each.opens, start), min(each.closes, end)) for each in found.sessions], stored)
    gaps = ",".join(
        [
            f'{{"start":"{to_iso(gap.start)}","end":"{to_iso(gap.end)}","minutes":{gap.minutes}}}'
            for gap in coverage.gaps
        ]
    )
    head = f'{{"symbol":{json_text.text(request.symbol)},"start":"{to_iso(start)}","end":"{to_iso(end)}"'
    counts = f'"expected_minutes":{coverage.expected},"stored_minutes":{coverage.stored}'
    return Response(body=f'{head},{counts},"gaps":[{gaps}]}}'.encode())


def _range(asked: Range, facts: SymbolFacts, stores: Stores, now: datetime) -> tuple[datetime, datetime]:
    """The range, by default the current session or the last one."""
    newest = newest_time(facts, now)
    if asked.start is None and asked.end is None:
        begun = [
            each for each in sessions_of(facts, stores, newest - _LOOK_BACK, newest).sessions if each.opens < newest
        ]
        if not begun:
            raise sessions_unknown(facts)
        today = [each for each in begun if each.day == begun[-1].day]  # with a lunch break, a day has two
        return today[0].opens, today[-1].closes
    end = asked.end or max(newest, asked.start or newest)
    start = asked.start or end - timedelta(days=MAX_DAYS)
    check_days(start, end, MAX_DAYS)
    return start, end


def _whole(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


ENDPOINT = Endpoint(
    path="/v1/gaps/{symbol}",
    answer=answer,
    summary="The minutes of sessions that have no bar.",
    description="A minute is expected if the exchange is in its session. A minute without a bar had no quote: the "
    "symbol was not traded in it, or quotes are missing. Minutes are compared up to the time to which the lane of "
    "the symbol is complete, which is `end` then, and from its first stored bar on, which is `start` then: earlier "
    "minutes are not missing. Without a range, this is about the current session or the last one. A range has at "
    f"most {MAX_DAYS} days.",
    parameters=(SYMBOL, START, END),
    schema=record(
        {
            "symbol": SYMBOL_SCHEMA,
            "start": described(TIME, "The minutes from it on were compared."),
            "end": described(TIME, "The minutes before it were compared."),
            "expected_minutes": described(COUNT, "The minutes of sessions in the range."),
            "stored_minutes": described(COUNT, "Those of them that have a bar."),
            "gaps": array(
                record(
                    {
                        "start": described(TIME, "The first minute without a bar."),
                        "end": described(TIME, "The end of the last minute without a bar."),
                        "minutes": COUNT,
                    }
                ),
                "Runs of minutes without a bar, in order. A run ends with its session.",
            ),
        }
    ),
)
