"""Credentials that are looked for again, without AWS and with a clock that the test controls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from botocore.credentials import Credentials, RefreshableCredentials

from producer_service.credentials import RETRY_SECONDS, SEARCH_SECONDS, RenewedCredentials
from producer_service.errors import CredentialsUnavailable
from tests.fakes.fault import ERRORS

PATIENCE_SECONDS = 10.0


class Bench:
    """Credentials over a list of answers, of which the last one is repeated."""

    def __init__(self, *answers: Credentials | Callable[[], BaseException] | None) -> None:
        self.now = 0.0
        self.searches = 0
        self.answers = list(answers)
        self.credentials = RenewedCredentials(self._find, monotonic=lambda: self.now, wait_seconds=PATIENCE_SECONDS)

    def _find(self) -> Credentials | None:
        self.searches += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None or isinstance(answer, Credentials):
            return answer
        raise answer()

    def key(self) -> str:
        key: str = self.credentials.get_frozen_credentials().access_key
        return key


def keys(name: str) -> Credentials:
    return Credentials(name, "secret")


def expiring(name: str, after: timedelta) -> Credentials:
    return RefreshableCredentials(
        name,
        "secret",
        "token",
        datetime.now(UTC) + after,
        lambda: {
            "access_key": name,
            "secret_key": "secret",
            "token": "token",
            "expiry_time": (datetime.now(UTC) + after).isoformat(),
        },
        "custom-process",
    )


@pytest.mark.parametrize("error", ERRORS)
def test_after_any_error_they_are_looked_for_again(error: str) -> None:
    bench = Bench(ERRORS[error], keys("good"))
    with pytest.raises(CredentialsUnavailable):
        bench.key()
    bench.now = RETRY_SECONDS
    assert bench.key() == "good"


def test_credentials_that_are_absent_at_first_are_found_later() -> None:
    bench = Bench(None, keys("late"))
    with pytest.raises(CredentialsUnavailable, match="set AWS_PROFILE"):
        bench.key()
    bench.now = RETRY_SECONDS
    assert bench.key() == "late"


def test_a_search_follows_another_only_after_a_pause() -> None:
    bench = Bench(None)
    for _ in range(5):
        with pytest.raises(CredentialsUnavailable):
            bench.key()
    assert bench.searches == 1


def test_keys_are_looked_for_once_until_a_request_is_refused() -> None:
    bench = Bench(keys("old"), keys("rotated"))
    assert [bench.key() for _ in range(3)] == ["old"] * 3
    bench.credentials.renew()
    assert bench.key() == "old", "they were found just now"
    bench.now = RETRY_SECONDS
    bench.credentials.renew()
    assert bench.key() == "rotated"
    assert bench.searches == 2


def test_keys_that_were_refused_are_not_used_again_when_the_search_fails() -> None:
    bench = Bench(keys("old"), None)
    bench.key()
    bench.now = RETRY_SECONDS
    bench.credentials.renew()
    with pytest.raises(CredentialsUnavailable):
        bench.key()


def test_keys_that_are_expired_when_they_are_found_are_an_error() -> None:
    bench = Bench(expiring("expired", timedelta(seconds=-1)))
    with pytest.raises(CredentialsUnavailable, match="still expired"):
        bench.key()


def test_keys_that_expire_soon_are_used_while_new_ones_are_looked_for() -> None:
    bench = Bench(expiring("old", timedelta(minutes=5)), keys("new"))
    assert bench.key() == "old"
    bench.now = RETRY_SECONDS
    assert bench.key() in ("old", "new")
    with bench.credentials._changed:
        assert bench.credentials._changed.wait_for(lambda: not bench.credentials._is_looking, PATIENCE_SECONDS)
    assert bench.key() == "new"


def test_keys_that_expire_soon_are_kept_when_the_search_fails() -> None:
    bench = Bench(expiring("old", timedelta(minutes=5)), ERRORS["helper failed"])
    assert bench.key() == "old"
    bench.now = RETRY_SECONDS
    assert bench.key() == "old"


@pytest.fixture
def hanging() -> Iterator[tuple[RenewedCredentials, threading.Event, list[int]]]:
    released, searches = threading.Event(), [0]

    def find() -> Credentials:
        searches[0] += 1
        released.wait()
        return keys("slow")

    yield RenewedCredentials(find, monotonic=lambda: 0.0, wait_seconds=0.01), released, searches
    released.set()


def test_a_search_that_hangs_holds_no_request_up_and_is_not_started_twice(
    hanging: tuple[RenewedCredentials, threading.Event, list[int]],
) -> None:
    credentials, released, searches = hanging
    for _ in range(5):
        with pytest.raises(CredentialsUnavailable, match="has not ended yet"):
            credentials.get_frozen_credentials()
    assert searches == [1]
    released.set()
    with credentials._changed:
        assert credentials._changed.wait_for(lambda: not credentials._is_looking, PATIENCE_SECONDS)
    assert credentials.get_frozen_credentials().access_key == "slow"


def test_a_search_that_never_ends_is_given_up_and_its_answer_does_not_count() -> None:
    released, searches, clock = threading.Event(), [0], [0.0]

    def find() -> Credentials:
        searches[0] += 1
        if searches[0] == 1:
            released.wait()
            return keys("too late")
        return keys("good")

    credentials = RenewedCredentials(find, monotonic=lambda: clock[0], wait_seconds=0.01)
    with pytest.raises(CredentialsUnavailable):
        credentials.get_frozen_credentials()
    first = next(thread for thread in threading.enumerate() if thread.name == "credentials")
    clock[0] = SEARCH_SECONDS
    credentials._wait_seconds = PATIENCE_SECONDS
    assert credentials.get_frozen_credentials().access_key == "good"
    released.set()
    first.join(PATIENCE_SECONDS)
    assert credentials.get_frozen_credentials().access_key == "good"
