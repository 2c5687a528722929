"""The endpoints that the client finds are those that the AWS SDK finds."""

import botocore.session
import pytest
from botocore.regions import EndpointResolver

from aws_requests import WrongEnvironment
from aws_requests.endpoints import endpoint_of, region_of

SERVICES = ("dynamodb", "s3", "sns", "sqs")


def test_the_endpoint_of_every_region_is_the_sdk_s() -> None:
    session = botocore.session.get_session()
    resolver = EndpointResolver(session.get_data("endpoints"))
    for partition in session.get_available_partitions():
        for service in SERVICES:
            for region in session.get_available_regions(service, partition_name=partition):
                expected = f"https://{resolver.construct_endpoint(service, region)['hostname']}"
                assert endpoint_of(service, region, {}) == expected


@pytest.mark.parametrize(
    ("environment", "endpoint"),
    [
        ({"AWS_ENDPOINT_URL": "http://here:1"}, "http://here:1"),
        ({"AWS_ENDPOINT_URL": "http://here:1", "AWS_ENDPOINT_URL_S3": "http://there:2"}, "http://there:2"),
        ({"AWS_ENDPOINT_URL": "http://here:1", "AWS_ENDPOINT_URL_SQS": "http://there:2"}, "http://here:1"),
        (
            {"AWS_ENDPOINT_URL": "http://here:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://s3.eu-west-1.amazonaws.com",
        ),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "https://s3-fips.eu-west-1.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://s3.dualstack.eu-west-1.amazonaws.com"),
    ],
)
def test_an_endpoint_is_configured_as_for_the_sdk(environment: dict[str, str], endpoint: str) -> None:
    assert endpoint_of("s3", "eu-west-1", environment) == endpoint


def test_an_unknown_region_is_reported() -> None:
    with pytest.raises(
        WrongEnvironment,
        match="AWS_REGION: 'moon-1' is not a known region of s3; correct it, or set AWS_ENDPOINT_URL",
    ):
        endpoint_of("s3", "moon-1", {})


def test_the_region_is_read_from_the_environment() -> None:
    assert region_of({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}) == "eu-west-1"
    assert region_of({"AWS_DEFAULT_REGION": "us-east-1"}) == "us-east-1"
    with pytest.raises(WrongEnvironment, match="AWS_REGION: missing; set it to a region such as eu-west-1"):
        region_of({"AWS_REGION": ""})
