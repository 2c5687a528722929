"""The templates as dictionaries, and functions to look into them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from deployment.stacks import ALL_STACKS, ON_REQUEST, TEMPLATES

Template = dict[str, Any]


class _Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short forms. cfn-lint has one in Python, which takes longer than many tests."""


def _intrinsic(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    """The long form of a short one: `!Ref Name` is {"Ref": "Name"}, `!Sub text` is {"Fn::Sub": "text"}."""
    match node:
        case yaml.ScalarNode():
            value: Any = loader.construct_scalar(node)
            if name == "GetAtt":
                value = value.split(".", 1)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _intrinsic)


def parsed(path: Path) -> Template:
    """A template as a dictionary."""
    template: Template = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    return template


PATHS = {name: TEMPLATES / f"{name}.yaml" for name in sorted((*ALL_STACKS, *ON_REQUEST))}
ALL = {name: parsed(path) for name, path in PATHS.items()}
"""The templates of a stage, by name."""


def properties(template: str, name: str) -> dict[str, Any]:
    """The properties of a resource."""
    found: dict[str, Any] = ALL[template]["Resources"][name].get("Properties", {})
    return found


def default(template: str, parameter: str) -> Any:
    """The default of a parameter."""
    return ALL[template]["Parameters"][parameter]["Default"]


def resources(*types: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The template, the name and the body of every resource, or only of some types."""
    for template, text in ALL.items():
        for name, resource in text["Resources"].items():
            if not types or resource["Type"] in types:
                yield template, name, resource


def as_list(value: object) -> list[Any]:
    """A value, or the values of a list."""
    return value if isinstance(value, list) else [value]


def branches(value: object) -> Iterator[Any]:
    """The values that the entries of a list may have: both branches of an Fn::If, without AWS::NoValue."""
    for entry in as_list(value):
        match entry:
            case {"Fn::If": [_, yes, no]}:
                yield from branches([yes, no])
            case {"Ref": "AWS::NoValue"}:
                pass
            case _:
                yield entry


def statements(template: str, role: str) -> Iterator[dict[str, Any]]:
    """The statements of a role's inline policies or of a managed policy, from every branch of a condition."""
    declared = properties(template, role)
    documents = [policy["PolicyDocument"] for policy in branches(declared.get("Policies", []))]
    for document in documents or [declared["PolicyDocument"]]:
        yield from document["Statement"]


def grants(template: str, role: str) -> list[tuple[str, str]]:
    """Each action that a role is granted, with its resource."""
    return sorted(
        (action, resource_name(resource))
        for statement in statements(template, role)
        for action in as_list(statement["Action"])
        for resource in branches(statement["Resource"])
    )


def resource_name(resource: Any) -> str:
    """The resource of a grant: a parameter, a resource of the template, or a pattern with one of them."""
    match resource:
        case {"Ref": str(name)} | {"Fn::Sub": str(name)} | str(name):
            return str(name)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
    raise AssertionError(f"a grant on {resource!r}, which is not one of our resources")
