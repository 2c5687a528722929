"""The streamed source against a local Yahoo whose streaming endpoint goes wrong in every way."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from producer_service.deduplication import Accepted, SymbolHistory, deduplicate
from producer_service.sources import FetchResult
from producer_service.sources.yahoo_stream.source import YahooStreamSource
from replica.producer_process import ProducerProcess, environment
from tests.fakes.yahoo.local_yahoo import LocalYahoo
from tests.support.waiting import wait_until
from tests.support.yahoo_sources import OPEN, MakeSource
from yahoo_requests.single_precision import is_same

SYMBOLS = ("AAPL", "BTC-USD", "BRK-A", "^GSPC", "VOD.L")
SPEED = 20
"""How much faster than real time the clocks run, those of the source and of Yahoo alike."""
STREAMER = "^streamer"


class FastMarket:
    """See `Market`. Every symbol trades."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def uptime(self) -> float:
        return (time.monotonic() - self._started) * SPEED

    def now(self) -> datetime:
        return OPEN + timedelta(milliseconds=int(1_000 * self.uptime()))

    def due(self) -> tuple[str, ...]:
        return SYMBOLS

    trading = due


class Listening:
    """Runs a source, and deduplicates what it delivers as the intake does."""

    def __init__(self, source: YahooStreamSource, market: FastMarket) -> None:
        self.source = source
        self.results: list[FetchResult] = []
        self.accepted: list[Accepted] = []
        self.late = 0
        self._histories: dict[str, SymbolHistory] = {}
        self._thread = threading.Thread(target=source.listen, args=(self._take, market), daemon=True)
        self._thread.start()

    def _take(self, result: FetchResult) -> None:
        found = deduplicate(self._histories, result.quotes)
        self._histories |= found.histories
        self.accepted += found.accepted
        self.late += found.late
        self.results.append(result)

    def stop(self) -> float:
        """Close the source, and return how many seconds it took to end."""
        started = time.monotonic()
        self.source.close()
        self._thread.join(10)
        assert not self._thread.is_alive()
        return time.monotonic() - started

    @property
    def pushed(self) -> int:
        return sum(len(result.quotes) for result in self.results if result.is_push)

    @property
    def gap_since(self) -> datetime | None:
        connection = self.results[-1].connection
        assert connection is not None
        return connection.gap_since

    def total(self, name: str) -> Any:
        """A count of the connection's reports, or its lists one after another."""
        values = [getattr(result.connection, name) for result in self.results]
        return sum(values) if isinstance(values[0], int) else [each for value in values for each in value]

    def wait_for_pushes(self) -> None:
        before = self.pushed
        wait_until(lambda: self.pushed > before, "streamed quotes")

    def wait_for_gap(self) -> None:
        wait_until(lambda: self.gap_since is not None, "a gap")

    def wait_until_filled(self) -> None:
        wait_until(lambda: self.gap_since is None, "the end of the gap", seconds=30)

    def check(self) -> None:
        """Nothing that a poll brought is lost, and no revision is false."""
        assert self.late == 0
        accepted = {(each.quote.symbol, each.quote.event_time, each.quote.price) for each in self.accepted}
        newest: dict[str, datetime] = {}
        for result in self.results:
            for quote in result.quotes:
                if not result.is_push and quote.event_time > newest.get(quote.symbol, OPEN):
                    assert (quote.symbol, quote.event_time, quote.price) in accepted
                newest[quote.symbol] = quote.event_time
        last: dict[str, Accepted] = {}
        for each in self.accepted:
            before = last.get(each.quote.symbol)
            last[each.quote.symbol] = each
            if each.revision and before is not None:
                now, then = each.quote, before.quote
                is_same_trade = is_same(now.price, then.price) and now.volume == then.volume
                assert not is_same_trade or now.price != then.price or now.market_state != then.market_state


Listen = Callable[..., Listening]
"""A test that listens is `timed`: a connection has to open, and a ping to be answered, within half a second."""


@pytest.fixture
def listen(make_source: MakeSource, yahoo: LocalYahoo) -> Iterator[Listen]:
    """Listens to the local Yahoo, whose clock runs fast, with short times for connections."""
    started: list[Listening] = []

    def listen(**connection: float) -> Listening:
        market = FastMarket()
        yahoo.set_clock(OPEN.timestamp(), SPEED)
        source = YahooStreamSource(
            SYMBOLS,
            make_source(),
            reconcile_seconds=20,
            monotonic=market.uptime,
            jitter=lambda: 0.1,
            connection={"ping_seconds": 0.5, "open_seconds": 0.5, **connection},
        )
        started.append(Listening(source, market))
        return started[-1]

    yield listen
    for listening in started:
        listening.stop()


@pytest.mark.timed
def test_streamed_prices_come_at_once_and_the_source_ends_promptly(listen: Listen) -> None:
    listening = listen()
    for _ in range(3):
        listening.wait_for_pushes()

    assert listening.stop() < 2
    assert not listening.results[0].is_push, "the first poll comes before the stream"
    assert listening.total("gaps") == []
    assert {each.quote.symbol for each in listening.accepted} == {*SYMBOLS}
    assert any(result.complete_to is not None for result in listening.results if result.is_push)
    listening.check()


@pytest.mark.timed
@pytest.mark.parametrize("code", [1000, 1011, None])
def test_a_connection_that_ends_is_a_gap_that_a_poll_fills(listen: Listen, yahoo: LocalYahoo, code: int | None) -> None:
    listening = listen()
    listening.wait_for_pushes()

    yahoo.disconnect_streams(code)
    listening.wait_for_gap()
    listening.wait_until_filled()
    listening.wait_for_pushes()

    assert (listening.total("gaps"), listening.total("reconnects")) == (["disconnected"], 1)
    listening.check()


@pytest.mark.timed
def test_a_connection_that_is_forgotten_by_the_network_is_noticed_by_pings(listen: Listen, yahoo: LocalYahoo) -> None:
    listening = listen(ping_seconds=0.1)
    listening.wait_for_pushes()

    yahoo.disturb_streams(stall=True, deaf=True)
    listening.wait_for_gap()
    yahoo.disturb_streams()
    listening.wait_until_filled()
    listening.wait_for_pushes()

    assert listening.total("gaps")[0] == "disconnected"
    listening.check()


@pytest.mark.timed
def test_a_connection_that_stalls_is_noticed_by_the_polls(listen: Listen, yahoo: LocalYahoo) -> None:
    listening = listen()
    listening.wait_for_pushes()

    yahoo.disturb_streams(stall=True)
    listening.wait_for_gap()
    assert listening.results[-1].failures or listening.total("gaps") == ["stalled"]
    yahoo.disturb_streams()
    listening.wait_until_filled()
    listening.wait_for_pushes()

    assert listening.total("missed") > 0
    listening.check()


@pytest.mark.timed
def test_garbage_duplicates_and_wrong_orders_change_nothing(listen: Listen, yahoo: LocalYahoo) -> None:
    yahoo.disturb_streams(garbage=True, duplicate=True, reorder=True)
    listening = listen()
    for _ in range(5):
        listening.wait_for_pushes()
    wait_until(lambda: sum(not result.is_push for result in listening.results) >= 3, "polls beside the stream")

    assert listening.total("garbage") > 0
    assert listening.total("gaps") == []
    listening.check()


@pytest.mark.timed
def test_a_refused_connection_leaves_the_polls(listen: Listen, yahoo: LocalYahoo) -> None:
    yahoo.add_fault(STREAMER, status=429, body="Too Many Requests", times=-1)
    listening = listen()
    wait_until(lambda: sum(not result.is_push for result in listening.results) >= 3, "polls without the stream")

    failure = next(failure for result in listening.results for failure in result.failures)
    assert (failure.reason, listening.total("gaps")) == ("rate_limited", ["refused"])
    assert len([each for each in yahoo.requests("/") if each.host.startswith("streamer")]) == 1, "no storm of attempts"
    assert listening.gap_since is not None
    assert listening.stop() < 2
    listening.check()


@pytest.mark.timed
def test_an_endpoint_that_never_answers_is_tried_again(listen: Listen, yahoo: LocalYahoo) -> None:
    yahoo.add_fault(STREAMER, delay=60)
    listening = listen()
    wait_until(lambda: listening.results and listening.gap_since is not None, "a gap")
    listening.wait_until_filled()
    listening.wait_for_pushes()

    assert [failure.reason for result in listening.results for failure in result.failures] == ["timeout"]
    listening.check()


@pytest.mark.timed
def test_a_source_ends_promptly_while_the_endpoint_does_not_answer(listen: Listen, yahoo: LocalYahoo) -> None:
    yahoo.add_fault(STREAMER, delay=60)
    listening = listen(open_seconds=60)
    wait_until(lambda: any(each.host.startswith("streamer") for each in yahoo.requests("/")), "an attempt to connect")

    assert listening.stop() < 2


WATCHLIST = """
[[group]]
name = "coins"
symbols = {symbols}
calendar = "always"
source = "yahoo_stream"
"""
COINS = ["BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "DOGE-USD"]
"""So many that one trades almost every second."""
NO_STREAM = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
"""Prices that nobody takes stay in the journal, so no emulator is needed."""


def test_a_producer_streams_declares_a_gap_and_follows_the_watchlist(yahoo: LocalYahoo, tmp_path: Path) -> None:
    watchlist = tmp_path / "watchlist.toml"
    watchlist.write_text(WATCHLIST.format(symbols=COINS))
    settings = {"WATCHLIST": str(watchlist), "WATCHLIST_SECONDS": "1", "DRAIN_SECONDS": "1"}
    base = {**os.environ, **NO_STREAM, **yahoo.environment}

    with ProducerProcess(environment(base, tmp_path, "quotes", settings)) as producer:

        def page() -> dict[str, Any]:
            with urllib.request.urlopen(f"{producer.url}/status", timeout=10) as response:
                group: dict[str, Any] = json.load(response)["groups"][0]
                return group

        def is_connected() -> bool:
            connection = page()["connection"]
            return connection is not None and bool(connection["connected_since"]) and connection["gap_since"] is None

        def count(name: str) -> float:
            with urllib.request.urlopen(f"{producer.url}/metrics", timeout=10) as response:
                lines = response.read().decode().splitlines()
            return float(next(line.split()[-1] for line in lines if line.startswith(f"stockstream_{name} ")))

        wait_until(is_connected, "a connection", seconds=30)
        wait_until(lambda: count("pushed_lag_seconds_count") > 1, "streamed quotes", seconds=30)
        first = page()["complete_to"]
        wait_until(lambda: page()["complete_to"] > first, "the stream advances how far it is complete")

        yahoo.disconnect_streams()
        wait_until(lambda: count('pushed_gaps_total{reason="disconnected"}') == 1, "a gap")
        wait_until(is_connected, "the end of the gap", seconds=30)

        watchlist.write_text(WATCHLIST.format(symbols=[*COINS, "ADA-USD"]))
        wait_until(lambda: page()["symbols"] == len(COINS) + 1, "the new symbol", seconds=30)
        wait_until(is_connected, "another connection", seconds=30)
        before = count("pushed_lag_seconds_count")
        wait_until(lambda: count("pushed_lag_seconds_count") >= before + 2, "streamed quotes", seconds=30)
        assert page()["last_failure"]["reason"] == "connection", "the change is no failure"
        producer.stop()  # raises if it ends late, or with a failure
