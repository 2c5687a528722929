"""The rollout of the function: every change of the function is a new release, and nothing else is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from deployment.cloudformation import Template
from deployment.parameters import declared
from deployment.rollout import MAPPING_PARAMETERS, RELEASE, released
from tests.support.templates import ALL, PATHS

BODY = PATHS["processor"].read_text(encoding="utf-8")
PARAMETERS = declared(BODY)
VALUES = {name: f"value-of-{name}" for name, one in PARAMETERS.items() if one.default is None and name != RELEASE}


def template(body: str = BODY, **values: str) -> Template:
    return Template(body, VALUES | values, keeps=frozenset(PARAMETERS))


def deployed(values: dict[str, str], status: str = "UPDATE_COMPLETE") -> dict[str, Any]:
    """The stack with these values, as DescribeStacks returns it."""
    values = {name: one.default for name, one in PARAMETERS.items() if one.default is not None} | values
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
    return {"StackName": "s", "StackStatus": status, "Parameters": parameters}


@pytest.fixture
def stack() -> dict[str, Any]:
    """The stack after a deployment of `template()`."""
    return deployed(dict(released(template(), None, "first").values))


def release(template: Template, stack: dict[str, Any] | None) -> str:
    return released(template, stack, "again").values[RELEASE]


def needed_by(name: str) -> set[str]:
    """The parameters that are words of a resource, or of the resources and conditions that it names in turn."""
    template = ALL["processor"]
    texts = template["Conditions"] | {key: one["Properties"] for key, one in template["Resources"].items()}
    texts |= dict.fromkeys(template["Parameters"])
    found: set[str] = set()
    new = {name}
    while new:
        found |= new
        words = {word for one in new for word in re.findall(r"\w+", json.dumps(texts[one]))}
        new = (words & texts.keys()) - found
    return found & set(template["Parameters"])


def test_every_parameter_that_reaches_the_function_makes_a_new_release(stack: dict[str, Any]) -> None:
    needed = needed_by("Function") - {RELEASE}
    assert {"CodeKey", "MemorySize", "AnomalyPercent", "StateTable", "ReservedConcurrency", "StreamArn"} <= needed
    before = release(template(), stack)
    unchanged = {name for name in needed if release(template(**{name: "another"}), stack) == before}
    assert unchanged == set()


@pytest.mark.parametrize("key", sorted(ALL["processor"]["Resources"]["Function"]["Properties"]))
def test_every_property_of_the_function_makes_a_new_release(stack: dict[str, Any], key: str) -> None:
    assert BODY.count(f"\n      {key}: ") + BODY.count(f"\n      {key}:\n") >= 1
    edited = BODY.replace(f"\n      {key}:", f"\n      {key}: # edited", 1)
    assert release(template(edited), stack) != release(template(), stack)


def test_a_layer_added_to_the_function_makes_a_new_release(stack: dict[str, Any]) -> None:
    edited = BODY.replace("      Runtime: python3.13\n", "      Runtime: python3.13\n      Layers: [layer]\n")
    assert release(template(edited), stack) != release(template(), stack)


def test_parameters_of_the_mapping_alone_make_no_new_release(stack: dict[str, Any]) -> None:
    assert needed_by("Function") & MAPPING_PARAMETERS == set()
    assert PARAMETERS.keys() > MAPPING_PARAMETERS
    now = release(template(MappingState="Disabled", BatchSize="7"), stack)
    assert now == release(template(), None).replace("again", "first")


def test_the_same_function_keeps_its_release(stack: dict[str, Any]) -> None:
    assert release(template(), stack).endswith("-first")


def test_a_value_that_nobody_names_counts_as_it_is_deployed(stack: dict[str, Any]) -> None:
    changed = deployed(dict(released(template(MemorySize="1024"), stack, "second").values))
    assert release(template(), changed).endswith("-second")
    assert release(replace(template(), keeps=frozenset(PARAMETERS) - {"MemorySize"}), changed).endswith("-again")


def test_a_release_that_was_rolled_back_is_published_anew(stack: dict[str, Any]) -> None:
    first = released(template(CodeKey="bad"), stack, "one").values[RELEASE]
    again = released(template(CodeKey="bad"), stack, "two").values[RELEASE]
    assert first != again
    assert first.partition("-")[0] == again.partition("-")[0]


def test_the_value_fits_the_template() -> None:
    assert PARAMETERS[RELEASE].problem(release(template(), None)) is None
