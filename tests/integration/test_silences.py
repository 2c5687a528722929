"""A producer that has no new prices of Yahoo says why, at /status: a closed exchange, symbols, or Yahoo itself."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from producer_service import calendars
from producer_service.hours import Hours
from replica import producer_status
from replica.producer_process import ProducerProcess, environment
from tests.fakes.yahoo.faults import ALWAYS
from tests.fakes.yahoo.local_yahoo import LocalYahoo
from tests.support.waiting import wait_until

NO_STREAM = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
"""Prices that nobody takes stay in the journal, so no emulator is needed."""

WATCHLIST = """
[[group]]
name = "shares"
symbols = ["AAPL", "NO-SUCH-NAME"]
interval_seconds = 1
calendar = "{closed}"

[[group]]
name = "coins"
symbols = ["BTC-USD"]
interval_seconds = 3
"""


def silence(url: str, reason: str) -> str:
    """What the producer says for a reason, as soon as it does."""
    found: list[str] = []

    def look() -> bool:
        status = producer_status.fetch(url)
        silences = [each for group in status.groups for each in group.silences] if status else []
        found[:] = [each.text for each in silences if each.reason == reason]
        return bool(found)

    wait_until(look, f"the producer says {reason}", seconds=30)
    return found[0]


def closed_exchange(now: datetime) -> str:
    """The calendar of an exchange that is closed now, and for a while. One of these always is."""
    for name in ("XNYS", "XTKS", "XLON"):
        phase = Hours(calendars.load(name, now).sessions).phase(now)
        if not phase.is_open and phase.opens is not None and (phase.opens - now).total_seconds() > 600:
            return name
    raise AssertionError("all exchanges are open")


def test_each_reason_is_named(yahoo: LocalYahoo, tmp_path: Path) -> None:
    """One producer meets them one after the other, since its start takes seconds."""
    exchange = closed_exchange(datetime.now(UTC))
    watchlist = tmp_path / "watchlist.toml"
    watchlist.write_text(WATCHLIST.format(closed=exchange))
    settings = {"SOURCE": "yahoo", "WATCHLIST": str(watchlist)}
    base = {**os.environ, **NO_STREAM, **yahoo.environment}
    with ProducerProcess(environment(base, tmp_path, "quotes", settings)) as producer:
        assert silence(producer.url, "closed").startswith(f"{exchange} is closed; opens ")
        assert silence(producer.url, "unknown") == "yahoo has no price of NO-SUCH-NAME: check how they are written"
        yahoo.add_fault(drop=True, times=ALWAYS)
        assert silence(producer.url, "unreachable").startswith("yahoo cannot be reached (connection: ")
        yahoo.reset()
        yahoo.add_fault(status=429, body="Too Many Requests", times=ALWAYS)
        refused = silence(producer.url, "refused")
        assert refused.startswith("yahoo refuses requests (rate_limited: HTTP 429")
        assert "it is asked again at " in refused
