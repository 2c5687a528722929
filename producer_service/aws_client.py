"""A client of an AWS service whose credentials may come late and change, and which is made once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    ConnectTimeoutError,
    InvalidRegionError,
    NoRegionError,
    ProfileNotFound,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from producer_service.credentials import RenewedCredentials, find_credentials, session_with
from producer_service.errors import ConfigurationError, CredentialsUnavailable, described
from producer_service.stream import PutFailure
from terminal.masking import masked

_THROTTLES = {
    "ProvisionedThroughputExceededException",
    "KMSThrottlingException",
    "LimitExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
}
_INTERNAL = {"InternalFailure", "InternalError", "ServiceUnavailable", "InternalServerError"}


class AwsClient:
    """Makes a client on its first use, and keeps it. `prepare` is called with the new client.

    The constructor tries once. It raises `ConfigurationError` for a mistake in region or endpoint. Anything else, such
    as a profile that is not there yet, may pass, so each use tries again.
    """

    def __init__(self, service: str, config: Config, prepare: Callable[[Any], None] = lambda _: None) -> None:
        self._service = service
        self._config = config
        self._prepare = prepare
        self._credentials = RenewedCredentials(find_credentials)
        self._lock = threading.Lock()
        self._client: Any = None
        try:
            _check_endpoint(self.get().meta.endpoint_url)
        except NoRegionError as error:
            raise ConfigurationError(
                [f"AWS_DEFAULT_REGION: missing; the SDK needs it, or a profile with a region, to find {service}"]
            ) from error
        except (InvalidRegionError, ValueError) as error:
            raise ConfigurationError([f"the AWS settings of the environment are wrong: {error}"]) from error
        except Exception:  # noqa: BLE001, S110  (the first request tries again, and reports it)
            pass

    def get(self) -> Any:
        """The boto3 client. Raises whatever the SDK raises if it cannot be made now."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    client: Any = session_with(self._credentials).client(self._service, config=self._config)
                    self._prepare(client)
                    self._client = client
        return self._client

    def renew_credentials(self) -> None:
        """Look for credentials again before the next request, because the last one was refused."""
        self._credentials.renew()


def _check_endpoint(url: str) -> None:
    """Raise `ValueError` for an endpoint with which every request would fail. The SDK notices it at the first one."""
    parts = urlsplit(url)
    try:
        is_usable = parts.port != 0 and bool(parts.hostname) and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:  # the port is no number, or too large
        is_usable = False
    if not is_usable or parts.scheme not in ("http", "https"):
        raise ValueError(
            f"{masked(url)} is no endpoint; write http:// or https://, a host and a port, "
            "and a / ? or # of a password as %2F, %3F or %23"
        )


def failure_of(error: BaseException) -> PutFailure:
    """The kind of an error that a request raised."""
    match error:
        case ClientError():
            return failure_of_code(error.response.get("Error", {}).get("Code", ""))
        case ReadTimeoutError() | ConnectTimeoutError() | TimeoutError():
            return "timeout"
        case CredentialsUnavailable() | ProfileNotFound() | ConfigParseError():
            return "refused"
        case BotoCoreError() | ResponseParserError() | OSError() | HTTPError():
            return "connection"
    return "unexpected"


def in_words(error: BaseException) -> str:
    """An error in one line. Errors of the SDK speak for themselves too."""
    return str(error) if isinstance(error, ClientError | BotoCoreError | ResponseParserError) else described(error)


def failure_of_code(code: str) -> PutFailure:
    """The kind of an error code of a service."""
    if code in _THROTTLES:
        return "throttled"
    return "internal" if code in _INTERNAL or code.isdigit() else "refused"
