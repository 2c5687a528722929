from __future__ import annotations

from pathlib import Path

import pytest

from operations.errors import WrongUsage
from operations.outputs import named, of_file


def test_outputs_are_read_as_deploy_wrote_them(tmp_path: Path) -> None:
    path = tmp_path / "outputs"
    path.write_text("StreamName=quotes\nQuarantineQueueUrl=http://queue?a=b\n")
    outputs = of_file(path)
    assert named(outputs, "QuarantineQueueUrl") == "http://queue?a=b"
    with pytest.raises(WrongUsage, match="the outputs have no ArchiveBucket"):
        named(outputs, "ArchiveBucket")


def test_another_file_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "outputs"
    path.write_text("StreamName=quotes\nrubbish\n")
    with pytest.raises(WrongUsage, match="line 2 is not NAME=VALUE"):
        of_file(path)
    with pytest.raises(WrongUsage, match="cannot be read"):
        of_file(tmp_path / "none")
