"""A client of UDF that asks as TradingView's library does: it knows only the protocol and how to fetch a JSON."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

Fetch = Callable[[str, dict[str, str]], Any]
"""Fetches a path with a query, and returns its JSON. As in the library, the status of the answer does not count."""


class Candle(NamedTuple):
    """A bar of the chart."""

    time: int
    open: str
    high: str
    low: str
    close: str
    volume: int


class UdfError(Exception):
    """The data feed answered with an error."""


class UdfClient:
    """Resolves symbols, and loads their history backwards until the feed has no more."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.config = fetch("/udf/config", {})
        self.requests = 0

    def search(self, text: str) -> list[str]:
        """The tickers that a user is offered."""
        query = {"limit": "30", "query": text.upper(), "type": "", "exchange": ""}
        return [found["ticker"] for found in self._checked(self._fetch("/udf/search", query))]

    def resolve(self, ticker: str) -> dict[str, Any]:
        """What the library keeps of a symbol."""
        found: dict[str, Any] = self._checked(self._fetch("/udf/symbols", {"symbol": ticker}))
        for name in ("name", "type", "session", "timezone", "minmov", "pricescale", "supported_resolutions"):
            assert name in found, name
        assert set(found["supported_resolutions"]) <= set(self.config["supported_resolutions"])
        return found

    def history(self, ticker: str, resolution: str, now: int, count: int) -> list[Candle]:
        """All bars, oldest first. The library asks for `count` bars before the ones that it has."""
        bars: list[Candle] = []
        to, seconds = now, 86_400 if resolution == "1D" else int(resolution) * 60
        while True:
            self.requests += 1
            assert self.requests < 10_000, "the history has no end"
            asked = {
                "symbol": ticker,
                "resolution": resolution,
                "from": str(to - count * seconds),
                "to": str(to),
                "countback": str(count),
            }
            answer = self._fetch("/udf/history", asked)
            if answer["s"] == "no_data":
                if "nextTime" not in answer:
                    return bars
                to = answer["nextTime"] + 1
                continue
            self._checked(answer, status="ok")
            columns = [answer[name] for name in ("t", "o", "h", "l", "c", "v")]
            found = [Candle(*values) for values in zip(*columns, strict=True)]
            assert found, "an answer with bars has bars"
            assert all(before.time < after.time for before, after in pairwise(found))
            assert found[-1].time < to
            bars = found + bars
            to = found[0].time

    def quotes(self, *tickers: str) -> dict[str, dict[str, Any]]:
        """The last values of some symbols."""
        answer = self._checked(self._fetch("/udf/quotes", {"symbols": ",".join(tickers)}), status="ok")
        return {each["n"]: each["v"] for each in answer["d"] if each["s"] == "ok"}

    def marks(self, ticker: str, start: int, end: int) -> list[dict[str, Any]]:
        """The marks on the bars of a range."""
        query = {"symbol": ticker, "from": str(start), "to": str(end), "resolution": "5"}
        found: list[dict[str, Any]] = self._checked(self._fetch("/udf/marks", query))
        return found

    @staticmethod
    def _checked(answer: Any, status: str | None = None) -> Any:
        found = answer.get("s") if isinstance(answer, dict) else None
        if found != status:
            raise UdfError(answer.get("errmsg"))
        return answer
