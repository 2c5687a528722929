"""docs/client.md: its blocks run, in their order, against the query function with its tables in memory."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import polars as pl
import pytest

from lane_state import LaneState
from tests.fakes.query_ports import QueryWorld, event_of
from tests.support.query_bars import bar_row, minutes_from
from tests.support.query_states import MINUTE, SECOND, alert_row, make_symbol, quote_row

PAGE = Path(__file__).parents[3] / "docs" / "client.md"
CELLS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
SYMBOLS = ("AAPL", "BTC-USD", "MSFT", "^GSPC")


@pytest.fixture
def world() -> QueryWorld:
    """Two hours of a few symbols, up to now, as the page asks for the last hour."""
    world = QueryWorld()
    world.now = now = datetime.now(UTC).replace(microsecond=0)
    minute = now.replace(second=0)
    for symbol in SYMBOLS:
        state = make_symbol(event_time=now - SECOND, previous_close=Decimal(270), currency="USD", exchange="NMS")
        world.commit(world.lane(symbol), LaneState(clock=now, symbols={symbol: state}))
        world.calendars.put({"id": "symbols", "name": symbol, "calendar": "always", "timezone": "UTC"})
        for start in minutes_from(minute - 120 * MINUTE, 120):
            world.bars.put(bar_row(symbol, start, sma_20=Decimal("271.1"), rsi_14=Decimal("55.5")))
            world.quotes.put(quote_row(symbol, start))
    world.alerts.put(alert_row(now - 5 * MINUTE, "a"), alert_row(now - 6 * MINUTE, "b", severity="critical"))
    return world


@pytest.fixture
def _connected(world: QueryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every client reaches that world, whatever its address."""

    def answer(request: httpx.Request) -> httpx.Response:
        path, _, query = request.url.raw_path.decode().partition("?")
        returned = world.handler(event_of(path, query, dict(request.headers)))
        body = returned["body"]
        content = base64.b64decode(body) if returned["isBase64Encoded"] else body.encode()
        return httpx.Response(returned["statusCode"], content=content, headers=returned["headers"])

    real, transport = httpx.Client, httpx.MockTransport(answer)
    monkeypatch.setattr(httpx, "Client", lambda **options: real(**{**options, "transport": transport}))


@pytest.mark.usefixtures("_connected")
def test_the_page_runs_as_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[Any] = []
    names: dict[str, Any] = {}
    for cell in CELLS:
        *lines, last = cell.rstrip().split("\n")
        is_expression = not last.startswith((" ", "#")) and "=" not in last.partition("(")[0]
        exec("\n".join(lines if is_expression else [*lines, last]), names)  # the page is ours
        if is_expression and not last.startswith(("from ", "import ")):
            shown.append(eval(last, names))
    symbols, latest, minutes, five, quotes, alerts, exact, latest_of_polars = shown
    assert list(symbols["symbol"]) == sorted(SYMBOLS)
    assert len(latest) == len(SYMBOLS)
    assert set(minutes.columns) == {"open", "high", "low", "close", "volume"}
    assert isinstance(minutes.index.dtype, pd.DatetimeTZDtype)
    assert (len(five), list(five["start"].dt.minute % 5)) == (len(five), [0] * len(five))
    assert 11 <= len(five) <= 13
    assert len(quotes) == 5
    assert list(alerts["severity"]) == ["warning"]
    assert exact == Decimal("271.49")
    assert isinstance(latest_of_polars, pl.DataFrame)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:4]] == sorted(SYMBOLS)
    assert "NOT-WATCHED" in printed[4]
