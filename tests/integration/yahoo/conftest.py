"""Sources whose Yahoo is the local one."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from producer_service.sources.yahoo.action_schedule import ActionSchedule
from producer_service.sources.yahoo.source import YahooSource
from tests.fakes.yahoo.local_yahoo import LocalYahoo
from tests.support.yahoo_sources import OPEN, MakeSource, Uptime


@pytest.fixture
def uptime() -> Uptime:
    """The monotonic clock of the sources."""
    return Uptime()


@pytest.fixture
def make_source(
    yahoo: LocalYahoo, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder, uptime: Uptime
) -> Iterator[MakeSource]:
    """Makes sources as the producer does, in a process whose environment leads to the local Yahoo.

    They ask for no corporate actions, unless a test gives them a schedule, and their monotonic clock is `uptime`.
    """
    del recwarn  # it restores the warning filters, which yfinance changes
    yahoo.set_clock(OPEN.timestamp())
    for name, value in yahoo.environment.items():
        monkeypatch.setenv(name, value)
    made: list[YahooSource] = []

    def make(**options: object) -> YahooSource:
        never = ActionSchedule(start_seconds=math.inf)
        made.append(YahooSource(**{"monotonic": uptime, "action_schedule": never} | options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for source in made:
        source.close()


@pytest.fixture
def source(make_source: MakeSource, yahoo: LocalYahoo) -> YahooSource:
    """A source that already has its cookie and crumb. The requests for them are no longer in Yahoo's log."""
    source = make_source()
    assert source.fetch(["S1"], OPEN).failures == ()
    yahoo.reset()
    return source
