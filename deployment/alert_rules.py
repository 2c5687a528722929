"""The alert rules in the processor's zip: checked, read from the zip that is deployed, and compared by name."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from deployment.errors import PackageError
from deployment.package import REPLACED
from deployment.stage_file import DEFAULT_RULES
from processor_lambda.alerts.kinds import Rule
from processor_lambda.alerts.rules_file import DEFAULT_FILE, read
from processor_lambda.errors import SettingsError
from workspace.places import ROOT

RULES = DEFAULT_FILE.relative_to(ROOT).as_posix()
"""The name of the alert rules in the processor's zip."""
_NO_PERCENT = Decimal(-1)
"""Stands for the parameter AnomalyPercent when rules are compared. No rules file can have this percentage."""


def checked_rules(file: Path) -> Path:
    """The file, if its alert rules are valid. Raises `PackageError` with every mistake."""
    try:
        read(file, Decimal(1))
    except SettingsError as error:
        raise PackageError(str(error)) from error
    return file


@dataclass(frozen=True, slots=True)
class PackagedRules:
    """The alert rules in the zip of a function."""

    content: bytes
    """The file of alert rules; empty if the zip has none."""
    replaced: bool
    """Whether the user replaced the default rules."""


def rules_in(content: bytes) -> PackagedRules:
    """The rules in a zip. Raises `zipfile.BadZipFile` if it is none."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        rules = archive.NameToInfo.get(RULES)
        return PackagedRules(
            content=b"" if rules is None else archive.read(rules),
            replaced=rules is not None and rules.comment == REPLACED,
        )


def deployed_rules(s3: BaseClient, bucket: str, key: str) -> PackagedRules:
    """The rules in the zip that is deployed. Raises `PackageError` if it cannot be read."""
    try:
        return rules_in(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except (ClientError, zipfile.BadZipFile) as error:
        raise PackageError(
            f"the alert rules that are deployed cannot be read from s3://{bucket}/{key}: {error}\n"
            "Name the rules to deploy: --rules / RULES, which takes a file or the word default"
        ) from error


def choose_rules(
    s3: BaseClient, held: Mapping[str, str], wish: str | None, copy: Path
) -> tuple[Path | None, tuple[str, ...]]:
    """The file of rules to package, or None for the default rules; and how the deployed rules change, as lines.

    `held` are the parameters of the function's stack, empty if it does not exist. Without a wish, the rules that are
    deployed stay. They are written to the file `copy`. Raises `PackageError`.
    """
    chosen = None if wish in (None, DEFAULT_RULES) else checked_rules(Path(str(wish)))
    if "CodeKey" not in held:
        return chosen, ()
    try:
        deployed = deployed_rules(s3, held["CodeBucket"], held["CodeKey"])
    except PackageError as error:
        if wish is None:
            raise
        return chosen, (str(error),)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(deployed.content)
    if wish is None and deployed.replaced:
        try:
            chosen = checked_rules(copy)
        except PackageError as error:
            raise PackageError(
                f"the alert rules that are deployed do not fit this version:\n{error}\n"
                f"Correct that file and name it, --rules / RULES, or name the word {DEFAULT_RULES}"
            ) from error
    return chosen, changes(copy, chosen or DEFAULT_FILE) if deployed.content else ()


def changes(old: Path, new: Path) -> tuple[str, ...]:
    """Which rules a new file adds, removes and changes, one line for each. The new file has to be valid."""
    after = _by_name(new)
    try:
        before = _by_name(old)
    except SettingsError:  # an earlier version knew other fields
        return (f"replaces all rules by: {', '.join(after) or 'none'}",)
    return (
        *(f"adds the rule {name}" for name in after if name not in before),
        *(f"removes the rule {name}" for name in before if name not in after),
        *(f"changes the rule {name}" for name, rule in after.items() if before.get(name, rule) != rule),
    )


def _by_name(file: Path) -> dict[str, Rule]:
    return {rule.id: rule for rule in read(file, _NO_PERCENT).rules}
