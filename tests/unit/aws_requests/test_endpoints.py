import botocore.session
import pytest
from botocore.regions import EndpointResolver

from aws_requests import WrongEnvironment
from aws_requests.endpoints import endpoint_of, region_of
from processor_lambda.adapters.s3 import url_of_bucket

SERVICES = ("dynamodb", "s3", "sns", "sqs")


@pytest.mark.parametrize("service", SERVICES)
def test_every_region_s_endpoint_is_the_sdk_s(service: str) -> None:
    session = botocore.session.get_session()
    resolver = EndpointResolver(session.get_data("endpoints"))
    for partition in session.get_available_partitions():
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
def test_an_endpoint_is_configured_the_sdk_s_own_way(environment: dict[str, str], endpoint: str) -> None:
    assert endpoint_of("s3", "eu-west-1", environment) == endpoint


def test_a_region_that_nobody_knows_is_told() -> None:
    with pytest.raises(
        WrongEnvironment, match="AWS_REGION: 'moon-1' is no region with s3; if it is, set AWS_ENDPOINT_URL"
    ):
        endpoint_of("s3", "moon-1", {})


def test_the_region_is_the_environment_s() -> None:
    assert region_of({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}) == "eu-west-1"
    assert region_of({"AWS_DEFAULT_REGION": "us-east-1"}) == "us-east-1"
    with pytest.raises(WrongEnvironment, match="AWS_REGION: missing"):
        region_of({"AWS_REGION": ""})


@pytest.mark.parametrize(
    ("bucket", "endpoint", "url"),
    [
        ("quotes", "https://s3.eu-west-1.amazonaws.com", "https://quotes.s3.eu-west-1.amazonaws.com"),
        ("quotes", "https://s3.cn-north-1.amazonaws.com.cn", "https://quotes.s3.cn-north-1.amazonaws.com.cn"),
        ("quotes", "https://s3-fips.us-east-1.amazonaws.com", "https://quotes.s3-fips.us-east-1.amazonaws.com"),
        ("my.quotes", "https://s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com/my.quotes"),
        ("quotes", "http://127.0.0.1:4566/", "http://127.0.0.1:4566/quotes"),
        ("quotes", "http://localstack:4566", "http://localstack:4566/quotes"),
        ("quotes", "https://minio.example.com/s3", "https://minio.example.com/s3/quotes"),
    ],
)
def test_a_bucket_has_a_host_at_amazon_and_a_path_elsewhere(bucket: str, endpoint: str, url: str) -> None:
    assert url_of_bucket(bucket, endpoint) == url
