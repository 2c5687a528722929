"""The rebuild command, against a pipeline that is deployed to the emulator."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from backfill.indicators import refolded
from bars.keys import ONE_MINUTE, bar_key
from indicators import unpack
from operations.dynamodb import DynamoBarTable
from operations.lane_states import DynamoLaneStates
from processor_lambda.checkpoints import restored
from processor_lambda.records import Record
from processor_lambda.rows import Row
from processor_lambda.warmup import warmed_up
from quotes import Heartbeat, Quote, encode
from tests.fakes.fault_proxy import Answer, FaultProxy, Request
from tests.fakes.pipeline import make_processor
from tests.fakes.processor_ports import World
from tests.support.operator import PATIENCE, Operator, lane_key, make_quote
from tests.support.stored_bars import without_provenance

YESTERDAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
DAY = f"{YESTERDAY:%Y-%m-%d}"
END = YESTERDAY + timedelta(hours=23)
SYMBOLS = ("LATE", "TWICE")

Bars = dict[tuple[str, ...], Row]


@pytest.fixture(scope="module")
def disturbed(operator: Operator) -> Operator:
    """Some packets of yesterday arrived twice, and others so late that the stored bars lack their quotes."""
    for index, packet in enumerate(packets_of_yesterday()):
        if index % 5 != 3:
            operator.put(encode(packet), lane_key(packet[0].symbol))
        if index % 7 == 2:
            operator.put(encode(packet), lane_key(packet[0].symbol))
    for key in {lane_key(symbol) for symbol in SYMBOLS}:
        operator.put(encode([Heartbeat(lane=key, clock=END, complete_to=END)]), key)
    operator.process()
    for packet in packets_of_yesterday()[3::5]:
        operator.put(encode(packet), lane_key(packet[0].symbol))
    operator.process()
    return operator


@pytest.fixture
def rebuilt(disturbed: Operator) -> Bars:
    """The bars after a first rebuild."""
    disturbed.run("rebuild", "--all-symbols", "--day", DAY)
    return bars(disturbed)


def packets_of_yesterday() -> list[list[Quote]]:
    """Half an hour of each symbol, one packet a minute, in the order of time."""
    return [
        [
            replace(
                make_quote(symbol, price=100 + (minute * 7 + second) % 13),
                event_time=YESTERDAY + timedelta(hours=14, minutes=minute, seconds=second),
                ingest_time=YESTERDAY + timedelta(hours=14, minutes=minute, seconds=second),
                volume=minute * 60 + second,
            )
            for second in (0, 20, 40)
        ]
        for minute in range(30)
        for symbol in SYMBOLS
    ]


def undisturbed_bars() -> Bars:
    """The bars if every packet had arrived once and in order."""
    world = World()
    records = [
        Record(
            stream="quotes",
            shard="shardId-000000000000",
            sequence_number=number,
            partition_key=lane_key(packet[0].symbol),
            arrival=datetime.now(UTC),
            data=encode(packet),
        )
        for number, packet in enumerate(packets_of_yesterday())
    ]
    records += [
        replace(records[-1], sequence_number=1000 + number, partition_key=key, data=encode([heartbeat]))
        for number, key in enumerate(sorted({lane_key(symbol) for symbol in SYMBOLS}))
        for heartbeat in [Heartbeat(lane=key, clock=END, complete_to=END)]
    ]
    make_processor(world).process(records)
    return world.bar_rows


def bars(operator: Operator) -> Bars:
    """The stored bars of yesterday."""
    table = DynamoBarTable(operator.client("dynamodb"), operator.outputs["BarsTable"])
    rows = [row for symbol in SYMBOLS for row in table.between(symbol, YESTERDAY, YESTERDAY + timedelta(days=1))]
    return {(str(row["symbol"]), str(row["key"])): without_provenance(row) for row in rows}


def delete_bars(operator: Operator, stored: Bars) -> None:
    dynamodb, table = operator.client("dynamodb"), operator.outputs["BarsTable"]
    for symbol, key in stored:
        dynamodb.delete_item(TableName=table, Key={"symbol": {"S": symbol}, "key": {"S": key}})


def test_the_bars_become_those_of_an_undisturbed_market_and_a_second_rebuild_changes_nothing(
    disturbed: Operator,
) -> None:
    operator = disturbed
    expected = undisturbed_bars()
    live = bars(operator)
    assert live != expected

    out, _ = operator.run("rebuild", "--all-symbols", "--day", DAY, "--dry-run")
    assert "would be corrected" in out
    assert bars(operator) == live

    out, _ = operator.run_process("rebuild", "--symbol", "LATE", "--symbol", "TWICE", "--day", DAY)
    assert f"{DAY} LATE: 30 bars: " in out
    assert bars(operator) == expected

    out, _ = operator.run("rebuild", "--all-symbols", "--day", DAY)
    assert f"{DAY} TWICE: 30 bars: 0 corrected, 0 added, 30 unchanged" in out
    assert bars(operator) == expected


def test_later_minutes_and_the_live_state_follow_from_the_corrected_bars(disturbed: Operator, rebuilt: Bars) -> None:
    operator = disturbed
    table = DynamoBarTable(operator.client("dynamodb"), operator.outputs["BarsTable"])
    symbol, key = next(name for name in sorted(rebuilt) if name[0] == "LATE")
    later = [row for row in table.between(symbol, YESTERDAY, END) if str(row["key"]) > key]
    # An earlier bar is damaged, and so is everything that was computed after it.
    wrong = [{**row, "sma_5": 1} for row in later]
    backfilled = {**wrong[-1], "key": bar_key(ONE_MINUTE, END), "provenance": "backfill", "quotes": 0}
    table.put([{**table.between(symbol, YESTERDAY, END)[0], "close": 1}, *wrong, backfilled])
    out, _ = operator.run("rebuild", "--symbol", symbol, "--day", DAY)
    assert f"{symbol}: computed the indicators of 1 later bar" in out
    rows = table.between(symbol, YESTERDAY, YESTERDAY + timedelta(days=2))
    assert refolded(rows, YESTERDAY, []) == []
    read = DynamoLaneStates(operator.client("dynamodb"), operator.outputs["StateTable"]).read(lane_key(symbol))
    state = restored(read.state, read.checkpoint)
    assert state is not None
    assert unpack(state.indicators[symbol]) == warmed_up(rows[:-1])
    out, _ = operator.run("rebuild", "--symbol", symbol, "--day", DAY)
    assert "computed the indicators" not in out
    delete_bars(operator, {(symbol, str(backfilled["key"])): backfilled})


def test_damaged_bars_are_corrected(disturbed: Operator, rebuilt: Bars) -> None:
    (deleted_symbol, deleted_key), (damaged_symbol, damaged_key) = sorted(rebuilt)[3], sorted(rebuilt)[40]
    delete_bars(disturbed, {(deleted_symbol, deleted_key): {}})
    damaged = {"symbol": {"S": damaged_symbol}, "key": {"S": damaged_key}, "high": {"N": "1"}}
    disturbed.client("dynamodb").put_item(TableName=disturbed.outputs["BarsTable"], Item=damaged)
    out, _ = disturbed.run("rebuild", "--all-symbols", "--day", DAY)
    assert "1 added" in out
    assert "1 corrected" in out
    assert bars(disturbed) == rebuilt


def test_after_a_kill_every_stored_bar_is_whole_and_the_next_rebuild_finishes(
    disturbed: Operator, rebuilt: Bars, proxy: FaultProxy
) -> None:
    delete_bars(disturbed, rebuilt)
    processes: list[subprocess.Popen[str]] = []

    def kill(request: Request) -> Answer | None:
        # A second request alone says nothing: it may be the first one again, which the emulator has not answered yet.
        if request.target.endswith(".BatchWriteItem") and bars(disturbed):
            processes[0].kill()
            processes[0].wait()
            return Answer(500, b"{}")
        return None

    proxy.fault = kill
    processes.append(disturbed.start("rebuild", "--all-symbols", "--day", DAY, endpoint=proxy.url))
    processes[0].communicate(timeout=PATIENCE)
    left = bars(disturbed)
    assert 0 < len(left) < len(rebuilt)
    assert left.items() <= rebuilt.items()
    disturbed.run("rebuild", "--all-symbols", "--day", DAY)
    assert bars(disturbed) == rebuilt


def test_rows_that_dynamodb_leaves_unprocessed_are_written_again(
    disturbed: Operator, rebuilt: Bars, proxy: FaultProxy
) -> None:
    delete_bars(disturbed, rebuilt)
    writes = 0

    def leave_every_other_request(request: Request) -> Answer | None:
        nonlocal writes
        writes += request.target.endswith(".BatchWriteItem")
        if not request.target.endswith(".BatchWriteItem") or writes % 2 == 0:
            return None
        return Answer(200, json.dumps({"UnprocessedItems": json.loads(request.body)["RequestItems"]}).encode())

    proxy.fault = leave_every_other_request
    disturbed.run("rebuild", "--all-symbols", "--day", DAY, endpoint=proxy.url)
    assert writes > 2
    assert bars(disturbed) == rebuilt


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--day", DAY], 2, "use either --symbol or --all-symbols"),
        (["--day", DAY, "--symbol", "a b"], 2, "'a b' is not a symbol"),
        (["--day", "2999-01-01", "--symbol", "A"], 2, "2999-01-01 is in the future"),
        (["--day", DAY, "--symbol", "NONE"], 1, "NONE: the archive has no quote of it"),
    ],
)
def test_what_cannot_be_rebuilt_is_explained(operator: Operator, arguments: list[str], code: int, message: str) -> None:
    assert message in operator.run("rebuild", *arguments, code=code)[1]
