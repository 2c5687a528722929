"""A backfill beside the live stream of a deployed pipeline, from a local Yahoo, and killed wherever it can be.

The function made the bars of yesterday, with an outage. Yahoo has all minutes of nine days, but for some faults.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from backfill.refold import BarsAreBusy, Refolder
from backfill.refold_note import KEY, note_of
from bars.keys import ONE_MINUTE, bar_keys, start_of
from bars.provenance import BACKFILL, STREAM, provenance_of
from indicators import NAMES, Indicators, significant, unpack
from lane_state import Split
from operations.backfill_stores import ArchivedChunks, BackfillBars
from operations.lane_states import DynamoLaneStates
from processor_lambda.checkpoints import restored
from processor_lambda.rows import Row
from processor_lambda.warmup import warmed_up
from quotes import Heartbeat, Line, encode
from tests.fakes.backfill_ports import MemoryChunks, MemoryLive
from tests.fakes.fault_proxy import Answer, FaultProxy, Request
from tests.fakes.yahoo.local_yahoo import CHART_PATH, LocalYahoo
from tests.support.operator import LANES, PATIENCE, Operator, lane_key, make_quote
from tests.support.waiting import wait_until

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAYS = [TODAY - timedelta(days=back) for back in range(9, 0, -1)]
YESTERDAY = DAYS[-1]
SECOND = timedelta(seconds=1)
OPENS, SESSION = timedelta(hours=12), 8
"""When a day's session begins, and how many minutes it has. Sessions are short, so that few bars are written."""
LIVE, NEW = SYMBOLS = ("BTC-USD", "ETH-USD")
"""A symbol that the stream has, and one that it never saw."""
OUTAGE = range(2, 5)
"""The minutes of yesterday that the stream does not have."""
MINUTES = [day + OPENS + timedelta(minutes=each) for day in DAYS for each in range(SESSION)]
NOTES = 5
"""How many runs of the command end with a note about indicators."""
STREAMED = [minute for minute in MINUTES[-SESSION:] if minute.minute not in OUTAGE]
SPLIT = Split(DAYS[4], 2, 1, is_declared=True, is_applied=True)
"""Two new shares for one of `LIVE`, in the middle of the days."""
GAP = MINUTES[21:24]
"""The minutes in which Yahoo has no trade of `NEW`."""
OPTIONS = (
    *("--from", f"{DAYS[0]:%Y-%m-%d}", "--to", f"{YESTERDAY:%Y-%m-%d}"),
    *("--source", "yahoo", "--lanes", str(LANES), "--rate", "1000", "--summary", "-"),
)


class Killed(BaseException):
    """The command ends here, as if it were killed."""


def recorded(symbol: str, minute: datetime) -> tuple[float, float, float, float, int]:
    """What was traded in a minute: open, high, low, close and volume."""
    cents = int(minute.timestamp()) // 60 * 7 % 113
    price = 300 if symbol != LIVE else 200 if minute < SPLIT.time else 100
    close = price + cents / 100
    return close - 0.25, close + 0.5, close - 0.75, close, 1_000 + cents * 2


@pytest.fixture
def market(operator: Operator, yahoo: LocalYahoo) -> LocalYahoo:
    """The local Yahoo with the recorded minutes, and the sessions in the table of calendars."""
    for symbol in SYMBOLS:
        yahoo.declare_minutes(symbol, [(int(each.timestamp()), *recorded(symbol, each)) for each in MINUTES])
    date = int(SPLIT.time.timestamp())
    yahoo.declare_actions(LIVE, {"splits": {str(date): {"date": date, "numerator": 2, "denominator": 1}}})
    yahoo.disturb_charts(NEW, cut=[(GAP[0].timestamp(), GAP[-1].timestamp() + 1)])
    put_calendars(operator)
    return yahoo


def put_calendars(operator: Operator) -> None:
    def text(time: datetime) -> str:
        return time.isoformat().replace("+00:00", "Z")

    items: list[dict[str, str]] = [
        {"id": "symbols", "name": symbol, "calendar": "NINE", "timezone": "UTC"} for symbol in SYMBOLS
    ]
    for year in {day.year for day in DAYS}:
        sessions = [
            [f"{day:%Y-%m-%d}", text(day + OPENS), text(day + OPENS + timedelta(minutes=SESSION))]
            for day in DAYS
            if day.year == year
        ]
        known = {
            "known_from": text(datetime(year, 1, 1, tzinfo=UTC)),
            "known_to": text(datetime(year + 1, 1, 1, tzinfo=UTC)),
        }
        items.append({"id": "NINE", "name": str(year), "timezone": "UTC", "sessions": json.dumps(sessions), **known})
    for each in items:
        item = {name: {"S": value} for name, value in each.items()}
        operator.client("dynamodb").put_item(TableName=operator.outputs["CalendarsTable"], Item=item)


def stream(operator: Operator, minutes: list[datetime], price: int) -> None:
    """Let the function make bars of `LIVE`: two quotes a minute, and a heartbeat that closes the last one."""
    times = [minute + second * SECOND for minute in minutes for second in (3, 41)]
    lines: list[Line] = [
        replace(make_quote(LIVE, price=price + time.minute % 5), event_time=time, ingest_time=time, currency="USD")
        for time in times
    ]
    end = minutes[-1] + timedelta(minutes=1)
    key = lane_key(LIVE)
    operator.put(encode([*lines, Heartbeat(lane=key, clock=end, complete_to=end)]), key)
    operator.process()


def bar_table(operator: Operator) -> BackfillBars:
    return BackfillBars(operator.client("dynamodb"), operator.outputs["BarsTable"])


def stored(operator: Operator, symbol: str) -> list[Row]:
    return bar_table(operator).between(symbol, *bar_keys(ONE_MINUTE))


def prices(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in NAMES}


def live_indicators(operator: Operator) -> Indicators:
    states = DynamoLaneStates(operator.client("dynamodb"), operator.outputs["StateTable"])
    read = states.read(lane_key(LIVE))
    state = restored(read.state, read.checkpoint)
    assert state is not None
    return unpack(state.indicators[LIVE])


def values_of(row: Row) -> list[Any]:
    return [row[name] for name in ("open", "high", "low", "close", "volume")]


def traded(symbol: str, minute: datetime) -> list[Decimal]:
    """The values of a minute's row, as they were recorded."""
    return [Decimal(str(round(each, 2))) for each in recorded(symbol, minute)]


def assert_indicators(rows: list[Row], splits: Sequence[Split] = ()) -> None:
    """The indicators in rows are those of a fold from the first row on."""
    for count, row in enumerate(rows, start=1):
        by_then = [split for split in splits if split.time <= start_of(str(row["key"]))]
        values = warmed_up(rows[:count], by_then).values()
        assert {name: row[name] for name in NAMES if name in row} == {
            name: significant(value) for name, value in values.items()
        }


def assert_recorded(operator: Operator, symbol: str, streamed: Sequence[Row] = ()) -> None:
    """The bars of the stream are as they were, all others as they were recorded, and indicators follow from them."""
    rows, of_stream = stored(operator, symbol), {str(row["key"]): prices(row) for row in streamed}
    expected = [minute for minute in MINUTES if symbol == LIVE or minute not in GAP]
    assert [start_of(str(row["key"])) for row in rows] == expected
    for row, minute in zip(rows, expected, strict=True):
        if str(row["key"]) in of_stream:
            assert prices(row) == of_stream[str(row["key"])]
            assert provenance_of(row) == STREAM
        else:
            assert values_of(row) == traded(symbol, minute)
            assert (provenance_of(row), row["quotes"], row["source"]) == (BACKFILL, 0, "yahoo")
    assert_indicators(rows, [SPLIT] if symbol == LIVE else [])


def of(*symbols: str) -> tuple[str, str]:
    return "--symbols", ",".join(symbols)


def answered(yahoo: LocalYahoo) -> Counter[tuple[str, str]]:
    """How often Yahoo answered each chart."""
    return Counter((each.path, each.query) for each in yahoo.requests(CHART_PATH) if each.status == 200)


def summary_of(output: str) -> dict[str, Any]:
    counts: dict[str, Any] = json.loads(output.splitlines()[-1])
    return counts


def kill_after_each_step(patch: pytest.MonkeyPatch) -> list[str]:
    """End each run of the command after its first call that changes something. Returns the last call of each run.

    Each run writes notes as long as there are those of others, so only the first runs end there. Each run archives the
    days with the splits again, so only the first one ends there.
    """
    last: list[str] = []
    archived: list[Any] = []

    def killing(call: Any) -> Any:
        def killing(*arguments: Any, **options: Any) -> Any:
            result = call(*arguments, **options)
            if call.__name__ == "put":
                if arguments[1] in archived:
                    return result
                archived.append(arguments[1])
            if result != 0 and not (call.__name__ == "put_note" and last.count("put_note") == NOTES):
                last.append(call.__name__)
                raise Killed
            return result

        return killing

    for kind, names in (
        (ArchivedChunks, ("put",)),
        (BackfillBars, ("put_bars", "put_note", "put_unless_changed")),
        (DynamoLaneStates, ("commit",)),
    ):
        for name in names:
            patch.setattr(kind, name, killing(getattr(kind, name)))
    return last


def test_a_backfill_that_is_killed_after_any_step_asks_nothing_twice_and_leaves_the_stream_alone(
    operator: Operator, market: LocalYahoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream(operator, STREAMED, 110)
    before = stored(operator, LIVE)
    assert len(before) == len(STREAMED)
    assert "sma_20" not in live_indicators(operator).values()
    with monkeypatch.context() as patch:
        points = kill_after_each_step(patch)
        while True:
            killed = len(points)
            with suppress(Killed):
                output, _ = operator.run("backfill", *of(LIVE), *OPTIONS, variables=market.environment)
            if len(points) == killed:
                break
    requests = answered(market)
    assert {times for (_, query), times in requests.items() if "interval=1m" in query} == {1}
    assert points.count("put") == len(requests) == 4, "two weeks of minutes, and the days from each of them on"
    assert (points.count("put_bars"), points.count("commit"), points.count("put_unless_changed")) == (3, 1, 1)
    assert summary_of(output)["requests"] == 0
    assert_recorded(operator, LIVE, before)
    assert live_indicators(operator) == warmed_up(stored(operator, LIVE), [SPLIT])

    later = [YESTERDAY + OPENS + timedelta(minutes=SESSION + each) for each in range(2)]
    stream(operator, later, 110)
    rows = stored(operator, LIVE)
    assert [start_of(str(row["key"])) for row in rows[-2:]] == later
    assert_indicators(rows, [SPLIT])
    assert live_indicators(operator) == warmed_up(rows, [SPLIT])


def test_a_backfill_goes_on_after_errors_a_refusal_and_a_kill(operator: Operator, market: LocalYahoo) -> None:
    run = partial(operator.run, "backfill", *of(NEW), *OPTIONS, variables=market.environment)
    market.add_fault(CHART_PATH, status=429)
    _, messages = run(code=1)
    assert "Yahoo refuses further requests for now" in messages
    assert "run the same command again later: it goes on where this run stopped" in messages
    assert len(market.requests(CHART_PATH)) == 1

    market.add_fault(CHART_PATH, status=503, skip=1)
    market.add_fault(CHART_PATH, drop=True, skip=1)
    output, _ = run(code=1)
    assert summary_of(output)["failures"]

    market.add_fault(CHART_PATH, delay=PATIENCE)
    asked = len(market.requests(CHART_PATH))
    with operator.start("backfill", *of(NEW), *OPTIONS, variables=market.environment) as process:
        wait_until(lambda: len(market.requests(CHART_PATH)) > asked, "another request", seconds=PATIENCE)
        process.kill()

    run()
    assert {times for (_, query), times in answered(market).items() if "interval=1m" in query} == {1}
    assert_recorded(operator, NEW)
    output, _ = run()
    assert (summary_of(output)["requests"], summary_of(output)["written"]) == (0, 0)


def test_of_two_notes_that_are_written_at_once_the_table_takes_one_after_the_other(operator: Operator) -> None:
    bars = bar_table(operator)

    def mark(number: int) -> bool:
        """Whether the note is written. A run gives up after some attempts, and then writes nothing at all."""
        run = Refolder(bars, MemoryChunks(), MemoryLive(), run=f"run {number}", now=lambda: TODAY)
        try:
            run.mark("NOTED", MINUTES[number])
        except BarsAreBusy:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        marked = list(pool.map(mark, range(8)))
    note = note_of("NOTED", bars.between("NOTED", KEY, KEY))
    assert note.version == len(note.markings) == sum(marked) > 0
    assert note.markings.keys() == {f"run {number}" for number, is_marked in enumerate(marked) if is_marked}
    assert not bars.put_note(note.row(), note.version - 1)
    assert not bars.put_note(note.row(), 0)
    assert bars.put_note(note.finished("run 0", TODAY).row(), note.version)


THROTTLED = Answer(
    400,
    b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}',
)


def test_a_table_that_throttles_gets_every_bar_more_slowly(
    operator: Operator, market: LocalYahoo, proxy: FaultProxy
) -> None:
    puts = 0

    def throttle(request: Request) -> Answer | None:
        nonlocal puts
        puts += request.target.endswith(".PutItem")
        return THROTTLED if request.target.endswith(".PutItem") and puts <= 10 else None

    proxy.fault = throttle
    run = partial(operator.run, "backfill", *of(NEW), *OPTIONS, "--resolution", "5m", variables=market.environment)
    output, _ = run(endpoint=proxy.url)
    assert summary_of(output)["failures"] == []
    assert summary_of(output)["written"] > 0
    proxy.fault = lambda _: None
    output, _ = run()
    assert (summary_of(output)["requests"], summary_of(output)["written"]) == (0, 0)


def test_a_run_that_may_not_write_says_where_and_what_to_do(
    operator: Operator, market: LocalYahoo, proxy: FaultProxy
) -> None:
    refusal = Answer(400, b'{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"not authorized"}')
    proxy.fault = lambda request: refusal if request.target.endswith(".PutItem") and b"1h#" in request.body else None
    run = partial(operator.run, "backfill", *of(NEW), *OPTIONS, "--resolution", "1h", variables=market.environment)
    _, messages = run(endpoint=proxy.url, code=1)
    table = operator.outputs["BarsTable"]
    assert f"error: table {table}: " in messages
    assert "AccessDeniedException" in messages
    assert "run the same command again later: it goes on where this run stopped" in messages
    proxy.fault = lambda _: None
    output, _ = run()
    assert summary_of(output)["written"] > 0
    assert set(answered(market).values()) == {1}, "an answer is archived before its bars are written"


def test_a_history_in_another_currency_than_the_quotes_of_the_stream_is_not_stored(
    operator: Operator, market: LocalYahoo
) -> None:
    stream(operator, [YESTERDAY + OPENS], 100)
    before = stored(operator, LIVE)
    market.disturb_charts(LIVE, meta={"currency": "EUR"})
    output, _ = operator.run("backfill", *of(LIVE), *OPTIONS, "--resolution", "5m", variables=market.environment)
    assert summary_of(output)["problems"] == [
        "BTC-USD: nothing is stored: its history is in EUR, but its quotes are in USD"
    ]
    assert len(market.requests(CHART_PATH)) == 1
    assert stored(operator, LIVE) == before
