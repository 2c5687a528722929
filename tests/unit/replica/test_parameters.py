"""What a person types to start a demo is checked as a whole, and refused in the person's words."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployment.functions import ROOT
from quotes import encode
from replica.parameters import Parameters, Typed, WrongParameters, checked
from tests.fakes.pipeline import make_quote
from workspace import demo_record
from workspace.places import STATE

NOW = datetime(2026, 11, 27, 15, tzinfo=UTC)
BARS = "datetime,open,high,low,close,volume\n2026-11-23 09:31:00,1,1,1,1,1\n"


def check(environment: dict[str, str] | None = None, **typed: Any) -> Parameters:
    return checked(Typed(**typed), {"PATH": "/usr/bin:/bin", **(environment or {})}, NOW)


def mistakes(environment: dict[str, str] | None = None, **typed: Any) -> list[str]:
    with pytest.raises(WrongParameters) as refusal:
        check(environment, **typed)
    return refusal.value.mistakes


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    folder = tmp_path / "bars"
    folder.mkdir()
    (folder / "AAPL_1min.csv").write_text(BARS)
    return folder


def test_without_options_the_demo_simulates_a_market_until_it_is_stopped() -> None:
    assert check() == Parameters(
        settings={
            "SOURCE": "synthetic",
            "POLL_INTERVAL_SECONDS": "1",
            "DRAIN_SECONDS": "110",
            "LINGER_SECONDS": "0.005",
        },
        latency="fast",
    )


def test_options_become_settings_of_the_producer_and_paths_become_absolute(bars: Path, tmp_path: Path) -> None:
    wanted = check(
        seconds="20",
        source="replay",
        symbols="AAPL",
        interval="2",
        replay_path=str(bars),
        replay_speed="60",
        summary=str(tmp_path / "out.json"),
        keep=str(tmp_path / "kept"),
    )
    assert wanted.settings == {
        "SOURCE": "replay",
        "SYMBOLS": "AAPL",
        "POLL_INTERVAL_SECONDS": "2",
        "REPLAY_PATH": str(bars),
        "REPLAY_SPEED": "60",
        "DRAIN_SECONDS": "110",
        "LINGER_SECONDS": "0.005",
    }
    assert (wanted.seconds, wanted.summary, wanted.archive) == (20, tmp_path / "out.json", tmp_path / "kept")
    assert not (tmp_path / "out.json").exists()
    assert not (tmp_path / "kept").exists()


def test_only_fast_mode_has_a_shorter_linger_and_only_if_the_person_sets_none() -> None:
    assert (check(latency="cheap").latency, check(latency="fast").latency) == ("cheap", "fast")
    assert "LINGER_SECONDS" not in check(latency="cheap").settings
    assert "LINGER_SECONDS" not in check({"PRODUCER_LINGER_SECONDS": "0.2"}, latency="fast").settings
    template = (ROOT / "infra" / "cloudformation" / "producer.yaml").read_text(encoding="utf-8")
    assert f'"{check().settings["LINGER_SECONDS"]}", !Ref LingerSeconds]' in template


def test_the_mode_is_fast_or_cheap() -> None:
    assert mistakes(latency="quick") == ["--latency / LATENCY: 'quick': must be cheap or fast"]


def test_every_mistake_is_found_at_once() -> None:
    found = mistakes(
        {"PRODUCER_LANE": "3"},
        seconds="0",
        source="synthtic",
        symbols="A B",
        interval="nan",
        replay_speed="2",
        rules="/nowhere/rules.toml",
        summary="/nowhere/out.json",
        keep="/dev/null",
    )
    assert [mistake.partition(": ")[0] for mistake in found] == [
        "--seconds / SECONDS",
        "PRODUCER_LANE",
        "--source / SOURCE",
        "--symbols / SYMBOLS",
        "--interval / INTERVAL",
        "--replay-speed / REPLAY_SPEED",
        "--rules / RULES",
        "--summary / SUMMARY",
        "--keep / KEEP",
    ]
    assert "did you mean synthetic?" in found[2]


@pytest.mark.parametrize("text", ["0", "-5", "0.5", "nan", "inf", "soon", "1e999"])
def test_a_duration_is_a_number_from_one_on(text: str) -> None:
    (mistake,) = mistakes(seconds=text)
    assert mistake.startswith(f"--seconds / SECONDS: '{text}': is not a number of seconds from 1 on")


@pytest.mark.parametrize("text", ["nan", "0", "-1", "inf", "often"])
def test_an_interval_is_checked_as_the_producer_does(text: str) -> None:
    (mistake,) = mistakes(interval=text)
    assert mistake.startswith(f"--interval / INTERVAL: '{text}': ")


@pytest.mark.parametrize(
    ("symbols", "mistake"),
    [
        ("AAPL,MSFT,AAPL", "named twice: AAPL"),
        ("aapl,MSFT", "aapl: did you mean AAPL?"),
        ("AAPL MSFT", "'AAPL MSFT': not a symbol: 'AAPL MSFT'; separate symbols by commas, as in AAPL,BTC-USD"),
    ],
)
def test_symbols_are_checked(symbols: str, mistake: str) -> None:
    assert mistakes(symbols=symbols) == [f"--symbols / SYMBOLS: {mistake}"]


def test_a_source_without_its_symbols_or_its_recordings_is_refused() -> None:
    assert mistakes(source="yahoo") == [
        "--symbols / SYMBOLS: missing; the source yahoo needs them, as in AAPL,MSFT,BTC-USD"
    ]
    (mistake,) = mistakes(source="replay")
    assert mistake.startswith("--replay-path / REPLAY_PATH: missing; file or directory to replay")


def test_recordings_are_read_before_anything_is_started(bars: Path, tmp_path: Path) -> None:
    nowhere, empty = tmp_path / "nowhere", tmp_path / "empty"
    empty.mkdir()
    assert mistakes(source="replay", replay_path=str(nowhere)) == [
        f"--replay-path / REPLAY_PATH: {nowhere}: No such file or directory"
    ]
    (mistake,) = mistakes(source="replay", replay_path=str(empty))
    assert mistake.startswith(f"--replay-path / REPLAY_PATH: {empty}: no recordings here")
    (mistake,) = mistakes(source="replay", replay_path=str(bars), symbols="MSFT")
    assert mistake == f"--replay-path / REPLAY_PATH: {bars}: MSFT is not recorded"
    (bars / "MSFT_1min.csv").write_text("nonsense\n")
    (mistake,) = mistakes(source="replay", replay_path=str(bars))
    assert mistake.startswith(f"--replay-path / REPLAY_PATH: {bars / 'MSFT_1min.csv'}")


def test_a_recording_may_name_its_symbols_in_small_letters(bars: Path) -> None:
    (bars / "aapl_1min.csv").write_text(BARS)
    assert check(source="replay", replay_path=str(bars), symbols="aapl").settings["SYMBOLS"] == "aapl"


@pytest.mark.parametrize("parameter", ["replay_path", "replay_speed", "replay_timezone", "replay_stamp"])
@pytest.mark.parametrize("source", [None, "synthetic", "yahoo"])
def test_a_parameter_of_replays_is_refused_without_a_replay(source: str | None, parameter: str) -> None:
    given: dict[str, Any] = {} if source is None else {"source": source, "symbols": "A"}
    found = mistakes(None, **{parameter: "1"}, **given)
    name = f"--{parameter.replace('_', '-')} / {parameter.upper()}"
    assert f"{name}: has an effect only on a replay; set --source replay / SOURCE=replay too" in found


def test_other_parameters_without_an_effect_are_refused(bars: Path, tmp_path: Path) -> None:
    (mistake,) = mistakes(source="replay", replay_path=str(bars), interval="5")
    assert mistake.startswith("--interval / INTERVAL: has no effect on a replay as fast as possible")
    (mistake,) = mistakes(source="yahoo_stream", symbols="AAPL", interval="5")
    assert mistake == (
        "--interval / INTERVAL: has no effect on a stream of prices; set PRODUCER_YAHOO_STREAM_RECONCILE_SECONDS for "
        "the polls beside it, or leave it out"
    )
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes(encode([make_quote()]))
    (mistake,) = mistakes(source="replay", replay_path=str(lines), replay_stamp="start")
    assert mistake == f"--replay-stamp / REPLAY_STAMP: has an effect only on bars, and {lines} has no *_1min.csv"


def test_what_every_group_of_a_watchlist_names_itself_has_no_effect(tmp_path: Path) -> None:
    watchlist = tmp_path / "watchlist.toml"
    group = '[[group]]\nname = "all"\nsymbols = ["AAPL"]\nsource = "synthetic"\ninterval_seconds = 5\n'
    watchlist.write_text(group)
    environment = {"PRODUCER_WATCHLIST": str(watchlist)}
    assert check(environment).settings["SOURCE"] == "synthetic"
    assert mistakes(environment, source="yahoo", interval="2") == [
        "--source / SOURCE: has no effect; every group of PRODUCER_WATCHLIST names its own",
        "--interval / INTERVAL: has no effect; every group of PRODUCER_WATCHLIST names its own",
    ]
    assert mistakes(environment, symbols="MSFT") == [
        "--symbols / SYMBOLS: set beside PRODUCER_WATCHLIST; name the symbols in only one of them"
    ]


def test_settings_in_the_environment_keep_their_names_and_their_effect() -> None:
    assert check({"PRODUCER_SYMBOLS": "A,B", "PRODUCER_POLL_INTERVAL_SECONDS": "3"}).settings == {
        "SOURCE": "synthetic",
        "DRAIN_SECONDS": "110",
        "LINGER_SECONDS": "0.005",
    }
    assert mistakes({"PRODUCER_SYMBOLS": "A B"})[0].startswith("PRODUCER_SYMBOLS: 'A B': not a symbol")
    assert mistakes({"PRODUCER_SOURCE": "synthetic"}, source="synthetic") == [
        "--source / SOURCE: set beside PRODUCER_SOURCE in the environment; set only one of them"
    ]


@pytest.mark.parametrize("name", ["STREAM_NAME", "JOURNAL_DIR", "ACCEPTED_LOG_PATH", "HTTP_PORT"])
def test_a_setting_that_the_demo_decides_is_refused(name: str) -> None:
    assert mistakes({f"PRODUCER_{name}": "1"}) == [f"PRODUCER_{name}: the demo sets it; unset it"]


def test_a_level_at_which_the_producer_does_not_log_its_start_is_refused() -> None:
    (mistake,) = mistakes({"PRODUCER_LOG_LEVEL": "warning"})
    assert mistake.startswith("PRODUCER_LOG_LEVEL: 'warning': the demo reads the producer's log")


def test_the_environment_of_this_process_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODUCER_LANES", "rubbish")  # a variable of this process, but not of the given environment
    assert check().settings["SOURCE"] == "synthetic"
    with pytest.raises(WrongParameters):
        check({"PRODUCER_LANES": "rubbish"})


def test_the_summary_must_be_a_file_that_can_be_written(tmp_path: Path) -> None:
    assert mistakes(summary=str(tmp_path)) == [f"--summary / SUMMARY: {tmp_path} is a directory; name a file"]
    assert mistakes(summary=str(tmp_path / "no" / "out")) == [
        f"--summary / SUMMARY: there is no directory {tmp_path / 'no'}"
    ]
    written = tmp_path / "out.json"
    written.write_text("the last result")
    check(summary=str(written))
    assert written.read_text() == "the last result"


def test_alert_rules_are_checked_with_every_mistake(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nkind = "price_moves"\n[[rule]]\nkind = "rsi"\npercent = 3\n')
    found = mistakes(rules=str(rules))
    assert len(found) == 2
    assert all(mistake.startswith(f"--rules / RULES: {rules}: ") for mistake in found)
    rules.write_text('[[rule]]\nkind = "price_move"\npercent = 3\n')
    assert check(rules=str(rules)).rules == rules


def test_policies_cannot_be_enforced_without_openssl(tmp_path: Path) -> None:
    (mistake,) = mistakes({"PATH": str(tmp_path)}, auth=True)
    assert mistake == "--auth / AUTH: needs the program openssl, which is not installed"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "80.5", "http", "٨٠٠٠"])
def test_a_port_is_a_number_that_a_port_can_have(port: str) -> None:
    (mistake,) = mistakes(port=port)
    assert "is no port, which is a number from 1 to 65535" in mistake


def test_two_demos_cannot_leave_their_archives_in_one_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_record, "DIRECTORY", tmp_path / "demos")
    with demo_record.claim() as other:
        other.write(
            demo_record.DemoRecord(
                stage="demo",
                process=1,
                started_at=NOW,
                endpoint_url="",
                region="",
                producer_url="",
                source="",
                outputs={},
                archive=str(tmp_path / "kept"),
            )
        )
        (mistake,) = mistakes(keep=str(tmp_path / "kept"))
    assert mistake.startswith("--keep / KEEP: the demo that runs as stage demo leaves its archive in")
    check(keep=str(tmp_path / "kept"))


def test_the_default_directory_is_always_the_demos_own() -> None:
    check(keep=str(STATE / "demo-archive"))
