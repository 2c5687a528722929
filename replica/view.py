"""Shows a running demo: on the whole window of a terminal, and by plain lines everywhere else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from costs.usage import Usage
from replica import layout
from replica.audit import Findings
from replica.layout import Frame
from replica.monitor import NOTHING, Breakdown, Snapshot
from replica.screen import can_draw, drawing
from terminal import printable
from terminal.text import MAX_CHARACTERS

RUNNING = "running"
RUNNING_HINT = "Ctrl-C stops, drains and compares"
ENDING_HINT = "Ctrl-C ends it at once"
PLAIN_SECONDS = 2.0
ALERTS = 500
"""The most alerts that are kept for the window."""
REPORTS = 30
"""The most reports that are kept for the window."""
TEXT = 300
"""How many characters of an alert or a warning the window shows."""


class View:
    """Shows one demo on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._encoding = console.encoding
        self._frame: Frame | None = None
        self._alerts: deque[tuple[float, str]] = deque(maxlen=ALERTS)
        self._recent: deque[str] = deque(maxlen=REPORTS)
        self._reports: list[str] | None = None
        """What was reported while the window is in use, to be printed afterwards."""
        self._printed_at = 0.0
        self._printed_state = ""
        self._printed_notes: set[str] = set()
        self._started_at = time.monotonic()

    @contextmanager
    def live(self) -> Iterator[None]:
        """Use the whole window for as long as the block lasts, if the console is a terminal.

        What was reported before, and is reported meanwhile, is also shown in the window. The latter is printed
        afterwards.
        """
        if not can_draw(self._console):
            yield
            return
        self._reports, self._started_at = [], time.monotonic()
        try:
            with drawing(self._console, self._lines):
                yield
        finally:
            reports, self._reports, self._frame = self._reports, None, None
            with suppress(OSError):  # the terminal may be gone
                for text in reports:
                    self._print(text)

    def report(self, text: str) -> None:
        """Print a line that stays on the console."""
        shown = self._shown(text)
        self._recent.append(shown)
        if self._reports is None:
            self._print(shown)
        else:
            self._reports.append(shown)

    def update(
        self,
        snapshot: Snapshot,
        alerts: list[str],
        *,
        state: str,
        prices: str,
        dashboard_url: str,
        notes: tuple[str, ...] = (),
        warning: str = "",
    ) -> None:
        """Show the current figures, the new alerts, and the demo's state, such as `running`.

        `prices` says what kind of prices they are, and `notes` why some are missing.
        """
        now = time.monotonic()
        seconds = now - self._started_at
        if self._reports is not None:
            self._alerts.extendleft((seconds, self._shown(alert, TEXT)) for alert in alerts)
            warnings = (f"producer: {warning}",) if warning else ()
            self._frame = Frame(
                state=state,
                prices=prices,
                snapshot=snapshot,
                notes=tuple(self._shown(note, TEXT) for note in (*notes, *warnings)),
                alerts=tuple(self._alerts),
                reports=tuple(self._recent),
                hint=f"{RUNNING_HINT if state == RUNNING else ENDING_HINT}    dashboard: {dashboard_url}",
            )
            return
        for alert in alerts:
            self.report(f"alert: {alert}")
        for note in notes:
            if note not in self._printed_notes:
                self._printed_notes.add(note)
                self.report(f"note: {note}")
        if now - self._printed_at >= PLAIN_SECONDS or state != self._printed_state:
            self._printed_at, self._printed_state = now, state
            what = f"{state}, {prices}: {layout.figures(snapshot)}"
            self.report(f"{seconds:4.0f} s  {what}{f'  ({warning})' if warning else ''}")

    def summarize(
        self,
        findings: Findings,
        snapshot: Snapshot,
        usage: Usage,
        usd_per_million: float | None,
        *,
        prices: str,
        mode: str,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Print the findings of the audit, why prices were missing, and what AWS would bill for the run.

        `mode` says how the function read the stream: cheap or fast.
        """
        table = Table(title=f"{prices}, read back and compared with the log of accepted quotes", show_header=False)
        for justify in ("left", "right", "left"):
            table.add_column(justify=justify)
        for name, value, meaning, must_be_zero in (
            ("accepted", findings.quotes_accepted, "quotes, by the producer", False),
            ("stored", findings.quotes_stored, "quotes in the DynamoDB table", False),
            ("lost", findings.lost, "accepted, but missing from the table or the archive", True),
            ("duplicated", findings.duplicated, "stored twice, under two revisions", True),
            ("out of order", findings.out_of_order, "arrived after a later quote of the same symbol", True),
            ("unmatched", findings.alerts_unmatched, "alerts that differ in the table and at a subscriber", True),
            ("bars", findings.bars, _bars_in_words(findings.bars_backfilled), False),
            ("alerts", findings.alerts, "received by a subscriber", False),
            ("quarantined", findings.quarantined, "lines that the processor refused", False),
            ("batches", snapshot.batches, f"invocations of the function, {snapshot.failed_batches} failed", False),
        ):
            style = ("bold red" if value else "bold green") if must_be_zero else ""
            table.add_row(name, Text(f"{value:,}", style=style), meaning)
        table.add_row("latency p50", layout.seconds_text(snapshot.p50), f"from received to stored, in {mode} mode")
        table.add_row("latency p99", layout.seconds_text(snapshot.p99), f"p99.9: {layout.seconds_text(snapshot.p99_9)}")
        if snapshot.breakdown is not None:
            table.add_row("p50 of parts", "", _parts_in_words(snapshot.breakdown))
        self._console.print(table)
        if not findings.quotes_stored:
            self.report("No quote was stored." + ("" if notes else " The source delivered none."))
        for note in notes:
            self.report(f"note: {note}")
        self.report(
            f"AWS would bill {usage.payload_units:,.0f} Kinesis payload units, {usage.write_units:,.0f} DynamoDB write "
            f"units, {usage.archive_puts:,.0f} S3 PUTs, {usage.invocations:,.0f} Lambda invocations of "
            f"{usage.gb_seconds:.2f} GB-seconds and {usage.log_bytes / 1000:,.0f} kB of logs."
        )
        if findings.bars_backfilled:
            self.report("These figures contain the backfill, so they do not show what a quote costs. `make bill` does.")
        elif usd_per_million is not None:
            self.report(
                f"At list prices these calls cost ${usd_per_million:.2f} per million quotes. "
                "`make bill` shows what a month costs, also for high rates."
            )

    def _lines(self, width: int, height: int) -> list[Text]:
        frame = self._frame or Frame(state="starting", prices="", snapshot=NOTHING)
        elapsed = time.monotonic() - self._started_at
        ascii_only = self._console.options.ascii_only
        return layout.lines_of(frame, width, height, elapsed, ascii_only=ascii_only)

    def _shown(self, text: str, limit: int = MAX_CHARACTERS) -> str:
        """A text as the console can show it: harmless, and with escapes for what its encoding has not."""
        return printable(text, limit).encode(self._encoding, "backslashreplace").decode(self._encoding)

    def _print(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


def _bars_in_words(backfilled: int) -> str:
    return "in the DynamoDB table" + (f", {backfilled:,} of them by a backfill" if backfilled else "")


def _parts_in_words(breakdown: Breakdown) -> str:
    """The median of each part of the latency, in seconds."""
    seconds = msgspec.structs.asdict(breakdown).items()
    return ", ".join(f"{part.replace('_', ' ')} {value:.2f}" for part, value in seconds) + " s"
