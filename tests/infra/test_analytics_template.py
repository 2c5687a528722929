"""The table over the archive has the fields of the lines as columns, and its partitions match the archive's keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from analytics import catalog
from analytics.relations import PRICES
from processor_lambda import archive
from processor_lambda.records import ParsedRecord, Record
from quotes import Action, Heartbeat, Quote
from tests.support.templates import ALL, default, properties, resources, statements

TABLE: dict[str, Any] = properties("analytics", "Lines")["TableInput"]
COLUMNS = {column["Name"]: column["Type"] for column in TABLE["StorageDescriptor"]["Columns"]}
PARAMETERS: dict[str, Any] = TABLE["Parameters"]
TYPES = {
    "str": "string",
    "Literal['split', 'dividend']": "string",
    "int": "bigint",
    "Decimal": "string",
    "bytes": "string",
    "datetime": "string",
}


def columns_of(*kinds: type[msgspec.Struct]) -> dict[str, str]:
    """The fields of some kinds of lines, with their types in Glue."""
    columns = {"kind": "string", "v": "int"}
    for kind in kinds:
        for name, annotation in kind.__annotations__.items():
            columns.setdefault(name, TYPES[annotation.removesuffix(" | None")])
    return columns


def test_every_field_of_every_kind_of_line_is_a_column() -> None:
    assert columns_of(Quote, Heartbeat, Action, archive._Refused) == COLUMNS


def test_the_table_is_read_by_the_serde_that_neither_adds_nor_loses_rows() -> None:
    """https://docs.aws.amazon.com/athena/latest/ug/openx-json-serde.html recommends Hive's for exact results."""
    tables = [
        table["Properties"]["TableInput"]
        for _, _, table in resources("AWS::Glue::Table")
        if table["Properties"]["TableInput"]["TableType"] == "EXTERNAL_TABLE"
    ]
    assert tables == [TABLE]
    assert TABLE["StorageDescriptor"]["SerdeInfo"] == {
        "SerializationLibrary": "org.apache.hive.hcatalog.data.JsonSerDe"
    }


def test_a_price_is_text_so_that_it_does_not_depend_on_the_decimals_of_the_serde() -> None:
    prices = {
        name
        for kind in (Quote, Action)
        for name, annotation in kind.__annotations__.items()
        if annotation.removesuffix(" | None") == "Decimal"
    }
    assert prices == PRICES
    assert {COLUMNS[name] for name in prices} == {"string"}
    assert [name for name, kind in COLUMNS.items() if kind not in {"string", "bigint", "int"}] == []


def test_every_valid_price_fits_into_the_type_that_the_views_cast_it_to() -> None:
    from quotes.model import MAX_PRICE, PRICE_PLACES  # noqa: PLC0415  (the limits, of this test alone)

    digits_before = len(f"{MAX_PRICE - 1:f}")
    kind = f"decimal({digits_before + PRICE_PLACES},{PRICE_PLACES})"
    views = {view.name: view for view in catalog.read().views}
    for name in PRICES - {"amount"}:
        assert f"CAST({name} AS {kind}) AS {name}" in views["quote_lines"].select
    assert f"CAST(amount AS {kind}) AS amount" in views["corporate_actions"].select


def test_the_projected_partitions_match_the_keys_that_the_processor_writes() -> None:
    record = Record(
        stream="arn",
        shard="shardId-000000000000",
        sequence_number=1,
        partition_key="lane-00-of-01",
        arrival=datetime(2026, 11, 23, 4, 30, tzinfo=UTC),
        data=b"",
    )
    key = archive.key_of([ParsedRecord(record, (), ())])
    template = PARAMETERS["storage.location.template"]["Fn::Sub"]
    location = re.sub(r"\$\{!(\w+)\}", lambda match: {"dt": "2026-11-23", "hour": "04"}[match[1]], template)
    assert key.startswith(location.removeprefix("s3://${ArchiveBucket}/"))


def test_projection_covers_every_hour_of_every_day_since_the_first() -> None:
    assert [(key["Name"], key["Type"]) for key in TABLE["PartitionKeys"]] == [("dt", "string"), ("hour", "int")]
    projection = {name: value for name, value in PARAMETERS.items() if name.startswith("projection.")}
    assert projection == {
        "projection.enabled": "true",
        "projection.dt.type": "date",
        "projection.dt.format": "yyyy-MM-dd",
        "projection.dt.range": {"Fn::Sub": "${FirstDay},NOW"},
        "projection.dt.interval": "1",
        "projection.dt.interval.unit": "DAYS",
        "projection.hour.type": "integer",
        "projection.hour.range": "0,23",
        "projection.hour.digits": "2",
    }
    assert re.fullmatch(ALL["analytics"]["Parameters"]["FirstDay"]["AllowedPattern"], default("analytics", "FirstDay"))


def test_the_workgroup_enforces_encrypted_results_and_a_limit_on_reads() -> None:
    declared = properties("analytics", "Workgroup")["WorkGroupConfiguration"]
    assert declared["EnforceWorkGroupConfiguration"] is True
    assert declared["BytesScannedCutoffPerQuery"] == {"Ref": "ScanLimitBytes"}
    assert default("analytics", "ScanLimitBytes") == 10 * 2**30
    assert declared["ResultConfiguration"]["OutputLocation"] == {"Fn::Sub": "s3://${Results}/"}
    assert declared["ResultConfiguration"]["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}


def test_results_expire() -> None:
    (rule,) = properties("analytics", "Results")["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", {"Ref": "ResultsExpireAfterDays"})


def test_there_is_a_crawler_only_on_request() -> None:
    assert default("analytics", "CrawlerSchedule") == ""
    crawling = {name for name, resource in ALL["analytics"]["Resources"].items() if resource.get("Condition")}
    assert crawling == {"Crawler", "CrawlerRole"}


def test_a_query_may_list_only_raw_data_and_compacted_tables() -> None:
    (statement,) = [s for s in statements("analytics", "QueryPolicy") if s["Sid"] == "ListTheArchive"]
    assert statement["Condition"] == {"StringLike": {"s3:prefix": ["raw-data/*", "compacted/*"]}}
