"""What a person sees of a running demo: a live table on a terminal, plain lines anywhere else."""

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
from replica.audit import Findings
from replica.monitor import Snapshot

PLAIN_SECONDS = 2.0
PRICES = 12
ALERTS = 5


class View:
    """Shows one demo. `state` is what it is doing, in a few words."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._alerts: deque[str] = deque(maxlen=ALERTS)
        self._printed_at = 0.0
        self._began = time.monotonic()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the live table on the terminal for as long as the block lasts."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=4, transient=True) as self._live:
            yield
        self._live = None

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def show(self, snapshot: Snapshot, alerts: list[str], *, state: str, url: str, warning: str) -> None:
        """Show how things stand, and the alerts that are new."""
        self._alerts.extend(alerts)
        if self._live is not None:
            self._live.update(self._table(snapshot, state, url, warning))
            return
        for alert in alerts:
            self.say(f"alert: {alert}")
        now = time.monotonic()
        if now - self._printed_at >= PLAIN_SECONDS:
            self._printed_at = now
            self.say(f"{now - self._began:4.0f} s  {state}: {_line(snapshot)}{f'  ({warning})' if warning else ''}")

    def close(self, findings: Findings, snapshot: Snapshot, usage: Usage, usd_per_million: float | None) -> None:
        """Print the closing table, and what the run used of what AWS bills."""
        table = Table(title="read back and compared with the log of accepted quotes", show_header=False)
        for justify in ("left", "right", "left"):
            table.add_column(justify=justify)
        for name, value, meaning, must_be_zero in (
            ("accepted", findings.quotes_accepted, "by the producer", False),
            ("stored", findings.quotes_stored, "rows in DynamoDB", False),
            ("lost", findings.lost, "accepted, and not a row or not in the archive", True),
            ("duplicated", findings.duplicated, "the same content under a second revision", True),
            ("out of order", findings.out_of_order, "behind a later quote of the same symbol", True),
            ("bars", findings.bars, "one-minute bars closed", False),
            ("alerts", findings.alerts, "received by a subscriber", False),
            ("quarantined", findings.quarantined, "lines that were refused", False),
            ("batches", snapshot.batches, f"invocations, {snapshot.failed_batches} of them failed", False),
        ):
            style = ("bold red" if value else "bold green") if must_be_zero else ""
            table.add_row(name, Text(f"{value:,}", style=style), meaning)
        table.add_row("latency p50", _seconds(snapshot.p50), "received to stored")
        table.add_row("latency p99", _seconds(snapshot.p99), "")
        self._console.print(table)
        self.say(
            f"metered: {usage.payload_units:,.0f} payload units, {usage.write_units:,.0f} write units, "
            f"{usage.archive_puts:,.0f} PUTs, {usage.invocations:,.0f} invocations of {usage.gb_seconds:.2f} GB-s, "
            f"{usage.log_bytes / 1000:,.0f} kB of logs"
        )
        if usd_per_million is not None:
            self.say(
                f"at list prices those calls cost ${usd_per_million:.2f} per million quotes; "
                "what a month costs, and a setup made for high rates: `make bill`"
            )

    def _table(self, snapshot: Snapshot, state: str, url: str, warning: str) -> Group:
        prices = Table(expand=True, box=None)
        for title in ("symbol", "price", "change"):
            prices.add_column(title, justify="left" if title == "symbol" else "right")
        for price in snapshot.prices:
            change = price.change_percent
            style = "" if not change else "green" if change > 0 else "red"
            shown = "" if change is None else f"{change:+.2f} %"
            prices.add_row(price.symbol, f"{price.price:,.2f}", Text(shown, style=style))
        alerts = Text("\n".join(self._alerts) or "none yet", style="yellow" if self._alerts else "dim")
        footer = Text(
            f"{url}/metrics  {url}/healthz  {url}/readyz    Ctrl-C drains and compares", style="dim", no_wrap=True
        )
        parts: list[RenderableType] = [
            Panel(Text(f"{state}   {_line(snapshot)}", style="bold"), title="stockstream", title_align="left"),
            Panel(prices, title="last prices stored", title_align="left"),
            Panel(alerts, title="alerts", title_align="left"),
            footer,
        ]
        if warning:
            parts.insert(1, Text(f"producer: {warning}", style="yellow"))
        return Group(*parts)


def _line(snapshot: Snapshot) -> str:
    return (
        f"{snapshot.stored:,} quotes stored, {snapshot.quotes_per_second:,.0f}/s, "
        f"latency p50 {_seconds(snapshot.p50)} p99 {_seconds(snapshot.p99)}"
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
