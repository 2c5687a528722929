"""`python -m costs`: a month's bill, before there is one."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from aws_limits import KIB
from costs import prices
from costs.bill import Bill, Kind, Line, Mode, Plan, bill, total
from costs.expected_usage import Hours, Resolution, Setup, lanes_for, shape_of, shards_for
from costs.prices import Prices
from costs.usage import per_million
from quotes import MAX_SYMBOLS_PER_LANE

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

EXAMPLES = """\b
Examples:
  python -m costs --symbols 100 --interval 1 --hours market
  python -m costs --symbols 10000 --interval 1 --resolution minute --window 5 --tables provisioned --vcpu 1 --memory 2
"""
out = Console(highlight=False, soft_wrap=True)
WIDTH = 120
"""Where no terminal has one."""
TITLES: dict[Kind, str] = {"fixed": "fixed", "quotes": "per quote"}


@app.command(epilog=EXAMPLES)
def show(  # noqa: PLR0917  (options, by name)
    symbols: Annotated[int, typer.Option(min=1, help="How many symbols are polled.")] = 100,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds from one poll to the next.")] = 1.0,
    hours: Annotated[
        Hours, typer.Option(help="market: New York's 21 days of 6.5 hours; always: 730 hours.")
    ] = "always",
    resolution: Annotated[
        Resolution, typer.Option(help="every: a row of each quote; minute: one a symbol and minute.")
    ] = ("every"),
    window: Annotated[float, typer.Option(min=0, max=300, help="BatchingWindowSeconds of the mapping.")] = 1,
    batch_size: Annotated[int, typer.Option(min=1, max=10_000, help="BatchSize of the mapping.")] = 160,
    tables: Annotated[Mode, typer.Option("--tables", "--capacity", help="How the tables are paid.")] = "on-demand",
    stream: Annotated[Mode, typer.Option(help="How the stream is paid.")] = "provisioned",
    lanes: Annotated[
        int | None, typer.Option(min=1, help="PRODUCER_LANES.", show_default="4, or what is needed")
    ] = None,
    shards: Annotated[int | None, typer.Option(min=1, help="ShardCount.", show_default="what is needed")] = None,
    vcpu: Annotated[float, typer.Option(min=0.25, help="The producer task's CPU.")] = 0.25,
    memory: Annotated[float, typer.Option(min=0.5, help="Its memory, in GB.")] = 0.5,
    function_memory: Annotated[int, typer.Option(min=128, max=10240, help="MemorySize of the function, in MB.")] = 512,
    row_days: Annotated[int, typer.Option(min=1, help="QuoteTtlDays.")] = 30,
    bar_days: Annotated[int, typer.Option(min=1, help="BarTtlDays.")] = 365,
    archive_days: Annotated[int, typer.Option(min=1, help="ArchiveExpireAfterDays.")] = 1095,
    collector: Annotated[bool, typer.Option("--collector", help="Prometheus's metrics are collected too.")] = False,  # noqa: FBT002  (an option, by name)
    as_json: Annotated[bool, typer.Option("--json", help="The bill as JSON.")] = False,  # noqa: FBT002  (an option, by name)
    brief: Annotated[bool, typer.Option("--brief", help="One line: what a month and a million quotes cost.")] = False,  # noqa: FBT002  (an option, by name)
) -> None:
    """Price a month line by line, from the list prices in costs/prices.toml, and the naive design beside it.

    Everything but network egress, queries and support. Sizes are measured by running the pipeline's own code; counts
    follow from the settings; Lambda's durations are assumed. Every poll is taken to bring news of every symbol.
    Storage is what this month's data cost until they expire, which in the long run is a month's storage.
    """
    setup = Setup(
        symbols=symbols,
        interval_seconds=interval,
        lanes=lanes or lanes_for(symbols),
        shards=shards or shards_for(symbols, interval),
        resolution=resolution,
        window_seconds=window,
        batch_size=batch_size,
        memory_mb=function_memory,
    )
    if setup.symbols_of_lane > MAX_SYMBOLS_PER_LANE:
        raise typer.BadParameter(
            f"{setup.lanes} lanes would hold {setup.symbols_of_lane:.0f} symbols each, and the most is "
            f"{MAX_SYMBOLS_PER_LANE}: use {lanes_for(symbols)} lanes",
            param_hint="--lanes",
        )
    plan = Plan(
        hours=hours,
        tables=tables,
        stream=stream,
        task_vcpu=vcpu,
        task_gb=memory,
        collector=collector,
        row_days=row_days,
        bar_days=bar_days,
        archive_days=archive_days,
    )
    table = prices.read()
    priced = bill(setup, plan, table)
    if as_json:
        document = _document(setup, plan, priced, table)
        typer.echo(msgspec.json.format(msgspec.json.encode(document)).decode())
    elif brief:
        typer.echo(_brief(priced))
    else:
        _show(setup, priced, table)


def _show(setup: Setup, priced: Bill, table: Prices) -> None:
    shown = Table(title=f"a month of {priced.quotes / 1e6:,.1f} million quotes")
    shown.add_column("")
    shown.add_column("quantity", justify="right")
    shown.add_column("unit")
    shown.add_column("dollars", justify="right")
    shown.add_column("per million", justify="right")
    for kind, title in TITLES.items():
        for line in priced.lines:
            if line.kind == kind and line.quantity:
                shown.add_row(line.name, _count(line.quantity), line.unit, *_money(line.usd, priced.quotes))
        shown.add_row(title, "", "", *_money(total(priced.lines, kind), priced.quotes), style="bold")
        shown.add_section()
    shown.add_row("together", "", "", *_money(priced.usd, priced.quotes), style="bold")
    shown.add_section()
    for line in priced.naive:
        shown.add_row(f"naive: {line.name}", _count(line.quantity), line.unit, *_money(line.usd, priced.quotes))
    shown.add_row("naive, together", "", "", *_money(total(priced.naive), priced.quotes), style="bold")
    console = out if out.is_terminal else Console(width=WIDTH, highlight=False)
    console.print(shown)
    shape = shape_of(setup)
    out.print(
        f"{setup.lanes} lanes, {setup.shards} shard{'s' if setup.shards > 1 else ''}; "
        f"a quote is {shape.line:.0f} bytes on the stream, "
        f"{shape.archived:.0f} in the archive, {shape.row:.0f} as a row; a lane's state {shape.state / KIB:.1f} KB"
    )
    if priced.parallelization > 1:
        out.print(f"the function's time takes ParallelizationFactor {priced.parallelization} or more shards")
    out.print(f"list prices of {table.region}, noted {table.read}; {_sureness(priced.lines, table)}")


def _brief(priced: Bill) -> str:
    naive = per_million(total(priced.naive), priced.quotes) or 0
    return (
        f"${priced.per_million:.3f} per million quotes, ${priced.usd:,.2f} a month of which "
        f"${total(priced.lines, 'fixed'):,.2f} fixed; the naive design ${naive:.2f} per million"
    )


def _sureness(lines: tuple[Line, ...], table: Prices) -> str:
    """How much of the bill rests on prices of which sureness."""
    marks = {price.unit: price.mark for price in table.prices.values()}
    whole = total(lines)
    shares = {mark: sum(line.usd for line in lines if marks[line.unit] == mark) / whole for mark in ("V", "S", "M")}
    return (
        f"{shares['V']:.0%} of the sum rests on prices read at AWS, {shares['S']:.0%} on secondary pages, "
        f"{shares['M']:.0%} on memory"
    )


def _document(setup: Setup, plan: Plan, priced: Bill, table: Prices) -> dict[str, Any]:
    return {
        "quotes": priced.quotes,
        "usd": priced.usd,
        "usd_per_million_quotes": priced.per_million,
        "naive_usd": total(priced.naive),
        "parallelization": priced.parallelization,
        "setup": setup,
        "plan": plan,
        "shape": shape_of(setup),
        "lines": priced.lines,
        "naive": priced.naive,
        "prices": {"region": table.region, "read": table.read},
    }


def _count(quantity: float) -> str:
    return f"{quantity:,.0f}" if quantity >= 100 else f"{quantity:,.2f}"  # noqa: PLR2004  (three digits are enough)


def _money(usd: float, quotes: float) -> tuple[str, str]:
    return f"{usd:,.2f}", f"{per_million(usd, quotes):.4f}"
