"""The query function's template: what the function knows, how it is released, and what it may not do."""

from __future__ import annotations

import re
from pathlib import Path

from deployment.stacks import ALL_STACKS, PIPELINE
from producer_service.settings import Settings
from query_api.settings import DEFAULT_LANES, from_environment
from tests.support.templates import ALL, default, properties

ROOT = Path(__file__).parents[2]
VARIABLES = {
    "QUOTES_TABLE": {"Ref": "QuotesTable"},
    "BARS_TABLE": {"Ref": "BarsTable"},
    "STATE_TABLE": {"Ref": "StateTable"},
    "ALERTS_TABLE": {"Ref": "AlertsTable"},
    "CALENDARS_TABLE": {"Ref": "CalendarsTable"},
    "QUARANTINE_QUEUE_URL": {"Ref": "QuarantineQueueUrl"},
    "LANES": {"Ref": "Lanes"},
    "ROW_RESOLUTION": {"Ref": "RowResolution"},
    "CORS_ORIGINS": {"Ref": "CorsOrigins"},
    "RELEASE": {"Ref": "Release"},
}


def test_the_function_has_the_resources_and_parameters_in_its_environment() -> None:
    assert properties("query", "Function")["Environment"]["Variables"] == VARIABLES


def test_every_setting_of_the_function_is_in_its_environment() -> None:
    text = (ROOT / "query_api" / "settings.py").read_text(encoding="utf-8")
    assert set(re.findall(r'"([A-Z]+_?[A-Z_]*[A-Z])"', text)) == VARIABLES.keys() - {"RELEASE"}


def test_nobody_reads_the_answers_from_another_origin_by_default() -> None:
    assert default("query", "CorsOrigins") == ""


def test_without_a_number_of_lanes_it_is_the_producers_default() -> None:
    assert default("query", "Lanes") == ""
    assert Settings.model_fields["lanes"].default == DEFAULT_LANES
    required = dict.fromkeys((name for name in VARIABLES if name.endswith(("TABLE", "URL"))), "x")
    assert from_environment({**required, "LANES": "", "CORS_ORIGINS": ""}).lanes == DEFAULT_LANES


def test_who_asks_gets_the_released_version() -> None:
    assert properties("query", "Live")["FunctionVersion"] == {"Fn::GetAtt": ["Version", "Version"]}
    assert properties("query", "Version")["Description"] == {"Fn::Sub": "Release ${Release}"}
    assert ALL["query"]["Outputs"]["QueryLiveAliasArn"]["Value"] == {"Ref": "Live"}


def test_a_query_ends_before_an_http_api_stops_waiting() -> None:
    assert default("query", "QueryTimeoutSeconds") < 30
    assert ALL["query"]["Parameters"]["QueryTimeoutSeconds"]["MaxValue"] < 30


def test_nobody_can_ask_it_without_another_stack() -> None:
    types = {resource["Type"] for resource in ALL["query"]["Resources"].values()}
    assert types == {
        "AWS::Logs::LogGroup",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Lambda::Version",
        "AWS::Lambda::Alias",
    }


def test_it_is_deployed_after_the_function_that_writes_what_it_reads() -> None:
    for stacks in (PIPELINE, ALL_STACKS):
        assert stacks.index("query") > stacks.index("processor")
