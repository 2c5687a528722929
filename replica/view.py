"""Shows a running demo: a live table on a terminal, and plain lines everywhere else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from costs.usage import Usage
from quotes import short_price
from replica.audit import Findings
from replica.monitor import Snapshot
from terminal import printable

PLAIN_SECONDS = 2.0
PRICES = 12
ALERTS = 5
TEXT = 300
"""How many characters of an alert or a warning the live table shows."""


class View:
    """Shows one demo on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._alerts: deque[str] = deque(maxlen=ALERTS)
        self._printed_at = 0.0
        self._printed_state = ""
        self._started_at = time.monotonic()

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the live table for as long as the block lasts, if the console is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=4, transient=True) as self._live:
            yield
        self._live = None

    def report(self, text: str) -> None:
        """Print a line that stays on the console."""
        self._console.print(Text(printable(text)), soft_wrap=True)

    def update(self, snapshot: Snapshot, alerts: list[str], *, state: str, url: str, warning: str) -> None:
        """Show the current figures, the new alerts, and the demo's state, such as `running`."""
        self._alerts.extend(alerts)
        if self._live is not None:
            self._live.update(self._table(snapshot, state, url, warning))
            return
        for alert in alerts:
            self.report(f"alert: {alert}")
        now = time.monotonic()
        if now - self._printed_at >= PLAIN_SECONDS or state != self._printed_state:
            self._printed_at, self._printed_state = now, state
            seconds = now - self._started_at
            self.report(f"{seconds:4.0f} s  {state}: {_line(snapshot)}{f'  ({warning})' if warning else ''}")

    def summarize(self, findings: Findings, snapshot: Snapshot, usage: Usage, usd_per_million: float | None) -> None:
        """Print the findings of the audit, and what AWS would bill for the run."""
        table = Table(title="read back and compared with the log of accepted quotes", show_header=False)
        for justify in ("left", "right", "left"):
            table.add_column(justify=justify)
        for name, value, meaning, must_be_zero in (
            ("accepted", findings.quotes_accepted, "quotes, by the producer", False),
            ("stored", findings.quotes_stored, "quotes in the DynamoDB table", False),
            ("lost", findings.lost, "accepted, but missing from the table or the archive", True),
            ("duplicated", findings.duplicated, "stored twice, under two revisions", True),
            ("out of order", findings.out_of_order, "arrived after a later quote of the same symbol", True),
            ("bars", findings.bars, "one-minute bars in the DynamoDB table", False),
            ("alerts", findings.alerts, "received by a subscriber", False),
            ("quarantined", findings.quarantined, "lines that the processor refused", False),
            ("batches", snapshot.batches, f"invocations of the function, {snapshot.failed_batches} failed", False),
        ):
            style = ("bold red" if value else "bold green") if must_be_zero else ""
            table.add_row(name, Text(f"{value:,}", style=style), meaning)
        table.add_row("latency p50", _seconds(snapshot.p50), "from received to stored")
        table.add_row("latency p99", _seconds(snapshot.p99), "")
        self._console.print(table)
        self.report(
            f"AWS would bill {usage.payload_units:,.0f} Kinesis payload units, {usage.write_units:,.0f} DynamoDB write "
            f"units, {usage.archive_puts:,.0f} S3 PUTs, {usage.invocations:,.0f} Lambda invocations of "
            f"{usage.gb_seconds:.2f} GB-seconds and {usage.log_bytes / 1000:,.0f} kB of logs."
        )
        if usd_per_million is not None:
            self.report(
                f"At list prices these calls cost ${usd_per_million:.2f} per million quotes. "
                "`make bill` shows what a month costs, also for high rates."
            )

    def _table(self, snapshot: Snapshot, state: str, url: str, warning: str) -> Group:
        prices = Table(expand=True, box=None)
        for title in ("symbol", "price", "change"):
            prices.add_column(title, justify="left" if title == "symbol" else "right")
        for price in snapshot.prices:
            change = price.change_percent
            style = "" if not change else "green" if change > 0 else "red"
            percent = "" if change is None else f"{change:+.2f} %"
            amount = short_price(price.price)
            prices.add_row(Text(printable(price.symbol)), amount, Text(percent, style=style))
        listed = "\n".join(printable(alert, TEXT) for alert in self._alerts)
        alerts = Text(listed or "none yet", style="yellow" if listed else "dim")
        footer = Text(
            f"{url}/metrics  {url}/healthz  {url}/readyz    Ctrl-C stops, drains and compares",
            style="dim",
            no_wrap=True,
        )
        parts: list[RenderableType] = [
            Panel(Text(f"{state}   {_line(snapshot)}", style="bold"), title="stockstream", title_align="left"),
            Panel(prices, title="last prices stored", title_align="left"),
            Panel(alerts, title="alerts", title_align="left"),
            footer,
        ]
        if warning:
            parts.insert(1, Text(printable(f"producer: {warning}", TEXT), style="yellow"))
        return Group(*parts)


def _line(snapshot: Snapshot) -> str:
    return (
        f"{snapshot.stored:,} quotes stored, {snapshot.quotes_per_second:,.0f}/s, "
        f"latency p50 {_seconds(snapshot.p50)} p99 {_seconds(snapshot.p99)}"
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
