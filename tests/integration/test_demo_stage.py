"""The stage of a running demo: commands, shells and programs find it there, and demos at once do not mix."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
from typer.testing import CliRunner, Result

from operations.cli import app
from processor_lambda.alerts.rules_file import DEFAULT_FILE
from processor_lambda.current_rules import DIGEST_LENGTH
from quotes import Quote, encode_line, lane_of, partition_key, whole_milliseconds
from replica import producer_status
from tests.support import demos
from tests.support.waiting import wait_until
from workspace import demo_record
from workspace.demo_record import DemoRecord
from workspace.places import ROOT

DAY = "2026-11-23"
LANES = 4
PATIENCE = 90.0


class Demo:
    """A demo in a process of its own, without a terminal."""

    def __init__(self, python: str, directory: Path, *options: str, **variables: str) -> None:
        self.directory = directory
        self.output = ""
        self.process = subprocess.Popen(
            [python, "-m", "replica", "demo", *options],
            cwd=ROOT,
            env=demos.environment(directory, **variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, pattern: str) -> str:
        """Wait until the demo has printed something, and return its first group."""
        wait_until(
            lambda: re.search(pattern, self.output) or self.process.poll() is not None, pattern, seconds=PATIENCE
        )
        match = re.search(pattern, self.output)
        assert match, self.output
        return match[1]

    def record(self, stage: str) -> DemoRecord:
        found = demo_record.find(stage, self.records)
        assert found is not None
        return found

    @property
    def records(self) -> Path:
        return self.directory / "state" / "demos"

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.output += line


@pytest.fixture(scope="module")
def demo(replica_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo that replays two minutes a second, and enforces policies, so that its emulator has a certificate."""
    directory = tmp_path_factory.mktemp("demo")
    bars = [f"{DAY} {9 + minute // 60:02}:{minute % 60:02}:00,5,5,5,5,1" for minute in range(31, 420)]
    (directory / "AAPL_1min.csv").write_text("\n".join(["datetime,open,high,low,close,volume", *bars]) + "\n")
    options = ("--source", "replay", "--replay-path", str(directory), "--replay-speed", "120")
    started = Demo(replica_python, directory, *options, AUTH="true")
    try:
        assert started.wait_for(r"running: stage (\S+), replayed prices") == "demo"
        yield started
    finally:
        if started.process.poll() is None:
            started.end(signal.SIGTERM)


def operations(demo: Demo, *arguments: str) -> Result:
    """Run a command as a person does whose own AWS settings lead elsewhere. It runs here, because that is faster."""
    elsewhere = {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    with (
        mock.patch.dict(os.environ, elsewhere),
        mock.patch.object(demo_record, "DIRECTORY", demo.records),
        mock.patch.object(boto3, "DEFAULT_SESSION", None),
    ):
        return CliRunner().invoke(app, arguments)


def sdk_environment(record: DemoRecord) -> dict[str, str]:
    variables = dict(os.environ)
    demo_record.lead_to(record, variables)
    return variables


def read(url: str) -> bytes:
    """The content of a page; nothing as long as nobody listens there."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=PATIENCE) as answer:
            content: bytes = answer.read()
    except OSError:
        return b""
    return content


def put_refused_lines(record: DemoRecord) -> None:
    """Put two lines on the stream that the function refuses: one is rubbish, and one is in the wrong lane."""
    now = whole_milliseconds(datetime.now(UTC))
    line = encode_line(Quote(symbol="HAND", event_time=now, price=Decimal(5), source="test", ingest_time=now))
    lane = lane_of("HAND", LANES)
    with mock.patch.dict(os.environ, sdk_environment(record), clear=True):
        kinesis = boto3.Session().client("kinesis")
        for data, number in ((b"rubbish\n", lane), (line, (lane + 1) % LANES)):
            kinesis.put_record(
                StreamName=record.outputs["StreamName"], Data=data, PartitionKey=partition_key(number, LANES)
            )


def listed(demo: Demo) -> list[dict[str, Any]]:
    done = operations(demo, "quarantine", "list", "--stage", "demo", "--json")
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def polled_symbols(url: str) -> int:
    """How many symbols the last poll of a demo's only group had."""
    status = producer_status.fetch(url)
    assert status is not None
    return status.groups[0].symbols


def test_the_operators_commands_reach_the_demo_by_its_stage(demo: Demo) -> None:
    put_refused_lines(demo.record("demo"))
    wait_until(lambda: len(listed(demo)) == 2, "both lines are in quarantine", seconds=PATIENCE)
    (moved,) = [message["id"] for message in listed(demo) if "belongs to lane" in message["reason"]]
    shown = operations(demo, "quarantine", "show", "--stage", "demo", moved)
    assert '"symbol":"HAND"' in shown.stdout
    replayed = operations(demo, "quarantine", "replay", "--stage", "demo", moved)
    assert replayed.stdout == "replayed 1 lines; 1 of 1 messages left the quarantine\n"
    assert re.search(r"stockstream rebuild --stage demo --day \d{4}-\d\d-\d\d --symbol HAND", replayed.stderr)
    dropped = operations(demo, "quarantine", "drop", "--stage", "demo", "--all", "--yes")
    assert dropped.stdout == "dropped 1 messages\n"
    redriven = operations(demo, "redrive", "--stage", "demo")
    assert (redriven.exit_code, redriven.stderr) == (0, "0 objects with 0 records, 0 KB\n")


def test_quotes_of_the_last_hour_are_no_failure_of_a_rebuild(demo: Demo) -> None:
    """The quote of HAND is from now, unless the test before ended at midnight."""

    def rebuilt() -> Result:
        return operations(demo, "rebuild", "--stage", "demo", "--symbol", "HAND", f"--day={datetime.now(UTC):%Y-%m-%d}")

    wait_until(lambda: rebuilt().exit_code == 0, "the quote that was put back is in the archive", seconds=PATIENCE)
    assert rebuilt().stdout == ""
    assert "younger than an hour" in rebuilt().stderr


def test_a_replayed_day_is_rebuilt_from_what_arrived_today(demo: Demo) -> None:
    demo.wait_for(r"running, replayed prices: ([2-9]\d|[\d,]{3,}) quotes stored")
    rebuild = ("rebuild", "--stage", "demo", "--all-symbols", "--day", DAY)
    missing = operations(demo, *rebuild)
    assert missing.exit_code == 1
    assert (
        "the archive has no quote of this day that arrived by 2026-11-24T23:59 (see --arrived-until)" in missing.stderr
    )
    done = operations(demo, *rebuild, "--arrived-until", f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}")
    assert done.exit_code == 0
    # The replay goes on, so the minute that the archive had only in part may be stored meanwhile.
    assert re.match(DAY + r" AAPL: \d+ bars: [01] corrected, \d+ added, [1-9]\d* unchanged", done.stdout), done.stdout


def test_a_command_in_a_process_of_its_own_serves_the_metrics_of_the_demo(demo: Demo) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "operations", "metrics", "--stage", "demo", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=demos.environment(demo.directory)) as exporter:
        wait_until(lambda: b"stockstream_quarantine_messages" in read(f"http://127.0.0.1:{port}/metrics"), "metrics")
        exporter.terminate()


def test_the_address_of_the_status_is_in_the_record(demo: Demo) -> None:
    assert json.loads(read(f"{demo.record('demo').producer_url}/status"))["groups"]


def test_a_shell_that_sources_the_variables_reaches_the_demo(demo: Demo) -> None:
    file = demo.wait_for(r"\. (\S+demo\.env) && aws")
    program = "import boto3; print(boto3.client('kinesis').list_streams()['StreamNames'][0])"
    done = subprocess.run(
        ["sh", "-c", f'. {file} && exec "$0" -c "$1"', sys.executable, program],
        env={**os.environ, "AWS_PROFILE": "nobody"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout.strip() == demo.record("demo").outputs["StreamName"]


def test_the_examples_in_python_work_as_they_are_shown(demo: Demo) -> None:
    page = Path(demo.wait_for(r"more +(\S+): ")).read_text()
    of_client = re.search(r"```python\n(from quotes_client .*?)```", page, re.DOTALL)
    assert of_client
    shown: dict[str, Any] = {}
    exec(of_client[1].replace("demo.latest", "latest = demo.latest"), shown)
    shown["demo"].close()
    assert (shown["latest"]["price"] > 0).all()
    match = re.search(r"```python\n(import boto3\n.*?)```", page, re.DOTALL)
    assert match
    program = match[1].replace("table.scan", "rows = table.scan")
    variables: dict[str, Any] = {}
    with mock.patch.dict(os.environ, {"NO_PROXY": "127.0.0.1"}):
        exec(program, variables)
    assert variables["rows"][0]["price"] > 0
    assert all(f"`{value}`" in page for value in demo.record("demo").outputs.values())


def test_a_second_demo_has_a_stage_of_its_own_and_a_killed_one_is_said_to_be_gone(
    demo: Demo, replica_python: str
) -> None:
    second = Demo(replica_python, demo.directory)
    try:
        assert second.wait_for(r"running: stage (\S+), simulated prices") == "demo-2"
        assert "another demo runs, so the stage of this one is demo-2" in second.output
        assert demo.record("demo").endpoint_url != second.record("demo-2").endpoint_url
        assert operations(demo, "quarantine", "list", "--stage", "demo-2").stderr == "0 messages\n"
        added = operations(demo, "symbols", "add", "ADBE", "--stage", "demo-2")
        assert added.stdout == "group default: added ADBE\n"
        url = second.record("demo-2").producer_url
        wait_until(lambda: polled_symbols(url) == 25, "the added symbol is polled", seconds=60)
    finally:
        second.end(signal.SIGKILL)
    refused = operations(demo, "quarantine", "list", "--stage", "demo-2")
    assert refused.exit_code == 2
    assert "no demo runs as stage demo-2: use --stage demo, the stage of a demo that runs" in refused.stderr
    assert [record.stage for record in demo_record.remove_stale(demo.records)] == ["demo-2"]


def test_alert_rules_are_shown_checked_and_changed_while_the_demo_runs(demo: Demo, tmp_path: Path) -> None:
    shown = operations(demo, "rules", "show", "--stage", "demo")
    assert shown.stdout.encode() == DEFAULT_FILE.read_bytes()
    file = tmp_path / "rules.toml"
    file.write_text("[[rule]]\nkind = 'split'\n\n[[rule]]\nkind = 'rsi'\nabove = 75\n")
    put = ("rules", "put", str(file), "--stage", "demo")
    dry = operations(demo, *put, "--dry-run")
    changes = dry.stdout.splitlines()
    assert {"removes the rule price_move", "changes the rule rsi"} <= set(changes)
    assert operations(demo, "rules", "show", "--stage", "demo").stdout == shown.stdout
    assert operations(demo, *put).stdout == dry.stdout
    assert operations(demo, *put).stderr == "nothing changes\n"
    assert operations(demo, "rules", "show", "--stage", "demo").stdout == file.read_text()

    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[[rule]]\nkind = 'magic'\n")
    for command in (("check", str(wrong)), ("put", str(wrong), "--stage", "demo")):
        refused = operations(demo, "rules", *command)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert f"{wrong}: rule 1 (magic): Invalid value 'magic', in kind" in refused.stderr

    record = demo.record("demo")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:DIGEST_LENGTH]
    with mock.patch.dict(os.environ, sdk_environment(record)), mock.patch.object(boto3, "DEFAULT_SESSION", None):
        logs = boto3.client("logs")

    def newest_rules() -> str:
        events = logs.filter_log_events(logGroupName=record.outputs["LogGroup"], filterPattern="batch_processed")
        return str(json.loads(events["events"][-1]["message"])["rules"])

    wait_until(lambda: newest_rules() == digest, "the function uses the rules", seconds=60)


def test_a_demo_that_has_ended_is_known_by_its_archive(demo: Demo) -> None:
    assert demo.end(signal.SIGINT) == 0, demo.output
    ended = demo_record.last_ended(demo.records)
    assert ended is not None
    archive = demo.directory / "state" / "demo-archive"
    assert (ended.stage, ended.archive) == ("demo", str(archive))
    assert list(archive.glob("raw-data/dt=*/hour=*/*.jsonl.gz"))
    assert f"The archive is in {archive}." in demo.output
    refused = operations(demo, "quarantine", "list", "--stage", "demo")
    assert refused.exit_code == 2
    assert "no demo runs as stage demo: start one with `make demo`" in refused.stderr
    assert not list(demo.directory.glob("stockstream-*"))
