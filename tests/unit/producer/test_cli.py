"""What the commands print, and the codes with which they exit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from producer_service.cli import app
from producer_service.journal import Journal
from producer_service.settings import VARIABLES, quote_configuration, watch_configuration
from producer_service.sources.synthetic_instruments import instrument_of

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an environment without settings of the producer and of AWS, except those that a test names."""
    for name in (*VARIABLES, "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

    def run(*arguments: str, code: int, **environment: str) -> Result:
        done = CliRunner().invoke(app, arguments, env=environment)
        assert done.exit_code == code, done.output
        return done

    return run


def test_quote_prints_a_table_without_any_setting(run: Run) -> None:
    done = run("quote", "--source", "synthetic", "AAPL,^GSPC", "$brk.b", code=0)
    title, head, *rows = done.stdout.splitlines()
    assert title == "synthetic: a simulated market"
    assert head.startswith("symbol ")
    assert [row.split()[0] for row in rows] == ["AAPL", "^GSPC", "$brk.b"]
    assert done.stderr == "note  $brk.b: did you mean BRK-B?\n"


def test_quote_prints_exact_json_lines(run: Run) -> None:
    done = run("quote", "--json", "--source", "synthetic", "EURUSD=X", code=0)
    [line] = done.stdout.splitlines()
    quote = msgspec.json.decode(line)
    assert quote["symbol"] == "EURUSD=X"
    assert quote["price"] == pytest.approx(instrument_of("EURUSD=X").price, rel=0.1)


def test_quote_names_a_mistake_in_the_words_of_the_user(run: Run) -> None:
    done = run("quote", "--source", "yaho", "BRK B", "{}", code=2, PRODUCER_SYNTHETIC_SED="1")
    assert done.stderr.splitlines()[1:] == [
        "  PRODUCER_SYNTHETIC_SED: unknown; did you mean PRODUCER_SYNTHETIC_SEED?",
        "  --source: 'yaho': is not a source; did you mean yahoo?",
        "  'BRK B' (did you mean BRK-B?) is not a symbol",
        "  '{}' is not a symbol",
    ]
    done = run("quote", "AAPL", code=2, PRODUCER_SOURCE="bloomberg")
    assert (
        "PRODUCER_SOURCE: 'bloomberg': is not a source; the sources are yahoo, yahoo_stream, replay, synthetic"
        in done.stderr
    )


def test_quote_needs_symbols_for_a_source_without_its_own(run: Run) -> None:
    assert "SYMBOL: missing; the source yahoo needs symbols" in run("quote", code=2).stderr
    assert len(run("quote", "--source", "synthetic", code=0).stdout.splitlines()) > 20


def test_quote_shows_a_recording(run: Run, tmp_path: Path) -> None:
    (tmp_path / "AAPL_1min.csv").write_text(
        "datetime,open,high,low,close,volume\n2026-11-23 09:31:00,100,101,99,100.5,10\n"
    )
    done = run("quote", "--source", "replay", "--json", code=0, PRODUCER_REPLAY_PATH=str(tmp_path))
    assert [msgspec.json.decode(line)["symbol"] for line in done.stdout.splitlines()] == ["AAPL"]
    done = run("quote", "--source", "replay", "aapl", code=2, PRODUCER_REPLAY_PATH=str(tmp_path))
    assert "aapl is not recorded; did you mean AAPL?" in done.stderr
    done = run("quote", "--source", "replay", code=2)
    assert "PRODUCER_REPLAY_PATH: missing" in done.stderr


def test_a_dry_run_takes_symbols_and_source_from_the_settings(run: Run) -> None:
    done = run("once", "--dry-run", "--json", code=0, PRODUCER_SOURCE="synthetic", PRODUCER_SYMBOLS="KO,msft")
    assert [msgspec.json.decode(line)["symbol"] for line in done.stdout.splitlines()] == ["KO", "msft"]
    assert done.stderr == "note  msft: did you mean MSFT?\n"


def test_a_dry_run_refuses_what_once_refuses_except_a_missing_stream(run: Run) -> None:
    done = run("once", "--dry-run", code=2, PRODUCER_BEFORE_OPEN_SECONDS="-1")
    assert [line.split(":")[0].strip() for line in done.stderr.splitlines()[1:]] == [
        "PRODUCER_BEFORE_OPEN_SECONDS",
        "PRODUCER_SYMBOLS",
    ]


def test_json_without_a_dry_run_is_wrong_usage(run: Run) -> None:
    assert "--dry-run" in run("once", "--json", code=2).stderr


def test_settings_sources_and_aws_settings_are_refused_together(run: Run) -> None:
    done = run("check", code=2, PRODUCER_LANES="0", PRODUCER_SOURCE="synthetic")
    assert [line.split(":")[0].strip() for line in done.stderr.splitlines()[1:]] == [
        "PRODUCER_STREAM_NAME",
        "PRODUCER_LANES",
        "AWS_DEFAULT_REGION",
    ]
    done = run("check", code=2, PRODUCER_STREAM_NAME="x", PRODUCER_SOURCE="replay", PRODUCER_REPLAY_PATH="/nowhere")
    assert "/nowhere" in done.stderr
    assert "AWS_DEFAULT_REGION" in done.stderr


def test_a_journal_in_use_is_no_wrong_setting(run: Run, tmp_path: Path) -> None:
    journal = Journal(tmp_path, 4)
    done = run(
        "run",
        code=1,
        PRODUCER_STREAM_NAME="x",
        PRODUCER_SOURCE="synthetic",
        PRODUCER_JOURNAL_DIR=str(tmp_path),
        AWS_DEFAULT_REGION="us-east-1",
    )
    assert "another process uses it" in done.stderr
    journal.close()


def test_the_settings_of_a_delivery_are_not_read_for_prices(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    del run
    environment = {"PRODUCER_SOURCE": "synthetic", "PRODUCER_SYMBOLS": "KO", "PRODUCER_LANES": "0"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert watch_configuration(environment).settings.symbols == ("KO",)
    asked = quote_configuration(environment, None, ("AAPL",))
    assert (asked.settings.source, asked.settings.symbols) == ("synthetic", ("AAPL",))


def test_help_says_what_signals_and_exit_codes_mean(run: Run) -> None:
    text = run("run", "--help", code=0).stdout
    assert "SIGHUP" in text
    assert [line.split()[0] for line in text.split("Exit codes:")[1].splitlines()[1:4]] == ["0", "1", "2"]
