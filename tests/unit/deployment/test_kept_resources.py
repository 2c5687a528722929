"""What a destroyed stage leaves, and the import of it. The schemas are those that CloudFormation publishes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployment.kept_resources import (
    KEPT_OUTPUTS,
    TABLE,
    TABLES,
    Kept,
    identifiers,
    import_template,
    kept_bucket,
    kept_table,
    may_be_kept,
    new_key,
    repeated,
)
from tests.support.templates import ALL, resources

STORAGE = ALL["storage"]["Resources"]
DECLARED = {name: STORAGE[name]["Properties"] for name in TABLES.values()}


def described(name: str, **more: Any) -> dict[str, Any]:
    """What DescribeTable shows of a table of storage.yaml."""
    declared = DECLARED[name]
    return {
        "TableName": f"stage-storage-{name}-1",
        "KeySchema": declared["KeySchema"],
        "AttributeDefinitions": declared["AttributeDefinitions"][::-1],
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0, "NumberOfDecreasesToday": 0},
        **more,
    }


OFF: tuple[dict[str, Any], dict[str, Any]] = ({"TimeToLiveStatus": "DISABLED"}, {})


@pytest.mark.parametrize("name", TABLES.values())
def test_a_table_is_known_by_its_key_and_imported_as_it_is(name: str) -> None:
    protected = described(
        name,
        DeletionProtectionEnabled=True,
        SSEDescription={"Status": "ENABLED"},
        TableClassSummary={"TableClass": "STANDARD"},
    )
    backups = {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}
    kept = kept_table(protected, {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}, backups)
    assert kept is not None
    assert (kept.resource, kept.name) == (name, protected["TableName"])
    declared = DECLARED[name]
    same = ("AttributeDefinitions", "KeySchema", "PointInTimeRecoverySpecification", "SSESpecification")
    assert {key: kept.properties[key] for key in same} == {key: declared[key] for key in same}
    assert kept.properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert kept.properties["TableClass"] == "STANDARD"
    assert (kept.properties["BillingMode"], kept.properties["DeletionProtectionEnabled"]) == ("PAY_PER_REQUEST", True)


def test_what_a_table_does_not_have_is_left_to_the_update() -> None:
    capacity = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 25, "NumberOfDecreasesToday": 1}
    table = described("State", ProvisionedThroughput=capacity)
    del table["BillingModeSummary"]  # DynamoDB leaves it out of a table that was never on demand
    kept = kept_table(table, *OFF)
    assert kept is not None
    assert kept.properties == {
        "AttributeDefinitions": [{"AttributeName": "lane", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "lane", "KeyType": "HASH"}],
        "BillingMode": "PROVISIONED",
        "DeletionProtectionEnabled": False,
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 25},
    }


def test_a_table_with_another_key_is_none_of_a_stage() -> None:
    other = [{"AttributeName": "id", "KeyType": "HASH"}]
    assert kept_table(described("State", KeySchema=other, AttributeDefinitions=[]), *OFF) is None


def test_two_tables_for_one_place_are_refused() -> None:
    kept = [Kept("Quotes", TABLE, name, {}) for name in ("old", "older")]
    (line,) = repeated([*kept, Kept("Bars", TABLE, "bars", {}), kept_bucket("archive")])
    assert line.startswith("old, older: each can be Quotes")


def test_every_imported_resource_is_retained_and_has_an_identifier_and_nothing_else_is_in_the_template() -> None:
    kept = [found for name in TABLES.values() if (found := kept_table(described(name), *OFF))] + [
        kept_bucket("archive")
    ]
    template = json.loads(import_template(kept))
    assert template.keys() == {"AWSTemplateFormatVersion", "Resources"}, "an import cannot change outputs"
    assert template["Resources"].keys() == {entry["LogicalResourceId"] for entry in identifiers(kept)}
    assert {one["DeletionPolicy"] for one in template["Resources"].values()} == {"Retain"}
    assert {tuple(entry["ResourceIdentifier"]) for entry in identifiers(kept)} == {("TableName",), ("BucketName",)}
    assert {name: one["Type"] for name, one in template["Resources"].items()} == {
        name: STORAGE[name]["Type"] for name in (*TABLES.values(), "Archive")
    }


def test_everything_that_outlives_the_stage_can_be_adopted() -> None:
    retained = {
        name
        for name, resource in STORAGE.items()
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate" and resource["Type"] != "AWS::S3::BucketPolicy"
    }
    assert retained == {*TABLES.values(), "Archive"}
    assert {ALL["storage"]["Outputs"][output]["Value"]["Ref"] for output in KEPT_OUTPUTS} == retained
    everywhere = {name for _, name, one in resources() if "Retain" in one.get("DeletionPolicy", "")}
    assert everywhere == {*retained, "ArchivePolicy"}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("stockstream-prod-storage-Quotes-1ABC", True),
        ("stockstream-prod-storage-archive-1abc", True),
        ("stockstream-prod-storage-code-1abc", False),
        ("stockstream-prod2-storage-Quotes-1ABC", False),
    ],
)
def test_what_a_stage_left_is_found_by_the_names_that_cloudformation_gives(name: str, *, found: bool) -> None:
    assert may_be_kept(name, "stockstream-prod-storage") is found


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("undelivered/old-stream/20261128T101500-ab", "undelivered/new-stream/20261128T101500-ab"),
        ("undelivered/new-stream/20261128T101500-ab", None),
        ("undelivered/old-stream/refused/20261128T101500-ab", None),
        ("undelivered/old-stream/", None),
        ("raw-data/old-stream/1", None),
    ],
)
def test_undelivered_states_move_to_where_the_new_producer_looks(key: str, target: str | None) -> None:
    assert new_key(key, "new-stream") == target
