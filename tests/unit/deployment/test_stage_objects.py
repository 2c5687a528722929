"""A stage that adopts an archive keeps the watchlist and the rules in it, also if they are not named again."""

from __future__ import annotations

from io import BytesIO
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from configuration import WATCHLIST_KEY
from deployment.deployer import Deployment
from deployment.errors import ParameterError
from deployment.kept_resources import kept_bucket
from deployment.stage_file import Wishes
from deployment.stage_objects import choose_objects
from tests.fakes.scripted_cloudformation import ScriptedCloudFormation
from watchlist import written

ARCHIVE = "stockstream-prod-storage-archive-1"
YAHOO = {"Source": "yahoo"}


class Archive:
    """S3 with one bucket, which has a watchlist."""

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        if (Bucket, Key) != (ARCHIVE, WATCHLIST_KEY):
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        content = written(["AAPL"])
        return {"Body": BytesIO(content), "ContentLength": len(content), "ETag": '"1"'}


def deployment(cloudformation: object) -> Deployment:
    return Deployment(cast(Any, cloudformation), cast(Any, Archive()), "stockstream-prod")


def test_the_symbols_of_an_adopted_archive_are_enough_for_yahoo() -> None:
    new = deployment(ScriptedCloudFormation())
    with pytest.raises(ParameterError, match="Source=yahoo needs symbols"):
        choose_objects(new, Wishes(), YAHOO)
    assert choose_objects(new, Wishes(), YAHOO, [kept_bucket(ARCHIVE)]).watchlist.content is None


def test_what_replaces_the_symbols_of_an_adopted_archive_is_shown_before() -> None:
    new = deployment(ScriptedCloudFormation())
    objects = choose_objects(new, Wishes(symbols="AAPL,KO"), YAHOO, [kept_bucket(ARCHIVE)])
    assert objects.lines == ("watchlist: group default: added KO",)


def test_an_adoption_that_was_interrupted_after_the_import_finds_its_archive() -> None:
    client = boto3.client("cloudformation", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    name = "stockstream-prod-storage"
    stack = {"StackName": name, "CreationTime": "2026-11-25", "StackStatus": "IMPORT_COMPLETE"}
    resource = {"ResourceType": "AWS::S3::Bucket", "Timestamp": "2026-11-25", "ResourceStatus": "IMPORT_COMPLETE"}
    with Stubber(client) as stubber:
        stubber.add_response("describe_stacks", {"Stacks": [stack]})
        resources = [{**resource, "LogicalResourceId": "Archive", "PhysicalResourceId": ARCHIVE}]
        stubber.add_response("describe_stack_resources", {"StackResources": resources})
        for _ in ("processor", "producer"):
            stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id x does not exist")
        assert choose_objects(deployment(client), Wishes(), YAHOO).watchlist.content is None
