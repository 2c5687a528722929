"""The container that deploys also writes the alert rules when their file changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from docker.deployer import SHARED, RulesFile


class Commands(list[list[str]]):
    """The commands that were run. Each of them ends with `code`, at first that of wrong rules."""

    code = 2

    def run(self, command: list[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        assert not check
        self.append(command[3:])
        return subprocess.CompletedProcess(command, self.code)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    made = Commands()
    monkeypatch.setattr(subprocess, "run", made.run)
    return made


def test_a_changed_file_is_written_once(tmp_path: Path, commands: Commands) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("first")
    rules = RulesFile(["--architecture", "native", "--rules", str(file)])
    rules.note()
    rules.follow()
    assert commands == []
    for content in ("second", "third"):
        file.write_text(content)
        rules.follow()
        rules.follow()
    put = ["rules", "put", str(file), "--outputs-file", str(SHARED / "outputs")]
    assert commands == [put, put]
    file.unlink()
    rules.follow()
    assert commands == [put, put]


def test_rules_that_the_emulator_did_not_take_are_written_at_the_next_look(tmp_path: Path, commands: Commands) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("first")
    rules = RulesFile(["--rules", str(file)])
    rules.note()
    file.write_text("second")
    commands.code = 1
    rules.follow()
    rules.follow()
    commands.code = 0
    rules.follow()
    rules.follow()
    assert len(commands) == 3
