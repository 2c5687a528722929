"""What compaction takes and saves: an archive of a made-up market, compacted, and the five saved queries over both.

    python -m benchmarks.compaction --quotes 10000000

Prints JSON lines `{name, figure, unit, baseline, ratio}`. The baseline of the size is the raw archive, gzip JSON. The
baseline of the memory is its bound of 1 GiB. The baseline of a query is the same query over the raw archive alone, in
the same engine with the same memory. Both results must be equal. The time of a query is wall time, and its CPU that of
all threads. Ten million quotes take about an hour on two cores, almost all of it for the raw archive.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from analytics import catalog, current
from analytics.catalog import Statement
from analytics.compacted_tables import QUOTES
from analytics.duckdb_engine import Engine
from aws_limits import KIB
from benchmarks import compaction_archive
from terminal.output import echo
from workspace.places import ROOT

QUERIES = ("biggest_movers", "cost", "daily_ohlc", "data_quality", "gaps")
MEMORY_MIB = 1_024
"""What compaction may take at any size."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One figure and its baseline."""

    name: str
    figure: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    """How many times smaller the figure is than its baseline."""


class Took(msgspec.Struct, frozen=True):
    """The rows of a query, and what it took."""

    rows: list[Any]
    seconds: float
    cpu: float


def main(
    quotes: Annotated[int, typer.Option(min=1_000, help="How many quotes the archive has.")] = 100_000,
    scratch: Annotated[Path | None, typer.Option(help="Where the archives go while this runs.")] = None,
) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="stockstream-compaction-benchmark-", dir=scratch) as directory:
        for line in _lines(Path(directory), quotes):
            echo(msgspec.json.encode(line).decode())
            sys.stdout.flush()


def _lines(directory: Path, quotes: int) -> Iterator[Line]:
    archive, raw = directory / "archive", directory / "raw"
    lines = compaction_archive.write(archive, quotes, datetime.now(UTC).date(), _report)
    yield from _compacted(archive, lines)
    raw.mkdir()
    (raw / "raw-data").symlink_to(archive / "raw-data")
    known = catalog.read()
    for name in QUERIES:
        query = known.query(name)
        assert query is not None  # noqa: S101  (a name of this module)
        tables, objects = _took(archive, query), _took(raw, query)
        if tables.rows != objects.rows:
            raise ValueError(f"{name} has other results over the compacted tables than over the raw archive")
        yield _line(f"{name}_time", tables.seconds, "s", objects.seconds)
        yield _line(f"{name}_cpu", tables.cpu, "s", objects.cpu)


def _compacted(archive: Path, lines: int) -> Iterator[Line]:
    """Compact the archive in a process of its own, as the task does."""
    command = [sys.executable, "-m", "operations", "compact", "--archive", str(archive)]
    started = time.monotonic()
    subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=True)  # noqa: S603  (our own command)
    yield _line("compaction_rows_a_second", lines / (time.monotonic() - started), "rows/s")
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / KIB
    yield _line("compaction_memory", memory, "MiB", MEMORY_MIB)
    files = current.decode((archive / current.KEY).read_bytes()).tables[QUOTES.name].files
    rows = sum(file.rows for file in files)
    raw_bytes = sum(path.stat().st_size for path in (archive / "raw-data").rglob("*.jsonl.gz"))
    yield _line("bytes_a_quote", sum(file.bytes for file in files) / rows, "bytes", raw_bytes / rows)
    yield _line("files", len(files), "files", sum(1 for _ in (archive / "raw-data").rglob("*.jsonl.gz")))


def _took(archive: Path, query: Statement) -> Took:
    with closing(Engine(catalog.read(), archive)) as engine:
        started, cpu = time.monotonic(), time.process_time()
        rows = sorted(engine.run(query.select).rows, key=repr)
        took = Took(rows, time.monotonic() - started, time.process_time() - cpu)
    _report(f"{query.name} over {archive.name}: {took.seconds:,.1f} s")
    return took


def _line(name: str, figure: float, unit: str, baseline: float | None = None) -> Line:
    ratio = None if baseline is None else round(baseline / figure, 2)
    return Line(name=name, figure=round(figure, 3), unit=unit, baseline=baseline and round(baseline, 3), ratio=ratio)


def _report(text: str) -> None:
    echo(text, err=True)


if __name__ == "__main__":
    typer.run(main)
