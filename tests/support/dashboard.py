"""The dashboard in front of a pipeline: the program that people run, as a process that can be stopped and started."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from replica.dashboard_process import DashboardProcess
from workspace.places import ROOT

WEB = ROOT / "web"
DIST = WEB / "dist"
"""The built page."""
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class View(NamedTuple):
    """A view of the page."""

    address: str
    """What follows the address of the page."""
    shows: str
    """The test id of the table that it fills."""


VIEWS = {
    "overview": View("/#/", "symbols-table"),
    "symbol": View("/#/symbol/AAPL?resolution=1m&sma=20&bollinger=1&rsi=1&macd=1", "chart-table"),
    "alerts": View("/#/alerts", "alerts-table"),
    "quality": View("/#/quality?symbol=AAPL", "quality-lanes"),
}


class Dashboard:
    """Page and API at one address of this machine, for as long as a `with` block lasts."""

    def __init__(self, api_url: str, log: Path) -> None:
        self._api_url = api_url
        self._log = log
        self._process: DashboardProcess | None = None
        self._port = "0"
        self.url = ""
        """The address of the page. It stays the same when the program is stopped and started again."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the program, and wait until it listens."""
        options = {"api": self._api_url, "port": self._port, "stage": "demo"}
        self._process = DashboardProcess(options, os.environ, self._log, lambda _: None)
        self._process.__enter__()
        self.url = self._process.url.rstrip("/")
        self._port = self.url.rpartition(":")[2]

    def stop(self) -> None:
        """Stop the program, and wait until it has ended."""
        if self._process is not None:
            self._process.__exit__(None, None, None)
            self._process = None

    def get(self, path: str) -> Any:
        """The JSON of an answer of the API, with prices as texts: each digit counts."""
        with _OPENER.open(self.url + path, timeout=10) as answer:
            return json.load(answer, parse_float=str)
