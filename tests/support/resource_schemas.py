"""The published schemas of CloudFormation's resources, and templates resolved as CloudFormation resolves them.

The schemas are those that cfn-lint brings along. Importing cfn-lint takes seconds, and they are plain files.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import regex  # type: ignore[import-untyped]
from jsonschema import Draft7Validator, TypeChecker, ValidationError
from jsonschema.validators import extend

from tests.support.templates import Template

REGION, ACCOUNT = "eu-west-1", "000000000000"
UNKNOWN = "known-only-when-it-is-deployed"
"""What stands for the name or an attribute of a resource of the same template."""
_NO_VALUE = object()
_PSEUDO: Mapping[str, Any] = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "stockstream-test",
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/stockstream-test/1",
    "AWS::NoValue": _NO_VALUE,
}


def problems(kind: str, properties: Mapping[str, Any]) -> list[str]:
    """What the published schema of a type of resource refuses in its properties. Ignores values that are unknown."""
    errors = _validator(kind).iter_errors(properties)
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in errors
        if not (isinstance(error.instance, str) and UNKNOWN in error.instance)
    ]


@dataclass(frozen=True)
class Resolved:
    """A template with the values of its parameters. `flipped` is a condition that counts as the opposite."""

    template: Template
    values: Mapping[str, str]
    flipped: str | None = None
    _conditions: dict[str, bool] = field(default_factory=dict)

    def resources(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """The name, the type and the properties of each resource that is created."""
        for name, resource in self.template["Resources"].items():
            if "Condition" not in resource or self._holds(resource["Condition"]):
                yield name, resource["Type"], self._resolve(resource.get("Properties", {}))

    def _resolve(self, value: Any) -> Any:
        match value:
            case dict():
                (key, *others) = value or [""]
                if key == "Ref" or key.startswith("Fn::"):
                    assert not others
                    return self._functions()[key.removeprefix("Fn::")](value[key])
                resolved = {key: self._resolve(one) for key, one in value.items()}
                return {key: one for key, one in resolved.items() if one is not _NO_VALUE}
            case list():
                return [one for one in map(self._resolve, value) if one is not _NO_VALUE]
        return value

    def _functions(self) -> Mapping[str, Callable[[Any], Any]]:
        resolve = self._resolve
        return {
            "Ref": self._ref,
            "GetAtt": lambda names: f"{UNKNOWN}: {'.'.join(names)}",
            "If": lambda parts: resolve(parts[1 if self._holds(parts[0]) else 2]),
            "Sub": self._substitute,
            "Base64": lambda text: base64.b64encode(str(resolve(text)).encode()).decode(),
            "Join": lambda parts: parts[0].join(str(part) for part in resolve(parts[1])),
            "Split": lambda parts: str(resolve(parts[1])).split(parts[0]),
            "Select": lambda parts: resolve(parts[1])[int(parts[0])],
            "GetAZs": lambda _: [f"{REGION}a", f"{REGION}b", f"{REGION}c"],
            "Cidr": lambda parts: [f"10.0.{number}.0/24" for number in range(int(parts[1]))],
        }

    def _ref(self, name: str) -> Any:
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name not in self.template.get("Parameters", {}):
            return f"{UNKNOWN}: {name}"
        value, kind = self._parameter(name)
        if kind == "Number":
            return float(value) if "." in value else int(value)
        return value.split(",") if kind == "CommaDelimitedList" else value

    def _parameter(self, name: str) -> tuple[str, str]:
        declared = self.template["Parameters"][name]
        value = self.values.get(name, declared.get("Default"))
        assert value is not None, f"the parameter {name} has no value"
        return _text(value), declared["Type"]

    def _substitute(self, text: Any) -> str:
        template, names = (text, {}) if isinstance(text, str) else text

        def value(found: re.Match[str]) -> str:
            name = found[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            return str(self._resolve(names[name]) if name in names else UNKNOWN if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", value, template)

    def _holds(self, condition: Any) -> bool:
        match condition:
            case str(name) | {"Condition": str(name)}:
                if name not in self._conditions:
                    self._conditions[name] = self._holds(self.template["Conditions"][name]) != (name == self.flipped)
                return self._conditions[name]
            case {"Fn::Not": [one]}:
                return not self._holds(one)
            case {"Fn::And": parts}:
                return all(self._holds(one) for one in parts)
            case {"Fn::Or": parts}:
                return any(self._holds(one) for one in parts)
            case {"Fn::Equals": [left, right]}:
                return _text(self._resolve(left)) == _text(self._resolve(right))
        raise AssertionError(f"{condition} is no condition")


def _text(value: Any) -> str:
    """A value as CloudFormation writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def _schemas() -> tuple[Path, Mapping[str, str]]:
    """The folder of the schemas, and the name of each type's file."""
    spec = find_spec("cfnlint")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "data" / "schemas"
    return folder / "resources", json.loads((folder / "providers" / f"{REGION}.json").read_text())


@cache
def _validator(kind: str) -> Any:
    folder, names = _schemas()
    return _Validator(json.loads((folder / f"{names[kind]}.json").read_text()))


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not regex.search(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _is_string(_: TypeChecker, instance: Any) -> bool:
    return isinstance(instance, str | int | float)  # CloudFormation takes a number or a boolean for a string


def _is_boolean(_: TypeChecker, instance: Any) -> bool:
    return isinstance(instance, bool) or instance in ("true", "false")


_Validator = extend(
    Draft7Validator,
    validators={"pattern": _pattern},
    type_checker=Draft7Validator.TYPE_CHECKER.redefine_many({"string": _is_string, "boolean": _is_boolean}),
)
