"""The command `stockstream` as a person meets it: a process with arguments, an environment and an exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("boto3", "botocore", "duckdb", "msgspec", "numpy", "pandas", "pydantic_settings", "rich", "yaml")
PROGRAMS = ("analytics", "costs", "deployment", "operations", "producer_service", "replica")
REPORT = f"""
import atexit, json, sys
atexit.register(lambda: sys.stderr.write(json.dumps([m for m in {HEAVY + PROGRAMS} if m in sys.modules])))
sys.argv[1:] = ARGUMENTS
from stockstream.__main__ import main
main()
"""


INTERRUPTED_WHILE_LOADING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "operations.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
sys.argv[1:] = ["coverage", "--help"]
from stockstream.__main__ import main
main()
"""


def run(*arguments: str, program: str = "stockstream", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", program, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def loaded_by(*arguments: str) -> set[str]:
    """Which programs and heavy libraries the command loads."""
    code = REPORT.replace("ARGUMENTS", repr(list(arguments)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["bil"]], ids=" ".join)
def test_what_needs_no_program_loads_none(arguments: list[str]) -> None:
    assert loaded_by(*arguments) == set()


def test_a_command_loads_its_program_and_no_other() -> None:
    loaded = loaded_by("bill", "--brief")
    assert "costs" in loaded
    assert not loaded & ({"boto3", "botocore", "duckdb", "pandas"} | set(PROGRAMS) - {"costs"})


def test_ctrl_c_while_a_program_is_loaded_ends_without_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_LOADING], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_completion_of_a_name_names_the_commands() -> None:
    completed = run(_STOCKSTREAM_COMPLETE="complete_bash", COMP_WORDS="stockstream re", COMP_CWORD="1")
    assert completed.stdout.split() == ["redrive", "rebuild"]


def test_options_and_nested_commands_are_completed() -> None:
    def completed(words: str) -> list[str]:
        count = str(len(words.split()) - (not words.endswith(" ")))
        return run(_STOCKSTREAM_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=count).stdout.split()

    assert completed("stockstream bill --br") == ["--brief"]
    assert completed("stockstream quarantine re") == ["replay"]


def test_a_mistyped_command_is_answered_with_the_one_that_was_meant() -> None:
    done = run("quarentine")
    assert done.returncode == 2
    assert "No such command 'quarentine'. Did you mean 'quarantine'?" in done.stderr


@pytest.mark.parametrize(
    ("program", "arguments", "name", "other"),
    [
        ("stockstream", ["bill"], "stockstream bill", "python -m"),
        ("costs", [], "python -m costs", "stockstream bill"),
    ],
)
def test_help_names_the_way_that_the_person_took(program: str, arguments: list[str], name: str, other: str) -> None:
    shown = run(*arguments, "--help", program=program).stdout
    assert f"Usage: {name} [OPTIONS]" in shown
    assert f"  {name} --" in shown  # an example
    assert other not in shown


def test_a_wrong_option_is_reported_as_the_program_does() -> None:
    ours, theirs = run("bill", "--lanes", "0"), run("--lanes", "0", program="costs")
    assert ours.returncode == theirs.returncode == 2
    assert ours.stderr == theirs.stderr.replace("python -m costs", "stockstream bill")
