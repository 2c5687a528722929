"""SQL over the archive that the deployed function wrote. Every saved query is compared with the sent quotes."""

from __future__ import annotations

import csv
import http.server
import io
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from analytics import catalog, local_archive
from analytics.duckdb_engine import Engine, QueryError
from deployment.deployer import Deployment
from deployment.functions import ROOT
from quotes import Heartbeat, Line, Quote, encode_line, lane_of, partition_key, to_iso
from replica.emulator import Emulator
from replica.event_source.aws import connect
from tests.support.sql_command import query_rows, run_sql

Query = Callable[[str], list[dict[str, Any]]]

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
"""It has a gap of two minutes within a day."""
OVER_MIDNIGHT = [quote("NIGHT", seconds, "-37.63", received_after=900) for seconds in (0, 300, 1200, 20_000)]
"""It has a gap of 14 minutes across midnight, and one of five hours within a day."""
CLOSED = [quote("SHUT", seconds, "741971.39012345678901") for seconds in (0, 86_400)]
"""It has no quote for a night and a day, which is not a gap."""
REVISED = [
    quote("REV", 0, "5", previous_close=Decimal(4)),
    replace(quote("REV", 0, "6", previous_close=Decimal(4), received_after=2), revision=1),
    quote("REV", 30, "3.5", previous_close=Decimal(4)),
]
LATE = [quote("LATE", 10, "1"), quote("LATE", 0, "2", received_after=60)]
SENT = [*UP, *OVER_MIDNIGHT, *CLOSED, *REVISED, *LATE]
CORRECTED = replace(UP[1], price=Decimal("11.5"), ingest_time=UP[1].ingest_time + timedelta(seconds=9))
"""Another producer sends the same quote with another price. The last arrival wins."""
REFUSED = (b"hello, world", b'{"kind":"quote","v":7}')


@pytest.fixture(scope="module")
def archive(emulator: Emulator, packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of all these lines. They are sent in three rounds, and most of them twice."""
    deployment = Deployment(emulator.client("cloudformation"), emulator.client("s3"), prefix="sql")
    outputs = deployment.deploy(packages, {"MappingState": "Disabled"})
    kinesis = emulator.client("kinesis")
    keys = [partition_key(lane, LANES) for lane in range(LANES)]
    heartbeats = [Heartbeat(lane=key, clock=START) for key in keys]
    rounds: tuple[list[Line], ...] = ([*SENT, *heartbeats], [*SENT], [CORRECTED])
    with connect(emulator.client, outputs["EventSourceMappingId"], poll_interval_seconds=0.02) as runner:
        for round_ in rounds:
            lines: dict[str, list[bytes]] = {}
            for line in round_:
                key = line.lane if isinstance(line, Heartbeat) else partition_key(lane_of(line.symbol, LANES), LANES)
                lines.setdefault(key, []).append(encode_line(line))
            lines.setdefault(keys[0], []).extend(line + b"\n" for line in REFUSED)
            kinesis.put_records(
                StreamName=outputs["StreamName"],
                Records=[{"Data": b"".join(of), "PartitionKey": key} for key, of in lines.items()],
            )
            assert runner.wait_until_caught_up(PATIENCE)
    directory = tmp_path_factory.mktemp("archive")
    downloaded = local_archive.download(emulator.client("s3"), outputs["ArchiveBucket"], directory)
    assert (downloaded.objects >= 3, downloaded.left_out) == (True, ())
    return directory


@pytest.fixture(scope="module")
def query(archive: Path) -> Query:
    """Runs a query over the archive."""
    return partial(query_rows, archive)


def run_process(replica_python: str, archive: Path, *arguments: str, typed: str | None = None) -> str:
    """Run the command as a person does, with the interpreter of the demo. Returns stdout."""
    run = subprocess.run(
        [replica_python, "-m", "analytics", "sql", *arguments, "--archive", str(archive)],
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return run.stdout


FINAL = [CORRECTED if sent == UP[1] else sent for sent in SENT]
"""The last arrival of each quote."""


def as_text(time: datetime) -> str:
    return to_iso(time).replace("T", " ").removesuffix("Z").removesuffix(".000")


def test_quotes_has_the_last_arrival_of_each_quote_once(query: Query) -> None:
    rows = query("select * from quotes")
    expected = [
        {
            "symbol": each.symbol,
            "event_time": as_text(each.event_time),
            "revision": each.revision,
            **{
                name: getattr(each, name)
                for name in ("price", "open", "high", "low", "previous_close", "volume", "currency", "exchange")
            },
            "market_state": None,
            "delay_minutes": None,
            "source_time": None,
            "volume_period": None,
            "provenance": None,
            "source": "test",
            "ingest_time": as_text(each.ingest_time),
        }
        for each in FINAL
    ]

    def key(row: dict[str, Any]) -> tuple[str, str, int]:
        return row["symbol"], row["event_time"], row["revision"]

    arrivals = [(row.pop("dt"), row.pop("hour")) for row in rows]
    assert sorted(rows, key=key) == sorted(expected, key=key)
    assert all(abs(datetime.now(UTC).date() - datetime.fromisoformat(day).date()).days <= 1 for day, _ in arrivals)
    assert sorted(query("select * from recent_quotes"), key=key) == sorted(query("select * from quotes"), key=key)


def test_daily_ohlc_is_that_of_the_sent_prices(query: Query) -> None:
    days: dict[tuple[str, str], list[Quote]] = {}
    for each in sorted(FINAL, key=lambda each: each.identity):
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
    assert query("daily_ohlc") == expected
    assert len(expected) == 7


def test_the_biggest_movers_are_compared_with_their_previous_close(query: Query) -> None:
    movers = query("biggest_movers")
    assert [(row["symbol"], row["price"], row["previous_close"], row["change_percent"]) for row in movers] == [
        ("UP", 15, Decimal("9.876"), Decimal("51.88")),
        ("REV", Decimal("3.5"), 4, Decimal("-12.5")),
    ]
    assert [row["event_time"] for row in movers] == [as_text(UP[-1].event_time), as_text(REVISED[-1].event_time)]


def test_gaps_are_the_minutes_without_a_quote_except_for_nights(query: Query) -> None:
    assert [tuple(row.values()) for row in query("gaps")] == [
        ("NIGHT", "2026-11-24 00:11:00", "2026-11-24 05:23:00", 312),
        ("NIGHT", "2026-11-23 23:56:00", "2026-11-24 00:10:00", 14),
        ("NIGHT", "2026-11-23 23:51:00", "2026-11-23 23:55:00", 4),
        ("UP", "2026-11-23 23:53:00", "2026-11-23 23:55:00", 2),
    ]


def test_data_quality_counts_duplicate_late_revised_and_refused_lines_and_missing_fields(query: Query) -> None:
    rows = query("data_quality")
    total = {name: sum(row[name] for row in rows) for name in rows[0] if name != "dt" and "delay" not in name}
    assert total == {
        "quotes": len(FINAL),
        "duplicates": len(SENT) + 1,
        "late": 1,
        "revised": 1,
        "quarantined": 3 * len(REFUSED),
        "without_day_prices": len(FINAL) - len(UP),
        "without_previous_close": len(FINAL) - len(UP) - len(REVISED),
        "without_volume": len(FINAL) - len(UP),
    }
    delays = sorted((each.ingest_time - each.event_time).total_seconds() for each in FINAL)
    if len(rows) == 1:  # there are two if midnight came between the rounds
        assert [rows[0][name] for name in ("delay_p50", "delay_max")] == [delays[(len(delays) - 1) // 2], delays[-1]]
    assert max(row["delay_p99"] for row in rows) == delays[-1]


def test_cost_counts_what_is_billed_for_the_quotes(query: Query) -> None:
    rows = query("cost")
    total = {name: sum(row[name] for row in rows) for name in rows[0] if name != "dt"}
    symbol_minutes = {(each.symbol, each.event_time.replace(second=0)) for each in FINAL}
    assert total["quotes"] == total["rows_written"] == len(FINAL)
    assert total["bars_written"] == len(symbol_minutes)
    batches = total["batches"]
    assert batches >= 3
    assert total["rows_dollars"] == pytest.approx(
        Decimal("0.625e-6") * (len(FINAL) + len(symbol_minutes)), abs=Decimal("1e-6")
    )
    assert total["batches_dollars"] == pytest.approx(Decimal("5.2e-6") * batches, abs=Decimal("2e-6"))
    receipts = {each.ingest_time for each in [*SENT, CORRECTED]}
    assert len(receipts) + LANES <= total["payload_units_at_most"] <= 2 * len(SENT) + 1 + LANES


def test_without_compacted_sessions_no_minute_is_known_to_be_missing(query: Query) -> None:
    assert query("missing_minutes") == []


def test_quarantined_has_every_refused_line_once_with_its_bytes(query: Query) -> None:
    rows = query("select * from quarantined")
    assert sorted(row["content"] for row in rows) == sorted(b64encode(line).decode() for line in REFUSED * 3)
    assert all(row["reason"] and row["sequence_number"] and row["line"] for row in rows)


def test_a_price_keeps_all_its_digits(query: Query) -> None:
    assert query("select distinct price from quotes where symbol = 'SHUT'") == [
        {"price": Decimal("741971.39012345678901")}
    ]


def test_every_saved_query_is_tested_here() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [saved.name for saved in catalog.read().queries if f'query("{saved.name}")' not in tests] == []


def test_results_can_be_printed_as_a_table_and_as_csv(replica_python: str, archive: Path) -> None:
    assert "741971.39012345678901" in run_process(replica_python, archive, "daily-ohlc")
    rows = list(csv.DictReader(io.StringIO(run_sql(archive, "gaps", "--csv"))))
    assert rows[0] == {
        "symbol": "NIGHT",
        "gap_from": "2026-11-24 00:11:00",
        "gap_to": "2026-11-24 05:23:00",
        "minutes": "312",
    }


def test_a_mistake_is_explained(archive: Path, tmp_path: Path) -> None:
    assert 'Referenced column "prize"' in run_sql(archive, "select prize from quotes", status=1)
    assert "The saved queries are biggest_movers, cost" in run_sql(archive, "daily_ohcl", status=1)
    assert f"{tmp_path} holds no raw-data/" in run_sql(tmp_path, "gaps", status=2)
    failed = run_sql(archive, "gaps; select prize from quotes; gaps", status=1)
    assert "error: statement 2 of 3: Binder Error" in failed
    assert "1 more statement did not run" in failed
    assert "use only one of them" in run_sql(archive, "gaps", "--json", "--csv", status=2)


def test_the_prompt_reads_statements_names_and_commands_from_a_pipe(replica_python: str, archive: Path) -> None:
    typed = "\\d\n\\d quotes\n\\d gaps\ngaps\nselect count(*) as n\nfrom quotes;\n\\q\nselect 4711;\n"
    printed = run_process(replica_python, archive, typed=typed)
    for part in ("saved query", "DECIMAL(38,26)", "lead(minute)", "NIGHT", f" {len(FINAL)} "):
        assert part in printed
    assert "4711" not in printed


def test_every_saved_query_finds_nothing_in_an_empty_archive(tmp_path: Path) -> None:
    (tmp_path / "raw-data").mkdir()
    for saved in catalog.read().queries:
        assert query_rows(tmp_path, saved.name) == []


@pytest.mark.parametrize("allow_files", [False, True])
def test_sql_sends_no_requests(tmp_path: Path, *, allow_files: bool) -> None:
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

        do_HEAD = do_GET  # noqa: N815  (the name that the library calls)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            with (
                closing(Engine(catalog.read(), tmp_path, allow_files=allow_files)) as engine,
                pytest.raises(QueryError),
            ):
                engine.run(f"SELECT * FROM read_csv('http://127.0.0.1:{server.server_port}/x.csv')")
        finally:
            server.shutdown()
    assert asked == []
