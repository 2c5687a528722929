"""The recipes of CONTRIBUTING.md are true: their files exist, and what is added by a recipe is in its registry."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from deployment.functions import FUNCTIONS
from deployment.stacks import ALL_STACKS, BY_HAND
from processor_lambda import alerts
from processor_lambda.alerts.kinds import Rule
from processor_lambda.alerts.rule import AlertRule, BarAlertRule
from producer_service import sources
from producer_service.sources.registry import SOURCES

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATH = re.compile(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:py|md|toml))`")
TARGET = re.compile(r"`make ([\w-]+)")


def modules_of(package: object) -> Iterator[object]:
    name, path = package.__name__, package.__path__  # type: ignore[attr-defined]  # a package
    for found in pkgutil.iter_modules(path):
        yield importlib.import_module(f"{name}.{found.name}")


@pytest.mark.parametrize("path", sorted({path for path in PATH.findall(GUIDE) if "<" not in path}))
def test_a_path_that_the_guide_names_exists(path: str) -> None:
    assert (ROOT / path).exists() or any(ROOT.glob(f"*/{path}")), f"CONTRIBUTING.md names {path}"


def test_the_make_targets_that_the_guide_names_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(TARGET.findall(GUIDE)) <= targets


def test_every_alert_kind_that_has_a_module_is_in_the_registry() -> None:
    kinds = {
        kind
        for module in modules_of(alerts)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, AlertRule) and kind not in (AlertRule, BarAlertRule)
    }
    assert kinds == set(get_args(Rule))


def test_every_module_of_alerts_but_the_file_reader_is_held_to_be_pure() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (pure,) = (each for each in contracts if each["name"].startswith("The function's core is pure"))
    modules = {found.name for found in pkgutil.iter_modules(alerts.__path__)} - {"rules_file"}
    assert {f"processor_lambda.alerts.{name}" for name in modules} <= set(pure["source_modules"])


def test_every_source_that_has_a_definition_is_in_the_registry() -> None:
    defined = [module.DEFINITION.name for module in modules_of(sources) if hasattr(module, "DEFINITION")]
    assert sorted(defined) == sorted(SOURCES)


def test_every_template_is_a_stack_and_every_function_has_one() -> None:
    assert {path.stem for path in (ROOT / "infra" / "cloudformation").glob("*.yaml")} == {*ALL_STACKS, *BY_HAND}
    assert FUNCTIONS.keys() <= set(ALL_STACKS)


def test_every_package_with_a_handler_is_a_function() -> None:
    handlers = {
        path.parent.name for path in ROOT.glob("*/app.py") if "def handler(" in path.read_text(encoding="utf-8")
    }
    assert handlers == {function.handler.partition(".")[0] for function in FUNCTIONS.values()}


@pytest.mark.parametrize("package", ["quotes", "lane_state", "indicators", "aws_limits", "aws_requests"])
def test_what_functions_share_is_in_every_functions_zip(package: str) -> None:
    assert all(package in function.packages for function in FUNCTIONS.values())
