"""A function is not deployed over lane states that it cannot read, nor where a rollback would leave such states."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from deployment.errors import DeploymentError
from deployment.functions import PROCESSOR, ROOT
from deployment.state_versions import FORMATS, check_zip, versions_in
from lane_state import codec
from processor_lambda import indicators

HELD = {"CodeBucket": "code", "CodeKey": "processor/old.zip"}


def zip_of(writes: int, reads: int, module: str = "lane_state/codec.py") -> bytes:
    """A zip whose function writes and reads these versions of one format."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(module, f'WRITES = {writes}\n"""Text."""\nREADS = {reads}\n')
    return content.getvalue()


def check(deployed: bytes | str, new: bytes, folder: Path, held: dict[str, str] = HELD) -> list[str]:
    """Compare a deployed zip, or the error of S3 in its place, with a new one. Returns what is reported."""
    path = folder / "new.zip"
    path.write_bytes(new)
    s3: Any = boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    reports: list[str] = []
    with Stubber(s3) as stubber:
        if isinstance(deployed, str):
            stubber.add_client_error("get_object", deployed, "no")
        else:
            stubber.add_response("get_object", {"Body": StreamingBody(io.BytesIO(deployed), len(deployed))})
        check_zip(s3, held, path, reports.append)
    return reports


@pytest.mark.parametrize(
    ("deployed", "new"),
    [((1, 1), (1, 1)), ((1, 1), (1, 2)), ((1, 2), (2, 2)), ((2, 2), (1, 2)), ((1, 2), (1, 1))],
    ids=["same", "reads the next", "writes the next", "back by one", "back by two"],
)
def test_each_release_may_follow_the_one_before_it_and_be_rolled_back(
    deployed: tuple[int, int], new: tuple[int, int], tmp_path: Path
) -> None:
    assert check(zip_of(*deployed), zip_of(*new), tmp_path) == []


@pytest.mark.parametrize("module", FORMATS.values())
def test_a_function_does_not_go_back_over_a_state_that_it_cannot_read(module: str, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError) as refused:
        check(zip_of(2, 2, module), zip_of(1, 1, module), tmp_path)
    said = str(refused.value)
    assert said.startswith("nothing was deployed:\nthe deployed function writes ")
    assert "of version 2, but this one reads only up to 1" in said
    assert said.endswith(f"Deploy a commit whose {module} has READS = 2 or more.")


def test_a_function_does_not_skip_the_release_to_which_it_could_be_rolled_back(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=r"First deploy .* READS = 2, but WRITES = 1 or less\.$"):
        check(zip_of(1, 1), zip_of(2, 2), tmp_path)


def test_a_deployed_zip_from_before_the_rule_writes_version_1(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("lane_state/codec.py", "VERSION = 1\n")
    assert check(content.getvalue(), zip_of(1, 2), tmp_path) == []
    with pytest.raises(DeploymentError, match="rollback"):
        check(content.getvalue(), zip_of(2, 2), tmp_path)


def test_a_first_deployment_has_nothing_to_read(tmp_path: Path) -> None:
    assert check("AccessDenied", zip_of(2, 2), tmp_path, held={}) == []


def test_a_deployed_zip_that_is_gone_is_reported(tmp_path: Path) -> None:
    (line,) = check("NoSuchKey", zip_of(1, 1), tmp_path)
    assert "s3://code/processor/old.zip is gone" in line
    with pytest.raises(DeploymentError, match=r"AWS rejected reading s3://code/processor/old\.zip"):
        check("AccessDenied", zip_of(1, 1), tmp_path)


@pytest.mark.parametrize("module", [codec, indicators])
def test_a_release_writes_the_version_that_it_reads_or_the_one_before(module: Any) -> None:
    assert module.READS - 1 <= module.WRITES <= module.READS


def test_the_numbers_are_found_in_our_own_modules() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in FORMATS.values():
            archive.writestr(path, (ROOT / path).read_bytes())
            assert path.partition("/")[0] in PROCESSOR.packages
    found = versions_in(content.getvalue()).values()
    assert [(one.writes, one.reads) for one in found] == [
        (module.WRITES, module.READS) for module in (codec, indicators)
    ]
