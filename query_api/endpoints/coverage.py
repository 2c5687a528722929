"""`/v1/coverage/{symbol}`: how complete the minute bars of each day are, and where they come from."""

from __future__ import annotations

from datetime import datetime, timedelta

from bars.coverage import LONGEST_DAY, WITHOUT_TRADES, DayCoverage, coverage_of_days, spans_of
from bars.keys import ONE_MINUTE, asked_keys, bar_keys
from bars.provenance import ATTRIBUTE, BACKFILL, REBUILD, STREAM
from bars.recent_days import RECENT, begun_since, recent_from
from bars.resolutions import Span
from bars.sessions import Session
from query_api import json_text
from query_api.endpoints.sessions import bounded, check_days, newest_time, sessions_unknown
from query_api.errors import unknown_symbol
from query_api.http import Request, Response
from query_api.minutes import Minutes
from query_api.openapi import (
    COUNT,
    DAY,
    END,
    START,
    SYMBOL,
    SYMBOL_SCHEMA,
    TEXT,
    TIME,
    Endpoint,
    array,
    described,
    record,
)
from query_api.parameters import Parameters, Range
from query_api.ports import Stores, texts
from query_api.sessions import read_days
from query_api.stored_bars import StoredBars, provenance_of, start_of
from query_api.symbol_facts import SymbolFacts, facts_of
from quotes import to_iso

MAX_DAYS = 60
ON_THEIR_WAY = timedelta(hours=1)
"""Minutes this young are only expected as far as the lane is complete."""
_MOST_ASKED = MAX_DAYS + 3 * LONGEST_DAY.days
"""There is an item for each day."""
_MOST_MINUTES = (MAX_DAYS + 2 * LONGEST_DAY.days) * 1_440


def answer(request: Request, stores: Stores) -> Response:
    """The coverage of each day of the exchange that has a session in a range."""
    asked = bounded(Parameters(request.query, ENDPOINT.names).times())
    facts = facts_of(request.symbol, stores)
    if not facts.is_known:
        raise unknown_symbol(request.symbol)
    until = _until(newest_time(facts, request.now), request.now)
    start, end = _range(asked, until)
    if facts.calendar is None:
        raise sessions_unknown(facts)
    found = read_days(stores.sessions, facts.calendar, start, end)
    if not found.is_known or found.known_from >= end or found.known_to <= start:
        raise sessions_unknown(facts)
    before = min(until, found.known_to)
    sessions = found.sessions if asked.start else begun_since(found.sessions, start, facts.calendar.zone)
    days = ",".join([_json(day) for day in _days(facts, stores, sessions, before)])
    head = f'{{"symbol":{json_text.text(request.symbol)},"calendar":{json_text.text(facts.calendar.calendar)}'
    known = f'"known_from":"{to_iso(found.known_from)}","known_to":"{to_iso(found.known_to)}"'
    return Response(body=f'{head},"timezone":"{facts.timezone}","days":[{days}],{known}}}'.encode())


def _until(newest: datetime, now: datetime) -> datetime:
    """Up to when minutes are expected. If the feed stands still, to the present. A recording ends with its data."""
    age = now - newest
    return newest if age < ON_THEIR_WAY or age > timedelta(days=MAX_DAYS) else now


def _range(asked: Range, until: datetime) -> tuple[datetime, datetime]:
    end = asked.end or max(until, asked.start or until)
    start = asked.start or recent_from(end)
    check_days(start, end, MAX_DAYS)
    return start, end


def _days(facts: SymbolFacts, stores: Stores, sessions: list[Session], before: datetime) -> list[DayCoverage]:
    if not sessions:
        return []
    first, last = sessions[0].opens, min(sessions[-1].closes, before)
    minutes = Minutes(stores.bars, facts.symbol, facts.lane, _MOST_MINUTES)
    keys = bar_keys(ONE_MINUTE, first, last)
    items = minutes.read(keys, newest_first=False, expected=_MOST_MINUTES, only=("key", ATTRIBUTE))
    stored = {start_of(item): provenance_of(item) for item in items}
    return coverage_of_days(sessions, stored, _without_trades(facts, stores, Span(first, last)), before=before)


def _without_trades(facts: SymbolFacts, stores: Stores, span: Span) -> list[Span]:
    """The times for which the source has no bar."""
    keys = asked_keys(ONE_MINUTE, span.start - LONGEST_DAY, span.end)
    items = StoredBars(stores.bars, facts.symbol, _MOST_ASKED).read(keys, newest_first=False, expected=_MOST_ASKED)
    return [each for item in items for each in spans_of(texts(item)[WITHOUT_TRADES])]


def _json(day: DayCoverage) -> str:
    counts = {
        "expected": day.expected,
        "stored": sum(day.stored.values()),
        **{name: day.stored.get(name, 0) for name in (STREAM, BACKFILL, REBUILD)},
        "without_trades": day.without_trades,
        "missing": day.missing,
    }
    members = ",".join([f'"{name}":{count}' for name, count in counts.items()])
    return f'{{"day":"{day.day}","opens":"{to_iso(day.opens)}","closes":"{to_iso(day.closes)}",{members}}}'


ENDPOINT = Endpoint(
    path="/v1/coverage/{symbol}",
    answer=answer,
    summary="How complete the minute bars of each day are.",
    description="One entry for each day of the exchange that has a session in the range, counted as a whole, with half "
    "days, lunch breaks and changes of the clock. Each expected minute is stored, without trades, or missing. The "
    "present day is counted as far as its minutes are over. Without a range, these are the last "
    f"{RECENT.days} days, as far as Yahoo keeps their minutes. A range has at most {MAX_DAYS} days.",
    parameters=(SYMBOL, START, END),
    schema=record(
        {
            "symbol": SYMBOL_SCHEMA,
            "calendar": described(TEXT, "The calendar, such as XNYS, or `always`."),
            "timezone": described(TEXT, "The time zone of the exchange."),
            "days": array(
                record(
                    {
                        "day": described(DAY, "The exchange's day."),
                        "opens": described(TIME, "When its first session opens."),
                        "closes": described(TIME, "When its last session closes."),
                        "expected": described(COUNT, "The minutes of its sessions."),
                        "stored": described(COUNT, "Those that have a bar."),
                        STREAM: described(COUNT, "Those of them that were made of quotes as they arrived."),
                        BACKFILL: described(COUNT, "Those of them that come from the source's history."),
                        REBUILD: described(COUNT, "Those of them that were made anew of the archived quotes."),
                        "without_trades": described(COUNT, "Minutes for which the source has no bar either."),
                        "missing": described(COUNT, "The others."),
                    }
                ),
                "In order.",
            ),
            "known_from": described(TIME, "Sessions are known from this moment on."),
            "known_to": described(TIME, "Nothing is known from this moment on."),
        }
    ),
)
