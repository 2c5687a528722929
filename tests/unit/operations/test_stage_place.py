"""The operator's commands do not work on a stage of another account or region."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from operations.errors import WrongUsage
from operations.stage_place import check_place

STS = SimpleNamespace(
    get_caller_identity=lambda: {"Account": "111122223333"}, meta=SimpleNamespace(region_name="eu-central-1")
)


def stage_file(folder: Path, text: str) -> Path:
    path = folder / "prod.env"
    path.write_text(text)
    return path


def test_the_named_account_and_region_are_right(tmp_path: Path) -> None:
    check_place(
        stage_file(tmp_path, "# the stage\nAccount=111122223333\n\nRegion=eu-central-1\nLanes=4\n"), lambda: STS
    )


@pytest.mark.parametrize("line", ["Account=444455556666", "Region=us-east-1"])
def test_another_account_or_region_is_refused(tmp_path: Path, line: str) -> None:
    file = stage_file(tmp_path, f"Lanes=4\n{line}\n")
    with pytest.raises(WrongUsage, match=f"{line}, but the credentials lead to account 111122223333, region eu-c"):
        check_place(file, lambda: STS)


def test_a_stage_without_them_asks_nobody(tmp_path: Path) -> None:
    check_place(stage_file(tmp_path, "#Account=444455556666\n"), pytest.fail)
    check_place(tmp_path / "none.env", pytest.fail)
