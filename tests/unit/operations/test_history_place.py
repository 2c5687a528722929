"""Where `compact` and `export` find the catalog of the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from compaction.directory import DirectoryArchive
from operations import history_place
from workspace import demo_record
from workspace.places import STATE


class Bucket:
    root = "s3://archive"


class Glue:
    """Glue with some databases, or of an emulator that has no Glue."""

    def __init__(self, *databases: str) -> None:
        self._databases = databases

    def get_database(self, *, Name: str) -> dict[str, Any]:  # noqa: N803  (Glue's name)
        if Name in self._databases:
            return {}
        raise ClientError({"Error": {"Code": "EntityNotFoundException", "Message": "none"}}, "GetDatabase")


@pytest.mark.parametrize(
    ("databases", "stage", "is_emulated", "expected"),
    [
        ((), "prod", False, "glue"),  # without the database, the command says what to deploy
        (("d",), "demo", True, "glue"),
        ((), "demo-2", True, f"sqlite:///{demo_record.DIRECTORY}/demo-2.catalog.db"),
        ((), "dev", True, f"sqlite:///{STATE}/catalogs/archive.db"),
    ],
)
def test_a_bucket_has_glue_unless_an_emulator_lacks_the_database(
    databases: tuple[str, ...], stage: str, *, is_emulated: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_place, "client", lambda _service: Glue(*databases))
    archive: Any = Bucket()
    assert history_place._default_catalog(archive, "d", stage, is_emulated=is_emulated) == expected


def test_a_directory_has_its_catalog_beside_the_tables(tmp_path: Path) -> None:
    found = history_place._default_catalog(DirectoryArchive(tmp_path), "d", "dev", is_emulated=False)
    assert found == f"sqlite:///{tmp_path}/compacted/catalog.db"
