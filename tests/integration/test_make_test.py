"""`make test` runs every kind of tests, and fails if a kind fails or none has a test."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAMP = ".venv/.installed-dev"
PASSED, FAILED, NONE_SELECTED = 0, 1, 5


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """A program in the place of pytest. It writes down its arguments, and ends with the status of its turn."""
    program = tmp_path / "pytest"
    program.write_text(
        f"""#!/bin/sh
echo "$*" >> {tmp_path}/ran
exit "$(sed -n "$(wc -l < {tmp_path}/ran)p" {tmp_path}/statuses)"
"""
    )
    program.chmod(0o755)
    return program


def run(command: Path, *statuses: int, arguments: str = "") -> tuple[bool, list[str]]:
    """Whether `make test` succeeds if the kinds end with these statuses, and the arguments of each."""
    ran = command.parent / "ran"
    ran.unlink(missing_ok=True)
    (command.parent / "statuses").write_text("".join(f"{status}\n" for status in statuses))
    # The environment is not set up again, because other tests use it meanwhile.
    make = ["make", "--old-file", STAMP, "test", f"PYTEST={command}", f"PYTEST_ARGS={arguments}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(make, cwd=ROOT, env=environment, capture_output=True, check=False, timeout=60)
    return done.returncode == 0, ran.read_text().splitlines()


def test_it_fails_if_a_kind_fails_or_no_kind_has_a_test(command: Path) -> None:
    for statuses in itertools.product((PASSED, FAILED, NONE_SELECTED), repeat=3):
        succeeded, ran = run(command, *statuses)
        assert succeeded == (FAILED not in statuses and PASSED in statuses), statuses
        assert len(ran) == 3


def test_each_kind_gets_the_arguments_as_they_were_quoted(command: Path) -> None:
    _, ran = run(command, PASSED, PASSED, PASSED, arguments='-k "fold or pack" -n 0')
    assert all(line.endswith("-k fold or pack -n 0") for line in ran)
    assert "tests/unit" in ran[0]
    assert "tests/integration" in ran[1]
    assert " -m timed " in ran[2]
    assert "tests/browser/test_live.py" in ran[2]
