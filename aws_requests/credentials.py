"""The keys that sign requests. They come from Lambda's environment, or from the credential chain of the AWS SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from aws_requests.errors import Unavailable
from aws_requests.signature import Keys


class Credentials(Protocol):
    """A source of keys."""

    def keys(self) -> Keys:
        """The current keys. Raises `Unavailable` if there are none."""

    def renew(self) -> None:
        """Load the keys again, because AWS says that they have expired."""


class EnvironmentCredentials:
    """The keys in `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, as Lambda sets them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.renew()

    def keys(self) -> Keys:
        """See `Credentials`."""
        return self._keys

    def renew(self) -> None:
        """See `Credentials`."""
        environment = self._environment
        self._keys = Keys(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN") or environment.get("AWS_SECURITY_TOKEN"),
        )


class ChainCredentials:
    """The keys that botocore's chain finds: of a profile, a container's endpoint (as with SnapStart), or a role.

    botocore refreshes them.
    """

    def __init__(self) -> None:
        self._found: Any = None

    def keys(self) -> Keys:
        """See `Credentials`."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415  (importing it takes longer than a cold start)
        from botocore.session import get_session  # noqa: PLC0415  (so does this)

        try:
            if self._found is None:
                self._found = get_session().get_credentials()
            if self._found is None:
                raise Unavailable(
                    "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source of the SDK"
                )
            frozen = self._found.get_frozen_credentials()
        except BotoCoreError as error:
            raise Unavailable(f"AWS credentials: {error}") from error
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)

    def renew(self) -> None:
        """See `Credentials`."""
        self._found = None


def credentials_of(environment: Mapping[str, str]) -> Credentials:
    """The source of keys that an environment names. The environment is read again when the keys expire."""
    if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        return EnvironmentCredentials(environment)
    return ChainCredentials()
