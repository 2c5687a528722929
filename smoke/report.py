"""What a smoke test found, as a document: JSON and Markdown. Pure."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime

import msgspec

from smoke.verdicts import Failed, Result, sentence, word


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A smoke test that is over."""

    stage: str
    account: str
    region: str
    started_at: datetime
    seconds: float
    interrupted: bool
    passed: bool
    """Whether nothing failed. Steps may have been left out."""
    results: tuple[Result, ...]


def failed(results: tuple[Result, ...]) -> bool:
    """Whether a step or a clean-up failed."""
    return any(isinstance(result.verdict, Failed) for result in results)


def summary(report: Report) -> str:
    """The result in a sentence."""
    counts = Counter(word(result.verdict) for result in report.results)
    figures = ", ".join(f"{counts[each]} {each}" for each in ("passed", "failed", "left out") if counts[each])
    outcome = "interrupted" if report.interrupted else "passed" if report.passed else "failed"
    return f"smoke test of {report.stage} {outcome} after {minutes(report.seconds)}: {figures}"


def minutes(seconds: float) -> str:
    """A time as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


def whole_minutes(seconds: float) -> str:
    """A time in minutes, rounded up, in words."""
    return f"{math.ceil(seconds / 60)} minutes"


def as_json(report: Report) -> bytes:
    """The report for programs."""
    return msgspec.json.format(msgspec.json.encode(report)) + b"\n"


def as_markdown(report: Report) -> str:
    """The report for people."""
    lines = [
        f"# Smoke test of {report.stage}",
        "",
        f"Account {report.account}, region {report.region}, started {report.started_at:%Y-%m-%d %H:%M:%S} UTC.",
        "",
        f"{summary(report)[0].upper()}{summary(report)[1:]}.",
        "",
        "| step | verdict | time | limit | what it saw |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {result.step} | {word(result.verdict)} | {minutes(result.seconds)} | {minutes(result.limit_seconds)} "
        f"| {_cell(sentence(result))} |"
        for result in report.results
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", "<br>")
