from __future__ import annotations

from pathlib import Path

import pytest
from pyiceberg.utils.concurrent import ExecutorFactory

from tests.fakes.compacted_archive import CompactedArchive, Inline


@pytest.fixture(autouse=True)
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    Inline.use(monkeypatch, ExecutorFactory)


@pytest.fixture
def archive(tmp_path: Path) -> CompactedArchive:
    return CompactedArchive(tmp_path)
