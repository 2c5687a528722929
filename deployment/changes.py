"""What a change set would do to a resource: a line for people, and the facts by which `guards` judges it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self


class ResourceChange(str):
    """A line such as `replace Stream (AWS::Kinesis::Stream)`, which also knows the change that it describes."""

    resource: str
    """The name of the resource in its template."""
    kind: str
    """The type of the resource, such as `AWS::Kinesis::Stream`."""
    goes: Literal["surely", "perhaps", "no"]
    """Whether the resource that exists goes, because it is removed or replaced."""

    __slots__ = ("goes", "kind", "resource")

    @classmethod
    def of(cls, change: Mapping[str, Any]) -> Self:
        """The line for a ResourceChange that DescribeChangeSet returned."""
        action, replacement = change["Action"].lower(), change.get("Replacement")
        if replacement in ("True", "Conditional"):
            action = "replace" if replacement == "True" else "modify, or replace,"
        kept = " and keep what is there" if change.get("PolicyAction") in ("Retain", "ReplaceAndRetain") else ""
        line = cls(f"{action} {change['LogicalResourceId']} ({change['ResourceType']}){kept}")
        line.resource, line.kind = change["LogicalResourceId"], change["ResourceType"]
        surely = change["Action"] == "Remove" or replacement == "True"
        line.goes = "surely" if surely else "perhaps" if replacement == "Conditional" else "no"
        return line
