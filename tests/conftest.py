"""What tests of several kinds share: recordings and a stand-in of Yahoo, which are no part of this repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import yahoo_standin

pytest.register_assert_rewrite("tests.support.same_results", "tests.support.queues")

RECORDINGS = "STOCKSTREAM_RECORDINGS"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded market data: `yahoo/` bodies, `minute/eqker/` bars."""
    return _folder(RECORDINGS, "recorded market data")


@pytest.fixture(scope="session")
def yahoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[yahoo_standin.YahooStandin]:
    """A running stand-in of Yahoo, one for the whole run: reset it before use."""
    folder = _folder(yahoo_standin.VARIABLE, "a stand-in of Yahoo")
    with yahoo_standin.running(folder, tmp_path_factory.mktemp("yahoo")) as standin:
        yield standin


def _folder(variable: str, what: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set: it names the folder of {what}, which is not in this repository")
    return Path(value)
