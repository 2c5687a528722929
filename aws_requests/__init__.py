"""A small signed HTTPS client for AWS, shared by the Lambda functions.

It replaces boto3 in their hot path: importing boto3 is three quarters of a cold start, and its serializers are most of
the CPU of a stored row (`python -m benchmarks.processing`). It knows no operation, no service and no quote. It signs a
request, sends it over a connection that stays open, retries what is worth retrying, and says what became of it.
"""

from aws_requests.credentials import Credentials, credentials_of
from aws_requests.endpoints import endpoint_of, region_of
from aws_requests.errors import Refused, RequestError, Unavailable, WrongEnvironment
from aws_requests.service import ATTEMPTS, Service, attempts

__all__ = [
    "ATTEMPTS",
    "Credentials",
    "Refused",
    "RequestError",
    "Service",
    "Unavailable",
    "WrongEnvironment",
    "attempts",
    "credentials_of",
    "endpoint_of",
    "region_of",
]
