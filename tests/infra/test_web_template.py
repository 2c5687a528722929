"""web.yaml: the page is private code in a private bucket, its answers are never shared, and a browser guards it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.templates import ALL, default, properties

DISTRIBUTION = properties("web", "Distribution")["DistributionConfig"]
ORIGINS = {origin["Id"]: origin for origin in DISTRIBUTION["Origins"]}
BEHAVIOURS: dict[str, dict[str, Any]] = {one["PathPattern"]: one for one in DISTRIBUTION["CacheBehaviors"]}
EVERY = [DISTRIBUTION["DefaultCacheBehavior"], *BEHAVIOURS.values()]
HEADERS = properties("web", "Headers")["ResponseHeadersPolicyConfig"]
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html and
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
CACHING_DISABLED, CACHING_OPTIMIZED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "658327ea-f89d-4fab-a63d-7e88639e58f6"
ALL_VIEWER_EXCEPT_HOST_HEADER = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
OVERRIDE = {"Override": True}


class TestBucket:
    def test_is_read_only_by_this_distribution(self) -> None:
        statements = properties("web", "PagePolicy")["PolicyDocument"]["Statement"]
        (allowed,) = [one for one in statements if one["Effect"] == "Allow"]
        assert allowed["Principal"] == {"Service": "cloudfront.amazonaws.com"}
        assert (allowed["Action"], allowed["Resource"]) == ("s3:GetObject", {"Fn::Sub": "${Page.Arn}/*"})
        arn = "arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${Distribution}"
        assert allowed["Condition"] == {"StringEquals": {"aws:SourceArn": {"Fn::Sub": arn}}}

    def test_is_asked_with_signed_requests(self) -> None:
        control = properties("web", "AccessControl")["OriginAccessControlConfig"]
        assert (control["OriginAccessControlOriginType"], control["SigningBehavior"]) == ("s3", "always")
        assert control["SigningProtocol"] == "sigv4"
        assert ORIGINS["page"]["OriginAccessControlId"] == {"Fn::GetAtt": ["AccessControl", "Id"]}
        assert ORIGINS["page"]["DomainName"] == {"Fn::GetAtt": ["Page", "RegionalDomainName"]}
        assert "WebsiteConfiguration" not in properties("web", "Page")

    def test_may_be_in_two_regions_of_an_account(self) -> None:
        """CloudFront has no regions, and refuses a name that exists."""
        control = properties("web", "AccessControl")["OriginAccessControlConfig"]
        assert control["Name"] == HEADERS["Name"] == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}


class TestDistribution:
    def test_speaks_http_3_and_begins_with_the_page(self) -> None:
        assert DISTRIBUTION["Enabled"] is True
        assert (DISTRIBUTION["HttpVersion"], DISTRIBUTION["DefaultRootObject"]) == ("http2and3", "index.html")

    def test_takes_tls_1_2_and_later_with_a_domain(self) -> None:
        condition, own, given = DISTRIBUTION["ViewerCertificate"]["Fn::If"]
        assert (condition, given) == ("OwnDomain", {"CloudFrontDefaultCertificate": True})
        assert own == {
            "AcmCertificateArn": {"Ref": "CertificateArn"},
            "SslSupportMethod": "sni-only",
            "MinimumProtocolVersion": "TLSv1.2_2021",
        }

    def test_takes_only_https(self) -> None:
        assert {one["ViewerProtocolPolicy"] for one in EVERY} <= {"https-only", "redirect-to-https"}

    def test_only_reads(self) -> None:
        assert all(one["AllowedMethods"] == ["GET", "HEAD"] for one in EVERY)

    def test_passes_errors_of_the_api_on_and_keeps_none(self) -> None:
        """By default, CloudFront gives an error of one query to all queries of the path for 10 seconds."""
        kept = [{"ErrorCode": code, "ErrorCachingMinTTL": 0} for code in (404, 500, 502, 503, 504)]
        assert DISTRIBUTION["CustomErrorResponses"] == kept

    def test_has_a_domain_and_a_web_acl_only_if_they_are_named(self) -> None:
        nothing = {"Ref": "AWS::NoValue"}
        assert DISTRIBUTION["Aliases"] == {"Fn::If": ["OwnDomain", [{"Ref": "DomainName"}], nothing]}
        assert DISTRIBUTION["WebACLId"] == {"Fn::If": ["Filtered", {"Ref": "WebAclArn"}, nothing]}
        names = ("DomainName", "CertificateArn", "HostedZoneId", "WebAclArn")
        assert {default("web", name) for name in names} == {""}
        assert DISTRIBUTION["PriceClass"] == {"Ref": "PriceClass"}
        assert default("web", "PriceClass") == "PriceClass_100"

    def test_takes_only_a_certificate_that_cloudfront_takes(self) -> None:
        pattern = ALL["web"]["Parameters"]["CertificateArn"]["AllowedPattern"]
        arn = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
        assert re.fullmatch(pattern, arn)
        assert not re.fullmatch(pattern, arn.replace("us-east-1", "eu-central-1"))

    @pytest.mark.parametrize(("record", "kind"), [("Address", "A"), ("AddressIpv6", "AAAA")])
    def test_gets_its_records_in_a_hosted_zone(self, record: str, kind: str) -> None:
        assert ALL["web"]["Resources"][record]["Condition"] == "OwnRecords"
        declared = properties("web", record)
        assert declared["HostedZoneId"] == {"Ref": "HostedZoneId"}
        assert (declared["Type"], declared["Name"]) == (kind, {"Ref": "DomainName"})
        assert declared["AliasTarget"]["DNSName"] == {"Fn::GetAtt": ["Distribution", "DomainName"]}


class TestApi:
    def test_is_the_http_api_over_tls(self) -> None:
        host = {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "ApiUrl"}]}]}
        assert ORIGINS["api"]["DomainName"] == host
        assert ORIGINS["api"]["CustomOriginConfig"] == {
            "OriginProtocolPolicy": "https-only",
            "OriginSSLProtocols": ["TLSv1.2"],
        }

    @pytest.mark.parametrize("path", ["/v1/*", "/udf/*"])
    def test_answers_are_never_cached_and_so_never_shared(self, path: str) -> None:
        behaviour = BEHAVIOURS[path]
        assert behaviour["TargetOriginId"] == "api"
        assert behaviour["CachePolicyId"] == CACHING_DISABLED
        assert behaviour["ViewerProtocolPolicy"] == "https-only"  # a token in a request without TLS would be lost

    @pytest.mark.parametrize("path", ["/v1/*", "/udf/*"])
    def test_gets_the_token_the_query_and_the_etag(self, path: str) -> None:
        assert BEHAVIOURS[path]["OriginRequestPolicyId"] == ALL_VIEWER_EXCEPT_HOST_HEADER

    def test_nothing_else_has_another_origin_than_the_page(self) -> None:
        others = [one for one in EVERY if one.get("PathPattern") not in ("/v1/*", "/udf/*")]
        assert {one["TargetOriginId"] for one in others} == {"page"}


class TestPage:
    def test_only_files_that_are_named_by_their_content_are_cached(self) -> None:
        cached = {path for path, one in BEHAVIOURS.items() if one["CachePolicyId"] != CACHING_DISABLED}
        assert cached == {"/assets/*"}
        assert BEHAVIOURS["/assets/*"]["CachePolicyId"] == CACHING_OPTIMIZED
        assert BEHAVIOURS["/assets/*"]["Compress"] is True
        assert DISTRIBUTION["DefaultCacheBehavior"]["CachePolicyId"] == CACHING_DISABLED

    def test_logs_in_by_token(self) -> None:
        by_token, by_client = ALL["web"]["Rules"]["ThePageLogsIn"]["Assertions"]
        assert by_token["Assert"] == {"Fn::Equals": [{"Ref": "ApiAuthentication"}, "jwt"]}
        named = [{"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]} for name in ("JwtIssuer", "LoginClientId")]
        assert by_client["Assert"] == {"Fn::And": named}

    def test_a_domain_needs_a_certificate_and_records_need_a_domain(self) -> None:
        both, records = ALL["web"]["Rules"]["ADomainHasACertificate"]["Assertions"]
        empty = [{"Fn::Equals": [{"Ref": name}, ""]} for name in ("DomainName", "CertificateArn")]
        assert both["Assert"] == {"Fn::Or": [{"Fn::And": empty}, {"Fn::And": [{"Fn::Not": [one]} for one in empty]}]}
        assert records["Assert"]["Fn::Or"][0] == {"Fn::Equals": [{"Ref": "HostedZoneId"}, ""]}


class TestHeaders:
    def test_are_on_every_answer(self) -> None:
        assert all(one["ResponseHeadersPolicyId"] == {"Ref": "Headers"} for one in EVERY)

    def test_let_the_page_run_only_its_own_files_and_call_only_its_login(self) -> None:
        policy = HEADERS["SecurityHeadersConfig"]["ContentSecurityPolicy"]
        assert policy["Override"] is True
        text, names = policy["ContentSecurityPolicy"]["Fn::Sub"]
        directives = {name: values for name, *values in (part.split() for part in text.split(";"))}
        assert directives == {
            "default-src": ["'self'"],
            "connect-src": ["'self'", "https://${IssuerHost}", "${LoginOrigin}"],
            "style-src": ["'self'"],
            "script-src": ["'self'"],
            "img-src": ["'self'", "data:"],
            "object-src": ["'none'"],
            "base-uri": ["'none'"],
            "form-action": ["'none'"],
            "frame-ancestors": ["'none'"],
        }
        assert names == {"IssuerHost": {"Fn::Select": [2, {"Fn::Split": ["/", {"Fn::Sub": "${JwtIssuer}//"}]}]}}

    def test_guard_the_page(self) -> None:
        security = HEADERS["SecurityHeadersConfig"]
        assert security["ContentTypeOptions"] == OVERRIDE
        assert security["FrameOptions"] == {"FrameOption": "DENY"} | OVERRIDE
        assert security["ReferrerPolicy"] == {"ReferrerPolicy": "no-referrer"} | OVERRIDE
        hsts = security["StrictTransportSecurity"]
        assert hsts["AccessControlMaxAgeSec"] >= 365 * 24 * 3600
        assert hsts["Override"] is True

    def test_let_the_page_use_no_device(self) -> None:
        (permissions,) = HEADERS["CustomHeadersConfig"]["Items"]
        assert permissions["Header"] == "Permissions-Policy"
        assert {"camera=()", "geolocation=()", "microphone=()"} <= set(permissions["Value"].split(", "))
