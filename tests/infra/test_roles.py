"""The grants of each role. tests/integration/test_least_privilege.py compares them with the calls that are made."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest

from analytics.catalog import TEMPLATES
from configuration import RULES_KEY, WATCHLIST_KEY
from tests.support.templates import as_list, default, grants, properties, resources, statements

GRANTS = {
    ("processor", "Role"): [
        ("dynamodb:BatchGetItem", "StateTableArn"),
        ("dynamodb:BatchWriteItem", "AlertsTableArn"),
        ("dynamodb:BatchWriteItem", "BarsTableArn"),
        ("dynamodb:BatchWriteItem", "QuotesTableArn"),
        ("dynamodb:PutItem", "StateTableArn"),
        ("dynamodb:Query", "BarsTableArn"),
        ("kinesis:DescribeStream", "StreamArn"),
        ("kinesis:DescribeStreamConsumer", "ConsumerArn"),
        ("kinesis:DescribeStreamSummary", "StreamArn"),
        ("kinesis:GetRecords", "StreamArn"),
        ("kinesis:GetShardIterator", "StreamArn"),
        ("kinesis:ListShards", "StreamArn"),
        ("kinesis:SubscribeToShard", "ConsumerArn"),
        ("logs:CreateLogStream", "LogGroup.Arn"),
        ("logs:PutLogEvents", "LogGroup.Arn"),
        ("s3:GetObject", f"${{ArchiveBucketArn}}/{RULES_KEY}"),
        ("s3:GetObjectVersion", f"${{ArchiveBucketArn}}/{RULES_KEY}"),
        ("s3:ListBucket", "ArchiveBucketArn"),
        ("s3:ListBucketVersions", "ArchiveBucketArn"),
        ("s3:PutObject", "${ArchiveBucketArn}/aws/lambda/*"),
        ("s3:PutObject", "${ArchiveBucketArn}/quarantine/*"),
        ("s3:PutObject", "${ArchiveBucketArn}/raw-data/*"),
        ("sns:Publish", "AlertsTopicArn"),
        ("sqs:SendMessage", "QuarantineQueueArn"),
    ],
    ("query", "Role"): [
        ("dynamodb:BatchGetItem", "StateTableArn"),
        ("dynamodb:Query", "AlertsTableArn"),
        ("dynamodb:Query", "BarsTableArn"),
        ("dynamodb:Query", "CalendarsTableArn"),
        ("dynamodb:Query", "QuotesTableArn"),
        ("logs:CreateLogStream", "LogGroup.Arn"),
        ("logs:PutLogEvents", "LogGroup.Arn"),
        ("sqs:GetQueueAttributes", "QuarantineQueueArn"),
    ],
    ("producer", "TaskRole"): [
        ("aps:RemoteWrite", "Workspace.Arn"),
        ("dynamodb:BatchWriteItem", "CalendarsTableArn"),
        ("kinesis:DescribeStreamSummary", "StreamArn"),
        ("kinesis:PutRecords", "StreamArn"),
        ("s3:DeleteObject", "${ArchiveBucketArn}/undelivered/${StreamName}/*"),
        ("s3:GetObject", f"${{ArchiveBucketArn}}/{WATCHLIST_KEY}"),
        ("s3:GetObject", "${ArchiveBucketArn}/undelivered/${StreamName}/*"),
        ("s3:ListBucket", "ArchiveBucketArn"),
        ("s3:PutObject", "${ArchiveBucketArn}/undelivered/${StreamName}/*"),
    ],
    ("producer", "ExecutionRole"): [
        ("ecr:BatchCheckLayerAvailability", "ImageRepositoryArn"),
        ("ecr:BatchCheckLayerAvailability", "RepositoryArn"),
        ("ecr:BatchGetImage", "ImageRepositoryArn"),
        ("ecr:BatchGetImage", "RepositoryArn"),
        ("ecr:GetAuthorizationToken", "*"),
        ("ecr:GetDownloadUrlForLayer", "ImageRepositoryArn"),
        ("ecr:GetDownloadUrlForLayer", "RepositoryArn"),
        ("logs:CreateLogStream", "LogGroup.Arn"),
        ("logs:PutLogEvents", "LogGroup.Arn"),
    ],
    ("history", "BackfillRole"): [
        ("dynamodb:GetItem", "StateTableArn"),
        ("dynamodb:PutItem", "BarsTableArn"),
        ("dynamodb:Query", "BarsTableArn"),
        ("dynamodb:Query", "CalendarsTableArn"),
        ("dynamodb:UpdateItem", "StateTableArn"),
        ("s3:GetObject", "${ArchiveBucketArn}/backfill/*"),
        ("s3:ListBucket", "ArchiveBucketArn"),
        ("s3:PutObject", "${ArchiveBucketArn}/backfill/*"),
    ],
    ("history", "CompactRole"): [
        ("dynamodb:Query", "BarsTableArn"),
        ("dynamodb:Query", "CalendarsTableArn"),
        *(
            (f"glue:{action}", resource)
            for action in ("CreateTable", "GetTable", "UpdateTable")
            for resource in (
                "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}:catalog",
                "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}:database/${Database}",
                "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}:table/${Database}/*",
            )
        ),
        ("glue:GetDatabase", "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}:catalog"),
        ("glue:GetDatabase", "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}:database/${Database}"),
        ("s3:DeleteObject", "${ArchiveBucketArn}/compacted/*"),
        ("s3:DeleteObject", "${ArchiveBucketArn}/raw-data/*"),  # only with ExpireRawAfterDays
        ("s3:GetObject", "${ArchiveBucketArn}/backfill/*"),
        ("s3:GetObject", "${ArchiveBucketArn}/compacted/*"),
        ("s3:GetObject", "${ArchiveBucketArn}/raw-data/*"),
        ("s3:ListBucket", "ArchiveBucketArn"),
        ("s3:PutObject", "${ArchiveBucketArn}/compacted/*"),
    ],
    ("history", "ExecutionRole"): [
        ("ecr:BatchCheckLayerAvailability", "HistoryImageRepositoryArn"),
        ("ecr:BatchCheckLayerAvailability", "OperationsRepositoryArn"),
        ("ecr:BatchGetImage", "HistoryImageRepositoryArn"),
        ("ecr:BatchGetImage", "OperationsRepositoryArn"),
        ("ecr:GetAuthorizationToken", "*"),
        ("ecr:GetDownloadUrlForLayer", "HistoryImageRepositoryArn"),
        ("ecr:GetDownloadUrlForLayer", "OperationsRepositoryArn"),
        ("logs:CreateLogStream", "LogGroup.Arn"),
        ("logs:PutLogEvents", "LogGroup.Arn"),
    ],
    ("history", "SchedulerRole"): [
        ("ecs:RunTask", "BackfillTask"),
        ("ecs:RunTask", "CompactTask"),
        ("iam:PassRole", "BackfillRole.Arn"),
        ("iam:PassRole", "CompactRole.Arn"),
        ("iam:PassRole", "ExecutionRole.Arn"),
    ],
}
TRUSTED = {
    ("processor", "Role"): "lambda.amazonaws.com",
    ("query", "Role"): "lambda.amazonaws.com",
    ("producer", "TaskRole"): "ecs-tasks.amazonaws.com",
    ("producer", "ExecutionRole"): "ecs-tasks.amazonaws.com",
    ("analytics", "CrawlerRole"): "glue.amazonaws.com",
    ("drift", "Role"): "scheduler.amazonaws.com",
    ("history", "BackfillRole"): "ecs-tasks.amazonaws.com",
    ("history", "CompactRole"): "ecs-tasks.amazonaws.com",
    ("history", "ExecutionRole"): "ecs-tasks.amazonaws.com",
    ("history", "SchedulerRole"): "scheduler.amazonaws.com",
}
AUTHORIZATION = json.loads((files("cfnlint") / "data" / "AdditionalSpecs" / "Policies.json").read_text())
POLICIES = [*TRUSTED, ("analytics", "QueryPolicy")]


def test_who_answers_queries_writes_nothing_but_its_log() -> None:
    granted = {action for action, _ in grants("query", "Role")}
    reads = {"dynamodb:BatchGetItem", "dynamodb:Query", "sqs:GetQueueAttributes"}
    assert granted - reads == {"logs:CreateLogStream", "logs:PutLogEvents"}


def test_every_role_and_policy_is_tested_here() -> None:
    found = {(template, name) for template, name, _ in resources("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")}
    assert found == set(POLICIES)
    assert not list(resources("AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::User", "AWS::IAM::Group"))


@pytest.mark.parametrize("role", GRANTS, ids="-".join)
def test_a_role_grants_exactly_the_calls_that_are_made(role: tuple[str, str]) -> None:
    assert grants(*role) == sorted(GRANTS[role])


@pytest.mark.parametrize("role", TRUSTED, ids="-".join)
def test_a_role_is_for_one_service_and_has_only_inline_policies(role: tuple[str, str]) -> None:
    declared = properties(*role)
    assert declared.keys() == {"AssumeRolePolicyDocument", "PermissionsBoundary", "Policies"}
    (statement,) = declared["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": TRUSTED[role]}
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")


def test_a_boundary_that_is_named_limits_every_role() -> None:
    boundary = {"Fn::If": ["Bounded", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    for template, _, role in resources("AWS::IAM::Role"):
        assert role["Properties"]["PermissionsBoundary"] == boundary
        assert default(template, "PermissionsBoundary") == ""


@pytest.mark.parametrize("role", POLICIES, ids="-".join)
def test_a_grant_names_its_actions_its_resource_and_its_purpose(role: tuple[str, str]) -> None:
    for statement in statements(*role):
        assert statement["Effect"] == "Allow"
        assert statement["Sid"]
        if statement["Sid"] == "ReadConfigurations":
            continue  # tests/infra/test_drift.py
        assert not any("*" in action for action in as_list(statement["Action"]))
        if as_list(statement["Resource"]) == ["*"]:
            assert [action for action in as_list(statement["Action"]) if resource_types(action)] == []


def resource_types(action: str) -> list[str]:
    """The types of resources that IAM lets a grant of an action name, by the service authorization reference of AWS."""
    service, _, name = action.partition(":")
    found: list[str] = AUTHORIZATION[service]["Actions"][name.lower()].get("Resources", [])
    return found


def test_who_queries_may_do_what_the_console_does() -> None:
    """https://docs.aws.amazon.com/athena/latest/ug/managed-policies.html, and what the query editor calls."""
    console = {
        *("athena:ListWorkGroups", "athena:ListDataCatalogs", "athena:ListEngineVersions", "athena:GetDataCatalog"),
        *("athena:ListDatabases", "athena:GetDatabase", "athena:ListTableMetadata", "athena:GetTableMetadata"),
        *("athena:ListQueryExecutions", "athena:BatchGetQueryExecution", "athena:GetQueryResultsStream"),
        *("athena:ListNamedQueries", "athena:BatchGetNamedQuery", "glue:GetDatabases", "glue:GetTables"),
    }
    assert console - {action for action, _ in grants("analytics", "QueryPolicy")} == set()


LISTED = {
    ("producer", "TaskRole"): {"Fn::Sub": "undelivered/${StreamName}/*"},
    ("history", "BackfillRole"): "backfill/*",
    ("history", "CompactRole"): None,  # S3 denies access to an object that does not exist, unless all may be listed
    ("analytics", "QueryPolicy"): ["raw-data/*", "compacted/*"],
    ("analytics", "CrawlerRole"): "raw-data/*",
    ("processor", "Role"): None,  # Lambda does not document how it uses the permission
}
"""What each may list of the archive. A request without a prefix must not pass, so no condition may be IfExists."""


def test_the_archive_is_listed_only_under_the_prefix_of_each_role() -> None:
    listed = {
        role: statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
        for role in POLICIES
        for statement in statements(*role)
        if "s3:ListBucket" in as_list(statement["Action"]) and "ArchiveBucketArn" in str(statement["Resource"])
    }
    assert listed == LISTED


def test_scheduler_starts_tasks_only_in_the_cluster_of_the_history_and_gives_roles_only_to_ecs() -> None:
    conditions = {statement["Sid"]: statement["Condition"] for statement in statements("history", "SchedulerRole")}
    assert conditions == {
        "StartTheTasks": {"ArnEquals": {"ecs:cluster": {"Fn::GetAtt": ["Cluster", "Arn"]}}},
        "GiveTheTasksTheirRoles": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
    }


def test_no_condition_passes_if_its_key_is_absent() -> None:
    for path in TEMPLATES.glob("*.yaml"):
        assert not re.search(r"^[^#]*\w(IfExists|AllValues):", path.read_text(encoding="utf-8"), re.MULTILINE), path


def test_queries_and_the_crawler_read_the_archive_and_do_not_write_it() -> None:
    for role in (("analytics", "QueryPolicy"), ("analytics", "CrawlerRole")):
        on_archive = {action for action, resource in grants(*role) if "ArchiveBucketArn" in resource}
        assert on_archive == {"s3:GetObject", "s3:ListBucket"}
