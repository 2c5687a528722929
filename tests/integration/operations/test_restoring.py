"""The commands of the runbook's section on restoring, run on the emulator as far as it goes.

The emulator restores the present content of a table, whatever the time is, and keeps no backup of a deleted table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from deployment.deployer import Deployment
from deployment.functions import ROOT
from deployment.stacks import Outputs
from replica.emulator import Emulator
from tests.support.aws_commands import Shell
from tests.support.templates import properties

SECTION = (
    (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").partition("\n## Restoring\n")[2].partition("\n## ")[0]
)
RESTORE, SETTINGS, REMAINS, VERSIONS, COPY = re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)
ROW = {"symbol": {"S": "RESTORED"}, "timestamp": {"S": "2026-11-23T14:30:00.000Z"}, "price": {"N": "13.4"}}
SAME = ("TableArn", "KeySchema", "AttributeDefinitions", "BillingModeSummary")


@pytest.fixture(scope="module")
def storage(emulator: Emulator) -> Iterator[Deployment]:
    """A stack with tables and an archive, for these tests alone."""
    made = Deployment(emulator.client("cloudformation"), emulator.client("s3"), "restoring", stacks=("storage",))
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def outputs(storage: Deployment) -> Outputs:
    return storage.deploy({})


def test_a_table_is_restored_under_its_own_name_with_the_settings_of_its_template(
    emulator: Emulator, outputs: Outputs
) -> None:
    dynamodb, table = emulator.client("dynamodb"), outputs["QuotesTable"]
    before = dynamodb.describe_table(TableName=table)["Table"]
    dynamodb.put_item(TableName=table, Item=ROW)
    shell = Shell(emulator.client, **outputs, time=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    shell.run(RESTORE)
    dynamodb.put_item(TableName=f"{table}-restored", Item=ROW | {"symbol": {"S": "LATER"}})  # not in the backup
    shell.run(SETTINGS)
    shell.run(REMAINS)

    assert dynamodb.scan(TableName=table)["Items"] == [ROW]
    after = dynamodb.describe_table(TableName=table)["Table"]
    assert [after[name] for name in SAME] == [before[name] for name in SAME]
    expiry = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    declared = properties("storage", "Quotes")
    assert expiry["TimeToLiveStatus"] == "ENABLED"
    assert expiry["AttributeName"] == declared["TimeToLiveSpecification"]["AttributeName"]
    recovery = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert f"{table}-restored" not in dynamodb.list_tables()["TableNames"]
    assert drift_of(emulator.client("cloudformation"), "restoring-storage", "Quotes") == "IN_SYNC"


def drift_of(cloudformation: Any, stack: str, resource: str) -> str:
    """Whether a resource is as its template says."""
    compared = cloudformation.detect_stack_resource_drift(StackName=stack, LogicalResourceId=resource)
    found: str = compared["StackResourceDrift"]["StackResourceDriftStatus"]
    return found


def test_an_object_of_the_archive_gets_an_earlier_version_back(emulator: Emulator, outputs: Outputs) -> None:
    s3, bucket = emulator.client("s3"), outputs["ArchiveBucket"]
    listing, removal = VERSIONS.strip().splitlines()
    key = "raw-data/dt=2026-11-23/hour=14/shardId-000000000000-1-1.jsonl.gz"
    right = s3.put_object(Bucket=bucket, Key=key, Body=b"right")["VersionId"]
    s3.delete_object(Bucket=bucket, Key=key)
    (marker,) = Shell(emulator.client, **outputs, key=key).run(listing)["DeleteMarkers"]
    Shell(emulator.client, **outputs, key=key, marker=marker["VersionId"]).run(removal)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"right"

    s3.put_object(Bucket=bucket, Key=key, Body=b"wrong")
    Shell(emulator.client, **outputs, key=key, version=right).run(COPY)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"right"
    assert len(s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]) == 3
    for version in s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
