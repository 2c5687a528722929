"""The report says the same to people and to programs."""

from __future__ import annotations

import msgspec

from smoke.report import Report, as_json, as_markdown, failed, summary
from smoke.verdicts import Failed, LeftOut, Passed, Result, Verdict
from tests.fakes.smoke_clock import START


def result(step: str, verdict: Verdict) -> Result:
    return Result(
        step=step, title=step.title(), look_at="docs/runbook.md", limit_seconds=600, seconds=61.5, verdict=verdict
    )


RESULTS = (
    result("deploy", Passed("13 stacks")),
    result("counts", Failed("as many quotes", "a|b\n<script>")),
    result("queries", LeftOut("another engine")),
)
REPORT = Report(
    stage="stockstream-dev",
    account="123456789012",
    region="eu-central-1",
    started_at=START,
    seconds=754.2,
    interrupted=False,
    passed=False,
    results=RESULTS,
)


def test_a_program_reads_what_was_written() -> None:
    assert msgspec.json.decode(as_json(REPORT), type=Report) == REPORT


def test_a_verdict_in_json_has_its_word() -> None:
    words = [each["verdict"]["verdict"] for each in msgspec.json.decode(as_json(REPORT))["results"]]
    assert words == ["passed", "failed", "left out"]


def test_the_summary_counts_the_verdicts() -> None:
    assert summary(REPORT) == "smoke test of stockstream-dev failed after 12:34 min: 1 passed, 1 failed, 1 left out"
    assert "interrupted after" in summary(msgspec.structs.replace(REPORT, interrupted=True))


def test_a_step_is_one_row_of_the_table_whatever_its_text_holds() -> None:
    rows = [line for line in as_markdown(REPORT).splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(RESULTS)
    assert rows[2] == (
        "| counts | failed | 1:01 min | 10:00 min | expected: as many quotes; seen: a\\|b<br>&lt;script>; "
        "look at: docs/runbook.md |"
    )


def test_only_a_failure_makes_the_test_fail() -> None:
    assert failed(RESULTS)
    assert not failed((RESULTS[0], RESULTS[2]))
