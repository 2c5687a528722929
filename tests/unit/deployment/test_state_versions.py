"""Of two functions in turn, each reads the lane states that the other writes; the deployment chooses the version."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

import indicators
from deployment.deployer import Deployment
from deployment.errors import DeploymentError
from deployment.functions import PROCESSOR, ROOT
from deployment.state_versions import (
    FORMATS,
    LANE_STATES,
    STATE_VERSION,
    Versions,
    check_succession,
    choose,
    choose_for_zip,
    versions_in,
    with_written,
)
from deployment.waiting import Wait
from lane_state import codec
from tests.fakes.scripted_cloudformation import ScriptedCloudFormation
from tests.support.templates import ALL, properties

HELD = {"CodeBucket": "code", "CodeKey": "processor/old.zip"}


def zip_of(writes: int, reads: int, module: str = "lane_state/codec.py") -> bytes:
    """A zip whose function writes and reads these versions of one format."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(module, f'WRITES = {writes}\n"""Text."""\nREADS = {reads}\n')
    return content.getvalue()


def check(
    deployed: bytes | str, new: bytes, folder: Path, held: dict[str, str] = HELD, named: str | None = None
) -> tuple[int | None, list[str]]:
    """Compare a deployed zip, or the error of S3 in its place, with a new one.

    Returns the version of lane states that the new one writes, and what is reported.
    """
    path = folder / "new.zip"
    path.write_bytes(new)
    s3: Any = boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    reports: list[str] = []
    with Stubber(s3) as stubber:
        if isinstance(deployed, str):
            stubber.add_client_error("get_object", deployed, "no")
        else:
            stubber.add_response("get_object", {"Body": StreamingBody(io.BytesIO(deployed), len(deployed))})
        version = choose_for_zip(s3, held, path, named, reports.append)
    return version, reports


@pytest.mark.parametrize(
    ("deployed", "new", "version"),
    [
        ((1, 1), (1, 1), 1),
        ((1, 1), (1, 2), 1),
        ((1, 2), (2, 2), 2),
        ((1, 1), (2, 2), 1),
        ((2, 2), (1, 2), 1),
        ((1, 2), (1, 1), 1),
        ((2, 2), (3, 4), 2),
    ],
    ids=["same", "reads the next", "writes the next", "both", "back by one", "back by two", "any two versions"],
)
def test_a_function_writes_the_latest_version_that_the_deployed_one_reads(
    deployed: tuple[int, int], new: tuple[int, int], version: int, tmp_path: Path
) -> None:
    chosen, reports = check(zip_of(*deployed), zip_of(*new), tmp_path)
    assert chosen == version
    note = (
        f"this deployment writes lane states of version {version}, the latest that the deployed function reads, so "
        f"that it can be rolled back; the next deployment writes version {new[0]}"
    )
    assert reports == ([] if version == new[0] else [note])


NUMBERS = st.integers(1, 4)
FUNCTIONS = st.tuples(NUMBERS, NUMBERS).map(lambda both: Versions(writes=min(both), reads=max(both)))


@given(deployed=FUNCTIONS, new=FUNCTIONS, written=NUMBERS, named=st.none() | NUMBERS)
def test_of_two_functions_in_turn_each_reads_what_the_other_writes(
    deployed: Versions, new: Versions, written: int, named: int | None
) -> None:
    before = with_written({LANE_STATES: deployed}, str(min(written, deployed.writes)))
    try:
        version = choose(before[LANE_STATES], new, None if named is None else str(named))
        after = with_written({LANE_STATES: new}, str(version))
        check_succession(before, after)
    except DeploymentError:
        cannot_be_read = before[LANE_STATES].writes > new.reads
        assert cannot_be_read or (named is not None and named > min(new.writes, deployed.reads))
        return
    assert version == named or named is None
    assert version <= new.writes
    assert before[LANE_STATES].writes <= new.reads
    assert version <= deployed.reads


def test_a_new_stage_has_the_latest_version(tmp_path: Path) -> None:
    assert check("AccessDenied", zip_of(2, 2), tmp_path, held={}) == (2, [])
    assert check("AccessDenied", zip_of(2, 2), tmp_path, held={}, named="1") == (1, [])


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=r"new\.zip is no zip file: name one that `make package` built"):
        check("AccessDenied", b"no zip", tmp_path, held={})


def test_what_the_deployed_function_writes_is_the_parameter_of_its_stack(tmp_path: Path) -> None:
    assert check(zip_of(2, 2), zip_of(1, 1), tmp_path, HELD | {STATE_VERSION: "1"}) == (1, [])
    with pytest.raises(DeploymentError, match="of version 2, but this one reads only up to 1"):
        check(zip_of(2, 2), zip_of(1, 1), tmp_path, HELD | {STATE_VERSION: "2"})


def test_a_version_that_the_user_names_is_written_if_it_can_be(tmp_path: Path) -> None:
    assert check(zip_of(2, 2), zip_of(2, 2), tmp_path, HELD | {STATE_VERSION: "2"}, named="1") == (1, [])
    with pytest.raises(DeploymentError) as refused:
        check(zip_of(1, 1), zip_of(2, 2), tmp_path, named="2")
    assert str(refused.value) == (
        "nothing was deployed: StateVersion is 2, but the deployed function reads lane states only up to version 1, so "
        "every lane would stand still after a rollback. Leave StateVersion out: this deployment then writes version 1, "
        "and the next one version 2."
    )
    with pytest.raises(DeploymentError, match="but this function writes lane states only up to version 2"):
        check(zip_of(3, 3), zip_of(2, 3), tmp_path, named="3")


@pytest.mark.parametrize("module", FORMATS.values())
def test_a_function_does_not_go_back_over_a_state_that_it_cannot_read(module: str, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError) as refused:
        check(zip_of(2, 2, module), zip_of(1, 1, module), tmp_path)
    said = str(refused.value)
    assert said.startswith("nothing was deployed:\nthe deployed function writes ")
    assert "of version 2, but this one reads only up to 1" in said
    assert said.endswith(f"Deploy a commit whose {module} has READS = 2 or more.")


def test_the_refusal_to_go_back_says_how_to_go_back(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError) as refused:
        check(zip_of(2, 2), zip_of(1, 1), tmp_path, HELD | {STATE_VERSION: "2"})
    assert str(refused.value) == (
        "nothing was deployed:\nthe deployed function writes lane states of version 2, but this one reads only up to "
        "1: every lane would stand still. First deploy the commit that is deployed now with StateVersion=1, and wait a "
        "minute: each lane is written again with its next batch, and heartbeats bring one a minute. Then deploy this "
        "commit again."
    )


def test_a_function_does_not_skip_the_release_to_which_it_could_be_rolled_back(tmp_path: Path) -> None:
    module = FORMATS["indicators in lane states"]
    with pytest.raises(DeploymentError, match=r"First deploy .* READS = 2, but WRITES = 1 or less\.$"):
        check(zip_of(1, 1, module), zip_of(2, 2, module), tmp_path)


def test_a_deployed_zip_from_before_the_rule_reads_version_1(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("lane_state/codec.py", "VERSION = 1\n")
    version, reports = check(content.getvalue(), zip_of(2, 2), tmp_path)
    assert (version, len(reports)) == (1, 1)


def test_the_numbers_of_an_earlier_release_are_found_where_its_module_was(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=r"First deploy .*indicators/codec\.py has READS = 2, but WRITES = 1"):
        check(zip_of(1, 1, "processor_lambda/indicators.py"), zip_of(2, 2, "indicators/codec.py"), tmp_path)


@pytest.mark.parametrize(("held", "version"), [({}, 1), ({STATE_VERSION: "2"}, 2)])
def test_over_a_deployed_zip_that_is_gone_the_version_stays(held: dict[str, str], version: int, tmp_path: Path) -> None:
    chosen, reports = check("NoSuchKey", zip_of(2, 2), tmp_path, HELD | held)
    assert chosen == version
    assert "s3://code/processor/old.zip is gone" in reports[0]
    with pytest.raises(DeploymentError, match=r"AWS rejected reading s3://code/processor/old\.zip"):
        check("AccessDenied", zip_of(1, 1), tmp_path)


PARAMETERS = "\nParameters:\n  CodeBucket: {Type: String}\n  CodeKey: {Type: String}\n"
BODY = f"Description: 1{PARAMETERS}Resources:\n  Function:\n    Type: AWS::Test::Resource\n"
SELECTABLE = BODY.replace("Resources:", f"  {STATE_VERSION}: {{Type: Number, Default: 2}}\nResources:")


class Stage:
    """A stage on a stand-in for CloudFormation, and a code bucket that keeps every zip."""

    def __init__(self, folder: Path) -> None:
        self.aws, self.folder, self.zips = ScriptedCloudFormation(), folder, dict[str, bytes]()
        self.reports: list[str] = []

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803  (as boto3)
        self.zips[f"{Bucket}/{Key}"] = Body

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803  (as boto3)
        return {"Body": io.BytesIO(self.zips[f"{Bucket}/{Key}"])}

    def deploy(self, code: bytes, body: str = SELECTABLE, **parameters: str) -> str | None:
        """Preview and deploy a function. Returns the version of lane states that its stack names."""
        (self.folder / "processor.yaml").write_text(body)
        path = self.folder / "new.zip"
        path.write_bytes(code)
        wait = Wait(pause=self.aws.pause, clock=self.aws.clock)
        deployment = Deployment(
            cast(Any, self.aws),
            cast(Any, self),
            "stage",
            self.reports.append,
            self.folder,
            stacks=("processor",),
            wait=wait,
        )
        values = {"CodeBucket": "code", **parameters}
        deployment.preview({"processor": path}, values)
        deployment.deploy({"processor": path}, values)
        stack = self.aws.stack("stage-processor")
        assert stack is not None
        return stack.values.get(STATE_VERSION)


def test_an_upgrade_is_two_ordinary_deployments_and_each_can_be_taken_back(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    old, new = zip_of(1, 1), zip_of(2, 2)

    def told() -> list[str]:
        return [line for line in stage.reports if "lane states" in line]

    assert stage.deploy(old, BODY) is None
    assert stage.deploy(new) == "1"
    assert len(told()) == 1
    assert stage.deploy(old, BODY) is None  # back from the first
    assert stage.deploy(new) == "1"
    assert stage.deploy(new) == "2"
    assert len(told()) == 2
    with pytest.raises(DeploymentError, match=r"First deploy .* with StateVersion=1"):
        stage.deploy(old, BODY)
    assert stage.deploy(new, StateVersion="1") == "1"  # back from the second
    assert stage.deploy(old, BODY) is None


def test_the_template_offers_every_version_that_the_function_writes() -> None:
    parameter = ALL["processor"]["Parameters"][STATE_VERSION]
    assert (parameter["MinValue"], parameter["MaxValue"], parameter["Default"]) == (1, codec.WRITES, codec.WRITES)
    assert properties("processor", "Function")["Environment"]["Variables"]["STATE_VERSION"] == {"Ref": STATE_VERSION}


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
