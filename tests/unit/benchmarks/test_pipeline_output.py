"""What the pipeline's benchmark prints, and which options it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks import pipeline
from benchmarks.latency import PARTS, Percentiles
from benchmarks.pipeline_page import problem_of, with_table
from benchmarks.pipeline_run import PartCosts, Result
from benchmarks.pipeline_table import table
from deployment.functions import ROOT

RESULT = Result(
    mode="fast",
    quotes="synthetic",
    asked_rate=1000,
    rate=999.6,
    keeps_up=True,
    backlog=120,
    measured=10_000,
    latency_seconds=Percentiles(p50=0.1214, p99=0.31, p99_9=1.25),
    part_seconds={part: Percentiles(p50=0.01, p99=0.02, p99_9=0.03) for part in PARTS},
    cpu_microseconds=PartCosts(producer=200, event_source=20, emulator=500.4, function=80),
    cpu_cores=PartCosts(producer=0.2, event_source=0.02, emulator=0.5, function=0.08),
    quotes_a_batch=870.4,
    calls_per_million=74_019.2,
    usd_per_million=0.664,
    accepted=15_000,
    lost=0,
)


def test_the_table_has_every_figure_of_a_run() -> None:
    latency, cost = (line.split() for line in table([RESULT]) if line.startswith("fast"))
    assert latency == ["fast", "synthetic", "1,000", "1,000", "121", "310", "1,250", *["10/20"] * len(PARTS)]
    assert cost == ["fast", "synthetic", "1,000", "200", "20", "500", "80", "870", "74,019", "0.66", "15,000", "0"]


def test_a_run_that_does_not_keep_up_shows_its_backlog_and_no_latency() -> None:
    behind = replace(RESULT, rate=612, keeps_up=False, backlog=43_210, latency_seconds=None, part_seconds={}, lost=None)
    latency, cost = (line for line in table([behind]) if line.startswith("fast"))
    assert "612" in latency
    assert "does not keep up:  43,210 quotes  behind" in re.sub(" {2,}", "  ", latency)
    assert "121" not in latency
    assert "cut off" in cost


def test_a_run_as_fast_as_it_goes_has_a_rate_and_no_latency() -> None:
    fastest = replace(
        RESULT, asked_rate=None, keeps_up=None, latency_seconds=None, part_seconds={}, cpu_microseconds=None
    )
    latency, cost = (line.split() for line in table([fastest]) if line.startswith("fast"))
    assert latency == ["fast", "synthetic", "max", "1,000", *["-"] * (3 + len(PARTS))]
    assert cost[3:7] == ["?"] * 4


def test_the_table_of_a_page_is_replaced_and_nothing_else() -> None:
    page = "before\n<!-- python -m benchmarks.pipeline -->\n```text\nold\n```\nafter\n"
    written = with_table(page, [RESULT])
    assert "old" not in written
    assert written.startswith("before\n<!-- python -m benchmarks.pipeline -->\n```text\nlatency")
    assert written.endswith("\n```\nafter\n")
    assert with_table(written, [RESULT]) == written


def test_the_page_of_latency_has_a_block_for_the_table() -> None:
    assert problem_of(ROOT / "docs" / "latency.md") is None


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (["--rates", "10,fast"], "'fast' is neither max nor a rate from 1 to 20,000"),
        (["--rates", "0"], "'0' is neither max nor a rate"),
        (["--rates", "nan"], "'nan' is neither max nor a rate"),
        (["--seconds", "0"], "'0' is not a number from 1 to 600"),
        (["--rates", "5000", "--seconds", "100"], "a run of 525,000 quotes is too long: at most 300,000"),
        (["--rates", "max", "--seconds", "200"], "a run of 400,000 quotes is too long: at most 300,000"),
        (["--mode", "slow"], "'slow' is neither cheap, fast nor both"),
        (["--quotes", "real"], "'real' is neither synthetic, recorded nor both"),
        (["--quotes", "recorded"], "--quotes recorded needs STOCKSTREAM_RECORDINGS"),
    ],
)
def test_a_wrong_option_says_what_is_right(
    options: list[str], advice: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(pipeline.RECORDINGS, raising=False)
    with pytest.raises(SystemExit) as ended:
        pipeline.main(options)
    assert ended.value.code == 2
    assert advice in capsys.readouterr().err


def test_recordings_without_bars_are_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(pipeline.RECORDINGS, str(tmp_path))
    with pytest.raises(SystemExit):
        pipeline.main(["--quotes", "recorded"])
    assert "which has no directory minute/eqker" in capsys.readouterr().err


@pytest.mark.parametrize("page", ["old\n", "```text\nold\n```\n"])
def test_a_page_without_a_block_is_refused_before_anything_runs(
    page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "page.md"
    file.write_text(page)
    with pytest.raises(SystemExit):
        pipeline.main(["--page", str(file)])
    assert f"{file} has no block" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        pipeline.main(["--page", str(tmp_path / "none.md")])
    assert "none.md" in capsys.readouterr().err
