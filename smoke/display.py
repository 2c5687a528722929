"""Shows a smoke test to the person who runs it: the plan, a line for each step, and a table at the end."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from smoke.bill import so_far
from smoke.plan import DESTROY, HOUR_SECONDS, STEPS, Step
from smoke.report import Report, minutes, summary
from smoke.verdicts import Result, sentence, word
from terminal import printable
from terminal.output import echo

_WIDTH = 120
_STYLES = {"passed": "green", "failed": "bold red", "left out": "yellow"}


def plan(stage: str, *, exists: bool, keep: bool) -> None:
    """Print what the test is going to do, how long it takes and what it costs."""
    steps = STEPS if keep else (*STEPS, DESTROY)
    usual = sum(step.usual_seconds for step in steps)
    most = sum(step.limit_seconds for step in steps)
    before = "exists and is deployed again" if exists else "does not exist and is deployed"
    after = "It stays." if keep else "Afterwards it is removed; its tables and its archive stay."
    echo(f"The stage {stage} {before}. {after}")
    if exists:
        echo(
            "The test disturbs it: the producer misses about a minute of quotes, the processor stands still for some "
            "minutes and then catches up, and the operators get notices."
        )
    echo(f"The test takes about {minutes(usual)}, and {minutes(most)} at most.")
    if not exists:
        echo(f"It costs about {so_far({}, 24, 2.4, usual / HOUR_SECONDS)}")


def begin(step: Step) -> None:
    """Print that a step begins."""
    echo(f"{step.name}: {step.title} (at most {minutes(step.limit_seconds)})")


def end(result: Result) -> None:
    """Print what came of a step."""
    echo(f"{result.step}: {word(result.verdict)} after {minutes(result.seconds)}: {sentence(result)}")


def show(report: Report) -> None:
    """Print the table of all steps, and the result."""
    table = Table(title=f"smoke test of {printable(report.stage)}")
    for column in ("step", "verdict", "time", "what it saw"):
        table.add_column(column, justify="right" if column == "time" else "left", overflow="fold")
    for result in report.results:
        verdict = word(result.verdict)
        table.add_row(
            printable(result.step),
            Text(verdict, style=_STYLES[verdict]),
            minutes(result.seconds),
            Text(printable(sentence(result))),
        )
    out = Console(highlight=False)
    (out if out.is_terminal else Console(width=_WIDTH, highlight=False)).print(table)
    echo(summary(report))
