"""No change of a template replaces a resource that holds state by accident.

CloudFormation replaces a resource, without its content, when its logical id, its type, its condition, or a create-only
property changes. stateful.json records these for every resource that holds state. To change one on purpose, describe in
CHANGELOG.md how the data moves, and write the file again with `python -m tests.infra.test_stateful`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.templates import resources

RECORDED = Path(__file__).with_name("stateful.json")
STATEFUL = (
    "AWS::Kinesis::Stream",
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
    "AWS::SNS::Topic",
    "AWS::ECR::Repository",
)
# Properties that also replace a resource, which its schema does not say.
ALSO = {"AWS::DynamoDB::Table": ("AttributeDefinitions", "LocalSecondaryIndexes")}


def fixed(kind: str) -> set[str]:
    """The properties of a type whose change replaces the resource."""
    # Imported here, because it takes two seconds in each process that collects tests.
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]  # noqa: PLC0415

    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    paths = [*schema.get("createOnlyProperties", []), *schema.get("conditionalCreateOnlyProperties", [])]
    return {path.split("/")[2] for path in paths} | set(ALSO.get(kind, ()))


def declared() -> dict[str, Any]:
    """The present templates, in the form of the file."""
    return {
        f"{template}/{name}": {
            "Type": resource["Type"],
            "Condition": resource.get("Condition"),
            **{key: resource["Properties"].get(key) for key in sorted(fixed(resource["Type"]))},
        }
        for template, name, resource in resources(*STATEFUL)
    }


def test_nothing_that_holds_state_is_replaced_or_lost() -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    now = json.loads(json.dumps(declared()))
    assert {name: now.get(name) for name in recorded} == recorded


def test_everything_that_holds_state_is_recorded() -> None:
    assert declared().keys() == json.loads(RECORDED.read_text(encoding="utf-8")).keys()


def test_the_replacing_properties_are_those_of_the_documentation() -> None:
    assert "Name" in fixed("AWS::Kinesis::Stream")
    assert {"TableName", "KeySchema", "AttributeDefinitions"} <= fixed("AWS::DynamoDB::Table")
    assert "BucketName" in fixed("AWS::S3::Bucket")
    assert "BillingMode" not in fixed("AWS::DynamoDB::Table")


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(declared(), indent=2) + "\n", encoding="utf-8")
