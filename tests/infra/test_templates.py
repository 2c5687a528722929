"""What the templates promise, read off their text: emulators drop encryption, expiry and lifecycle in silence."""

from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import ManualArgs, lint  # type: ignore[import-untyped]
from cfnlint.decode.cfn_yaml import load  # type: ignore[import-untyped]

TEMPLATES = Path(__file__).parents[2] / "infra" / "cloudformation"

STREAM: dict[str, Any] = load(str(TEMPLATES / "stream.yaml"))
STORAGE: dict[str, Any] = load(str(TEMPLATES / "storage.yaml"))
PROCESSOR: dict[str, Any] = load(str(TEMPLATES / "processor.yaml"))

BUCKETS = ("Archive", "Code")
TABLES = ("Quotes", "Bars", "State")


def properties(template: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"][name]["Properties"]
    return found


def default(template: dict[str, Any], parameter: str) -> Any:
    return template["Parameters"][parameter]["Default"]


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.yaml")), ids=lambda path: path.stem)
def test_cfn_lint_has_no_finding(path: Path) -> None:
    assert lint(path.read_text(encoding="utf-8"), config=ManualArgs(include_checks=["I"])) == []


def test_what_one_template_puts_out_another_takes_under_the_same_name() -> None:
    without_default = {name for name, parameter in PROCESSOR["Parameters"].items() if "Default" not in parameter}
    assert without_default == {"CodeKey", *STREAM["Outputs"], *STORAGE["Outputs"]} - {"StreamName"}


def test_no_two_templates_put_out_the_same_name() -> None:
    names = [name for template in (STREAM, STORAGE, PROCESSOR) for name in template["Outputs"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("template", [STREAM, STORAGE, PROCESSOR], ids=["stream", "storage", "processor"])
def test_cloudformation_names_the_resources(template: dict[str, Any]) -> None:
    given = {"Name", "TableName", "BucketName", "TopicName", "QueueName", "FunctionName", "RoleName", "LogGroupName"}
    named = {
        name
        for name, resource in template["Resources"].items()
        if given & resource["Properties"].keys() and resource["Type"] != "AWS::Lambda::EventSourceMapping"
    }
    assert named == set()


class TestStream:
    def test_is_encrypted(self) -> None:
        assert properties(STREAM, "Stream")["StreamEncryption"] == {
            "EncryptionType": "KMS",
            "KeyId": "alias/aws/kinesis",
        }

    def test_is_provisioned_with_one_shard_unless_told_otherwise(self) -> None:
        assert (default(STREAM, "StreamMode"), default(STREAM, "ShardCount")) == ("PROVISIONED", 1)

    def test_an_on_demand_stream_has_no_shard_count(self) -> None:
        assert properties(STREAM, "Stream")["ShardCount"] == {
            "Fn::If": ["Provisioned", {"Ref": "ShardCount"}, {"Ref": "AWS::NoValue"}]
        }


class TestTables:
    @pytest.mark.parametrize(
        ("table", "keys"),
        [("Quotes", ["symbol", "timestamp"]), ("Bars", ["symbol", "minute"]), ("State", ["lane"])],
    )
    def test_keys(self, table: str, keys: list[str]) -> None:
        schema = properties(STORAGE, table)["KeySchema"]
        assert [key["AttributeName"] for key in schema] == keys
        assert [key["KeyType"] for key in schema] == ["HASH", "RANGE"][: len(keys)]

    @pytest.mark.parametrize("table", TABLES)
    def test_are_encrypted_recoverable_and_on_demand(self, table: str) -> None:
        stated = properties(STORAGE, table)
        assert stated["SSESpecification"] == {"SSEEnabled": True}
        assert stated["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert stated["BillingMode"] == "PAY_PER_REQUEST"

    def test_rows_expire_and_state_does_not(self) -> None:
        expiry = {"AttributeName": "expires_at", "Enabled": True}
        stated = {table: properties(STORAGE, table).get("TimeToLiveSpecification") for table in TABLES}
        assert stated == {"Quotes": expiry, "Bars": expiry, "State": None}


class TestBuckets:
    @pytest.mark.parametrize("bucket", BUCKETS)
    def test_are_private_and_encrypted(self, bucket: str) -> None:
        stated = properties(STORAGE, bucket)
        assert stated["PublicAccessBlockConfiguration"] == {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        }
        assert stated["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        encryption = stated["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption == [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]

    @pytest.mark.parametrize("bucket", BUCKETS)
    def test_abort_uploads_that_nobody_completed(self, bucket: str) -> None:
        rules = properties(STORAGE, bucket)["LifecycleConfiguration"]["Rules"]
        of_all_objects = [rule for rule in rules if "Prefix" not in rule]
        assert [rule["AbortIncompleteMultipartUpload"] for rule in of_all_objects] == [{"DaysAfterInitiation": 7}]

    def test_every_rule_of_a_lifecycle_is_on(self) -> None:
        rules = [rule for name in BUCKETS for rule in properties(STORAGE, name)["LifecycleConfiguration"]["Rules"]]
        assert {rule["Status"] for rule in rules} == {"Enabled"}

    def test_raw_records_move_to_a_colder_class_and_expire(self) -> None:
        rule = self.rules_by_prefix()["raw-data/"]
        assert rule["Transitions"] == [
            {"StorageClass": {"Ref": "ArchiveColdClass"}, "TransitionInDays": {"Ref": "ArchiveColdAfterDays"}}
        ]
        assert rule["ExpirationInDays"] == {"Ref": "ArchiveExpireAfterDays"}
        assert default(STORAGE, "ArchiveColdAfterDays") < default(STORAGE, "ArchiveExpireAfterDays")

    def test_the_archive_can_be_read_at_once_in_every_class_that_it_may_have(self) -> None:
        answer_after_hours = {"GLACIER", "DEEP_ARCHIVE"}
        assert not answer_after_hours & set(STORAGE["Parameters"]["ArchiveColdClass"]["AllowedValues"])

    @pytest.mark.parametrize("prefix", ["quarantine/", "aws/lambda/", "redriven/"])
    def test_failures_expire(self, prefix: str) -> None:
        assert self.rules_by_prefix()[prefix]["ExpirationInDays"] == {"Ref": "FailuresExpireAfterDays"}

    def test_no_rule_expires_what_a_producer_could_not_deliver(self) -> None:
        rules = properties(STORAGE, "Archive")["LifecycleConfiguration"]["Rules"]
        expiring = [rule for rule in rules if "ExpirationInDays" in rule]
        assert all("Prefix" in rule and not "undelivered/".startswith(rule["Prefix"]) for rule in expiring)

    def test_an_overwritten_object_of_the_archive_can_be_recovered_for_a_while(self) -> None:
        assert properties(STORAGE, "Archive")["VersioningConfiguration"] == {"Status": "Enabled"}
        (rule,) = [rule for rule in self.archive_rules() if "NoncurrentVersionExpiration" in rule]
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": {"Ref": "SupersededExpireAfterDays"}}
        assert "Prefix" not in rule

    @staticmethod
    def archive_rules() -> list[dict[str, Any]]:
        rules: list[dict[str, Any]] = properties(STORAGE, "Archive")["LifecycleConfiguration"]["Rules"]
        return rules

    @classmethod
    def rules_by_prefix(cls) -> dict[str, dict[str, Any]]:
        return {rule["Prefix"]: rule for rule in cls.archive_rules() if "Prefix" in rule}


class TestTopicAndQueue:
    def test_the_topic_is_encrypted(self) -> None:
        assert properties(STORAGE, "Alerts")["KmsMasterKeyId"] == "alias/aws/sns"

    def test_the_queue_is_encrypted_and_keeps_lines_for_14_days(self) -> None:
        stated = properties(STORAGE, "Quarantine")
        assert stated["SqsManagedSseEnabled"] is True
        assert stated["MessageRetentionPeriod"] == 14 * 24 * 3600


@pytest.mark.parametrize(
    ("policy", "action", "resources"),
    [
        ("ArchivePolicy", "s3:*", [{"Fn::GetAtt": ["Archive", "Arn"]}, {"Fn::Sub": "${Archive.Arn}/*"}]),
        ("CodePolicy", "s3:*", [{"Fn::GetAtt": ["Code", "Arn"]}, {"Fn::Sub": "${Code.Arn}/*"}]),
        ("AlertsPolicy", "sns:Publish", {"Ref": "Alerts"}),
        ("QuarantinePolicy", "sqs:*", {"Fn::GetAtt": ["Quarantine", "Arn"]}),
    ],
)
def test_nobody_comes_without_tls(policy: str, action: str, resources: object) -> None:
    (statement,) = properties(STORAGE, policy)["PolicyDocument"]["Statement"]
    assert statement == {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_what_holds_data_outlives_its_stack_and_what_can_be_made_again_does_not() -> None:
    policies = {
        name: (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
        for template in (STREAM, STORAGE, PROCESSOR)
        for name, resource in template["Resources"].items()
        if "DeletionPolicy" in resource
    }
    assert policies == {
        "Quotes": ("RetainExceptOnCreate", "Retain"),
        "Bars": ("RetainExceptOnCreate", "Retain"),
        "State": ("RetainExceptOnCreate", "Retain"),
        "Archive": ("RetainExceptOnCreate", "Retain"),
        "ArchivePolicy": ("RetainExceptOnCreate", "Retain"),
        "Stream": ("Delete", "Retain"),
        "Quarantine": ("Delete", "Retain"),
        "Code": ("Delete", "Delete"),
        "LogGroup": ("Delete", "Retain"),
    }


class TestMapping:
    def test_leaves_no_property_of_failure_to_its_default(self) -> None:
        assert properties(PROCESSOR, "EventSourceMapping") == {
            "EventSourceArn": {"Ref": "StreamArn"},
            "FunctionName": {"Fn::GetAtt": ["Function", "Arn"]},
            "Enabled": {"Fn::If": ["MappingEnabled", True, False]},
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": {"Ref": "BatchSize"},
            "MaximumBatchingWindowInSeconds": {"Ref": "BatchingWindowSeconds"},
            "ParallelizationFactor": {"Ref": "ParallelizationFactor"},
            "BisectBatchOnFunctionError": {"Fn::If": ["Bisecting", True, False]},
            "MaximumRetryAttempts": {"Ref": "MaximumRetryAttempts"},
            "MaximumRecordAgeInSeconds": {"Ref": "MaximumRecordAgeSeconds"},
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": {"OnFailure": {"Destination": {"Ref": "ArchiveBucketArn"}}},
        }

    def test_gives_a_record_up_by_its_age_before_the_stream_drops_it(self) -> None:
        assert default(PROCESSOR, "MaximumRetryAttempts") == -1
        retention_seconds = default(STREAM, "RetentionHours") * 3600
        assert retention_seconds - 2 * 3600 <= default(PROCESSOR, "MaximumRecordAgeSeconds") < retention_seconds

    def test_a_full_batch_fits_an_invocation(self) -> None:
        packet_in_base64 = 25 * 1024 * 4 / 3 + 1024  # what surrounds a record in the event is under 1 KB
        assert default(PROCESSOR, "BatchSize") * packet_in_base64 < 6_000_000


class TestRole:
    GRANTS: frozenset[tuple[str, str]] = frozenset(
        {
            ("dynamodb:BatchGetItem", "StateTableArn"),
            ("dynamodb:PutItem", "StateTableArn"),
            ("dynamodb:BatchWriteItem", "QuotesTableArn"),
            ("dynamodb:BatchWriteItem", "BarsTableArn"),
            ("dynamodb:Query", "BarsTableArn"),
            ("s3:PutObject", "${ArchiveBucketArn}/raw-data/*"),
            ("s3:PutObject", "${ArchiveBucketArn}/quarantine/*"),
            ("s3:PutObject", "${ArchiveBucketArn}/aws/lambda/*"),
            ("s3:ListBucket", "ArchiveBucketArn"),
            ("sns:Publish", "AlertsTopicArn"),
            ("sqs:SendMessage", "QuarantineQueueArn"),
            ("kinesis:DescribeStream", "StreamArn"),
            ("kinesis:DescribeStreamSummary", "StreamArn"),
            ("kinesis:GetRecords", "StreamArn"),
            ("kinesis:GetShardIterator", "StreamArn"),
            ("kinesis:ListShards", "StreamArn"),
            ("logs:CreateLogStream", "LogGroup.Arn"),
            ("logs:PutLogEvents", "LogGroup.Arn"),
        }
    )

    def test_grants_exactly_the_calls_that_are_made(self) -> None:
        granted = [
            (action, resource)
            for policy in properties(PROCESSOR, "Role")["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
            for action in as_list(statement["Action"])
            for resource in map(resource_name, as_list(statement["Resource"]))
        ]
        assert sorted(granted) == sorted(self.GRANTS)

    def test_has_no_policy_of_another_hand(self) -> None:
        assert properties(PROCESSOR, "Role").keys() == {"AssumeRolePolicyDocument", "Policies"}

    def test_allows_only_and_without_exceptions(self) -> None:
        statements = [
            statement
            for policy in properties(PROCESSOR, "Role")["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        assert all(statement.keys() == {"Sid", "Effect", "Action", "Resource"} for statement in statements)
        assert {statement["Effect"] for statement in statements} == {"Allow"}

    def test_only_lambda_can_assume_it(self) -> None:
        (statement,) = properties(PROCESSOR, "Role")["AssumeRolePolicyDocument"]["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }


class TestFunction:
    def test_runs_our_handler_on_the_interpreter_that_the_zip_is_built_for(self) -> None:
        stated = properties(PROCESSOR, "Function")
        assert (stated["Runtime"], stated["Handler"]) == ("python3.13", "processor_lambda.app.handler")
        assert default(PROCESSOR, "Architecture") == "arm64"

    def test_is_told_where_to_write_and_its_parameters(self) -> None:
        assert properties(PROCESSOR, "Function")["Environment"]["Variables"] == {
            "QUOTES_TABLE": {"Ref": "QuotesTable"},
            "BARS_TABLE": {"Ref": "BarsTable"},
            "STATE_TABLE": {"Ref": "StateTable"},
            "ARCHIVE_BUCKET": {"Ref": "ArchiveBucket"},
            "ALERTS_TOPIC_ARN": {"Ref": "AlertsTopicArn"},
            "QUARANTINE_QUEUE_URL": {"Ref": "QuarantineQueueUrl"},
            "ANOMALY_PERCENT": {"Ref": "AnomalyPercent"},
            "ROW_RESOLUTION": {"Ref": "RowResolution"},
            "QUOTE_TTL_DAYS": {"Ref": "QuoteTtlDays"},
            "BAR_TTL_DAYS": {"Ref": "BarTtlDays"},
        }

    def test_logs_json_to_a_group_that_expires(self) -> None:
        assert properties(PROCESSOR, "Function")["LoggingConfig"] == {
            "LogFormat": "JSON",
            "LogGroup": {"Ref": "LogGroup"},
        }
        assert properties(PROCESSOR, "LogGroup")["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resource_name(resource: Any) -> str:
    match resource:
        case {"Ref": str(name)} | {"Fn::Sub": str(name)}:
            return str(name)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
    raise AssertionError(f"a grant on {resource!r}, which is none of our resources")
