"""The URL of a bucket: a host name of its own at Amazon, a path at other endpoints."""

import pytest

from processor_lambda.adapters.s3 import url_of_bucket


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
