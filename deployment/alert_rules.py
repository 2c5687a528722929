"""The alert rules of a stage: what a deployment writes to S3, and how it differs from what is there."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from configuration import RULES_KEY, ConfigurationObject, Stored
from deployment.errors import DeploymentError
from deployment.stage_file import DEFAULT_RULES
from processor_lambda.alerts import Rules, differences
from processor_lambda.alerts.rules_file import DEFAULT_FILE, UNKNOWN_PERCENT, parse
from processor_lambda.errors import SettingsError

_ADVICE = f"name the rules to deploy: --rules / RULES, which takes a file or the word {DEFAULT_RULES}"
_IN_ZIP = "processor_lambda/alerts/default_rules.toml"
_REPLACED = b"replaced"
"""Earlier versions had the user's rules in the function's zip, under this comment."""


@dataclass(frozen=True, slots=True)
class RulesChange:
    """What a deployment does with the alert rules of its stage."""

    content: bytes | None = None
    """The rules to write. None leaves those that are there."""
    read: Stored | None = None
    """The rules that they replace; None if there are none."""
    lines: tuple[str, ...] = ()
    """What changes, for a person."""
    are_named: bool = False
    """Whether the user names the rules. Otherwise they do not replace those of an archive that a new stage adopts."""

    def write(self, s3: Any, bucket: str) -> str | None:
        """Write them, and return their address; None if nothing changes. Raises `ConfigurationError`."""
        if self.content is None:
            return None
        target = ConfigurationObject(s3, bucket, RULES_KEY)
        adopted = target.read() if self.read is None else None
        if adopted is not None and (adopted.content == self.content or not self.are_named):
            return None
        target.write(self.content, self.read or adopted)
        return target.address


def checked_rules(file: Path) -> bytes:
    """The content of a file of alert rules. Raises `DeploymentError` with every mistake in it."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DeploymentError(f"{file}: {error.strerror}") from error
    _parsed(content, str(file))
    return content


def choose_rules(s3: Any, bucket: str | None, held: Mapping[str, str], wish: str | None) -> RulesChange:
    """What to write: the rules that the user names; else what is there; else the default rules.

    `bucket` is that of the archive, if it exists, and `held` are the parameters of the function's stack, empty if that
    does not exist. Raises `DeploymentError` and `ConfigurationError`.
    """
    stored = None if bucket is None else ConfigurationObject(s3, bucket, RULES_KEY).read()
    before = stored.content if stored is not None else _packaged(s3, held, wish)
    if wish is None:
        content = DEFAULT_FILE.read_bytes() if before is None else before
    else:
        content = DEFAULT_FILE.read_bytes() if wish == DEFAULT_RULES else checked_rules(Path(wish))
    try:
        after = _parsed(content, "the alert rules that are deployed")
    except DeploymentError as error:
        raise DeploymentError(f"{error}\nThey do not fit this version: {_ADVICE}") from error
    if stored is not None and stored.content == content:
        return RulesChange()
    lines = () if before is None else _differences(before, after)
    return RulesChange(content, stored, lines, are_named=wish is not None)


def _differences(before: bytes, after: Rules) -> tuple[str, ...]:
    try:
        return differences(_parsed(before, "the alert rules that are deployed"), after)
    except DeploymentError:  # they are wrong, or of an earlier version that knew other fields
        return (f"replaces all rules by: {', '.join(rule.id for rule in after.rules) or 'none'}",)


def _parsed(content: bytes, place: str) -> Rules:
    try:
        return parse(content, place, UNKNOWN_PERCENT)
    except SettingsError as error:
        raise DeploymentError(str(error)) from error


def _packaged(s3: Any, held: Mapping[str, str], wish: str | None) -> bytes | None:
    """The user's rules in the zip that an earlier version deployed; None if it has the default rules."""
    if "CodeKey" not in held:
        return None
    bucket, key = held["CodeBucket"], held["CodeKey"]
    try:
        with zipfile.ZipFile(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read())) as code:
            rules = code.NameToInfo.get(_IN_ZIP)
            return code.read(rules) if rules is not None and rules.comment == _REPLACED else None
    except (ClientError, zipfile.BadZipFile) as error:
        if wish is not None:
            return None
        raise DeploymentError(
            f"the alert rules that are deployed cannot be read from s3://{bucket}/{key}: {error}\n{_ADVICE}"
        ) from error
