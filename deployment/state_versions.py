"""Which versions of the lanes' states a function reads and writes, by its zip, and whether one may follow another.

The state outlives the function that wrote it. A function that meets a state of a later version cannot go on: each lane
would stand still until Lambda discards its records.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from deployment.cloudformation import aws_errors_about
from deployment.errors import DeploymentError

FORMATS = {
    "lane states": "lane_state/codec.py",
    "indicators in lane states": "processor_lambda/indicators.py",
}
"""The formats with a version, and the module of the zip that has its numbers, `WRITES` and `READS`."""

_GONE = ("NoSuchKey", "NoSuchBucket", "404")


@dataclass(frozen=True, slots=True)
class Versions:
    """The version of a format that a function writes, and the latest that it reads."""

    writes: int
    reads: int


def versions_in(content: bytes) -> Mapping[str, Versions]:
    """The versions of each format in a zip. A zip without the modules has none. Raises `zipfile.BadZipFile`."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        texts = {name: archive.read(path).decode() for name, path in FORMATS.items() if path in archive.NameToInfo}
    found = {name: (_number("WRITES", text), _number("READS", text)) for name, text in texts.items()}
    return {name: Versions(*both) for name, both in found.items()}


def check_succession(deployed: Mapping[str, Versions], new: Mapping[str, Versions]) -> None:
    """Raise `DeploymentError` if one of two functions cannot read what the other writes: a rollback needs both ways."""
    problems = []
    for name in (name for name in FORMATS if name in deployed and name in new):
        old, now = deployed[name], new[name]
        if old.writes > now.reads:
            problems.append(
                f"the deployed function writes {name} of version {old.writes}, but this one reads only up to "
                f"{now.reads}: every lane would stand still. Deploy a commit whose {FORMATS[name]} has READS = "
                f"{old.writes} or more."
            )
        if now.writes > old.reads:
            problems.append(
                f"this function writes {name} of version {now.writes}, but the deployed one reads only up to "
                f"{old.reads}, so every lane would stand still after a rollback. First deploy the earlier commit whose "
                f"{FORMATS[name]} has READS = {now.writes}, but WRITES = {old.reads} or less."
            )
    if problems:
        raise DeploymentError("nothing was deployed:\n" + "\n".join(problems))


def check_zip(s3: BaseClient, held: Mapping[str, str], code: Path, report: Callable[[str], None]) -> None:
    """`check_succession` of the zip that is deployed by one on this machine.

    `held` are the parameters of the function's stack, empty if it does not exist. A deployed zip that is gone cannot be
    compared; this only reports it. Raises `DeploymentError`.
    """
    if "CodeKey" not in held:
        return
    bucket, key = held["CodeBucket"], held["CodeKey"]
    with aws_errors_about(f"reading s3://{bucket}/{key}"):
        try:
            deployed = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
            report(f"s3://{bucket}/{key} is gone, so nobody can tell whether the new function reads what it wrote")
            return
    check_succession(versions_in(deployed), versions_in(code.read_bytes()))


def _number(name: str, module: str) -> int:
    """A number in the text of a module. Releases from before this rule have none, and mean version 1."""
    match = re.search(rf"^{name} = (\d+)$", module, re.MULTILINE)
    return int(match[1]) if match else 1
