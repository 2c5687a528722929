"""api.yaml: nobody reads without a login, nobody floods the function, and the log does not say who asked."""

from __future__ import annotations

import json
import re

import pytest

from deployment.stacks import TEMPLATES
from tests.support.templates import ALL, default, properties, resources

ROUTES = {name: route["Properties"] for template, name, route in resources("AWS::ApiGatewayV2::Route")}
LOGGED = {
    *("requestTimeEpoch", "requestId", "httpMethod", "path", "status", "responseLength", "responseLatency"),
    *("integrationLatency", "error.message", "authorizer.error", "integrationErrorMessage"),
}
"""What a line of the access log has. None of it is a token, a query, an address or the name of a caller."""


class TestLogin:
    def test_has_no_default_and_no_value_without_a_login(self) -> None:
        declared = ALL["api"]["Parameters"]["Authentication"]
        assert declared["AllowedValues"] == ["jwt", "iam"]
        assert "Default" not in declared

    @pytest.mark.parametrize("name", ROUTES)
    def test_is_asked_for_on_every_route(self, name: str) -> None:
        assert ROUTES[name]["AuthorizationType"] == {"Fn::If": ["Jwt", "JWT", "AWS_IAM"]}
        assert ROUTES[name]["AuthorizerId"] == {"Fn::If": ["Jwt", {"Ref": "Authorizer"}, {"Ref": "AWS::NoValue"}]}

    def test_takes_only_tokens_of_the_issuer_for_the_audience(self) -> None:
        authorizer = properties("api", "Authorizer")
        assert authorizer["AuthorizerType"] == "JWT"
        assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
        assert authorizer["JwtConfiguration"] == {"Issuer": {"Ref": "JwtIssuer"}, "Audience": [{"Ref": "JwtAudience"}]}

    def test_by_token_needs_an_issuer_and_an_audience(self) -> None:
        rule = ALL["api"]["Rules"]["TokensHaveAnIssuerAndAnAudience"]
        assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Authentication"}, "jwt"]}
        (assertion,) = rule["Assertions"]
        empty = [{"Fn::Equals": [{"Ref": name}, ""]} for name in ("JwtIssuer", "JwtAudience")]
        assert assertion["Assert"] == {"Fn::And": [{"Fn::Not": [one]} for one in empty]}

    @pytest.mark.parametrize("issuer", ["http://login.example.org", "https://a b", "https://login.example.org/?a=b"])
    def test_is_at_an_https_address(self, issuer: str) -> None:
        pattern = ALL["api"]["Parameters"]["JwtIssuer"]["AllowedPattern"]
        assert re.fullmatch(pattern, "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123")
        assert re.fullmatch(pattern, "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0")
        assert not re.fullmatch(pattern, issuer)

    def test_is_needed_in_every_template_that_has_an_address_of_its_own(self) -> None:
        """No template makes another entrance to a function."""
        entrances = {"AWS::Lambda::Url", "AWS::ApiGateway::RestApi", "AWS::ElasticLoadBalancingV2::LoadBalancer"}
        assert not list(resources(*entrances))
        assert {template for template, _, _ in resources("AWS::ApiGatewayV2::Api")} == {"api"}


def test_the_routes_are_those_of_the_function_that_read() -> None:
    keys = [route["RouteKey"] for route in ROUTES.values()]
    families = [f"{verb} /{part}/{{proxy+}}" for verb in ("GET", "HEAD") for part in ("v1", "udf")]
    assert sorted(keys) == sorted([*families, "GET /widgets.json"])
    assert {json.dumps(route["Target"]) for route in ROUTES.values()} == {
        json.dumps({"Fn::Sub": "integrations/${Integration}"})
    }


def test_the_function_gets_version_2_of_the_payload_through_its_alias() -> None:
    integration = properties("api", "Integration")
    assert integration["IntegrationUri"] == {"Ref": "QueryLiveAliasArn"}
    assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")


def test_only_this_api_may_call_the_alias() -> None:
    ((_, _, permission),) = [one for one in resources("AWS::Lambda::Permission") if one[0] == "api"]
    arn = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*"
    assert permission["Properties"] == {
        "FunctionName": {"Ref": "QueryLiveAliasArn"},
        "Action": "lambda:InvokeFunction",
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": {"Fn::Sub": arn},
    }


def test_a_browser_of_another_origin_may_read_only_if_it_is_named() -> None:
    assert default("api", "CorsOrigins") == ""
    condition, cors, otherwise = properties("api", "Api")["CorsConfiguration"]["Fn::If"]
    assert (condition, otherwise) == ("Cors", {"Ref": "AWS::NoValue"})
    assert cors["AllowOrigins"] == {"Fn::Split": [",", {"Ref": "CorsOrigins"}]}
    assert cors["AllowMethods"] == ["GET", "HEAD"]
    assert {"authorization", "if-none-match"} <= set(cors["AllowHeaders"])
    assert {"etag", "link"} <= set(cors["ExposeHeaders"])
    assert "AllowCredentials" not in cors


class TestStage:
    def test_is_the_only_one_and_has_each_change_at_once(self) -> None:
        assert (properties("api", "Stage")["StageName"], properties("api", "Stage")["AutoDeploy"]) == ("$default", True)

    def test_has_a_rate_and_a_burst(self) -> None:
        settings = properties("api", "Stage")["DefaultRouteSettings"]
        assert settings["ThrottlingRateLimit"] == {"Ref": "ApiRate"}
        assert settings["ThrottlingBurstLimit"] == {"Ref": "ApiBurst"}
        assert (default("api", "ApiRate"), default("api", "ApiBurst")) == (50, 100)

    def test_logs_each_request_as_one_line_of_json(self) -> None:
        settings = properties("api", "Stage")["AccessLogSettings"]
        assert settings["DestinationArn"] == {"Fn::GetAtt": ["AccessLog", "Arn"]}
        assert "\n" not in settings["Format"]
        assert json.loads(settings["Format"]).keys() >= {"path", "status", "milliseconds", "error"}
        assert properties("api", "AccessLog")["RetentionInDays"] == {"Ref": "LogRetentionDays"}

    def test_does_not_log_who_asked(self) -> None:
        text = properties("api", "Stage")["AccessLogSettings"]["Format"]
        assert set(re.findall(r"\$context\.([\w.]+)", text)) == LOGGED
        assert text.count("$") == len(LOGGED)

    def test_counts_what_it_throttles(self) -> None:
        declared = properties("api", "ThrottledRequests")
        assert declared["LogGroupName"] == {"Ref": "AccessLog"}
        assert declared["FilterPattern"] == '{ $.status = "429" }'
        assert properties("api", "ApiThrottled")["MetricName"] == declared["MetricTransformations"][0]["MetricName"]


class TestAlarms:
    @pytest.mark.parametrize(
        ("alarm", "metric", "of"),
        [
            ("ApiFailing", "5xx", {"Name": "ApiId", "Value": {"Ref": "Api"}}),
            ("ApiSlow", "Latency", {"Name": "ApiId", "Value": {"Ref": "Api"}}),
            ("QueryFailing", "Errors", {"Name": "FunctionName", "Value": {"Ref": "QueryFunctionName"}}),
            ("QueryThrottled", "Throttles", {"Name": "FunctionName", "Value": {"Ref": "QueryFunctionName"}}),
        ],
    )
    def test_watch_the_api_and_its_function(self, alarm: str, metric: str, of: dict[str, object]) -> None:
        assert (properties("api", alarm)["MetricName"], properties("api", alarm)["Dimensions"]) == (metric, [of])

    def test_one_is_about_the_slowest_request_in_a_hundred(self) -> None:
        slow = properties("api", "ApiSlow")
        assert (slow["ExtendedStatistic"], slow["Threshold"]) == ("p99", {"Ref": "ApiSlowMilliseconds"})


def test_the_template_says_where_the_api_has_no_login() -> None:
    text = (TEMPLATES / "api.yaml").read_text(encoding="utf-8")
    assert "only the demo and" in ALL["api"]["Parameters"]["Authentication"]["Description"]
    assert "NONE" not in text
