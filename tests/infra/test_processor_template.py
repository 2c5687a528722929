"""The processor's function and event source mapping: how they fail, where they write, and how much they take."""

from __future__ import annotations

from configuration import RULES_KEY
from tests.support.templates import ALL, default, properties


class TestMapping:
    def test_sets_every_property_about_failures(self) -> None:
        assert properties("processor", "EventSourceMapping") == {
            "EventSourceArn": {"Fn::If": ["Fast", {"Ref": "ConsumerArn"}, {"Ref": "StreamArn"}]},
            "FunctionName": {"Ref": "Live"},
            "Enabled": {"Fn::If": ["MappingEnabled", True, False]},
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": {"Ref": "BatchSize"},
            "MaximumBatchingWindowInSeconds": {"Fn::If": ["Fast", 0, {"Ref": "BatchingWindowSeconds"}]},
            "ParallelizationFactor": {"Ref": "ParallelizationFactor"},
            "BisectBatchOnFunctionError": {"Fn::If": ["Bisecting", True, False]},
            "MaximumRetryAttempts": {"Ref": "MaximumRetryAttempts"},
            "MaximumRecordAgeInSeconds": {"Ref": "MaximumRecordAgeSeconds"},
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": {"OnFailure": {"Destination": {"Ref": "ArchiveBucketArn"}}},
        }

    def test_discards_a_record_by_its_age_before_the_stream_drops_it(self) -> None:
        assert default("processor", "MaximumRetryAttempts") == -1
        retention_seconds = default("stream", "RetentionHours") * 3600
        assert retention_seconds - 2 * 3600 <= default("processor", "MaximumRecordAgeSeconds") < retention_seconds

    def test_a_full_batch_fits_an_invocation(self) -> None:
        packet_in_base64 = 25 * 1024 * 4 / 3 + 1024  # the rest of a record in the event is below 1 KB
        assert default("processor", "BatchSize") * packet_in_base64 < 6_000_000


class TestVersion:
    def test_the_stream_invokes_the_version_that_the_alias_names(self) -> None:
        assert properties("processor", "Live") == {
            "Name": "live",
            "Description": "The version that processes the stream",
            "FunctionName": {"Ref": "Function"},
            "FunctionVersion": {"Fn::GetAtt": ["Version", "Version"]},
        }

    def test_a_new_release_replaces_it_and_keeps_the_old_one(self) -> None:
        # Imported here, because it takes two seconds in each process that collects tests.
        from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]  # noqa: PLC0415

        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", "AWS::Lambda::Version").schema
        assert "/properties/Description" in schema["createOnlyProperties"]
        assert properties("processor", "Version")["Description"] == {"Fn::Sub": "Release ${Release}"}
        assert ALL["processor"]["Resources"]["Version"]["UpdateReplacePolicy"] == "Retain"

    def test_a_new_release_changes_the_function_so_that_there_is_something_to_publish(self) -> None:
        assert properties("processor", "Function")["Environment"]["Variables"]["RELEASE"] == {"Ref": "Release"}


class TestFunction:
    def test_runs_our_handler_on_the_interpreter_that_the_zip_is_built_for(self) -> None:
        declared = properties("processor", "Function")
        assert (declared["Runtime"], declared["Handler"]) == ("python3.13", "processor_lambda.app.handler")
        assert default("processor", "Architecture") == "arm64"

    def test_has_the_resources_and_parameters_in_its_environment(self) -> None:
        assert properties("processor", "Function")["Environment"]["Variables"] == {
            "QUOTES_TABLE": {"Ref": "QuotesTable"},
            "BARS_TABLE": {"Ref": "BarsTable"},
            "STATE_TABLE": {"Ref": "StateTable"},
            "ALERTS_TABLE": {"Ref": "AlertsTable"},
            "ARCHIVE_BUCKET": {"Ref": "ArchiveBucket"},
            "ALERTS_TOPIC_ARN": {"Ref": "AlertsTopicArn"},
            "QUARANTINE_QUEUE_URL": {"Ref": "QuarantineQueueUrl"},
            "RELEASE": {"Ref": "Release"},
            "RULES_KEY": RULES_KEY,
            "ANOMALY_PERCENT": {"Ref": "AnomalyPercent"},
            "ROW_RESOLUTION": {"Ref": "RowResolution"},
            "QUOTE_TTL_DAYS": {"Ref": "QuoteTtlDays"},
            "BAR_TTL_DAYS": {"Ref": "BarTtlDays"},
            "ALERT_TTL_DAYS": {"Ref": "AlertTtlDays"},
            "STATE_VERSION": {"Ref": "StateVersion"},
        }

    def test_has_reserved_concurrency_only_on_request(self) -> None:
        assert default("processor", "ReservedConcurrency") == 0
        assert properties("processor", "Function")["ReservedConcurrentExecutions"] == {
            "Fn::If": ["Reserved", {"Ref": "ReservedConcurrency"}, {"Ref": "AWS::NoValue"}]
        }

    def test_logs_json_to_a_group_that_expires(self) -> None:
        assert properties("processor", "Function")["LoggingConfig"] == {
            "LogFormat": "JSON",
            "LogGroup": {"Ref": "LogGroup"},
        }
        assert properties("processor", "LogGroup")["RetentionInDays"] == {"Ref": "LogRetentionDays"}
