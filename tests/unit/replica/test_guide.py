"""What a demo tells a person: where it is, and how to go on."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from replica import guide
from workspace.demo_record import DemoRecord, environment

NAMES = ("StreamName", "QuotesTable", "BarsTable", "StateTable", "AlertsTable", "ArchiveBucket")


def record(ca_bundle: str | None = None) -> DemoRecord:
    return DemoRecord(
        stage="demo-2",
        process=1,
        started_at=datetime(2026, 11, 27, 15, tzinfo=UTC),
        endpoint_url="http://127.0.0.1:4566",
        region="us-east-1",
        ca_bundle=ca_bundle,
        producer_url="http://127.0.0.1:8080",
        dashboard_url="http://127.0.0.1:8000/",
        source="synthetic",
        outputs={name: f"the-{name}" for name in NAMES},
        archive="/archive",
    )


def test_the_lines_name_the_addresses_the_tables_and_commands_of_the_stage(tmp_path: Path) -> None:
    text = "\n".join(guide.lines(record(), tmp_path / "demo.env", tmp_path / "demo.md"))
    for part in (
        "http://127.0.0.1:8000/v1/",
        "http://127.0.0.1:4566",
        "http://127.0.0.1:8080/status",
        "the-QuotesTable",
        "the-BarsTable",
    ):
        assert part in text
    assert "quarantine list --stage demo-2" in text
    assert f". {tmp_path / 'demo.env'} && aws dynamodb scan --table-name the-QuotesTable" in text
    assert str(tmp_path / "demo.md") in text


def test_the_file_for_shells_sets_the_variables_of_the_demo_and_unsets_those_of_the_person() -> None:
    words = [shlex.split(line) for line in guide.shell_variables(record("/a certificate")).splitlines()[1:]]
    assert words[0][0] == "unset"
    assert "AWS_PROFILE" in words[0]
    exported = dict(word.partition("=")[::2] for command, word in words[1:] if command == "export")
    assert {name: value for name, value in exported.items() if name.startswith("AWS_")} == environment(
        record("/a certificate")
    )
    assert exported["NO_PROXY"] == "${NO_PROXY:+$NO_PROXY,}127.0.0.1"


def test_the_page_says_what_the_prices_are_and_names_every_resource(tmp_path: Path) -> None:
    page = guide.page(record(), "simulated prices (source synthetic)", tmp_path / "demo.env")
    assert "simulated prices (source synthetic)" in page
    assert all(f"| {name} | `the-{name}` |" in page for name in NAMES)
    assert "curl -s 'http://127.0.0.1:8000/v1/latest'" in page
    assert "verify=" not in page
    assert '    verify="/certificate",\n' in guide.page(record("/certificate"), "", tmp_path)


def test_a_path_is_shown_as_it_is_typed_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert guide.near(tmp_path / "build" / "demo.env") == "build/demo.env"
    assert guide.near(tmp_path / "my files") == "'my files'"
    assert guide.near(Path("/elsewhere/x")) == "/elsewhere/x"
    assert "\n. ./demo.env\n" in guide.page(record(), "", tmp_path / "demo.env")  # a bare name is looked up on the path


def test_the_command_is_shown_as_this_person_can_type_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    assert guide.stockstream() == "stockstream"
    script = tmp_path / "bin" / "stockstream"
    script.parent.mkdir()
    script.touch(mode=0o755)
    assert guide.stockstream() == "bin/stockstream"
    monkeypatch.setenv("PATH", str(script.parent))
    assert guide.stockstream() == "stockstream"


def test_the_closing_line_names_the_archive_and_the_command_of_the_person(tmp_path: Path) -> None:
    assert guide.closing_line(tmp_path, {"MAKELEVEL": "1"}) == (
        f"The archive is in {tmp_path}. Query it with `make sql`, or run a saved query: `make sql QUERY=daily_ohlc`."
    )
    assert "stockstream sql daily_ohlc`." in guide.closing_line(tmp_path, {})
