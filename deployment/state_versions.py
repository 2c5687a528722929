"""Which versions of the lanes' states a function reads and writes, and whether one function may follow another.

The state outlives the function that wrote it. A function that meets a state of a later version cannot go on: each lane
would stand still until Lambda discards its records. So of two functions in turn, each must read what the other writes.
The zip says what a function reads and the latest version that it can write; the parameter `StateVersion` of its stack
says which version of lane states it does write.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from deployment.cloudformation import aws_errors_about
from deployment.errors import DeploymentError

STATE_VERSION = "StateVersion"
"""The parameter of a function's template that is the version of lane states to write."""
LANE_STATES = "lane states"
FORMATS = {
    LANE_STATES: "lane_state/codec.py",
    "indicators in lane states": "indicators/codec.py",
}
"""The formats with a version, and the module of the zip that has its numbers, `WRITES` and `READS`."""
FORMER_MODULES = {"indicators/codec.py": "processor_lambda/indicators.py"}
"""Where the zips of earlier releases have such a module."""

Report = Callable[[str], None]
_GONE = ("NoSuchKey", "NoSuchBucket", "404")


@dataclass(frozen=True, slots=True)
class Versions:
    """The version of a format that a function writes, and the latest that it reads."""

    writes: int
    reads: int


def versions_in(content: bytes) -> Mapping[str, Versions]:
    """The versions of each format in a zip. A zip without the modules has none. Raises `zipfile.BadZipFile`."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        held = archive.NameToInfo
        paths = {name: path if path in held else FORMER_MODULES.get(path, path) for name, path in FORMATS.items()}
        texts = {name: archive.read(path).decode() for name, path in paths.items() if path in held}
    found = {name: (_number("WRITES", text), _number("READS", text)) for name, text in texts.items()}
    return {name: Versions(*both) for name, both in found.items()}


def with_written(versions: Mapping[str, Versions], state_version: str | None) -> Mapping[str, Versions]:
    """The versions of a function whose stack has this `StateVersion`. None if its stack has no such parameter."""
    if state_version is None or LANE_STATES not in versions:
        return versions
    return {**versions, LANE_STATES: replace(versions[LANE_STATES], writes=int(state_version))}


def choose(deployed: Versions | None, new: Versions, named: str | None) -> int:
    """The version of lane states that a new function writes. `deployed` is None in a new stage.

    It is the latest that both functions know, so that the new one can be rolled back, unless the user names another.
    Raises `DeploymentError` if that one is impossible.
    """
    latest = new.writes if deployed is None else min(new.writes, deployed.reads)
    if named is None or int(named) <= latest:
        return int(named or latest)
    if int(named) > new.writes:
        raise DeploymentError(
            f"nothing was deployed: {STATE_VERSION} is {named}, but this function writes lane states only up to "
            f"version {new.writes}. Leave {STATE_VERSION} out, and the deployment chooses the version."
        )
    raise DeploymentError(
        f"nothing was deployed: {STATE_VERSION} is {named}, but the deployed function reads lane states only up to "
        f"version {latest}, so every lane would stand still after a rollback. Leave {STATE_VERSION} out: this "
        f"deployment then writes version {latest}, and the next one version {new.writes}."
    )


def check_succession(
    deployed: Mapping[str, Versions], new: Mapping[str, Versions], *, is_selectable: bool = False
) -> None:
    """Raise `DeploymentError` if one of two functions cannot read what the other writes: a rollback needs both ways.

    `is_selectable` says whether the deployed function can write an earlier version of lane states.
    """
    problems = []
    for name in (name for name in FORMATS if name in deployed and name in new):
        old, now = deployed[name], new[name]
        if old.writes > now.reads:
            way_out = f"Deploy a commit whose {FORMATS[name]} has READS = {old.writes} or more."
            if is_selectable and name == LANE_STATES:
                way_out = (
                    f"First deploy the commit that is deployed now with {STATE_VERSION}={now.reads}, and wait a "
                    "minute: each lane is written again with its next batch, and heartbeats bring one a minute. Then "
                    "deploy this commit again."
                )
            problems.append(
                f"the deployed function writes {name} of version {old.writes}, but this one reads only up to "
                f"{now.reads}: every lane would stand still. {way_out}"
            )
        if now.writes > old.reads:
            problems.append(
                f"this function writes {name} of version {now.writes}, but the deployed one reads only up to "
                f"{old.reads}, so every lane would stand still after a rollback. First deploy the earlier commit whose "
                f"{FORMATS[name]} has READS = {now.writes}, but WRITES = {old.reads} or less."
            )
    if problems:
        raise DeploymentError("nothing was deployed:\n" + "\n".join(problems))


def choose_for_zip(
    s3: BaseClient, held: Mapping[str, str], code: Path, named: str | None, report: Report
) -> int | None:
    """The version of lane states that the function of a zip on this machine writes. None if it has no lane states.

    `held` are the parameters of the function's stack, empty if it does not exist, and `named` is what the user wants. A
    deployed zip that is gone is taken to read only what it writes. Raises `DeploymentError`.
    """
    try:
        new = versions_in(code.read_bytes())
    except zipfile.BadZipFile as error:
        raise DeploymentError(f"{code} is no zip file: name one that `make package` built") from error
    deployed = _deployed(s3, held, report) if "CodeKey" in held else {}
    version = None
    if LANE_STATES in new:
        latest = new[LANE_STATES].writes
        version = choose(deployed.get(LANE_STATES), new[LANE_STATES], named)
        if named is None and version < latest:
            report(
                f"this deployment writes lane states of version {version}, the latest that the deployed function "
                f"reads, so that it can be rolled back; the next deployment writes version {latest}"
            )
        new = with_written(new, str(version))
    check_succession(deployed, new, is_selectable=STATE_VERSION in held)
    return version


def _deployed(s3: BaseClient, held: Mapping[str, str], report: Report) -> Mapping[str, Versions]:
    """The versions of the deployed function."""
    bucket, key = held["CodeBucket"], held["CodeKey"]
    with aws_errors_about(f"reading s3://{bucket}/{key}"):
        try:
            content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
            report(f"s3://{bucket}/{key} is gone, so nobody can tell which lane states the deployed function reads")
            written = int(held.get(STATE_VERSION, 1))
            return {LANE_STATES: Versions(written, written)}
    return with_written(versions_in(content), held.get(STATE_VERSION))


def _number(name: str, module: str) -> int:
    """A number in the text of a module. Releases from before this rule have none, and mean version 1."""
    match = re.search(rf"^{name} = (\d+)$", module, re.MULTILINE)
    return int(match[1]) if match else 1
