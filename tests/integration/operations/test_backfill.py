"""The commands backfill and coverage, against a deployed pipeline and a local Yahoo."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backfill.chunks import Chunk, SourceBar
from bars.keys import bar_keys
from operations.backfill_stores import ArchivedChunks, BackfillBars
from processor_lambda.rows import Row
from quotes import to_iso
from tests.fakes.backfilled_market import stream_row
from tests.fakes.yahoo.local_yahoo import LocalYahoo
from tests.fakes.yahoo.markets import NASDAQ
from tests.fakes.yahoo.sessions import session_before
from tests.support.operator import Operator

Run = Callable[..., tuple[str, str]]
CHART = "/v8/finance/chart/"
NEW_YORK = ZoneInfo("America/New_York")
MINUTES = 30
"""The length of the session in the table of calendars. It is that of a half day of a very short exchange."""
SYMBOLS = ("NVDA", "UGA")
"""UGA trades every few minutes."""
OTHERS = ("AMD", "MSFT")
"""The stage keeps what a test fills, so these are filled by another one."""


DAY = session_before(NASDAQ, datetime.now(NEW_YORK).date()).day
OPEN = datetime.combine(DAY, time(9, 30), NEW_YORK).astimezone(UTC)
STREAMED = [OPEN + timedelta(minutes=each) for each in range(5)]
EMAAR = "EMAAR.AE"
CURRENCY = "EURUSD=X"
TODAY = datetime.now(UTC).date()
FRIDAY = TODAY - timedelta(days=(TODAY.weekday() - 4) % 7 + 7)
"""The Friday of the last week or the one before, so the Monday after it is over."""
MONDAY = FRIDAY + timedelta(days=3)
TRADED = [
    datetime.combine(day, time(6), UTC) + timedelta(minutes=10 * number)
    for day in (FRIDAY, MONDAY)
    for number in range(30)
]
"""Dubai trades from 10:00 to 15:00, which is 6:00 in UTC."""
ARGUMENTS = ("--symbols", ",".join(SYMBOLS), "--from", str(DAY), "--to", str(DAY))


@pytest.fixture
def bars(operator: Operator) -> BackfillBars:
    return BackfillBars(operator.client("dynamodb"), operator.outputs["BarsTable"])


@pytest.fixture
def market(operator: Operator, bars: BackfillBars, yahoo: LocalYahoo) -> Run:
    """A stage whose table of calendars knows a session, and whose stream has stored five minutes of it."""
    _forget(operator, bars)
    closes = OPEN + timedelta(minutes=MINUTES)
    items: list[dict[str, str]] = [
        {"id": "symbols", "name": symbol, "calendar": "SHORT", "timezone": NEW_YORK.key}
        for symbol in (*SYMBOLS, *OTHERS)
    ]
    for year in {DAY.year, (DAY + timedelta(days=3)).year}:
        sessions = [[str(DAY), to_iso(OPEN), to_iso(closes)]] if year == DAY.year else []
        known = {"known_from": f"{year}-01-01T05:00:00Z", "known_to": f"{year + 1}-01-01T05:00:00Z"}
        item = {"id": "SHORT", "name": str(year), "timezone": NEW_YORK.key, "sessions": json.dumps(sessions)}
        items.append(item | known)
    for item in items:
        operator.client("dynamodb").put_item(
            TableName=operator.outputs["CalendarsTable"], Item={name: {"S": value} for name, value in item.items()}
        )
    price = Decimal("1.5")
    bars.put([stream_row("NVDA", SourceBar(each, price, price, price, price, 7)) for each in STREAMED])
    return partial(operator.run, variables=yahoo.environment)


def _forget(operator: Operator, bars: BackfillBars, symbols: Sequence[str] = SYMBOLS) -> None:
    """Remove what another test has filled, since the stage is that of all of them."""
    dynamodb, s3, bucket = operator.client("dynamodb"), operator.client("s3"), operator.outputs["ArchiveBucket"]
    for symbol in symbols:
        for row in bars.between(symbol, "0", "~"):
            key = {"symbol": {"S": symbol}, "key": {"S": row["key"]}}
            dynamodb.delete_item(TableName=operator.outputs["BarsTable"], Key=key)
    for found in s3.list_objects_v2(Bucket=bucket, Prefix="backfill/").get("Contents", ()):
        s3.delete_object(Bucket=bucket, Key=found["Key"])


def counts_of(stdout: str) -> dict[str, Any]:
    counts: dict[str, Any] = json.loads(stdout.splitlines()[-1])
    return counts


def test_gaps_are_filled_once_and_the_certificate_agrees(market: Run, bars: BackfillBars, yahoo: LocalYahoo) -> None:
    plan, _ = market("backfill", *ARGUMENTS, "--source", "yahoo", "--dry-run")
    requests, bars_to_write = plan.splitlines()[-2:]
    assert requests == "4 requests at 0.5 a second: about 8 seconds"
    assert bars_to_write.startswith("up to ")
    stdout, stderr = market("backfill", *ARGUMENTS, "--source", "yahoo", "--rate", "100")
    counts = counts_of(stdout)
    assert (counts["event"], counts["status"], counts["requests"]) == ("backfill", "done", 4)
    assert len(yahoo.requests(CHART)) == 4
    assert "4 requests at 100 a second" in stderr
    rows = {
        symbol: bars.between(symbol, *bar_keys("1m", OPEN, OPEN + timedelta(minutes=MINUTES))) for symbol in SYMBOLS
    }
    assert [row["close"] for row in rows["NVDA"][:5]] == [Decimal("1.5")] * 5
    assert [row.get("provenance") for row in rows["NVDA"]] == [None] * 5 + ["backfill"] * (MINUTES - 5), json.dumps(
        counts
    )
    assert "sma_20" in rows["NVDA"][-1]
    quiet = MINUTES - len(rows["UGA"])
    assert 0 < quiet < MINUTES
    assert counts["without_trades"] >= quiet

    again, _ = market("backfill", *ARGUMENTS, "--source", "yahoo")
    assert counts_of(again)["requests"] == counts_of(again)["written"] == 0
    assert len(yahoo.requests(CHART)) == 4

    certificate, _ = market("coverage", *ARGUMENTS, "--format", "json")
    nvda, uga = json.loads(certificate)
    assert {name: nvda[name] for name in ("day", "expected", "stored", "stream", "backfill", "missing")} == {
        "day": str(DAY),
        "expected": MINUTES,
        "stored": MINUTES,
        "stream": 5,
        "backfill": MINUTES - 5,
        "missing": 0,
    }
    assert (uga["stored"], uga["without_trades"], uga["missing"]) == (MINUTES - quiet, quiet, 0)
    table, _ = market("coverage", *ARGUMENTS)
    assert table.splitlines()[0].split()[:4] == ["symbol", "day", "expected", "stored"]
    name, *total = table.splitlines()[-1].replace(",", "").split()
    counted = ("expected", "stored", "stream", "backfill", "rebuild", "without_trades", "missing")
    assert (name, list(map(int, total))) == ("total", [nvda[each] + uga[each] for each in counted])
    text, _ = market("coverage", *ARGUMENTS, "--format", "csv")
    assert text.splitlines()[0] == (
        "symbol,day,opens,closes,expected,stored,stream,backfill,rebuild,without_trades,missing"
    )
    assert len(text.splitlines()) == 3


def test_by_default_the_symbols_are_those_that_are_watched_now(market: Run, operator: Operator) -> None:
    key = {"id": {"S": "watched"}, "name": {"S": "0000"}}
    dynamodb, table = operator.client("dynamodb"), operator.outputs["CalendarsTable"]
    days = ARGUMENTS[2:]

    def watch(*symbols: str) -> None:
        dynamodb.put_item(TableName=table, Item=key | {"symbols": {"S": json.dumps(symbols)}, "items": {"S": "1"}})

    def covered(*arguments: str) -> set[str]:
        stdout, _ = market("coverage", *arguments, *days, "--format", "json")
        return {row["symbol"] for row in json.loads(stdout)}

    assert set(SYMBOLS) <= covered()
    try:
        watch("UGA", "NOCALENDAR")
        assert covered() == {"UGA"}
        assert covered("--symbols", "NVDA") == {"NVDA"}
        plan, _ = market("backfill", *days, "--source", "yahoo", "--again", "--overwrite", "stream", "--dry-run")
        assert "UGA" in plan
        assert "NVDA" not in plan
        watch("NOCALENDAR")
        for command in (("coverage",), ("backfill", "--source", "yahoo")):
            _, stderr = market(*command, *days)
            assert "no symbol is watched: no producer has written the calendar" in stderr
            assert "0 symbols" not in stderr
    finally:
        dynamodb.delete_item(TableName=table, Key=key)


@pytest.mark.parametrize(("ttl_days", "is_said"), [("0", False), ("400", False), ("2", True)])
def test_coverage_says_that_named_days_have_begun_to_expire(market: Run, ttl_days: str, *, is_said: bool) -> None:
    first = str(DAY - timedelta(days=5))
    arguments = ("--symbols", "NVDA", "--bar-ttl-days", ttl_days)
    _, stderr = market("coverage", *arguments, "--from", first)
    assert ("have begun to expire, and count as missing" in stderr) is is_said
    if is_said:
        stdout, stderr = market("coverage", *arguments, "--format", "json")
        assert json.loads(stdout) == []
        assert "have begun to expire" not in stderr


def test_the_first_refusal_of_yahoo_stops_the_command(market: Run, yahoo: LocalYahoo) -> None:
    yahoo.add_fault(CHART, status=429)
    arguments = ("backfill", *ARGUMENTS, "--source", "yahoo", "--resolution", "5m", "--rate", "100")
    stdout, stderr = market(*arguments, code=1)
    assert len(yahoo.requests(CHART)) == 1
    assert counts_of(stdout)["status"] == "failed"
    assert "run the same command again later: it goes on where this run stopped" in stderr


def test_a_split_that_yahoo_declares_late_divides_no_price(market: Run, bars: BackfillBars, yahoo: LocalYahoo) -> None:
    starts = [OPEN + timedelta(minutes=each) for each in range(MINUTES)]
    yahoo.declare_minutes("NVDA", [(int(each.timestamp()), 288.0, 289.5, 286.25, 288.75, 100) for each in starts])
    arguments = ("backfill", *ARGUMENTS, "--source", "yahoo", "--rate", "100")
    market(*arguments)
    time_of_split = int((OPEN + timedelta(hours=12)).timestamp())
    split = {"date": time_of_split, "numerator": 4, "denominator": 1}
    yahoo.declare_actions("NVDA", {"splits": {str(time_of_split): split}})
    market(*arguments, "--resolution", "5m")
    for resolution, count in (("1m", MINUTES - len(STREAMED)), ("5m", MINUTES // 5)):
        rows = bars.between("NVDA", *bar_keys(resolution, OPEN, OPEN + timedelta(minutes=MINUTES)))
        filled = [row for row in rows if row.get("provenance") == "backfill"]
        assert len(filled) == count
        assert {tuple(str(row[name]) for name in ("open", "high", "low", "close")) for row in filled} == {
            ("288", "289.5", "286.25", "288.75")
        }


@pytest.fixture
def london(operator: Operator, market: Run) -> Run:
    """A stage with a currency. Its calendar has days of UTC, and Yahoo's charts of it those of London."""
    item = {"id": "symbols", "name": CURRENCY, "calendar": "always", "timezone": "UTC"}
    operator.client("dynamodb").put_item(
        TableName=operator.outputs["CalendarsTable"], Item={name: {"S": value} for name, value in item.items()}
    )
    return market


def test_the_first_day_has_a_bar_in_the_summer_of_london(london: Run, bars: BackfillBars) -> None:
    year = datetime.now(UTC).year - 1
    first = datetime(year, 7, 4, tzinfo=UTC)
    first += timedelta(days=-first.weekday() % 7)  # a Monday
    days = ("--from", f"{first:%Y-%m-%d}", "--to", f"{first + timedelta(days=1):%Y-%m-%d}")
    london("backfill", "--symbols", CURRENCY, *days, "--source", "yahoo", "--resolution", "1d", "--rate", "100")
    stored = bars.between(CURRENCY, *bar_keys("1d", first, first + timedelta(days=2)))
    assert [row["key"] for row in stored] == [f"1d#{to_iso(first)}", f"1d#{to_iso(first + timedelta(days=1))}"]


def test_after_sigterm_it_stores_the_answer_that_it_has_and_the_next_run_goes_on(
    market: Run, bars: BackfillBars, yahoo: LocalYahoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = ArchivedChunks.put

    def put_and_be_stopped(self: ArchivedChunks, chunk: Chunk, content: bytes) -> None:
        put(self, chunk, content)
        signal.raise_signal(signal.SIGTERM)

    days = ("--from", str(DAY), "--to", str(DAY))
    arguments = ("backfill", "--symbols", ",".join(OTHERS), *days, "--source", "yahoo", "--rate", "100")
    with monkeypatch.context() as patch:
        patch.setattr(ArchivedChunks, "put", put_and_be_stopped)
        stopped, stderr = market(*arguments, code=130)
    assert (counts_of(stopped)["status"], counts_of(stopped)["requests"]) == ("interrupted", 1)
    assert counts_of(stopped)["written"] > 0  # the bars of the answer that it had
    assert "run the command again to finish it" in stderr
    rest, _ = market(*arguments)
    assert (counts_of(rest)["status"], counts_of(rest)["requests"]) == ("done", 4)
    asked = yahoo.requested_charts()
    assert {chart: times for chart, times in asked.items() if chart.interval == "1m" and times > 1} == {}
    assert len(yahoo.requests(CHART)) == 5  # the second run asks for the splits again
    for symbol in OTHERS:
        assert bars.between(symbol, *bar_keys("1m", OPEN, OPEN + timedelta(minutes=MINUTES)))


@pytest.fixture
def dubai(market: Run, operator: Operator, bars: BackfillBars, yahoo: LocalYahoo) -> Run:
    """A stage with a symbol of Dubai, of which nobody knows when it trades. It does every ten minutes of a session."""
    item = {"id": "symbols", "name": EMAAR, "calendar": "unknown", "timezone": "UTC"}
    operator.client("dynamodb").put_item(
        TableName=operator.outputs["CalendarsTable"], Item={name: {"S": value} for name, value in item.items()}
    )
    _forget(operator, bars, (EMAAR,))
    yahoo.declare_minutes(EMAAR, [(int(each.timestamp()), 10.0, 10.5, 9.5, 10.25, 100) for each in TRADED])
    return market


def requested_days(yahoo: LocalYahoo) -> list[str]:
    """The days of the requests for minutes, each once for each request."""
    found: list[str] = []
    for chart, times in sorted(yahoo.requested_charts().items()):
        if (chart.symbol, chart.interval) == (EMAAR, "1m"):
            assert chart.start is not None
            assert chart.end is not None
            days = (chart.end - chart.start) // timedelta(days=1)
            found += [f"{chart.start + timedelta(days=number):%a}" for number in range(days)] * times
    return found


def coverage_of(run: Run, *days: str) -> list[tuple[object, ...]]:
    stdout, _ = run("coverage", "--symbols", EMAAR, *days, "--format", "json")
    names = ("expected", "stored", "without_trades", "missing")
    return [tuple(row[name] for name in names) for row in json.loads(stdout)]


def test_each_day_of_an_exchange_that_no_calendar_knows_is_asked_for_once(dubai: Run, yahoo: LocalYahoo) -> None:
    first = ("--symbols", EMAAR, "--from", str(FRIDAY))
    backfill = ("backfill", *first, "--source", "yahoo", "--rate", "100")
    days = ("--from", str(FRIDAY), "--to", str(MONDAY))
    assert coverage_of(dubai, *days) == [(None, 0, 0, None)] * 4
    # A night after another, as the daily task runs.
    for number in range(4):
        dubai(*backfill, "--to", str(FRIDAY + timedelta(days=number)))
    assert requested_days(yahoo) == ["Fri", "Sat", "Sun", "Mon"]
    again, _ = dubai(*backfill, "--to", str(MONDAY))
    assert counts_of(again)["requests"] == 0
    traded, quiet = (None, 30, 1_410, 0), (None, 0, 1_440, 0)
    assert coverage_of(dubai, *days) == [traded, quiet, quiet, traded]
    table, _ = dubai("coverage", "--symbols", f"{EMAAR},NVDA", *days)
    unknown = next(line.split() for line in table.splitlines() if line.startswith(EMAAR))
    assert unknown == [EMAAR, str(FRIDAY), "unknown", "30", "0", "30", "0", "1,410", "0"]
    assert all(line.split()[2] != "1,440" for line in table.splitlines())


def test_an_answer_about_such_an_exchange_that_comes_late_is_asked_for_until_it_is_whole(
    dubai: Run, yahoo: LocalYahoo
) -> None:
    days = ("--from", str(FRIDAY), "--to", str(FRIDAY))
    backfill = ("backfill", "--symbols", EMAAR, *days, "--source", "yahoo", "--rate", "100")
    yahoo.disturb_charts(EMAAR, interval="1m", ends_at=TRADED[10].timestamp(), times=1)
    dubai(*backfill)
    assert coverage_of(dubai, *days) == [(None, 10, 6 * 60 + 91 - 10, None)]
    dubai(*backfill)
    assert coverage_of(dubai, *days) == [(None, 30, 1_410, 0)]
    again, _ = dubai(*backfill)
    assert counts_of(again)["requests"] == 0
    assert requested_days(yahoo) == ["Fri", "Fri"]


def test_a_killed_run_asks_for_no_day_of_such_an_exchange_again(
    dubai: Run, yahoo: LocalYahoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = ("--from", str(FRIDAY), "--to", str(MONDAY))
    backfill = ("backfill", "--symbols", EMAAR, *days, "--source", "yahoo", "--rate", "100")

    put_bars = BackfillBars.put_bars

    def put_bars_of_days(self: BackfillBars, rows: Sequence[Row], **options: Any) -> int:
        if any(str(row["key"]).startswith("1m#") for row in rows):
            raise KeyboardInterrupt
        return put_bars(self, rows, **options)

    with monkeypatch.context() as patch:
        patch.setattr(BackfillBars, "put_bars", put_bars_of_days)
        dubai(*backfill, code=130)  # its first answer about minutes is archived, and no bar of it is stored
        dubai(*backfill, code=130)  # the same, from the archive
    dubai(*backfill)
    assert requested_days(yahoo) == ["Fri", "Sat", "Sun", "Mon"]
    asked = yahoo.requested_charts()
    assert {chart.interval: times for chart, times in asked.items() if times > 1} in ({}, {"1d": 2})
    assert [each[1] for each in coverage_of(dubai, *days)] == [30, 0, 0, 30]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--source", "synthetic"), 0, "the quotes of the source synthetic are simulated or recorded"),
        (("--source", "yahooo"), 2, "The sources are yahoo, yahoo_stream, replay, synthetic"),
        ((), 2, "nothing says where the quotes come from: set --source"),
        (("--source", "yahoo", "--dry-run", "--summary", "-"), 2, "--dry-run counts nothing: leave out one of them"),
        (("--source", "yahoo", "--symbols", "UNKNOWN"), 2, "UNKNOWN: no producer has written the calendar"),
        (("--source", "yahoo", "--from", "2026-11-27", "--to", "2026-11-26"), 2, "--from 2026-11-27 is after --to"),
    ],
)
def test_what_cannot_be_filled_is_said(
    market: Run, yahoo: LocalYahoo, arguments: tuple[str, ...], code: int, message: str
) -> None:
    _, stderr = market("backfill", *arguments, code=code)
    assert message in stderr
    assert yahoo.requests(CHART) == []


def test_conditional_writes_spare_the_bars_of_others(bars: BackfillBars) -> None:
    stored = [_row(0, None), _row(1, "backfill"), _row(2, "rebuild")]
    bars.put(stored)
    new = [_row(each, "backfill", close=2) for each in range(4)]
    assert bars.put_bars(new, over_stream=False) == 2
    assert [row["close"] for row in _rows(bars)] == [1, 2, 1, 2]
    assert bars.put_bars(new, over_stream=True) == 3
    assert [row["close"] for row in _rows(bars)] == [2, 2, 1, 2]
    read = [row | {"sma_5": Decimal("1.25")} for row in _rows(bars)]
    bars.put([_row(0, None), _row(1, "backfill", close=3)])
    assert bars.put_unless_changed(read) == 2
    assert ["sma_5" in row for row in _rows(bars)] == [False, False, True, True]


def _row(minute: int, provenance: str | None, close: int = 1) -> Row:
    price = Decimal(close)
    bar = SourceBar(OPEN + timedelta(minutes=minute), price, price, price, price, None if minute % 2 else 5)
    row = stream_row("CONDITION", bar)
    return row if provenance is None else row | {"provenance": provenance}


def _rows(bars: BackfillBars) -> list[Row]:
    return bars.between("CONDITION", *bar_keys("1m"))
