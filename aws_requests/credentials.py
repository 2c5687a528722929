"""The keys that requests are signed with: Lambda's, from the environment, or whatever the SDK's own chain finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from aws_requests.errors import Unavailable
from aws_requests.signature import Keys


class Credentials(Protocol):
    """Where keys come from."""

    def keys(self) -> Keys:
        """The keys of now. Raises `Unavailable` if there are none."""

    def renew(self) -> None:
        """Look again where they came from: AWS says that they have expired."""


class EnvironmentCredentials:
    """`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, as Lambda sets them."""

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
    """botocore's chain: a profile, a container's endpoint (so under SnapStart), a role. It refreshes them."""

    def __init__(self) -> None:
        self._found: Any = None

    def keys(self) -> Keys:
        """See `Credentials`."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415  (most of what a cold start would cost)
        from botocore.session import get_session  # noqa: PLC0415  (so does this)

        try:
            if self._found is None:
                self._found = get_session().get_credentials()
            if self._found is None:
                raise Unavailable("no AWS credentials: neither in the environment nor anywhere that the SDK looks")
            frozen = self._found.get_frozen_credentials()
        except BotoCoreError as error:
            raise Unavailable(f"AWS credentials: {error}") from error
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)

    def renew(self) -> None:
        """See `Credentials`."""
        self._found = None


def credentials_of(environment: Mapping[str, str]) -> Credentials:
    """Where the keys come from in an environment, which is read again when they expire."""
    if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        return EnvironmentCredentials(environment)
    return ChainCredentials()
