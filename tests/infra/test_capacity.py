"""Provisioned tables follow the load, within the parameters, and tables on demand are left alone."""

from __future__ import annotations

import pytest

from deployment.stacks import ALL_STACKS, PIPELINE
from tests.support.templates import ALL, default, properties, resources

TABLES = {"Quotes", "Bars", "State"}
"""The tables, as outputs and parameters call them."""


def test_the_tables_that_are_written_all_day_have_a_capacity() -> None:
    provisioned = {
        name: table["Properties"]["ProvisionedThroughput"]["Fn::If"][1]
        for _, name, table in resources("AWS::DynamoDB::Table")
        if table["Properties"]["BillingMode"] == {"Ref": "TableBilling"}
    }
    assert {capacity["WriteCapacityUnits"]["Ref"] for capacity in provisioned.values()} == {
        f"{table}WriteCapacity" for table in TABLES
    }
    assert {name for _, name, _ in resources("AWS::DynamoDB::Table")} - provisioned.keys() == {
        "StoredAlerts",
        "Calendars",
    }
    assert {properties("storage", name)["BillingMode"] for name in ("StoredAlerts", "Calendars")} == {"PAY_PER_REQUEST"}


@pytest.mark.parametrize("kind", ["Write", "Read"])
@pytest.mark.parametrize("table", sorted(TABLES))
def test_each_table_scales_from_its_capacity_to_the_most(table: str, kind: str) -> None:
    assert properties("capacity", f"{table}{kind}s") == {
        "ServiceNamespace": "dynamodb",
        "ResourceId": {"Fn::Sub": f"table/${{{table}Table}}"},
        "ScalableDimension": f"dynamodb:table:{kind}CapacityUnits",
        "MinCapacity": {"Ref": f"{table}{kind}Units"},
        "MaxCapacity": {"Ref": f"Most{kind}Capacity"},
    }
    assert ALL["storage"]["Outputs"][f"{table}{kind}Units"]["Value"] == {"Ref": f"{table}{kind}Capacity"}
    assert default("capacity", f"Most{kind}Capacity") >= default("storage", f"{table}{kind}Capacity")


@pytest.mark.parametrize("kind", ["Write", "Read"])
@pytest.mark.parametrize("table", sorted(TABLES))
def test_each_table_keeps_the_same_share_of_its_units_in_use(table: str, kind: str) -> None:
    policy = properties("capacity", f"{table}{kind}sPolicy")
    assert policy["ScalingTargetId"] == {"Ref": f"{table}{kind}s"}
    tracked = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracked["PredefinedMetricSpecification"] == {"PredefinedMetricType": f"DynamoDB{kind}CapacityUtilization"}
    assert tracked["TargetValue"] == {"Ref": "CapacityTargetPercent"}


def test_tables_on_demand_have_nothing_that_scales() -> None:
    assert ALL["storage"]["Outputs"]["BillingOfTables"]["Value"] == {"Ref": "TableBilling"}
    assert ALL["capacity"]["Conditions"] == {"Provisioned": {"Fn::Equals": [{"Ref": "BillingOfTables"}, "PROVISIONED"]}}
    assert {resource["Condition"] for resource in ALL["capacity"]["Resources"].values()} == {"Provisioned"}


def test_what_scales_a_table_comes_after_it_and_goes_before_it() -> None:
    assert ALL_STACKS.index("storage") < ALL_STACKS.index("capacity")
    assert "capacity" not in PIPELINE  # which is deployed to emulators as it is
