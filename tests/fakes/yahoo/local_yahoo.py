"""Starts the local Yahoo for tests, and controls it."""

from __future__ import annotations

import shlex
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from tests.fakes.yahoo.chart_faults import ChartFault
from tests.fakes.yahoo.corporate_actions import Events
from tests.fakes.yahoo.faults import Fault, LoggedRequest
from tests.fakes.yahoo.recordings import Minute

QUOTE_PATH = "/v7/finance/quote"
CHART_PATH = "/v8/finance/chart/"
READY = "# Press Ctrl-C here to stop it."
"""The line that follows the variables, when it listens."""

_ROOT = Path(__file__).parents[3]


def variables(url: str, authority: Path, directory: Path) -> dict[str, str]:
    """The environment in which yfinance reaches the local Yahoo instead of Yahoo, and keeps its cache apart."""
    return {
        "HTTPS_PROXY": url,
        "https_proxy": url,
        "REQUESTS_CA_BUNDLE": str(authority),
        "SSL_CERT_FILE": str(authority),
        "XDG_CACHE_HOME": str(directory / "cache"),
    }


class ChartRequest(NamedTuple):
    """A chart that was requested. Times are aware UTC, and None if the request names a range."""

    symbol: str
    interval: str
    start: datetime | None
    end: datetime | None


def _chart_request(request: LoggedRequest) -> ChartRequest:
    parameters = {name: values[-1] for name, values in parse_qs(request.query).items()}
    start, end = (
        datetime.fromtimestamp(float(parameters[name]), UTC) if name in parameters else None
        for name in ("period1", "period2")
    )
    return ChartRequest(request.path.removeprefix(CHART_PATH), parameters.get("interval", "1d"), start, end)


class LocalYahoo:
    """A local Yahoo that runs: how to reach it, what was requested from it, and how it should respond."""

    def __init__(self, url: str, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        self._url = url
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self.environment: Mapping[str, str] = environment
        """The environment in which a process reaches it. Empty if that is arranged elsewhere."""

    def reset(self) -> None:
        """Forget requests, faults, those of streams and charts too, the text of crumbs, actions and recordings."""
        self._post("reset")

    def expire_crumbs(self) -> None:
        """Make every crumb invalid."""
        self._post("expire-crumbs")

    def set_crumb(self, text: str) -> None:
        """Make every new crumb this text, until the next reset."""
        self._post("crumb", {"text": text})

    def declare_actions(self, symbol: str, events: Events) -> None:
        """Declare corporate actions in a symbol's chart, and apply splits to its prices, until the next reset."""
        self._post("actions", {"symbol": symbol, "events": events})

    def declare_minutes(self, symbol: str, minutes: Iterable[Minute]) -> None:
        """Declare all minutes in which a symbol trades, for its charts of every interval, until the next reset."""
        self._post("recording", {"symbol": symbol, "minutes": list(minutes)})

    def disturb_charts(self, symbol: str, **fault: Any) -> None:
        """Have the charts of a symbol go wrong until the next reset: see `ChartFault` for the options."""
        self._post("charts", ChartFault(symbol=symbol, **fault))

    def set_clock(self, now: float | None, speed: float = 1.0) -> None:
        """Run from this time on, in seconds since 1970. None is the machine's clock."""
        self._post("clock", {"now": now, "speed": speed})

    def add_fault(self, path: str = QUOTE_PATH, **fault: Any) -> None:
        """Fail requests whose host and path match: see `Fault` for the options."""
        self._post("faults", Fault(path=path, **fault))

    def disconnect_streams(self, code: int | None = None) -> None:
        """End all streaming connections: with a close frame of this code, or without any."""
        self._post("disconnect", {"code": code})

    def disturb_streams(self, **faults: bool) -> None:
        """Have the streaming connections go wrong: see `StreamFaults`. Without faults, they are right again."""
        self._post("stream", faults)

    def requests(self, path: str = "") -> list[LoggedRequest]:
        """The requests since the last reset whose path starts so, oldest first."""
        with self._open(f"{self._url}/control/requests", timeout=10) as response:
            entries = msgspec.json.decode(response.read(), type=list[LoggedRequest])
        return [entry for entry in entries if entry.path.startswith(path)]

    def requested_symbols(self) -> list[list[str]]:
        """The symbols of each request for quotes."""
        return [parse_qs(request.query)["symbols"][0].split(",") for request in self.requests(QUOTE_PATH)]

    def requested_charts(self) -> Counter[ChartRequest]:
        """How often each chart was requested since the last reset, whatever the answer."""
        return Counter(_chart_request(request) for request in self.requests(CHART_PATH))

    def _post(self, action: str, body: object = None) -> None:
        url = f"{self._url}/control/{action}"
        self._open(urllib.request.Request(url, data=msgspec.json.encode(body)), timeout=10).close()


@contextmanager
def running(directory: Path, *options: str) -> Iterator[LocalYahoo]:
    """Start a local Yahoo on a free port of 127.0.0.1, and stop it at the end. It keeps its files in the directory."""
    command = [sys.executable, "-m", "tests.fakes.yahoo", "--port", "0", "--directory", str(directory), *options]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            environment: dict[str, str] = {"NO_PROXY": "", "no_proxy": ""}
            for line in process.stdout:
                if line.startswith("export "):
                    name, _, value = shlex.split(line)[1].partition("=")
                    environment[name] = value
                if line.strip() == READY:
                    break
            assert "HTTPS_PROXY" in environment, "the local Yahoo did not start: see its message on stderr"
            yield LocalYahoo(environment["HTTPS_PROXY"], environment)
        finally:
            process.terminate()
            process.wait(timeout=10)
