"""What tests of several kinds share: a local Yahoo, and recorded market data, which is not in this repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.yahoo.local_yahoo import LocalYahoo, running

pytest.register_assert_rewrite("tests.support.same_results", "tests.support.queues")

RECORDINGS = "STOCKSTREAM_RECORDINGS"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded market data: `yahoo/` bodies, `minute/eqker/` bars."""
    value = os.environ.get(RECORDINGS)
    if not value:
        pytest.skip(
            f"{RECORDINGS} is not set: it names the folder of recorded market data, which is not published here"
        )
    return Path(value)


@pytest.fixture(scope="session")
def yahoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalYahoo]:
    """A local Yahoo for the whole session. Reset it before use."""
    with running(tmp_path_factory.mktemp("yahoo"), "--stream-interval", "0.05") as local:
        yield local
