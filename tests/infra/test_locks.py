"""The lock files agree with each other, and the wheel holds what the programs need."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from workspace.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DEPENDENCIES = set(PROJECT["project"]["dependencies"])


def pins(lock: str) -> set[str]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    return set(re.findall(r"^([\w.-]+==[^ ;]+)", text, re.MULTILINE))


@pytest.mark.parametrize("group", ["producer", "processor"])
def test_the_installed_command_has_what_the_programs_of_a_group_need(group: str) -> None:
    assert set(PROJECT["dependency-groups"][group]) <= DEPENDENCIES


@pytest.mark.parametrize("lock", ["producer", "processor"])
def test_the_images_and_the_function_have_the_pins_that_are_tested(lock: str) -> None:
    assert pins(lock) <= pins("replica")


def test_the_extra_of_the_wheel_is_what_the_history_needs() -> None:
    assert PROJECT["project"]["optional-dependencies"]["history"] == PROJECT["dependency-groups"]["history"]


@pytest.mark.parametrize(("present", "lock"), [("replica", "dev"), ("replica", "history"), ("dev", "history")])
def test_what_is_added_to_an_environment_changes_no_pin(present: str, lock: str) -> None:
    # A package may have two pins, for two versions of Python.
    names = {each: {pin.partition("==")[0] for pin in pins(each)} for each in (present, lock)}
    shared = names[present] & names[lock]
    assert shared
    before, added = ({pin for pin in pins(each) if pin.partition("==")[0] in shared} for each in (present, lock))
    assert added == before


def test_the_lock_of_the_page_has_hashes_and_no_addresses() -> None:
    packages = json.loads((ROOT / "web" / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    locked = {name: package for name, package in packages.items() if name}
    assert locked
    assert all("integrity" in package and "resolved" not in package for package in locked.values())


def test_the_wheel_holds_every_package_and_the_page() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    included = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"])
    assert included == packages | {"infra", "requirements/processor.txt", "requirements/query.txt", "web/dist"}
