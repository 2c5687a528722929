from __future__ import annotations

import gzip
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from producer_service.sources.replay import recordings
from producer_service.sources.replay.recordings import load
from quotes import Heartbeat, Quote, encode, encode_line
from tests.support.sizes import sized

START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
BARS = "datetime,open,high,low,close,volume\n2026-11-23 10:01:00,1,2,0.5,1.5,7\n"


def quote(symbol: str = "AAPL", seconds: float = 0, price: str = "171.62", revision: int = 0) -> Quote:
    return Quote(
        symbol=symbol,
        event_time=START + timedelta(seconds=seconds),
        revision=revision,
        price=Decimal(price),
        source="yahoo",
        ingest_time=START + timedelta(seconds=seconds),
    )


def test_finds_the_files_of_an_archive(tmp_path: Path) -> None:
    hour = tmp_path / "raw-data/dt=2026-11-23/hour=15"
    hour.mkdir(parents=True)
    (hour / "shardId-000000000000-1-2.jsonl.gz").write_bytes(
        gzip.compress(encode([quote("MSFT", 2), quote("AAPL", 1)]))
    )
    (hour / "more.jsonl").write_bytes(encode_line(quote("AAPL", 0)))
    (tmp_path / "SPY_1min.csv").write_text(BARS)
    (tmp_path / "README.md").write_text("not a recording")

    found = load(tmp_path)

    assert found.mistakes == []
    assert found.by_symbol["AAPL"].quotes == [quote("AAPL", 0), quote("AAPL", 1)]
    assert found.by_symbol["MSFT"].quotes == [quote("MSFT", 2)]
    assert [bar.volume for bar in found.by_symbol["SPY"].bars] == [7]


def test_revisions_of_one_time_keep_their_order(tmp_path: Path) -> None:
    revised = [quote(price=str(revision), revision=revision) for revision in (2, 0, 1)]
    (tmp_path / "a.jsonl").write_bytes(encode(revised))

    assert [each.price for each in load(tmp_path).by_symbol["AAPL"].quotes] == [0, 1, 2]


def test_skips_and_counts_lines_that_are_not_quotes(tmp_path: Path) -> None:
    heartbeat = Heartbeat(lane="lane-00-of-04", clock=START)
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        encode([heartbeat, quote()])
        + b'{"kind":"undecodable","v":1,"content":"AAAA"}\n'
        + b'{"kind":"quote","v":2}\n\n'
        + encode_line(quote(seconds=1))
        + b'{"kind":"quo'
    )

    found = load(path)

    assert found.by_symbol["AAPL"].quotes == [quote(), quote(seconds=1)]
    assert found.skipped_lines == 4
    assert found.first_skipped == f"{path}:3: unknown kind 'undecodable'"
    assert found.mistakes == []


def test_keeps_the_symbols_that_were_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(encode([quote("AAPL"), quote("MSFT")]))
    (tmp_path / "SPY_1min.csv").write_text(BARS)
    (tmp_path / "QQQ_1min.csv").write_text("broken, but not asked for")

    found = load(tmp_path, ["SPY", "MSFT"])

    assert sorted(found.by_symbol) == ["MSFT", "SPY"]
    assert found.mistakes == []


def test_bars_of_one_symbol_may_lie_in_several_files(tmp_path: Path) -> None:
    for folder, row in (("a", "2026-11-23 10:03:00,1,1,1,1,1"), ("b", "2026-11-23 10:02:00,3,3,3,3,3")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "SPY_1min.csv").write_text(f"{BARS.splitlines()[0]}\n{row}\n")

    assert [bar.volume for bar in load(tmp_path).by_symbol["SPY"].bars] == [3, 1]


def test_one_minute_in_two_files_is_a_mistake(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "SPY_1min.csv").write_text(BARS)

    assert load(tmp_path).mistakes == [
        (
            f"{tmp_path}/b/SPY_1min.csv: has 1 minutes that another file of SPY has too, from "
            "2026-11-23T15:00:00.000Z to 2026-11-23T15:00:00.000Z; keep them in one of the files"
        )
    ]


def test_bytes_that_are_no_text_are_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "AAPL_1min.csv"
    path.write_bytes(BARS.encode() + b"\xff\xfe\x80\n")

    assert load(path).mistakes[0].startswith(f"{path}: is not a CSV file in UTF-8")


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "AAPL_1min.csv"
    path.write_text(BARS, encoding="utf-8-sig")

    assert load(path).mistakes == []


def gzip_of(unit: bytes, size: int) -> bytes:
    """Some bytes that are repeated up to a size, as a small gzip."""
    packer = zlib.compressobj(9, wbits=31)
    block = unit * (2**20 // len(unit))
    return b"".join([*(packer.compress(block) for _ in range(size // len(block) + 1)), packer.flush()])


@pytest.mark.parametrize(
    "unit", [b"\n", encode_line(Heartbeat(lane="lane-00-of-04", clock=START))], ids=["empty lines", "good lines"]
)
def test_a_small_file_that_holds_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: bytes
) -> None:
    monkeypatch.setattr(recordings, "MAX_DECOMPRESSED", 2**20)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip_of(unit, 2**21))

    assert load(path).mistakes == [f"{path}: it holds more than 1 MiB"]


def test_a_gzip_bomb_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip_of(b"\0", sized(24, 256) * 2**20))

    tracemalloc.start()
    mistakes = load(path).mistakes
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert mistakes == [f"{path}: line 1 is longer than 16 MiB"]
    assert peak < 40 * 2**20


def test_an_endless_line_is_refused(tmp_path: Path) -> None:
    lines, bars = tmp_path / "a.jsonl", tmp_path / "A_1min.csv"
    for path in (lines, bars):
        with path.open("wb") as file:
            file.truncate(10 * 2**30)  # takes no space on the disk

    assert load(tmp_path).mistakes == [
        f"{bars}: line 1 is longer than 16 MiB",
        f"{lines}: line 1 is longer than 16 MiB",
    ]


def test_reports_a_missing_path(tmp_path: Path) -> None:
    assert load(tmp_path / "nowhere").mistakes == [f"{tmp_path}/nowhere: No such file or directory"]


def test_reports_a_path_without_recordings(tmp_path: Path) -> None:
    other = tmp_path / "SPY.csv"
    other.write_text(BARS)
    message = "no recordings here: neither SYMBOL_1min.csv nor *.jsonl nor *.jsonl.gz"

    assert load(tmp_path).mistakes == [f"{tmp_path}: {message}"]
    assert load(other).mistakes == [f"{other}: {message}"]


def test_reports_recordings_without_a_quote(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(encode_line(Heartbeat(lane="lane-00-of-04", clock=START)))

    assert load(tmp_path).mistakes == [f"{tmp_path}: the recordings have no quotes"]


def test_reports_every_mistake_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "A_1min.csv").write_text("datetime,open,high,low,close\n")
    (tmp_path / "B_1min.csv").write_text(BARS + "soon,1,1,1,1,1\n")
    (tmp_path / "C_1min.csv").write_text(BARS.splitlines()[0])
    (tmp_path / "a b_1min.csv").write_text(BARS)
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(encode([quote()] * 1000))[:-30])
    (tmp_path / "e.jsonl.gz").write_bytes(b"not gzip")

    mistakes = load(tmp_path).mistakes

    assert [mistake.removeprefix(f"{tmp_path}/")[:22] for mistake in mistakes] == [
        "A_1min.csv:1: there is",
        "B_1min.csv:3: datetime",
        "C_1min.csv: has no row",
        "a b_1min.csv: 'a b' is",
        "d.jsonl.gz: is not a c",
        "e.jsonl.gz: is not a c",
    ]


def test_reports_the_symbols_that_are_not_recorded(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(encode([quote("MSFT"), quote("AAPL")]))

    assert load(tmp_path, ["MSFT", "IBM", "GE"]).mistakes == [
        f"{tmp_path}: IBM is not recorded; recorded are MSFT",
        f"{tmp_path}: GE is not recorded; recorded are MSFT",
    ]
