"""The stages that lead the commands to a running demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations import demo_stage
from operations.command_line import target_options
from operations.errors import WrongUsage
from workspace import demo_record


@pytest.mark.parametrize(
    ("stage", "is_a_demos"),
    [("demo", True), ("demo-2", True), ("demo-10", True), ("dev", False), ("demo-", False), ("my-demo", False)],
)
def test_only_the_names_that_demos_have_are_stages_of_demos(stage: str, *, is_a_demos: bool) -> None:
    assert demo_stage.is_of_a_demo(stage) is is_a_demos


def test_it_is_said_that_no_demo_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_record, "DIRECTORY", tmp_path)
    with pytest.raises(WrongUsage, match=r"no demo runs as stage demo: start one with `make demo`\. .* --outputs-file"):
        demo_stage.running_demo("demo")


def test_a_command_that_is_shown_leads_to_the_same_deployment(tmp_path: Path) -> None:
    assert target_options("stockstream", "dev", None) == ""
    assert target_options("stockstream", "demo", None) == " --stage demo"
    assert target_options("mine", "prod", None) == " --stack-prefix mine --stage prod"
    assert target_options("stockstream", "dev", tmp_path / "my outputs") == f" --outputs-file '{tmp_path}/my outputs'"
