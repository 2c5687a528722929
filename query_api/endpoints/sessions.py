"""`/v1/sessions/{symbol}`: when the exchange of a symbol trades."""

from __future__ import annotations

from datetime import datetime, timedelta

from bars.sessions import Sessions
from query_api import json_text
from query_api.bar_pages import LATEST
from query_api.errors import Problem, unknown_symbol, wrong_parameter
from query_api.http import Request, Response
from query_api.openapi import DAY, END, START, SYMBOL, SYMBOL_SCHEMA, TEXT, TIME, Endpoint, array, described, record
from query_api.parameters import Parameters, Range
from query_api.ports import Stores
from query_api.sessions import read_sessions
from query_api.symbol_facts import SymbolFacts, facts_of
from quotes import to_iso

AROUND = timedelta(days=7)
"""How far the default range reaches back and ahead."""
MAX_DAYS = 400


def answer(request: Request, stores: Stores) -> Response:
    """The sessions that overlap a range."""
    asked = bounded(Parameters(request.query, ENDPOINT.names).times())
    facts = facts_of(request.symbol, stores)
    if not facts.is_known:
        raise unknown_symbol(request.symbol)
    start, end = _range(asked, facts, request.now)
    found = sessions_of(facts, stores, start, end)
    sessions = ",".join(
        [
            f'{{"day":"{each.day}","opens":"{to_iso(each.opens)}","closes":"{to_iso(each.closes)}"}}'
            for each in found.sessions
        ]
    )
    calendar = "" if facts.calendar is None else f',"calendar":{json_text.text(facts.calendar.calendar)}'
    known = ""
    if found.is_known:
        known = f',"known_from":"{to_iso(found.known_from)}","known_to":"{to_iso(found.known_to)}"'
    head = f'{{"symbol":{json_text.text(request.symbol)}{calendar},"timezone":"{facts.timezone}"'
    return Response(body=f'{head},"sessions":[{sessions}]{known}}}'.encode())


def sessions_of(facts: SymbolFacts, stores: Stores, start: datetime, end: datetime) -> Sessions:
    """The sessions of a symbol that overlap a range. None are known of a symbol without a calendar."""
    if facts.calendar is None:
        return Sessions([], start, start)
    return read_sessions(stores.sessions, facts.calendar, start, end)


def bounded(times: Range) -> Range:
    """A range without what is later than any session."""
    return Range(*(each and min(each, LATEST) for each in times))


def check_days(start: datetime, end: datetime, most: int) -> None:
    """Raise `Problem` if a range is too long."""
    if end - start > timedelta(days=most):
        raise wrong_parameter("start", f"the range is longer than {most} days. Ask for a part of it.")


def sessions_unknown(facts: SymbolFacts) -> Problem:
    """The sessions that a request needs are not stored."""
    if facts.calendar is not None and facts.calendar.is_unknown:
        detail = f"No calendar knows when {facts.symbol} trades, so nobody can say which minutes are missing."
        return Problem(404, "sessions-unknown", "The sessions are unknown", detail)
    calendar = "it has no calendar" if facts.calendar is None else f"its calendar is {facts.calendar.calendar}"
    detail = (
        f"The sessions of {facts.symbol} are not stored for this time; {calendar}. The producer writes them if "
        "PRODUCER_CALENDARS_TABLE is set, from 400 days ago on, and as far ahead as the exchange has announced them."
    )
    return Problem(404, "sessions-unknown", "The sessions are unknown", detail)


def _range(asked: Range, facts: SymbolFacts, now: datetime) -> tuple[datetime, datetime]:
    """The range, by default a week around the newest time of the lane."""
    newest = newest_time(facts, now)
    start = asked.start or (newest if asked.end is None else asked.end) - AROUND
    end = asked.end or max(newest, start) + AROUND
    check_days(start, end, MAX_DAYS)
    return start, end


def newest_time(facts: SymbolFacts, now: datetime) -> datetime:
    """The time up to which the lane of a symbol is complete, or else its clock, its last quote, or the present."""
    if facts.lane is None:
        return now
    state = facts.lane.symbols.get(facts.symbol)
    return facts.lane.complete_to or facts.lane.clock or (now if state is None else state.event_time)


ENDPOINT = Endpoint(
    path="/v1/sessions/{symbol}",
    answer=answer,
    summary="The sessions of a symbol's exchange.",
    description="The sessions that overlap the range, in order, with holidays and half days. A day with a lunch "
    "break has two. A symbol that trades around the clock has one session a day. Without a range, these are the "
    f"sessions of a week before and after the newest data. A range has at most {MAX_DAYS} days.",
    parameters=(SYMBOL, START, END),
    schema=record(
        {
            "symbol": SYMBOL_SCHEMA,
            "calendar": described(TEXT, "The calendar, such as XNYS, or `always`."),
            "timezone": described(TEXT, "The time zone of the exchange."),
            "sessions": array(
                record(
                    {
                        "day": described(DAY, "The exchange's day."),
                        "opens": TIME,
                        "closes": described(TIME, "The first moment after the session."),
                    }
                )
            ),
            "known_from": described(TIME, "Sessions are known from this moment on. Absent if none are known."),
            "known_to": described(TIME, "Nothing is known from this moment on."),
        },
        optional=["calendar", "known_from", "known_to"],
    ),
)
