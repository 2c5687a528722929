"""What a destroyed stage leaves: four tables and the archive, told apart by their keys, and the import of them. Pure.

A CloudFormation import creates nothing and changes no outputs. So its template has only the resources to import, with
the properties that they have now. The update that follows brings them to what storage.yaml asks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

STORAGE = "storage"
"""The stack with what is kept."""
KEPT_OUTPUTS = ("QuotesTable", "BarsTable", "StateTable", "AlertsTable", "ArchiveBucket")
"""Its outputs that name what is kept."""
TABLE = "AWS::DynamoDB::Table"
BUCKET = "AWS::S3::Bucket"
ARCHIVE = "Archive"
STATE = "State"
TABLES = {
    ("symbol", "timestamp"): "Quotes",
    ("symbol", "key"): "Bars",
    ("lane",): STATE,
    ("day", "key"): "StoredAlerts",
}
"""The tables in storage.yaml, by their keys."""
_IDENTIFIERS = {TABLE: "TableName", BUCKET: "BucketName"}


@dataclass(frozen=True, slots=True)
class Kept:
    """A resource that outlived its stack."""

    resource: str
    """Its name in storage.yaml."""
    kind: str
    name: str
    """Its own name."""
    properties: Mapping[str, Any]
    """The properties with which CloudFormation imports it."""


def kept_table(table: Mapping[str, Any], time_to_live: Mapping[str, Any], backups: Mapping[str, Any]) -> Kept | None:
    """A table as DescribeTable, DescribeTimeToLive and DescribeContinuousBackups show it; None if its key is no one's.

    A property that is not what the table has would not be noticed, and a later update would not correct it.
    """
    keys = [key["AttributeName"] for key in table["KeySchema"]]
    resource = TABLES.get(tuple(keys))
    if resource is None:
        return None
    billing = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    properties: dict[str, Any] = {
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": types[key]} for key in keys],
        "KeySchema": [{"AttributeName": key["AttributeName"], "KeyType": key["KeyType"]} for key in table["KeySchema"]],
        "BillingMode": billing,
        "DeletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
    }
    if "TableClassSummary" in table:
        properties["TableClass"] = table["TableClassSummary"]["TableClass"]
    if billing == "PROVISIONED":
        names = ("ReadCapacityUnits", "WriteCapacityUnits")
        properties["ProvisionedThroughput"] = {name: table["ProvisionedThroughput"][name] for name in names}
    if time_to_live.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
        attribute = time_to_live["AttributeName"]
        properties["TimeToLiveSpecification"] = {"AttributeName": attribute, "Enabled": True}
    if backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") == "ENABLED":
        properties["PointInTimeRecoverySpecification"] = {"PointInTimeRecoveryEnabled": True}
    if table.get("SSEDescription", {}).get("Status") in ("ENABLED", "ENABLING", "UPDATING"):
        properties["SSESpecification"] = {"SSEEnabled": True}
    return Kept(resource, TABLE, table["TableName"], properties)


def kept_bucket(name: str) -> Kept:
    """The archive. Each of its properties can be set again at any time, so the update that follows sets them all."""
    return Kept(ARCHIVE, BUCKET, name, {})


def repeated(kept: Iterable[Kept]) -> list[str]:
    """What is wrong with a choice of resources: one line for each that is there more than once."""
    names: dict[str, list[str]] = {}
    for one in kept:
        names.setdefault(one.resource, []).append(one.name)
    return [
        f"{', '.join(sorted(same))}: each can be {resource}, and there can be only one; name the one to adopt"
        for resource, same in names.items()
        if len(same) > 1
    ]


def import_template(kept: Iterable[Kept]) -> str:
    """The template of the import. Each resource is retained, whatever becomes of the import."""
    resources = {
        one.resource: {"Type": one.kind, "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
        | ({"Properties": dict(one.properties)} if one.properties else {})
        for one in kept
    }
    return json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources})


def identifiers(kept: Iterable[Kept]) -> list[dict[str, Any]]:
    """The resources to import, as CreateChangeSet takes them."""
    return [
        {
            "ResourceType": one.kind,
            "LogicalResourceId": one.resource,
            "ResourceIdentifier": {_IDENTIFIERS[one.kind]: one.name},
        }
        for one in kept
    ]


def may_be_kept(name: str, stack: str) -> bool:
    """Whether CloudFormation may have given a table or a bucket its name for a stack: `<stack>-<resource>-<suffix>`."""
    resources = (*TABLES.values(), ARCHIVE)
    return any(name.lower().startswith(f"{stack}-{resource}-".lower()) for resource in resources)


def new_key(key: str, stream: str) -> str | None:
    """Where an undelivered state of an earlier stream belongs, so that the producer of a stream takes it over.

    None if it is there already, or if it was refused.
    """
    match key.split("/"):
        case ["undelivered", old, name] if old != stream and name:
            return f"undelivered/{stream}/{name}"
        case _:
            return None
