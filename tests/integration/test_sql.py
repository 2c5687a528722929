"""SQL over the archive that the deployed function wrote: every saved query, held against the quotes that went in."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from analytics import catalog
from analytics import local_archive as kept
from deployment.functions import ROOT
from quotes import Heartbeat, Line, Quote, encode_line, lane_of, partition_key, to_iso
from replica.pipeline import Pipeline

PATIENCE = 60.0
LANES = 4
START = datetime(2026, 11, 23, 23, 50, tzinfo=UTC)


def quote(symbol: str, seconds: float, price: str, *, received_after: float = 0.5, **fields: Any) -> Quote:
    at = START + timedelta(seconds=seconds)
    return Quote(
        symbol=symbol,
        event_time=at,
        price=Decimal(price),
        source="test",
        ingest_time=at + timedelta(seconds=received_after),
        **fields,
    )


FULL = {
    "open": Decimal("10.1"),
    "high": Decimal(12),
    "low": Decimal(9),
    "previous_close": Decimal("9.876"),
    "currency": "USD",
}
UP = [quote("UP", 60 * minute, str(10 + minute), volume=100 * minute, **FULL) for minute in (0, 1, 2, 5)]  # type: ignore[arg-type]
"""Silent for two minutes of one day."""
OVER_MIDNIGHT = [quote("NIGHT", seconds, "-37.63", received_after=900) for seconds in (0, 300, 1200, 20_000)]
"""Silent over midnight for 14 minutes, which is a gap, then for five hours of one day."""
CLOSED = [quote("SHUT", seconds, "123456.78901234") for seconds in (0, 86_400)]
"""Silent for a night and a day: no gap."""
REVISED = [
    quote("REV", 0, "5", previous_close=Decimal(4)),
    replace(quote("REV", 0, "6", previous_close=Decimal(4), received_after=2), revision=1),
    quote("REV", 30, "3.5", previous_close=Decimal(4)),
]
LATE = [quote("LATE", 10, "1"), quote("LATE", 0, "2", received_after=60)]
SENT = [*UP, *OVER_MIDNIGHT, *CLOSED, *REVISED, *LATE]
CORRECTED = replace(UP[1], price=Decimal("11.5"), ingest_time=UP[1].ingest_time + timedelta(seconds=9))
"""Another producer's content under a known identity: the last arrival wins."""
REFUSED = (b"hello, world", b'{"kind":"quote","v":7}')


@pytest.fixture(scope="module")
def archive(replica_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the pipeline archived of all this, sent in three rounds, the first of them twice."""
    with Pipeline(lambda _: None, python=replica_python) as pipeline:
        kinesis = pipeline.emulator.client("kinesis")
        beats = {key: Heartbeat(lane=key, clock=START) for key in (partition_key(lane, LANES) for lane in range(LANES))}
        rounds: tuple[list[Line], ...] = ([*SENT, *beats.values()], [*SENT], [CORRECTED])
        for round_ in rounds:
            lines: dict[str, list[bytes]] = {}
            for line in round_:
                key = line.lane if isinstance(line, Heartbeat) else partition_key(lane_of(line.symbol, LANES), LANES)
                lines.setdefault(key, []).append(encode_line(line))
            lines[partition_key(0, LANES)] = [*lines.get(partition_key(0, LANES), []), *(b + b"\n" for b in REFUSED)]
            kinesis.put_records(
                StreamName=pipeline.outputs["StreamName"],
                Records=[{"Data": b"".join(of), "PartitionKey": key} for key, of in lines.items()],
            )
            assert pipeline.runner.wait_until_caught_up(PATIENCE)
        directory = tmp_path_factory.mktemp("archive")
        assert kept.download(pipeline.emulator.client("s3"), pipeline.outputs["ArchiveBucket"], directory) >= 3
        yield directory


def ask(replica_python: str, archive: Path, query: str, *options: str, status: int = 0) -> str:
    run = subprocess.run(
        [replica_python, "-m", "replica", "sql", query, "--archive", str(archive), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == status, run.stderr
    assert "Traceback" not in run.stderr
    return run.stderr if status else run.stdout


@pytest.fixture
def answer(replica_python: str, archive: Path) -> Any:
    def of(query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(ask(replica_python, archive, query, "--json"), parse_float=Decimal)
        return rows

    return of


KEPT = [CORRECTED if sent == UP[1] else sent for sent in SENT]
"""What each identity is in the end."""


def shown(time: datetime) -> str:
    return to_iso(time).replace("T", " ").removesuffix("Z").removesuffix(".000")


def test_the_quotes_are_those_that_went_in_each_once_and_the_last_to_arrive(answer: Any) -> None:
    rows = answer("select * from quotes")
    expected = [
        {
            "symbol": each.symbol,
            "event_time": shown(each.event_time),
            "revision": each.revision,
            **{
                name: getattr(each, name)
                for name in ("price", "open", "high", "low", "previous_close", "volume", "currency", "exchange")
            },
            "market_state": None,
            "delay_minutes": None,
            "source": "test",
            "ingest_time": shown(each.ingest_time),
        }
        for each in KEPT
    ]

    def key(row: dict[str, Any]) -> tuple[str, str, int]:
        return row["symbol"], row["event_time"], row["revision"]

    arrivals = [(row.pop("dt"), row.pop("hour")) for row in rows]
    assert sorted(rows, key=key) == sorted(expected, key=key)
    assert all(abs(datetime.now(UTC).date() - datetime.fromisoformat(day).date()).days <= 1 for day, _ in arrivals)
    assert sorted(answer("select * from recent_quotes"), key=key) == sorted(answer("select * from quotes"), key=key)


def test_daily_ohlc_is_that_of_the_prices_seen(answer: Any) -> None:
    days: dict[tuple[str, str], list[Quote]] = {}
    for each in sorted(KEPT, key=lambda each: each.identity):
        days.setdefault((each.symbol, f"{each.event_time:%Y-%m-%d}"), []).append(each)
    expected = [
        {
            "symbol": symbol,
            "day": day,
            "open": of[0].price,
            "high": max(each.price for each in of),
            "low": min(each.price for each in of),
            "close": of[-1].price,
            "volume": max((each.volume for each in of if each.volume is not None), default=None),
            "quotes": len(of),
        }
        for (symbol, day), of in days.items()
    ]
    expected.sort(key=lambda row: str(row["symbol"]))
    expected.sort(key=lambda row: str(row["day"]), reverse=True)
    assert answer("daily_ohlc") == expected
    assert len(expected) == 7


def test_the_biggest_movers_are_measured_against_their_previous_close(answer: Any) -> None:
    movers = answer("biggest_movers")
    assert [(row["symbol"], row["price"], row["previous_close"], row["change_percent"]) for row in movers] == [
        ("UP", 15, Decimal("9.876"), Decimal("51.88")),
        ("REV", Decimal("3.5"), 4, Decimal("-12.5")),
    ]
    assert [row["event_time"] for row in movers] == [shown(UP[-1].event_time), shown(REVISED[-1].event_time)]


def test_gaps_are_the_minutes_without_a_quote_but_not_the_nights(answer: Any) -> None:
    assert [tuple(row.values()) for row in answer("gaps")] == [
        ("NIGHT", "2026-11-24 00:11:00", "2026-11-24 05:23:00", 312),
        ("NIGHT", "2026-11-23 23:56:00", "2026-11-24 00:10:00", 14),
        ("NIGHT", "2026-11-23 23:51:00", "2026-11-23 23:55:00", 4),
        ("UP", "2026-11-23 23:53:00", "2026-11-23 23:55:00", 2),
    ]


def test_data_quality_counts_copies_and_what_was_late_revised_refused_or_left_out(answer: Any) -> None:
    rows = answer("data_quality")
    total = {name: sum(row[name] for row in rows) for name in rows[0] if name != "dt" and "delay" not in name}
    assert total == {
        "quotes": len(KEPT),
        "duplicates": len(SENT) + 1,
        "late": 1,
        "revised": 1,
        "quarantined": 3 * len(REFUSED),
        "without_day_prices": len(KEPT) - len(UP),
        "without_previous_close": len(KEPT) - len(UP) - len(REVISED),
        "without_volume": len(KEPT) - len(UP),
    }
    delays = sorted((each.ingest_time - each.event_time).total_seconds() for each in KEPT)
    if len(rows) == 1:  # two if midnight came between the rounds
        assert [rows[0][name] for name in ("delay_p50", "delay_max")] == [delays[(len(delays) - 1) // 2], delays[-1]]
    assert max(row["delay_p99"] for row in rows) == delays[-1]


def test_cost_counts_what_is_billed_a_quote(answer: Any) -> None:
    rows = answer("cost")
    total = {name: sum(row[name] for row in rows) for name in rows[0] if name != "dt"}
    symbol_minutes = {(each.symbol, each.event_time.replace(second=0)) for each in KEPT}
    assert total["quotes"] == total["rows_written"] == len(KEPT)
    assert total["bars_written"] == len(symbol_minutes)
    batches = total["batches"]
    assert batches >= 3
    assert total["rows_dollars"] == pytest.approx(
        Decimal("0.625e-6") * (len(KEPT) + len(symbol_minutes)), abs=Decimal("1e-6")
    )
    assert total["batches_dollars"] == pytest.approx(Decimal("5.2e-6") * batches, abs=Decimal("2e-6"))
    receipts = {each.ingest_time for each in [*SENT, CORRECTED]}
    assert len(receipts) + LANES <= total["payload_units_at_most"] <= 2 * len(SENT) + 1 + LANES


def test_what_was_refused_is_there_once_a_record_with_its_bytes(answer: Any) -> None:
    rows = answer("select * from quarantined")
    assert sorted(row["content"] for row in rows) == sorted(b64encode(line).decode() for line in REFUSED * 3)
    assert all(row["reason"] and row["sequence_number"] and row["line"] for row in rows)


def test_a_price_keeps_the_digits_that_it_was_sent_with(answer: Any) -> None:
    assert answer("select distinct price from quotes where symbol = 'SHUT'") == [{"price": Decimal("123456.78901234")}]


def test_every_saved_query_is_asked_here() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [query.name for query in catalog.read().queries if f'answer("{query.name}")' not in tests] == []


def test_answers_come_as_a_table_and_as_csv_too(replica_python: str, archive: Path) -> None:
    table = ask(replica_python, archive, "daily-ohlc")
    assert "123456.78901234" in table
    rows = list(csv.DictReader(io.StringIO(ask(replica_python, archive, "gaps", "--csv"))))
    assert rows[0] == {
        "symbol": "NIGHT",
        "gap_from": "2026-11-24 00:11:00",
        "gap_to": "2026-11-24 05:23:00",
        "minutes": "312",
    }


def test_what_cannot_be_asked_is_told_in_a_sentence(replica_python: str, archive: Path, tmp_path: Path) -> None:
    assert 'Referenced column "prize"' in ask(replica_python, archive, "select prize from quotes", status=1)
    assert "there are biggest_movers, cost" in ask(replica_python, archive, "daily_ohcl", status=1)
    assert f"{tmp_path} holds no raw-data/" in ask(replica_python, tmp_path, "gaps", status=1)
    assert "one of the two is enough" in ask(replica_python, archive, "gaps", "--json", "--csv", status=2)


def test_the_prompt_takes_statements_names_and_commands_from_a_pipe(replica_python: str, archive: Path) -> None:
    typed = "\\d\n\\d quotes\n\\d gaps\ngaps\nselect nonsense;\nselect count(*) as n\nfrom quotes;\n\\q\nselect 4711;\n"
    run = subprocess.run(
        [replica_python, "-m", "replica", "sql", "--archive", str(archive)],
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    for part in ("saved query", "DECIMAL(23,8)", "lead(minute)", "NIGHT", "error: Binder Error", f" {len(KEPT)} "):
        assert part in run.stdout
    assert "4711" not in run.stdout


def test_an_archive_of_nothing_answers_nothing(replica_python: str, tmp_path: Path) -> None:
    (tmp_path / "raw-data").mkdir()
    for query in catalog.read().queries:
        assert json.loads(ask(replica_python, tmp_path, query.name, "--json")) == []
