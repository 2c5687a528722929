"""Clients of boto3, and its errors translated into those of the commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

from operations.errors import Unavailable, WrongUsage

_CONFIG = Config(connect_timeout=3, read_timeout=30, retries={"mode": "standard", "max_attempts": 5})
_INVALID_CREDENTIALS = {
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "ExpiredToken",
}
_THIS_MACHINE = {"127.0.0.1", "localhost", "::1"}
_MISSING_RESOURCE = {
    "ResourceNotFoundException",
    "NoSuchBucket",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
}


def client(service: str, **settings: Any) -> Any:
    """A client of a service. The SDK finds endpoint, region and credentials. Raises `WrongUsage`."""
    with translated_errors(service):
        return boto3.client(service, config=_CONFIG.merge(Config(**settings)))


@contextmanager
def translated_errors(resource: str) -> Iterator[None]:
    """Raise what boto3 raises as `WrongUsage` or `Unavailable`, with the name of the resource in the message."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        kind = WrongUsage if code in _INVALID_CREDENTIALS | _MISSING_RESOURCE else Unavailable
        raise kind(f"{resource}: {error}") from error
    except NoRegionError as error:
        raise WrongUsage("no region: set AWS_DEFAULT_REGION, or set AWS_PROFILE to a profile with a region") from error
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise WrongUsage(
            f"{error}: set AWS_PROFILE to a profile that exists, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    except (exceptions.ConnectionError, HTTPClientError) as error:  # refused, cut off, or no answer in time
        raise Unavailable(_no_answer(resource, error)) from error
    except (BotoCoreError, ValueError) as error:  # boto3 raises a ValueError for an invalid endpoint URL
        raise Unavailable(f"{resource}: {error}") from error


def _no_answer(resource: str, error: BotoCoreError) -> str:
    """What to say if an address does not answer. The SDK has tried it several times by then."""
    url = urlsplit(str(error.kwargs.get("endpoint_url") or ""))
    if url.hostname in _THIS_MACHINE:
        advice = "if it was a demo, it has ended or is busy: see whether it runs, or start it again with `make demo`"
    else:
        advice = "see whether this machine reaches it, then run the command again"
    place = f"{url.scheme}://{url.netloc} does not answer" if url.netloc else f"AWS does not answer ({error})"
    return f"{resource}: {place}: {advice}"
