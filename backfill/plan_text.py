"""What a backfill will do and has done, in words for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from backfill.planner import Plan, Planned
from backfill.summary import Summary
from bars.resolutions import ONE_DAY

MOMENT = timedelta(milliseconds=1)
MINUTE_SECONDS = 60
HOUR_SECONDS = 3_600
BARS_PER_SECOND = 100
"""How many bars are written in a second. An emulator writes about so many, and a table on AWS several times as many."""


def plan_lines(plan: Plan, rate: float, most: int | None) -> Iterator[str]:
    """A line for each symbol with something to do, at most `most`, and the number of requests with their time."""
    busy = {name: each for name, each in plan.symbols.items() if each.requests or each.archived}
    for name in list(busy)[:most]:
        yield f"{name}: {_work(busy[name])}"
    if most is not None and len(busy) > most:
        yield f"… and {len(busy) - most} more {_plural('symbol', len(busy) - most)}"
    forgotten = {name: len(each.forgotten) for name, each in plan.symbols.items() if each.forgotten}
    if forgotten:
        coarser = "" if plan.wish.resolution == ONE_DAY.name else ". It keeps coarser bars for longer: see --resolution"
        days = [f"{name} ({count} {_plural('day', count)})" for name, count in forgotten.items()]
        yield f"Yahoo no longer keeps some missing bars of {_listed(days)}{coarser}"
    unknown = [name for name, each in plan.symbols.items() if each.is_unknown]
    if unknown:
        yield f"some sessions of {_listed(unknown)} are not in the table of calendars, and their days are left out"
    if plan.requests:
        yield f"{plan.requests} {_plural('request', plan.requests)} at {rate:g} a second: {_time(plan.requests / rate)}"
    if plan.rows or plan.recomputed:
        work = f"up to {plan.rows:,} {_plural('bar', plan.rows)} to write"
        if plan.recomputed:
            work += f", and the indicators of {plan.recomputed:,} later {_plural('bar', plan.recomputed)} to compute"
        seconds = (plan.rows + plan.recomputed) / BARS_PER_SECOND
        yield f"{work}: {_time(seconds)} at {BARS_PER_SECOND} a second"
    elif not busy and forgotten:
        yield "there is nothing to ask Yahoo for"
    elif not busy and plan.symbols:
        yield f"no bar is missing of {len(plan.symbols)} {_plural('symbol', len(plan.symbols))}"


def summary_lines(summary: Summary) -> Iterator[str]:
    """What was done."""
    own = summary.written - summary.written_days
    if summary.bars or summary.requests:
        days = f" and {summary.written_days:,} of a day, which show splits," if summary.written_days else ""
        yield (
            f"wrote {own:,} {_plural('bar', own)} of {summary.resolution}{days} after {summary.requests} "
            f"{_plural('request', summary.requests)}"
        )
    if summary.without_trades:
        yield f"Yahoo has no bar of {summary.without_trades:,} {_plural('minute', summary.without_trades)}"
    if summary.from_archive:
        yield f"stored {summary.from_archive} {_plural('answer', summary.from_archive)} of an earlier run"
    if summary.refolded or summary.lanes:
        live = f", and those of the live stream for {summary.lanes} {_plural('symbol', summary.lanes)}"
        yield (
            f"computed the indicators of {summary.refolded:,} {_plural('bar', summary.refolded)} again"
            f"{live if summary.lanes else ''}"
        )
    yield from summary.problems
    yield from summary.failures


def _work(planned: Planned) -> str:
    parts = []
    if planned.archived:
        parts.append(f"{len(planned.archived)} {_plural('answer', len(planned.archived))} from the archive")
    if planned.chunks:
        zone = planned.calendar.zone
        first, last = planned.chunks[0].start.astimezone(zone), planned.chunks[-1].end.astimezone(zone) - MOMENT
        parts.append(
            f"{len(planned.chunks)} {_plural('request', len(planned.chunks))} for {first:%Y-%m-%d} to {last:%Y-%m-%d}"
        )
    if planned.daily is not None:
        parts.append("1 for its splits")
    return ", ".join(parts)


def _time(seconds: float) -> str:
    if seconds < MINUTE_SECONDS:
        return f"about {max(1, round(seconds))} {_plural('second', max(1, round(seconds)))}"
    if seconds < HOUR_SECONDS:
        minutes = round(seconds / MINUTE_SECONDS)
        return f"about {minutes} {_plural('minute', minutes)}"
    return f"about {seconds / HOUR_SECONDS:.1f} hours"


def _listed(names: list[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
