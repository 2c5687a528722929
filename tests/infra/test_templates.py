"""What the templates promise, checked in their text. Emulators silently ignore encryption, expiry and lifecycles."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deployment.stacks import ALL_STACKS, BY_HAND, ON_REQUEST, PIPELINE, TEMPLATES
from tests.support.templates import ALL, PATHS, default, properties, resources

BUCKETS = [("storage", "Archive"), ("storage", "Code"), ("analytics", "Results"), ("web", "Page")]
TABLES = ("Quotes", "Bars", "State")
REPOSITORIES = ("Repository", "OperationsRepository")
MADE_BY_THE_DEPLOYMENT = {"CodeKey", "Image", "Release", "StackPrefix"}
NAMED_BY_THE_USER = {"Authentication"}  # it has no default, so that nobody gets a login that nobody chose


def test_every_template_is_a_stack_and_the_order_of_the_pipeline_is_the_same() -> None:
    assert {path.stem for path in TEMPLATES.glob("*.yaml")} == {*ALL_STACKS, *ON_REQUEST, *BY_HAND}
    assert [name for name in ALL_STACKS if name in PIPELINE] == list(PIPELINE)


@pytest.mark.parametrize("stacks", [PIPELINE, (*ALL_STACKS, *ON_REQUEST)], ids=["pipeline", "whole"])
def test_a_parameter_without_default_is_an_output_of_an_earlier_stack(stacks: tuple[str, ...]) -> None:
    known = MADE_BY_THE_DEPLOYMENT | NAMED_BY_THE_USER
    for name in stacks:
        needed = {key for key, parameter in ALL[name].get("Parameters", {}).items() if "Default" not in parameter}
        assert needed <= known, name
        known |= ALL[name].get("Outputs", {}).keys()


def test_no_two_templates_have_an_output_of_the_same_name() -> None:
    names = [name for template in ALL.values() for name in template.get("Outputs", {})]
    assert len(names) == len(set(names))


def test_a_parameter_that_is_an_output_of_another_stack_has_no_default() -> None:
    outputs = {name for template in ALL.values() for name in template.get("Outputs", {})}
    with_default = {
        key
        for template in ALL.values()
        for key, parameter in template.get("Parameters", {}).items()
        if "Default" in parameter
    }
    assert outputs & with_default == {"ConsumerArn"}  # the deployment empties it in cheap mode, which has no consumer


def test_a_parameter_of_two_templates_has_the_same_default_and_values() -> None:
    meanings: dict[str, tuple[Any, Any]] = {}
    for template in ALL.values():
        for key, parameter in template.get("Parameters", {}).items():
            meaning = (parameter.get("Default"), parameter.get("AllowedValues"))
            assert meanings.setdefault(key, meaning) == meaning, key


def test_cloudformation_names_the_resources() -> None:
    given = {
        *("Name", "TableName", "BucketName", "TopicName", "QueueName", "FunctionName", "RoleName", "LogGroupName"),
        *("AlarmName", "DashboardName", "RepositoryName", "ClusterName", "ServiceName", "Family", "ManagedPolicyName"),
    }
    refers = {"AWS::Lambda::EventSourceMapping", "AWS::Lambda::Version", "AWS::Lambda::Alias"}
    refers |= {"AWS::Logs::MetricFilter", "AWS::EC2::VPCEndpoint"}
    refers |= {"AWS::Athena::NamedQuery"}  # its name is unique only within its workgroup, and people see it in a list
    refers |= {"AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Authorizer", "AWS::Route53::RecordSet"}
    refers |= {"AWS::Lambda::Permission"}
    named = {
        (template, name)
        for template, name, resource in resources()
        if given & resource.get("Properties", {}).keys() and resource["Type"] not in refers
    }
    assert named == {("analytics", "Workgroup"), ("drift", "Group"), ("history", "Group")}


def test_topic_key_and_repository_are_encrypted() -> None:
    assert properties("operators", "Operators")["KmsMasterKeyId"] == {"Ref": "Key"}
    assert properties("operators", "Key")["EnableKeyRotation"] is True
    for repository in REPOSITORIES:
        assert properties("registry", repository)["EncryptionConfiguration"] == {"EncryptionType": "AES256"}


class TestStream:
    def test_is_encrypted(self) -> None:
        assert properties("stream", "Stream")["StreamEncryption"] == {
            "EncryptionType": "KMS",
            "KeyId": "alias/aws/kinesis",
        }

    def test_is_provisioned_with_one_shard_by_default(self) -> None:
        assert (default("stream", "StreamMode"), default("stream", "ShardCount")) == ("PROVISIONED", 1)

    def test_an_on_demand_stream_has_no_shard_count(self) -> None:
        assert properties("stream", "Stream")["ShardCount"] == {
            "Fn::If": ["Provisioned", {"Ref": "ShardCount"}, {"Ref": "AWS::NoValue"}]
        }


class TestTables:
    @pytest.mark.parametrize(
        ("table", "keys"),
        [("Quotes", ["symbol", "timestamp"]), ("Bars", ["symbol", "key"]), ("State", ["lane"])],
    )
    def test_keys(self, table: str, keys: list[str]) -> None:
        schema = properties("storage", table)["KeySchema"]
        assert [key["AttributeName"] for key in schema] == keys
        assert [key["KeyType"] for key in schema] == ["HASH", "RANGE"][: len(keys)]

    @pytest.mark.parametrize("table", TABLES)
    def test_are_encrypted_and_recoverable(self, table: str) -> None:
        declared = properties("storage", table)
        assert declared["SSESpecification"] == {"SSEEnabled": True}
        assert declared["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}

    @pytest.mark.parametrize("table", TABLES)
    def test_are_on_demand_by_default_and_have_capacities_if_provisioned(self, table: str) -> None:
        declared = properties("storage", table)
        assert declared["BillingMode"] == {"Ref": "TableBilling"}
        assert default("storage", "TableBilling") == "PAY_PER_REQUEST"
        assert declared["ProvisionedThroughput"] == {
            "Fn::If": [
                "Provisioned",
                {
                    "WriteCapacityUnits": {"Ref": f"{table}WriteCapacity"},
                    "ReadCapacityUnits": {"Ref": f"{table}ReadCapacity"},
                },
                {"Ref": "AWS::NoValue"},
            ]
        }

    def test_rows_expire_and_state_does_not(self) -> None:
        expiry = {"AttributeName": "expires_at", "Enabled": True}
        declared = {table: properties("storage", table).get("TimeToLiveSpecification") for table in TABLES}
        assert declared == {"Quotes": expiry, "Bars": expiry, "State": None}


class TestBuckets:
    @pytest.mark.parametrize(("template", "bucket"), BUCKETS)
    def test_are_private_and_encrypted(self, template: str, bucket: str) -> None:
        declared = properties(template, bucket)
        assert declared["PublicAccessBlockConfiguration"] == {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        }
        assert declared["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        encryption = declared["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption == [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]

    @pytest.mark.parametrize(("template", "bucket"), BUCKETS)
    def test_abort_incomplete_uploads(self, template: str, bucket: str) -> None:
        rules = properties(template, bucket)["LifecycleConfiguration"]["Rules"]
        (of_all_objects,) = [rule for rule in rules if "Prefix" not in rule]
        assert 1 <= of_all_objects["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] <= 7

    def test_every_bucket_is_tested_here(self) -> None:
        assert sorted(BUCKETS) == sorted((template, name) for template, name, _ in resources("AWS::S3::Bucket"))

    def test_every_lifecycle_rule_is_enabled(self) -> None:
        rules = [rule for place in BUCKETS for rule in properties(*place)["LifecycleConfiguration"]["Rules"]]
        assert {rule["Status"] for rule in rules} == {"Enabled"}

    def test_raw_records_move_to_a_colder_class_and_expire(self) -> None:
        rule = self.rules_by_prefix()["raw-data/"]
        assert rule["Transitions"] == [
            {"StorageClass": {"Ref": "ArchiveColdClass"}, "TransitionInDays": {"Ref": "ArchiveColdAfterDays"}}
        ]
        assert rule["ExpirationInDays"] == {"Ref": "ArchiveExpireAfterDays"}
        assert default("storage", "ArchiveColdAfterDays") < default("storage", "ArchiveExpireAfterDays")

    def test_every_storage_class_of_the_archive_can_be_read_at_once(self) -> None:
        answer_after_hours = {"GLACIER", "DEEP_ARCHIVE"}
        assert not answer_after_hours & set(ALL["storage"]["Parameters"]["ArchiveColdClass"]["AllowedValues"])

    @pytest.mark.parametrize("prefix", ["quarantine/", "aws/lambda/", "redriven/"])
    def test_failures_expire(self, prefix: str) -> None:
        assert self.rules_by_prefix()[prefix]["ExpirationInDays"] == {"Ref": "FailuresExpireAfterDays"}

    def test_no_rule_expires_what_a_producer_could_not_deliver(self) -> None:
        rules = properties("storage", "Archive")["LifecycleConfiguration"]["Rules"]
        expiring = [rule for rule in rules if "ExpirationInDays" in rule]
        assert all("Prefix" in rule and not "undelivered/".startswith(rule["Prefix"]) for rule in expiring)

    def test_an_overwritten_object_of_the_archive_can_be_recovered_for_a_while(self) -> None:
        assert properties("storage", "Archive")["VersioningConfiguration"] == {"Status": "Enabled"}
        (rule,) = [rule for rule in self.archive_rules() if "NoncurrentVersionExpiration" in rule]
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": {"Ref": "SupersededExpireAfterDays"}}
        assert "Prefix" not in rule

    @staticmethod
    def archive_rules() -> list[dict[str, Any]]:
        rules: list[dict[str, Any]] = properties("storage", "Archive")["LifecycleConfiguration"]["Rules"]
        return rules

    @classmethod
    def rules_by_prefix(cls) -> dict[str, dict[str, Any]]:
        return {rule["Prefix"]: rule for rule in cls.archive_rules() if "Prefix" in rule}


class TestTopicAndQueue:
    def test_the_topic_is_encrypted(self) -> None:
        assert properties("storage", "Alerts")["KmsMasterKeyId"] == "alias/aws/sns"

    def test_the_queue_is_encrypted_and_keeps_lines_for_14_days(self) -> None:
        declared = properties("storage", "Quarantine")
        assert declared["SqsManagedSseEnabled"] is True
        assert declared["MessageRetentionPeriod"] == 14 * 24 * 3600


@pytest.mark.parametrize(
    ("template", "policy", "action", "guarded"),
    [
        ("storage", "ArchivePolicy", "s3:*", [{"Fn::GetAtt": ["Archive", "Arn"]}, {"Fn::Sub": "${Archive.Arn}/*"}]),
        ("storage", "CodePolicy", "s3:*", [{"Fn::GetAtt": ["Code", "Arn"]}, {"Fn::Sub": "${Code.Arn}/*"}]),
        ("analytics", "ResultsPolicy", "s3:*", [{"Fn::GetAtt": ["Results", "Arn"]}, {"Fn::Sub": "${Results.Arn}/*"}]),
        ("web", "PagePolicy", "s3:*", [{"Fn::GetAtt": ["Page", "Arn"]}, {"Fn::Sub": "${Page.Arn}/*"}]),
        ("storage", "AlertsPolicy", "sns:Publish", {"Ref": "Alerts"}),
        ("operators", "OperatorsPolicy", "sns:Publish", {"Ref": "Operators"}),
        ("storage", "QuarantinePolicy", "sqs:*", {"Fn::GetAtt": ["Quarantine", "Arn"]}),
        ("subscriptions", "QueuePolicy", "sqs:*", {"Fn::GetAtt": ["Queue", "Arn"]}),
        ("subscriptions", "UndeliveredPolicy", "sqs:*", {"Fn::GetAtt": ["Undelivered", "Arn"]}),
        ("operators", "UndeliveredPolicy", "sqs:*", {"Fn::GetAtt": ["Undelivered", "Arn"]}),
    ],
)
def test_requests_without_tls_are_denied(template: str, policy: str, action: str, guarded: object) -> None:
    statements = properties(template, policy)["PolicyDocument"]["Statement"]
    (denial,) = [statement for statement in statements if statement["Effect"] == "Deny"]
    assert denial == {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": guarded,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_every_bucket_topic_and_queue_has_a_policy() -> None:
    guarded = {"AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::SQS::Queue"}
    policies = {"AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"}
    assert len(list(resources(*guarded))) == len(list(resources(*policies)))


def test_only_resources_that_hold_data_outlive_their_stack() -> None:
    policies = {
        (template, name): (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
        for template, name, resource in resources()
        if "DeletionPolicy" in resource
    }
    assert policies == {
        ("storage", "Quotes"): ("RetainExceptOnCreate", "Retain"),
        ("storage", "Bars"): ("RetainExceptOnCreate", "Retain"),
        ("storage", "State"): ("RetainExceptOnCreate", "Retain"),
        ("storage", "StoredAlerts"): ("RetainExceptOnCreate", "Retain"),
        ("storage", "Calendars"): ("Delete", "Delete"),
        ("storage", "Archive"): ("RetainExceptOnCreate", "Retain"),
        ("storage", "ArchivePolicy"): ("RetainExceptOnCreate", "Retain"),
        ("stream", "Stream"): ("Delete", "Retain"),
        ("storage", "Quarantine"): ("Delete", "Retain"),
        ("storage", "Code"): ("Delete", "Delete"),
        ("query", "LogGroup"): ("Delete", "Retain"),
        ("query", "Version"): ("Delete", "Retain"),
        ("subscriptions", "Queue"): ("Delete", "Retain"),
        ("subscriptions", "Undelivered"): ("Delete", "Retain"),
        ("operators", "Undelivered"): ("Delete", "Retain"),
        ("analytics", "Results"): ("Delete", "Delete"),
        ("registry", "Repository"): ("Delete", "Retain"),
        ("registry", "OperationsRepository"): ("Delete", "Retain"),
        ("operators", "Key"): ("Delete", "Delete"),
        ("producer", "Workspace"): ("Delete", "Retain"),
        ("processor", "LogGroup"): ("Delete", "Retain"),
        ("api", "AccessLog"): ("Delete", "Retain"),
        ("web", "Page"): ("Delete", "Delete"),
        ("producer", "LogGroup"): ("Delete", "Retain"),
        ("history", "LogGroup"): ("Delete", "Retain"),
        ("processor", "Version"): ("Delete", "Retain"),  # for a return to an older version at once
    }


class TestRegistry:
    @pytest.mark.parametrize("repository", REPOSITORIES)
    def test_scans_what_is_pushed_and_overwrites_no_tag_of_a_content(self, repository: str) -> None:
        declared = properties("registry", repository)
        assert declared["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert declared["ImageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
        (moving,) = declared["ImageTagMutabilityExclusionFilters"]
        assert moving["ImageTagMutabilityExclusionFilterValue"] == "in-use-*"

    @pytest.mark.parametrize("repository", REPOSITORIES)
    def test_keeps_the_newest_images_and_those_that_a_stage_runs(self, repository: str) -> None:
        text = properties("registry", repository)["LifecyclePolicy"]["LifecyclePolicyText"]["Fn::Sub"]
        running, rest = json.loads(text.replace("${KeptImages}", str(default("registry", "KeptImages"))))["rules"]
        assert (
            running["rulePriority"] < rest["rulePriority"]
        )  # a later rule does not expire the images of an earlier one
        assert running["selection"]["tagPrefixList"] == ["in-use-"]
        assert running["selection"]["countNumber"] == 1000
        assert rest["selection"] == {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10}
        assert rest["action"] == {"type": "expire"}

    def test_is_deployed_before_the_producer_pulls_from_it(self) -> None:
        assert ALL_STACKS.index("registry") < ALL_STACKS.index("producer")


class TestNetwork:
    def test_lets_nobody_in_and_the_task_out_only_by_https(self) -> None:
        declared = properties("network", "SecurityGroup")
        assert "SecurityGroupIngress" not in declared
        (way_out,) = declared["SecurityGroupEgress"]
        assert (way_out["IpProtocol"], way_out["FromPort"], way_out["ToPort"]) == ("tcp", 443, 443)

    def test_lets_only_the_task_to_the_endpoints(self) -> None:
        (way_in,) = properties("network", "EndpointSecurityGroup")["SecurityGroupIngress"]
        assert way_in["SourceSecurityGroupId"] == {"Ref": "SecurityGroup"}
        assert (way_in["FromPort"], way_in["ToPort"]) == (443, 443)

    def test_assigns_no_public_address_automatically(self) -> None:
        subnets = [resource["Properties"] for _, _, resource in resources("AWS::EC2::Subnet")]
        assert len(subnets) == 4
        assert all("MapPublicIpOnLaunch" not in subnet for subnet in subnets)

    def test_every_subnet_is_in_a_zone_that_is_named_by_its_id_and_each_pair_in_both(self) -> None:
        nothing = {"Ref": "AWS::NoValue"}
        zones: dict[tuple[str, str], int] = {}
        for template, name, resource in resources("AWS::EC2::Subnet"):
            place = int(name.endswith("B"))
            named = {"Fn::Select": [place, {"Fn::Split": [",", {"Ref": "Zones"}]}]}
            first = {"Fn::Select": [place, {"Fn::GetAZs": ""}]}  # what a network has that is older than the parameter
            subnet = resource["Properties"]
            assert subnet["AvailabilityZoneId"] == {"Fn::If": ["ZonesNamed", named, nothing]}
            assert subnet["AvailabilityZone"] == {"Fn::If": ["ZonesNamed", nothing, first]}
            zones[template, name.rstrip("AB")] = zones.get((template, name.rstrip("AB")), 0) + 1
        assert zones == {("network", "PublicSubnet"): 2, ("network", "PrivateSubnet"): 2}

    def test_reaches_s3_and_dynamodb_without_leaving_aws(self) -> None:
        gateways = {
            endpoint["ServiceName"]["Fn::Sub"].rpartition(".")[2]: endpoint["RouteTableIds"]
            for _, _, endpoint in ((t, n, r["Properties"]) for t, n, r in resources("AWS::EC2::VPCEndpoint"))
            if endpoint["VpcEndpointType"] == "Gateway"
        }
        both = [{"Ref": "PublicRoutes"}, {"Fn::If": ["Private", {"Ref": "PrivateRoutes"}, {"Ref": "AWS::NoValue"}]}]
        assert gateways == {"s3": both, "dynamodb": both}

    def test_private_has_an_endpoint_for_every_service_that_the_task_and_its_agent_call(self) -> None:
        interfaces = {
            resource["Properties"]["ServiceName"]["Fn::Sub"].partition("${AWS::Region}.")[2]
            for _, _, resource in resources("AWS::EC2::VPCEndpoint")
            if resource["Properties"]["VpcEndpointType"] == "Interface"
        }
        assert interfaces == {"kinesis-streams", "ecr.api", "ecr.dkr", "logs"}
        assert {
            resource["Condition"]
            for _, _, resource in resources("AWS::EC2::VPCEndpoint")
            if resource["Properties"]["VpcEndpointType"] == "Interface"
        } == {"Private"}


@pytest.mark.parametrize("path", PATHS.values(), ids=lambda path: path.stem)
def test_an_exception_for_checkov_is_in_its_resource_with_its_reason(path: Path) -> None:
    exceptions = re.findall(r"^( *)# checkov:skip=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    for indent, text in exceptions:
        assert len(indent) == 4
        assert re.fullmatch(r"CKV2?_AWS_\d+:(as [A-Z]\w+|.{30,})", text), text
