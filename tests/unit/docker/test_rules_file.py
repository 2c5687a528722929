"""The container that deploys also writes the alert rules when their file changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from docker.deployer import SHARED, RulesFile


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run. Each of them fails, as for wrong rules."""
    run: list[list[str]] = []

    def fail(command: list[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        assert not check
        run.append(command[3:])
        return subprocess.CompletedProcess(command, 2)

    monkeypatch.setattr(subprocess, "run", fail)
    return run


def test_a_changed_file_is_written_once(tmp_path: Path, commands: list[list[str]]) -> None:
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
