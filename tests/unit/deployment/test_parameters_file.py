"""A file of parameters such as infra/stages/dev.env."""

from pathlib import Path

import pytest
import typer

from deployment.cli import _parameters


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_comments_and_empty_lines_are_left_out(tmp_path: Path, encoding: str, line_end: str) -> None:
    path = tmp_path / "dev.env"
    path.write_bytes(line_end.join(["ShardCount=2", "", "# a comment", "Source=yahoo"]).encode(encoding))
    assert _parameters(path, ["ShardCount=3"]) == {"ShardCount": "3", "Source": "yahoo"}


def test_a_file_in_utf_16_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dev.env"
    path.write_text("ShardCount=2", encoding="utf-16")
    with pytest.raises(typer.BadParameter, match="the file is not UTF-8 but UTF-16; save it as UTF-8"):
        _parameters(path, [])
