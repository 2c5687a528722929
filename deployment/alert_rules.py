"""Replaces the alert rules in the processor's zip by the user's file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from deployment.errors import PackageError
from deployment.functions import ROOT
from processor_lambda.alerts.rules_file import DEFAULT_FILE, read
from processor_lambda.errors import SettingsError

RULES = DEFAULT_FILE.relative_to(ROOT).as_posix()
"""The name of the alert rules in the processor's zip."""


def checked_rules(file: Path) -> Path:
    """The file, if its alert rules are valid. Raises `PackageError` with every mistake."""
    try:
        read(file, Decimal(1))
    except SettingsError as error:
        raise PackageError(str(error)) from error
    return file
