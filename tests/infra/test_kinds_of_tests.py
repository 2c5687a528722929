"""Each test is run by one target of the Makefile, and one that bounds wall time closely is run alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
MARKER = "pytest.mark.timed"
CLOCKS = {"monotonic", "perf_counter", "time", "now"}
"""The functions that tell the time. One of this process's CPU time does not depend on other processes."""


def functions_of(source: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]


def bounds_wall_time(function: ast.FunctionDef) -> bool:
    """Whether a function asserts that the time since a moment is less than something."""
    compared = [
        node.test for node in ast.walk(function) if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare)
    ]
    return any(isinstance(each.ops[0], ast.Lt | ast.LtE) and is_elapsed(each.left) for each in compared)


def is_elapsed(value: ast.expr) -> bool:
    """Whether an expression is `CLOCK() - moment`."""
    match value:
        case ast.BinOp(ast.Call(ast.Attribute(attr=name) | ast.Name(id=name)), ast.Sub()):
            return name in CLOCKS
    return False


def is_timed(function: ast.FunctionDef) -> bool:
    return MARKER in map(ast.unparse, function.decorator_list)


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """The text of each file of tests, by its path. What runs beside the tests in containers gives way to them."""
    paths = (path for path in TESTS.rglob("test_*.py") if not path.is_relative_to(TESTS / "e2e"))
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def test_every_test_that_bounds_the_time_since_a_moment_is_timed(sources: dict[str, str]) -> None:
    functions = {
        f"{path}::{function.name}": function for path, source in sources.items() for function in functions_of(source)
    }
    bounding = {name for name, function in functions.items() if bounds_wall_time(function)}
    assert len(bounding) >= 5
    assert [name for name in sorted(bounding) if not is_timed(functions[name])] == []


def test_the_marker_stands_where_make_timed_looks_for_it(sources: dict[str, str]) -> None:
    """It collects the files that have the marker in a line of its own, as a decorator."""
    for path, source in sources.items():
        nodes = list(ast.walk(ast.parse(source)))
        used = [each for each in nodes if isinstance(each, ast.Attribute) and ast.unparse(each) == MARKER]
        assert len(used) == sum(map(is_timed, functions_of(source))), path
        assert len(used) == len(re.findall(rf"^ *@{MARKER}$", source, re.MULTILINE)), path


@pytest.mark.parametrize(
    ("statement", "bounds"),
    [
        ("assert time.monotonic() - began < 2", True),
        ("assert datetime.now(UTC) - before <= timedelta(seconds=1)", True),
        ("assert time.monotonic() < deadline", False),
        ("assert time.monotonic() - began >= 0.3", False),
        ("assert time.process_time() - began < 2", False),
    ],
)
def test_a_bound_is_told_from_a_deadline(statement: str, bounds: bool) -> None:  # noqa: FBT001
    (function,) = functions_of(f"def test() -> None:\n    {statement}")
    assert bounds_wall_time(function) == bounds


def test_every_folder_of_tests_is_run_by_a_target() -> None:
    folders = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}
    commands = MAKEFILE.replace("\\\n", "")
    named = [
        set(re.findall(r"tests/(\w+)", command))
        for command in re.findall(r"^(?:UNIT|INTEGRATION) = .*", commands, re.MULTILINE)
    ]
    named.append({"e2e"})
    assert folders == set.union(*named)
    assert len(folders) == sum(map(len, named))
