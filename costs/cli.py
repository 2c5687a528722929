"""`python -m costs`: the expected bill of a month."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from aws_limits import KIB
from costs import prices
from costs.bill import BUDGET_NOTICE, Bill, Kind, Line, Mode, Plan, bill, budget_for, total
from costs.expected_usage import Hours, Latency, Resolution, Setup, lanes_for, shards_for, sizes_of
from costs.prices import Prices
from costs.usage import per_million
from costs.viewers import WORKING_HOURS, Viewers
from quotes import MAX_SYMBOLS_PER_LANE
from terminal.output import echo
from terminal.program import called
from terminal.version import VersionOption

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

COMMAND = called("costs", command="bill")
EXAMPLES = f"""\b
Examples:
  {COMMAND} --symbols 100 --interval 1 --hours market
  {COMMAND} --symbols 10000 --interval 1 --resolution minute --window 5 --tables provisioned --vcpu 1 --memory 2
"""
out = Console(highlight=False, soft_wrap=True)
WIDTH = 120
"""The width of the table if the output is not a terminal."""
TITLES: dict[Kind, str] = {"fixed": "fixed", "quotes": "per quote", "history": "history", "viewers": "viewers"}


@app.command(epilog=EXAMPLES)
def show(  # noqa: PLR0917  (options, by name)
    symbols: Annotated[int, typer.Option(min=1, help="The number of symbols that are polled.")] = 100,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds from one poll to the next.")] = 1.0,
    hours: Annotated[
        Hours,
        typer.Option(help="When the source is polled. market: New York's 21 days of 6.5 hours. always: 730 hours."),
    ] = "always",
    resolution: Annotated[
        Resolution,
        typer.Option(help="What becomes a row. every: every quote. minute: the last quote of each symbol and minute."),
    ] = "every",
    latency: Annotated[
        Latency,
        typer.Option(
            help="How Lambda reads the stream (Latency). cheap: it polls once a second. fast: Kinesis pushes records "
            "to a consumer, which costs more."
        ),
    ] = "cheap",
    window: Annotated[
        float,
        typer.Option(
            min=0,
            max=300,
            help="Seconds that a batch may wait for more records (BatchingWindowSeconds), in cheap mode.",
        ),
    ] = 0,
    batch_size: Annotated[int, typer.Option(min=1, max=10_000, help="The most records in a batch (BatchSize).")] = 160,
    tables: Annotated[
        Mode, typer.Option("--tables", "--capacity", help="The billing mode of the tables.")
    ] = "on-demand",
    stream: Annotated[Mode, typer.Option(help="The billing mode of the stream.")] = "provisioned",
    lanes: Annotated[
        int | None,
        typer.Option(min=1, help="The number of lanes (PRODUCER_LANES).", show_default="4, or as many as needed"),
    ] = None,
    shards: Annotated[
        int | None, typer.Option(min=1, help="The number of shards (ShardCount).", show_default="as many as needed")
    ] = None,
    vcpu: Annotated[float, typer.Option(min=0.25, help="The CPU of the producer's task.")] = 0.25,
    memory: Annotated[float, typer.Option(min=0.5, help="The memory of the producer's task in GB.")] = 0.5,
    function_memory: Annotated[
        int, typer.Option(min=128, max=10240, help="The memory of the function in MB (MemorySize).")
    ] = 512,
    row_days: Annotated[int, typer.Option(min=1, help="How many days rows are kept (QuoteTtlDays).")] = 30,
    bar_days: Annotated[int, typer.Option(min=1, help="How many days bars are kept (BarTtlDays).")] = 365,
    archive_days: Annotated[
        int, typer.Option(min=1, help="How many days the archive is kept (ArchiveExpireAfterDays).")
    ] = 1095,
    recent_queries: Annotated[
        float, typer.Option(min=0, help="Queries of the last seven days in a day, as the saved queries are.")
    ] = 0,
    archive_queries: Annotated[
        float, typer.Option(min=0, help="Queries of the whole archive in a month, as those of the view quotes are.")
    ] = 0,
    history: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option(help="Fill the gaps of bars and compact the archive once a day (History).")
    ] = True,
    viewers: Annotated[
        int, typer.Option(min=0, help="People who look at the dashboard of all symbols, which polls once a second.")
    ] = 0,
    viewer_hours: Annotated[
        float, typer.Option(min=0, max=730, help="The hours of a month in which each of them looks.")
    ] = WORKING_HOURS,
    collector: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--collector", help="Include the collection of metrics into Managed Prometheus.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the bill as JSON.")] = False,  # noqa: FBT002  (an option, by name)
    brief: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--brief", help="Print one line: the costs of a million quotes and of a month.")
    ] = False,
    version: VersionOption = False,  # noqa: ARG001, FBT002
) -> None:
    """Price a month line by line, and compare it with the naive design.

    The naive design sends, stores and archives each quote with a request of its own.

    The list prices are in costs/prices.toml. Network egress and support are not included. Sizes are measured
    by running the pipeline's own code, counts follow from the settings, and the durations of the function are assumed.
    Every poll is assumed to bring a new quote of every symbol. Storage is what it costs to keep this month's data until
    they expire. In the long run, that is also the storage that a month is billed for.

    Names in parentheses are parameters of the templates or settings of the producer.
    """
    if latency == "fast" and window:
        raise typer.BadParameter("a window has no effect with --latency fast", param_hint="--window")
    setup = Setup(
        symbols=symbols,
        interval_seconds=interval,
        lanes=lanes or lanes_for(symbols),
        shards=shards or shards_for(symbols, interval),
        resolution=resolution,
        latency=latency,
        window_seconds=window,
        batch_size=batch_size,
        memory_mb=function_memory,
    )
    if setup.symbols_of_lane > MAX_SYMBOLS_PER_LANE:
        raise typer.BadParameter(
            f"with {setup.lanes} lanes, each would have {setup.symbols_of_lane:,.0f} symbols, but a lane can have at "
            f"most {MAX_SYMBOLS_PER_LANE}. Use {lanes_for(symbols)} lanes",
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
        recent_queries=recent_queries,
        archive_queries=archive_queries,
        history=history,
        viewers=Viewers(number=viewers, hours=viewer_hours),
    )
    table = prices.read()
    priced = bill(setup, plan, table)
    if as_json:
        document = _document(setup, plan, priced, table)
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document)).decode() + "\n")
    elif brief:
        echo(_brief(priced))
    else:
        _show(setup, priced, table)


def _show(setup: Setup, priced: Bill, price_table: Prices) -> None:
    table = Table(title=f"a month of {priced.quotes / 1e6:,.1f} million quotes")
    table.add_column("")
    table.add_column("quantity", justify="right")
    table.add_column("unit")
    table.add_column("dollars", justify="right")
    table.add_column("per million", justify="right")
    for kind, title in TITLES.items():
        if kind in ("history", "viewers") and not total(priced.lines, kind):
            continue
        for line in priced.lines:
            if line.kind == kind and line.quantity:
                table.add_row(line.name, _count(line.quantity), line.unit, *_money(line.usd, priced.quotes))
        table.add_row(title, "", "", *_money(total(priced.lines, kind), priced.quotes), style="bold")
        table.add_section()
    table.add_row("total", "", "", *_money(priced.usd, priced.quotes), style="bold")
    table.add_section()
    for line in priced.naive:
        table.add_row(f"naive: {line.name}", _count(line.quantity), line.unit, *_money(line.usd, priced.quotes))
    table.add_row("naive total", "", "", *_money(total(priced.naive), priced.quotes), style="bold")
    console = out if out.is_terminal else Console(width=WIDTH, highlight=False)
    console.print(table)
    sizes = sizes_of(setup)
    out.print(
        f"{setup.lanes} lanes, {setup.shards} shard{'s' if setup.shards > 1 else ''}; a quote takes "
        f"{sizes.line:.0f} bytes on the stream, {sizes.archived_line:.0f} in the archive and {sizes.row:.0f} as a row; "
        f"the state of a lane takes {sizes.state * setup.symbols_of_lane / KIB:.1f} KB, and its checkpoint "
        f"{sizes.checkpoint * setup.symbols_of_lane / KIB:.1f} KB"
    )
    if priced.parallelization > 1:
        out.print(
            "one batch of a shard at a time is too slow: set ParallelizationFactor to "
            f"{priced.parallelization}, or use more shards"
        )
    out.print(
        f"a budget of ${budget_for(priced.usd):,} (MonthlyBudgetUsd) is enough: "
        f"its notice comes at {BUDGET_NOTICE:.0%}, which this bill does not reach"
    )
    out.print(
        f"list prices of {price_table.region}, noted on {price_table.read}; {_reliability(priced.lines, price_table)}"
    )


def _brief(priced: Bill) -> str:
    naive = per_million(total(priced.naive), priced.quotes) or 0
    return (
        f"${priced.per_million:.3f} per million quotes; ${priced.usd:,.2f} a month, of which "
        f"${total(priced.lines, 'fixed'):,.2f} is fixed; naive design: ${naive:.2f} per million"
    )


def _reliability(lines: tuple[Line, ...], price_table: Prices) -> str:
    """The shares of the total by how reliable their prices are."""
    marks = {price.unit: price.mark for price in price_table.prices.values()}
    whole = total(lines)
    shares = {mark: sum(line.usd for line in lines if marks[line.unit] == mark) / whole for mark in ("V", "S", "M")}
    return (
        f"of the total, {shares['V']:.0%} uses prices from AWS, {shares['S']:.0%} from secondary pages, "
        f"{shares['M']:.0%} from memory"
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
        "sizes": sizes_of(setup),
        "lines": priced.lines,
        "naive": priced.naive,
        "prices": {"region": table.region, "read": table.read},
    }


def _count(quantity: float) -> str:
    return f"{quantity:,.0f}" if quantity >= 100 else f"{quantity:,.2f}"  # noqa: PLR2004  (three digits are enough)


def _money(usd: float, quotes: float) -> tuple[str, str]:
    return f"{usd:,.2f}", f"{per_million(usd, quotes):.4f}"
