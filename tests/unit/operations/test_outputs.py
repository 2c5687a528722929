"""The outputs that name a deployment's resources."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.errors import WrongUsage
from operations.outputs import read_file, required


def test_outputs_are_read_as_deployment_wrote_them(tmp_path: Path) -> None:
    path = tmp_path / "outputs"
    path.write_text("StreamName=quotes\nQuarantineQueueUrl=http://queue?a=b\n")
    outputs = read_file(path)
    assert required(outputs, "QuarantineQueueUrl") == "http://queue?a=b"
    with pytest.raises(WrongUsage, match="the outputs have no ArchiveBucket"):
        required(outputs, "ArchiveBucket")


def test_a_file_in_another_format_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "outputs"
    path.write_text("StreamName=quotes\nrubbish\n")
    with pytest.raises(WrongUsage, match="line 2 is not NAME=VALUE"):
        read_file(path)
    with pytest.raises(WrongUsage, match="cannot be read"):
        read_file(tmp_path / "none")


def test_a_byte_order_mark_is_no_part_of_the_first_name_and_utf_16_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outputs"
    path.write_text("StreamName=quotes\n", encoding="utf-8-sig")
    assert read_file(path) == {"StreamName": "quotes"}
    path.write_text("StreamName=quotes\n", encoding="utf-16")
    with pytest.raises(WrongUsage, match=r"outputs is not UTF-8 but UTF-16; save it as UTF-8"):
        read_file(path)
