"""A recorded week, replayed through the pipeline: the query API answers what is stored, and so do the compacted tables.

The API is asked while the week is being stored, too.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from analytics import current
from analytics.columns import Column
from analytics.compacted_tables import BARS, PRICE, QUOTE_VALUES, QUOTES
from analytics.current import Current, File
from bars.keys import resolution_of, start_of
from bars.provenance import STREAM
from producer_service import accepted_log
from quotes import Identity
from replica.pipeline import Pipeline
from replica.producer_process import ProducerProcess
from replica.producer_process import environment as producer_environment
from tests.support.recorded_bars import copy_days
from tests.support.sizes import sized
from tests.support.waiting import wait_until

ILLIQUID = ("UGA", "PPLT")
"""Symbols with many minutes without a price."""
SYMBOLS = sized(2, 4)
"""How many symbols are replayed."""
WEEK = {"start": "2019-02-01", "end": "2019-03-01"}
"""A range that holds the recorded week."""
RULES = """
[[rule]]
kind = "price_move"
percent = 0.2
"""
PATIENCE = 300.0
Values = dict[str, Any]
"""An item or a member of an answer. Its numbers are texts, so that every digit counts."""


class Api:
    """Asks the query API, and goes from page to page."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, **parameters: str | int) -> Values:
        """An answer. While the replay keeps the emulator busy, the API may say that AWS is, and when to ask again."""
        deadline = time.monotonic() + PATIENCE
        while (answer := self._client.get(path, params=parameters)).status_code == httpx.codes.SERVICE_UNAVAILABLE:
            assert time.monotonic() < deadline, answer.text
            time.sleep(float(answer.headers["retry-after"]))
        assert answer.status_code == 200, answer.text
        found: Values = json.loads(answer.content, parse_float=str, parse_int=str)
        return found

    def pages(self, path: str, **parameters: str | int) -> Iterator[list[Values]]:
        """The list of each page. Its name is the last part of the answer before `next`."""
        following: Values = {}
        while True:
            page = self.get(path, **parameters, **following)
            yield next(value for value in page.values() if isinstance(value, list))
            if page["next"] is None:
                return
            following = {"cursor": page["next"]}

    def every(self, path: str, **parameters: str | int) -> list[Values]:
        return [each for page in self.pages(path, **parameters) for each in page]


class Week:
    """A recorded week that was replayed through the pipeline, and what was read while it was being stored."""

    def __init__(self, pipeline: Pipeline, api: Api, symbols: list[str], accepted_log: Path) -> None:
        self._pipeline = pipeline
        self._accepted_log = accepted_log
        self.api = api
        self.symbols = symbols
        self.read_meanwhile: dict[str, list[Values]] = {}
        """The rows of the first symbol that pages gave while more came, oldest first and newest first."""

    def items(self, table: str) -> list[Values]:
        """Every item of a table, without what only the table needs."""
        pages = (
            self._pipeline.emulator.client("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=self._pipeline.outputs[table])
        )
        return [plain(item) for page in pages for item in page["Items"]]

    def accepted(self) -> list[Identity]:
        """The identities of all accepted quotes."""
        return list(accepted_log.read(self._accepted_log))

    def compact(self, directory: Path) -> Values:
        """Compact the archive as the daily task does, and return the summary. The catalog is in a directory."""
        outputs = directory / "outputs.env"
        outputs.write_text("".join(f"{name}={value}\n" for name, value in self._pipeline.outputs.items()))
        run = subprocess.run(
            [
                *(sys.executable, "-m", "operations", "compact", "--outputs-file", str(outputs)),
                *("--catalog", f"sqlite:///{directory / 'catalog.db'}"),
            ],
            env=self._pipeline.emulator.environment(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        summary: Values = json.loads(run.stdout)
        return summary

    def current(self) -> Current:
        """What the tables are, for readers without a catalog."""
        return current.decode(self.object(current.KEY))

    def rows_of(self, file: File) -> list[Values]:
        """The rows of a file of a compacted table."""
        rows: list[Values] = pq.read_table(io.BytesIO(self.object(file.path))).to_pylist()
        return rows

    def object(self, name: str) -> bytes:
        """An object of the archive, by its key or its address."""
        s3, bucket = self._pipeline.emulator.client("s3"), self._pipeline.outputs["ArchiveBucket"]
        body: bytes = s3.get_object(Bucket=bucket, Key=name.removeprefix(f"s3://{bucket}/"))["Body"].read()
        return body


def plain(item: Values) -> Values:
    """An item of DynamoDB without the types. Numbers stay texts."""
    return {name: value_of(value) for name, value in item.items()}


def value_of(attribute: Values) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "M":
            return plain(value)
        case "L":
            return [value_of(each) for each in value]
        case _:
            return value


@pytest.fixture(scope="module")
def week(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    scratch = tmp_path_factory.mktemp("week")
    recorded = recordings / "minute" / "eqker"
    others = {path.name.partition("_")[0] for path in recorded.glob("*_1min.csv")} - {*ILLIQUID}
    symbols = [*ILLIQUID, *sorted(others)][:SYMBOLS]
    folder = copy_days(recorded, scratch / "bars", symbols, days=5)
    rules = scratch / "rules.toml"
    rules.write_text(RULES, encoding="utf-8")
    with (
        Pipeline(lambda _: None, serves_api=True, rules=rules) as pipeline,
        httpx.Client(base_url=pipeline.api_url, trust_env=False, timeout=30) as client,
    ):
        settings = {"SOURCE": "replay", "REPLAY_PATH": str(folder), "SYMBOLS": ",".join(symbols)}
        settings["CALENDARS_TABLE"] = pipeline.outputs["CalendarsTable"]
        base = pipeline.emulator.environment(os.environ)
        environment = producer_environment(base, scratch, pipeline.outputs["StreamName"], settings)
        replayed = Week(pipeline, Api(client), symbols, scratch / "accepted_log.jsonl")
        path = f"/v1/quotes/{ILLIQUID[0]}"
        with ProducerProcess(environment) as producer:
            wait_until(lambda: pipeline.monitor.snapshot().stored > 500, "quotes are stored", seconds=PATIENCE)
            for order in ("desc", "asc"):
                replayed.read_meanwhile[order] = replayed.api.every(path, **WEEK, order=order, limit=100)
            wait_until(producer.has_ended, "the replay ends", seconds=PATIENCE)
            producer.stop()
        assert pipeline.runner.wait_until_caught_up(PATIENCE)
        yield replayed


def by(*names: str) -> Any:
    return lambda values: tuple(values[name] for name in names)


def sorted_items(items: Iterable[Values], *names: str) -> list[Values]:
    return sorted(items, key=by(*names))


def test_every_quote_is_answered_as_its_row(week: Week) -> None:
    rows = week.items("QuotesTable")
    answered = [
        {"symbol": symbol, **quote}
        for symbol in week.symbols
        for quote in week.api.every(f"/v1/quotes/{symbol}", **WEEK, limit=5000)
    ]
    assert len(answered) == len(rows) > 1_000 * len(week.symbols)
    for quote, row in zip(
        sorted_items(answered, "symbol", "event_time", "revision"), expected_quotes(rows), strict=True
    ):
        assert quote == row


def expected_quotes(rows: list[Values]) -> list[Values]:
    """The rows in the form of the answer: the key is the event time and the revision."""
    expected = []
    for row in rows:
        time, _, revision = row.pop("timestamp").partition("#")
        row.pop("expires_at", None)
        expected.append({**row, "event_time": time, "revision": revision or "0"})
    return sorted_items(expected, "symbol", "event_time", "revision")


def test_every_bar_is_answered_as_its_item_with_every_indicator(week: Week) -> None:
    items = week.items("BarsTable")
    answered = [
        {"symbol": symbol, **bar}
        for symbol in week.symbols
        for bar in week.api.every(f"/v1/bars/{symbol}", **WEEK, resolution="1m", indicators="all", limit=5000)
        if not bar.get("is_open")
    ]
    assert len(answered) == len(items) > 300 * len(week.symbols)
    for bar, item in zip(sorted_items(answered, "symbol", "start"), sorted_items(items, "symbol", "key"), strict=True):
        flat = {**bar, "key": f"1m#{bar['start']}", **bar.get("indicators", {})}
        assert flat.items() >= {name: item[name] for name in flat.keys() & item.keys()}.items()
        assert {"open", "high", "low", "close", "quotes"} <= flat.keys() & item.keys()
        assert bar["provenance"] == "stream"
        assert flat.keys() - item.keys() <= {"start", "provenance", "indicators"}
        assert item.keys() - flat.keys() <= {"expires_at", "ingest_time"}


def test_every_alert_is_answered_as_it_is_stored(week: Week) -> None:
    items = week.items("AlertsTable")
    answered = week.api.every("/v1/alerts", **WEEK, limit=100)
    assert len(items) > 10
    own = ("id", "rule", "severity", "symbol", "timestamp", "subject", "values")
    assert sorted_items(({name: each[name] for name in own} for each in answered), "id") == sorted_items(
        ({name: item[name] for name in own} for item in items), "id"
    )
    keys = [(each["timestamp"], each["id"]) for each in answered]
    assert keys == sorted(keys, reverse=True)


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_paging_gives_each_quote_once_while_new_ones_arrive(week: Week, order: str) -> None:
    read = [by("event_time", "revision")(quote) for quote in week.read_meanwhile[order]]
    oldest_first = read if order == "asc" else read[::-1]
    path = f"/v1/quotes/{ILLIQUID[0]}"
    whole = [by("event_time", "revision")(quote) for quote in week.api.every(path, **WEEK, order="asc", limit=5000)]
    assert len(read) > 100
    assert oldest_first == whole[: len(oldest_first)]


def test_each_accepted_quote_and_each_bar_is_one_compacted_row_with_its_values_to_the_digit(
    week: Week, tmp_path: Path
) -> None:
    assert week.compact(tmp_path)["quotes_added"] == len(week.accepted())
    days = [week.rows_of(file) for file in week.current().tables[QUOTES.name].files]
    assert all(rows == sorted_items(rows, *QUOTES.key) for rows in days)
    rows = [row for rows in days for row in rows]
    identities = [(row["symbol"], row["event_time"], row["revision"]) for row in rows]
    accepted = [(each.symbol, each.event_time.replace(tzinfo=None), each.revision) for each in week.accepted()]
    assert sorted(identities) == sorted(accepted)
    stored = {column.name: column for column in QUOTE_VALUES}
    assert sorted_items(({name: row[name] for name in stored} for row in rows), *QUOTES.key) == [
        {name: of_type(column, item.get(name)) for name, column in stored.items()}
        for item in expected_quotes(week.items("QuotesTable"))
    ]

    of_bars = [column for column in BARS.columns if column.name not in {"resolution", "start", "day"}]
    bars = [row for file in week.current().tables[BARS.name].files for row in week.rows_of(file)]
    assert sorted_items(bars, *BARS.key) == sorted_items(
        (
            {column.name: of_type(column, item.get(column.name)) for column in of_bars}
            | {"resolution": resolution_of(item["key"]), "start": start, "day": start.date()}
            | {"provenance": STREAM}
            for item in week.items("BarsTable")
            for start in [start_of(item["key"]).replace(tzinfo=None)]
        ),
        *BARS.key,
    )

    before = week.current().tables
    assert week.compact(tmp_path)["quotes_added"] == 0
    assert all(week.current().tables[name].files == before[name].files for name in (QUOTES.name, BARS.name))


def of_type(column: Column, text: str | None) -> Any:
    """The value of a column, from the text in DynamoDB."""
    match column.type:
        case _ if text is None:
            return None
        case "bigint":
            return int(text)
        case "double":
            return float(text)
        case "timestamp":
            return datetime.fromisoformat(text).replace(tzinfo=None)
        case type_ if type_ == PRICE:
            return Decimal(text)
    return text
