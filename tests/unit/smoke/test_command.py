"""The command begins only if it can, asks, and its exit status says how the test ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

import smoke.cli as command
from deployment.image import ContainerImage
from smoke import preflight
from smoke.plan import DESTROY, STEPS
from smoke.preflight import obstacles
from smoke.report import Report
from smoke.verdicts import Failed, Passed, Result
from tests.fakes.smoke_clock import START
from tests.fakes.smoke_stage import ScriptedAws, refusal

ALLOWED: dict[str, Any] = {f"{service}.{method}": {} for service, method, _ in preflight.READS}
REPORT = Report(
    stage="stockstream-dev",
    account="123456789012",
    region="eu-central-1",
    started_at=START,
    seconds=60,
    interrupted=False,
    passed=True,
    results=(
        Result(
            step="deploy",
            title="Deploy",
            look_at="the console",
            limit_seconds=60,
            seconds=1,
            verdict=Passed("13 stacks"),
        ),
    ),
)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """How often the test ran, and with which options. Nothing reaches AWS."""
    stacks = {"Stacks": [{"StackName": "stockstream-old-stream"}]}
    aws = ScriptedAws(
        ALLOWED
        | {
            "sts.get_caller_identity": {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/me"},
            "sts.meta": None,
            "cloudformation.describe_stacks": stacks,
        }
    )
    monkeypatch.setattr(command, "client", aws.client)
    monkeypatch.setattr(preflight, "place", lambda _: preflight.Place("123456789012", "eu-central-1", "arn:me"))
    monkeypatch.setattr(command, "STATE", tmp_path)
    calls: list[dict[str, Any]] = []

    def run(stage: Any, deployer: Any, *_: Any, **options: Any) -> Report:
        calls.append({"stage": stage.full_name, "keep": options["keep"], "options": deployer.options})
        return REPORT

    monkeypatch.setattr(command, "run", run)
    return calls


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(command.app, [*arguments, "--", "--image", "uri"])


def test_a_test_that_passes_exits_with_0_and_writes_its_report(ran: list[dict[str, Any]], tmp_path: Path) -> None:
    result = invoke("--stage", "dev", "--yes")
    assert result.exit_code == 0, result.output
    assert ran == [
        {"stage": "stockstream-dev", "keep": False, "options": ("--image", "uri", "--adopt", "new", "--yes")}
    ]
    assert "account 123456789012, region eu-central-1" in result.output
    assert "smoke test of stockstream-dev passed after 1:00 min: 1 passed" in result.output
    assert msgspec.json.decode((tmp_path / "smoke-stockstream-dev.json").read_bytes(), type=Report) == REPORT
    assert (tmp_path / "smoke-stockstream-dev.md").read_text().startswith("# Smoke test of stockstream-dev\n")


@pytest.mark.parametrize(
    ("change", "status"),
    [({"passed": False}, 1), ({"passed": False, "interrupted": True}, 130)],
)
@pytest.mark.usefixtures("ran")
def test_the_exit_status_says_how_it_ended(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, bool], status: int
) -> None:
    failure = msgspec.structs.replace(REPORT.results[0], verdict=Failed("a stream", "none"))
    report = msgspec.structs.replace(REPORT, results=(failure,), **change)
    monkeypatch.setattr(command, "run", lambda *_, **__: report)
    result = invoke("--stage", "dev")
    assert result.exit_code == status
    assert "expected: a stream; seen: none; look at: the console" in " ".join(result.output.split())


def test_an_existing_stage_is_refused_unless_it_is_kept(ran: list[dict[str, Any]]) -> None:
    refused = invoke("--stage", "old", "--yes")
    assert refused.exit_code == 2
    assert "the stage old exists already, such as the stack stockstream-old-stream" in refused.output
    assert ran == []
    kept = invoke("--stage", "old", "--keep")
    assert ran[0]["options"] == ("--image", "uri")  # the deployment asks before it changes the stage
    assert kept.exit_code == 0
    assert ran[0]["keep"]
    assert "The test disturbs it" in kept.output


def test_it_asks_once_on_a_terminal(ran: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "on_terminal", lambda: True)
    runner = CliRunner()
    refused = runner.invoke(command.app, ["--stage", "dev", "--", "--image", "uri"], input="n\n")
    assert refused.exit_code == 2
    assert "Begin? [y/N]" in refused.output
    assert ran == []
    assert runner.invoke(command.app, ["--stage", "dev", "--", "--image", "uri"], input="y\n").exit_code == 0
    assert len(ran) == 1


def test_a_denied_call_is_a_warning_and_an_unsupported_one_is_not(
    monkeypatch: pytest.MonkeyPatch, ran: list[dict[str, Any]]
) -> None:
    aws = ScriptedAws(
        ALLOWED
        | {"athena.list_work_groups": refusal("AccessDeniedException"), "kms.list_keys": refusal("NotImplemented")}
        | {"cloudformation.describe_stacks": {"Stacks": []}}
    )
    monkeypatch.setattr(command, "client", aws.client)
    output = " ".join(invoke("--stage", "dev", "--yes").output.split())
    assert "AWS denies a call, so a step may fail: athena list_work_groups: AccessDeniedException" in output
    assert "kms" not in output
    assert len(ran) == 1


def test_without_docker_and_image_the_test_does_not_begin(tmp_path: Path) -> None:
    (obstacle,) = obstacles([], stage="dev", keep=False, image=ContainerImage("arm64", docker=str(tmp_path / "none")))
    assert obstacle.startswith("docker is not installed")


@pytest.mark.usefixtures("ran")
def test_the_plan_says_how_long_it_may_take_and_what_it_costs() -> None:
    output = invoke("--stage", "dev", "--yes").output
    most = sum(step.limit_seconds for step in (*STEPS, DESTROY)) / 60
    assert f"and {most:.0f} minutes at most" in output
    assert "It costs about $0." in output
