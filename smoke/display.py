"""Shows a smoke test to the person who runs it: the plan, a line for each step, and a table at the end.

The test goes on, and cleans up, when nobody reads what it prints any more, such as after the end of the terminal.
"""

from __future__ import annotations

from contextlib import suppress

from rich.console import Console
from rich.table import Table
from rich.text import Text

from smoke.bill import so_far
from smoke.plan import DESTROY, HOUR_SECONDS, STEPS, Step
from smoke.report import Report, minutes, summary, whole_minutes
from smoke.verdicts import Result, sentence, word
from terminal import printable
from terminal.masking import masked
from terminal.output import echo

_WIDTH = 120
_SYMBOLS, _QUOTES_A_SECOND = 24, 2.4
"""Those of a stage with the default parameters."""
_STYLES = {"passed": "green", "failed": "bold red", "left out": "yellow"}


def plan(stage: str, *, exists: bool, keep: bool) -> None:
    """Print what the test is going to do, how long it takes and what it costs."""
    steps = STEPS if keep else (*STEPS, DESTROY)
    usual = sum(step.usual_seconds for step in steps)
    most = sum(step.limit_seconds for step in steps)
    before = "exists and is deployed again" if exists else "does not exist and is deployed"
    after = "It stays." if keep else "Afterwards it is removed. Its tables and its archive stay."
    _say(f"The stage {stage} {before}. {after}")
    if exists:
        _say(
            "The test disturbs it: the producer misses about a minute of quotes, the processor stands still for some "
            "minutes and then catches up, and the operators get notices."
        )
    _say(f"The test takes about {whole_minutes(usual)}, and {whole_minutes(most)} at most.")
    if not exists:
        _say(f"It costs about {so_far({}, _SYMBOLS, _QUOTES_A_SECOND, usual / HOUR_SECONDS)}.")


def begin(step: Step) -> None:
    """Print that a step begins."""
    _say(f"{step.name}: {step.title} (at most {whole_minutes(step.limit_seconds)})")


def end(result: Result) -> None:
    """Print what came of a step."""
    _say(f"{result.step}: {word(result.verdict)} after {minutes(result.seconds)}: {sentence(result)}")


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
            Text(printable(masked(sentence(result)))),
        )
    out = Console(highlight=False)
    with suppress(OSError):
        (out if out.is_terminal else Console(width=_WIDTH, highlight=False)).print(table)
    _say(summary(report))


def _say(text: str) -> None:
    with suppress(OSError):
        echo(text)
