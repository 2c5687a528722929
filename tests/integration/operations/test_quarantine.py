"""The quarantine commands, against a pipeline that is deployed to the emulator."""

from __future__ import annotations

import base64
import signal
import threading
from pathlib import Path

import pytest

from quotes import encode
from tests.fakes.fault_proxy import Answer, FaultProxy, Request
from tests.support.operator import PATIENCE, Operator, lane_key, make_quote, other_lane_key


@pytest.fixture
def empty_quarantine(operator: Operator) -> Operator:
    operator.process()
    operator.client("sqs").purge_queue(QueueUrl=operator.outputs["QuarantineQueueUrl"])
    return operator


def test_lines_are_listed_shown_and_replayed(empty_quarantine: Operator) -> None:
    operator = empty_quarantine
    operator.put(encode([make_quote("ONE")]) + b"rubbish\xff\n", other_lane_key("ONE"))
    operator.process()

    foreign, rubbish = operator.listed()
    assert base64.b64decode(foreign["content"]) == encode([make_quote("ONE")]).strip()
    out, err = operator.run_process("quarantine", "list")
    assert foreign["handle"] in out
    assert rubbish["handle"] in out
    assert "2 messages" in err
    assert [each["handle"] for each in operator.listed("--reason", "belongs to")] == [foreign["handle"]]
    assert operator.listed("--older", "1h") == []

    shown, _ = operator.run("quarantine", "show", foreign["handle"])
    assert foreign["id"] in shown
    assert f"partition key {other_lane_key('ONE')}" in shown
    assert '"symbol":"ONE"' in shown
    assert "72 75 62 62 69 73 68 ff" in operator.run("quarantine", "show", rubbish["handle"])[0]

    assert "would replay 1 lines" in operator.run("quarantine", "replay", "--all", "--dry-run", code=1)[0]
    assert operator.rows("ONE") == []
    out, err = operator.run("quarantine", "replay", "--all", code=1)
    assert "replayed 1 lines; 1 of 2 messages left the quarantine" in out
    assert f"{rubbish['handle']} line 2 stays: " in err
    operator.process()
    assert operator.rows("ONE") == ["2026-11-23T14:30:00.000Z"]
    assert [each["handle"] for each in operator.listed()] == [rubbish["handle"]]


def test_a_fixed_line_replaces_the_bytes_of_its_message(empty_quarantine: Operator, tmp_path: Path) -> None:
    operator = empty_quarantine
    operator.put(encode([make_quote("FIX")]).replace(b'"v":1', b'"v":9'), lane_key("FIX"))
    operator.process()
    (refused,) = operator.listed()
    raw, _ = operator.run_process("quarantine", "show", refused["handle"], "--raw")
    fixed = tmp_path / "line.json"
    fixed.write_text(raw)
    operator.run("quarantine", "replay", refused["handle"], "--fixed", str(fixed), code=1)
    fixed.write_text(raw.replace('"v":9', '"v":1'))
    operator.run_process("quarantine", "replay", refused["handle"], "--fixed", str(fixed))
    operator.process()
    assert len(operator.rows("FIX")) == 1
    assert operator.listed() == []


def test_lines_that_are_stored_in_s3_are_shown_and_replayed(empty_quarantine: Operator) -> None:
    operator = empty_quarantine
    quotes = [make_quote("MANY", second) for second in range(50)]
    operator.put(encode(quotes), other_lane_key("MANY"))
    operator.process()
    (message,) = operator.listed()
    assert message["object"].startswith(f"s3://{operator.outputs['ArchiveBucket']}/quarantine/")
    assert message["lines"] == 50
    shown, _ = operator.run("quarantine", "show", message["id"])
    assert "and 30 more lines (--raw prints all)" in shown
    assert operator.run("quarantine", "show", message["id"], "--raw")[0] == encode(quotes).decode()
    assert "replayed 50 lines" in operator.run("quarantine", "replay", message["id"])[0]
    operator.process()
    assert len(operator.rows("MANY")) == 50


def test_lines_are_dropped_after_a_confirmation(empty_quarantine: Operator) -> None:
    operator = empty_quarantine
    operator.put(b"rubbish\nrubbish\nrubbish", lane_key("DROP"))
    operator.process()
    first, *_ = operator.listed()
    operator.run("quarantine", "drop", first["handle"], code=1)  # stdin is empty, so nobody confirms
    assert len(operator.listed()) == 3
    assert "dropped 1 " in operator.run_process("quarantine", "drop", first["handle"], "--yes")[0]
    assert "dropped 2 " in operator.run("quarantine", "drop", "--all", "--reason", "json", "--yes")[0]
    assert operator.listed() == []


def test_messages_can_be_received_again_right_after_they_were_listed(empty_quarantine: Operator) -> None:
    operator = empty_quarantine
    operator.put(b"rubbish\n" * 15, lane_key("PEEK"))
    operator.process()
    assert len(operator.listed()) == 15
    received = operator.client("sqs").receive_message(QueueUrl=operator.outputs["QuarantineQueueUrl"])
    assert len(received["Messages"]) == 1
    assert received["Messages"][0]["Body"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_messages_are_visible_again_after_an_interruption(
    empty_quarantine: Operator, proxy: FaultProxy, number: signal.Signals
) -> None:
    operator = empty_quarantine
    operator.put(b"rubbish\n" * 15, lane_key("STOP"))
    operator.process()
    receives = 0
    stopped = threading.Event()

    def stop(request: Request) -> Answer | None:
        nonlocal receives
        if not request.target.endswith(".ReceiveMessage"):
            return None
        receives += 1
        if receives < 2:
            return None
        process.send_signal(number)  # the first ten messages are hidden by now
        stopped.wait(PATIENCE)
        return Answer(500, b"{}")

    proxy.fault = stop
    process = operator.start("quarantine", "list", endpoint=proxy.url)
    _, err = process.communicate(timeout=PATIENCE)
    stopped.set()
    assert process.returncode == 130
    assert "interrupted: what was not finished is where it was before" in err
    assert len(operator.listed()) == 15


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show", "none"], 1, "not in quarantine, or hidden by another reader: none"),
        (["replay"], 2, "name messages by ID, or use --all, but not both"),
        (["replay", "a", "--all"], 2, "name messages by ID, or use --all, but not both"),
        (["drop", "a", "--reason", "b"], 2, "--reason, --older and --release need --all"),
        (["replay", "--all", "--fixed", __file__], 2, "--fixed replaces the lines of one message"),
        (["list", "--older", "soon"], 2, "'soon' is not a duration like 90s"),
    ],
)
def test_a_mistake_is_explained(operator: Operator, arguments: list[str], code: int, message: str) -> None:
    assert message in operator.run("quarantine", *arguments, code=code)[1]
