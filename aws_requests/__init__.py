"""A small signed HTTPS client for AWS, shared by the Lambda functions.

It replaces boto3 there. Importing boto3 takes three quarters of a cold start, and its serializers take most of the CPU
of a request (`python -m benchmarks.processing` measures both). The client knows no service and no operation. It signs
a request, sends it over a connection that stays open, retries if that can help, and returns the response or raises one
of the errors in `aws_requests.errors`.
"""

from aws_requests.credentials import Credentials, credentials_of
from aws_requests.endpoints import endpoint_of, region_of
from aws_requests.errors import Refused, RequestError, Unavailable, WrongEnvironment
from aws_requests.service import ATTEMPTS, NOT_MODIFIED, Service, attempts

__all__ = [
    "ATTEMPTS",
    "NOT_MODIFIED",
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
