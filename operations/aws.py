"""boto3's clients and boto3's errors, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

from operations.errors import Unavailable, WrongUsage

_CONFIG = Config(connect_timeout=3, read_timeout=30, retries={"mode": "standard", "max_attempts": 5})
_NOBODY = {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "ExpiredToken"}
_NOT_THERE = {
    "ResourceNotFoundException",
    "NoSuchBucket",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
}


def client(service: str, **settings: Any) -> Any:
    """A client of one service. Endpoint, region and credentials come the SDK's own way. Raises `WrongUsage`."""
    with answered(service):
        return boto3.client(service, config=_CONFIG.merge(Config(**settings)))


@contextmanager
def answered(what: str) -> Iterator[None]:
    """Turn what boto3 raises into `WrongUsage` or `Unavailable`, which name `what` it was about."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        kind = WrongUsage if code in _NOBODY | _NOT_THERE else Unavailable
        raise kind(f"{what}: {error}") from error
    except NoRegionError as error:
        raise WrongUsage("no region: set AWS_DEFAULT_REGION, or AWS_PROFILE to a profile that has one") from error
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise WrongUsage(f"{error}: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") from error
    except (BotoCoreError, ValueError) as error:  # a ValueError is a wrong endpoint URL
        raise Unavailable(f"{what}: {error}") from error
