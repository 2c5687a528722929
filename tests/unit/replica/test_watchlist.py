"""The demo's producer reads its symbols where a person can change them, unless the user says otherwise."""

from __future__ import annotations

from unittest import mock

import pytest

from configuration import WATCHLIST_KEY
from replica import watchlist
from watchlist import SYNTHETIC_SYMBOLS, written

ADDRESS = f"s3://archive/{WATCHLIST_KEY}"


class Target:
    """See `ConfigurationObject`."""

    address = ADDRESS

    def __init__(self, *_: object) -> None:
        self.written = b""

    def read(self) -> None:
        return None

    def write(self, content: bytes, read: None) -> None:  # noqa: ARG002
        self.written = content


@pytest.fixture
def target() -> Target:
    return Target()


def environment(target: Target, **settings: str) -> dict[str, str]:
    of_producer = {f"PRODUCER_{name}": value for name, value in {"SOURCE": "synthetic", **settings}.items()}
    with mock.patch.object(watchlist, "ConfigurationObject", return_value=target):
        return watchlist.with_watchlist(of_producer, None, "archive")


def test_the_symbols_are_in_the_bucket(target: Target) -> None:
    made = environment(target, SYMBOLS="KO, PEP,KO")
    assert "PRODUCER_SYMBOLS" not in made
    assert (made["PRODUCER_WATCHLIST"], target.written) == (ADDRESS, written(["KO", "PEP"]))


def test_without_symbols_they_are_those_of_the_simulated_market(target: Target) -> None:
    environment(target)
    assert target.written == written(SYNTHETIC_SYMBOLS)


@pytest.mark.parametrize("settings", [{"SOURCE": "replay", "SYMBOLS": "KO"}, {"WATCHLIST": "mine.toml"}])
def test_a_recording_and_a_watchlist_of_the_user_stay_as_they_are(target: Target, settings: dict[str, str]) -> None:
    made = environment(target, **settings)
    assert made == {f"PRODUCER_{name}": value for name, value in {"SOURCE": "synthetic", **settings}.items()}
    assert target.written == b""
