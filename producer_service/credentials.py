"""The credentials of the daemon's requests: found where the AWS SDK finds them, and looked for again if that may help.

botocore looks for credentials once, when it makes a client, and refreshes them in the middle of a request. So it never
sees credentials that come later, and a helper that hangs stops the thread that sends. Here another thread looks for
them, and a request waits for it only for a moment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import Credentials, ProcessProvider
from botocore.exceptions import CredentialRetrievalError
from botocore.session import Session

from producer_service.errors import CredentialsUnavailable, described

WAIT_SECONDS = 5.0
"""How long a request waits for credentials before it fails."""
RETRY_SECONDS = 5.0
"""The shortest time from the end of one search to the next."""
EARLY_SECONDS = 900
"""How long before they expire new credentials are looked for. Meanwhile the old ones are used."""
SEARCH_SECONDS = 60.0
"""After this long a search is given up, and another one begins. Requests of a search have timeouts of their own."""
HELPER_SECONDS = 20.0
"""How long a `credential_process` may take. After that it is killed."""

Find = Callable[[], Credentials | None]
"""Looks for credentials anew. Returns None if there are none, and may raise anything."""


class RenewedCredentials(Credentials):  # type: ignore[misc]  # botocore has no types
    """Credentials that a client may keep for ever. Thread-safe. `monotonic` returns seconds from any origin."""

    def __init__(
        self, find: Find, *, monotonic: Callable[[], float] = time.monotonic, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        super().__init__("", "", method="renewed")
        self._find = find
        self._monotonic = monotonic
        self._wait_seconds = wait_seconds
        self._changed = threading.Condition()
        self._found: Credentials | None = None
        self._frozen: Any = None
        self._problem = ""
        self._is_looking = False
        self._searches = 0
        self._given_up_at = self._next_search_at = float("-inf")

    def get_frozen_credentials(self) -> Any:
        """The keys for one request. Raises `CredentialsUnavailable` if there are none after a moment."""
        with self._changed:
            if self._frozen is None or self._expires_in(EARLY_SECONDS):
                self._look()
            if self._frozen is None or self._expires_in(0):
                self._changed.wait_for(lambda: not self._is_looking, self._wait_seconds)
            if self._is_looking and (self._frozen is None or self._expires_in(0)):
                raise CredentialsUnavailable("the search for AWS credentials has not ended yet")
            if self._frozen is None:
                raise CredentialsUnavailable(self._problem)
            return self._frozen

    def renew(self) -> None:
        """Look for credentials again before the next request, because a request was refused."""
        with self._changed:
            if self._monotonic() >= self._next_search_at:
                self._frozen = None

    def _expires_in(self, seconds: float) -> bool:
        needs_refresh = getattr(self._found, "refresh_needed", None)
        return needs_refresh is not None and bool(needs_refresh(seconds))

    def _look(self) -> None:
        now = self._monotonic()
        if now < (self._given_up_at if self._is_looking else self._next_search_at):
            return
        self._is_looking = True
        self._searches += 1
        self._given_up_at = now + SEARCH_SECONDS
        try:
            threading.Thread(target=self._search, args=(self._searches,), name="credentials", daemon=True).start()
        except BaseException:
            self._is_looking = False
            raise

    def _search(self, number: int) -> None:
        found = frozen = None
        problem = "no AWS credentials were found; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        try:
            found = self._find()
            frozen = None if found is None else _checked(found.get_frozen_credentials())
        except BaseException as error:  # noqa: BLE001  (whatever a provider or a helper raises)
            problem = f"no AWS credentials: {described(error)}"
        with self._changed:
            if number != self._searches:  # it took too long, and another one has begun
                return
            if frozen is not None or self._expires_in(0):
                self._found, self._frozen = found, frozen
            self._problem = problem
            self._is_looking = False
            self._next_search_at = self._monotonic() + RETRY_SECONDS
            self._changed.notify_all()


def session_with(credentials: Credentials) -> boto3.Session:
    """A session whose clients use some credentials. Everything else is as the environment and the AWS files say."""
    session = Session()
    session.register_component("credential_provider", _Only(credentials))
    return boto3.Session(botocore_session=session)


def find_credentials() -> Credentials | None:
    """Look for credentials as the SDK does, in a new session. A helper that hangs is killed."""
    session = Session()
    # Providers such as AssumeRole send requests of their own.
    session.set_default_client_config(
        Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
    )
    providers = session.get_component("credential_provider")
    profile = session.get_config_variable("profile") or "default"
    providers.insert_before(
        ProcessProvider.METHOD, ProcessProvider(profile, lambda: session.full_config, popen=_BoundedProcess)
    )
    return providers.load_credentials()


def _checked(frozen: Any) -> Any:
    """Credentials whose parts are texts that a header can hold. A helper may print anything."""
    for part in (frozen.access_key, frozen.secret_key, frozen.token or "none"):
        if not (isinstance(part, str) and part.isascii() and part.isprintable() and part):
            raise ValueError("a part of the credentials is no text")
    return frozen


class _Only:
    """A credential provider that has only one answer."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Credentials:
        return self._credentials


class _BoundedProcess(subprocess.Popen[bytes]):
    """A helper process in a session of its own, so that it can be killed with all its children."""

    def __init__(self, command: list[str], **options: Any) -> None:
        super().__init__(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:  # noqa: A002
        try:
            return super().communicate(input, HELPER_SECONDS if timeout is None else timeout)
        except BaseException as error:
            with suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
            self.wait()
            for pipe in (self.stdout, self.stderr):
                if pipe is not None:
                    pipe.close()
            raise CredentialRetrievalError(
                provider=ProcessProvider.METHOD, error_msg=f"the helper was killed: {error}"
            ) from error
