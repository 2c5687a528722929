"""The table of the pipeline's benchmark, as people read it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.latency import PARTS
from benchmarks.pipeline_run import CPU_PARTS, Result

Row = tuple[str, ...]
LATENCY_COLUMNS = ("mode", "quotes", "asked/s", "stored/s", "p50", "p99", "p99.9", *PARTS)
COST_COLUMNS = ("mode", "quotes", "asked/s", *CPU_PARTS, "quotes/batch", "calls/M", "$/M", "accepted", "lost")


def table(results: Sequence[Result]) -> list[str]:
    """The lines of two tables: the latencies and where they come from, and what the quotes cost."""
    return [
        "latency from receipt to row, and each part of it as p50/p99, in milliseconds",
        "",
        *_aligned([LATENCY_COLUMNS, *map(_latency_row, results)]),
        "",
        "CPU of a quote in microseconds, and what AWS would bill for the calls of a million quotes",
        "",
        *_aligned([COST_COLUMNS, *map(_cost_row, results)]),
    ]


def _latency_row(result: Result) -> Row:
    return (*_case(result), f"{result.rate:,.0f}", *_latency(result))


def _latency(result: Result) -> Row:
    if result.latency_seconds is not None:
        whole = result.latency_seconds
        parts = (result.part_seconds[part] for part in PARTS)
        return (
            *(_milliseconds(value) for value in (whole.p50, whole.p99, whole.p99_9)),
            *(f"{_milliseconds(part.p50)}/{_milliseconds(part.p99)}" for part in parts),
        )
    if result.keeps_up is None:
        return ("-",) * (3 + len(PARTS))
    return ("does not keep up:", f"{result.backlog:,} quotes", "behind", *("-",) * len(PARTS))


def _cost_row(result: Result) -> Row:
    cpu = result.cpu_microseconds
    return (
        *_case(result),
        *("?" if cpu is None else f"{getattr(cpu, part):,.0f}" for part in CPU_PARTS),
        f"{result.quotes_a_batch:,.0f}",
        "?" if result.calls_per_million is None else f"{result.calls_per_million:,.0f}",
        "?" if result.usd_per_million is None else f"{result.usd_per_million:.2f}",
        f"{result.accepted:,}",
        "cut off" if result.lost is None else f"{result.lost:,}",
    )


def _case(result: Result) -> Row:
    rate = "max" if result.asked_rate is None else f"{result.asked_rate:,.0f}"
    return result.mode, result.quotes, rate


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f}"


def _aligned(rows: Sequence[Row]) -> list[str]:
    """Rows with columns of one width: names at the left, and figures at the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)  # noqa: PLR2004  (mode and quotes)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
