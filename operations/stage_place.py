"""Whether the credentials lead to the account and the region that the file of a stage names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from operations.aws import translated_errors
from operations.errors import WrongUsage
from quotes.encodings import NotUtf8, decode_text

_KEYS = ("Account", "Region")


def named_place(stage_file: Path) -> Mapping[str, str]:
    """The account and the region in a stage file, as far as it names them. Raises `WrongUsage`."""
    if not stage_file.is_file():
        return {}
    try:
        lines = decode_text(stage_file.read_bytes()).splitlines()
    except NotUtf8 as error:
        raise WrongUsage(f"{stage_file}: the file {error}") from error
    entries = dict(line.strip().partition("=")[::2] for line in lines)
    return {key: entries[key] for key in _KEYS if key in entries}


def check_place(stage_file: Path, make_sts: Callable[[], Any]) -> None:
    """Raise `WrongUsage` if a stage file names another account or region than those of an STS client.

    `make_sts` makes the client. It is called only for a file that names one of the two.
    """
    named = named_place(stage_file)
    if not named:
        return
    sts = make_sts()
    with translated_errors("the credentials"):
        here = {"Account": sts.get_caller_identity()["Account"], "Region": sts.meta.region_name}
    for key, value in named.items():
        if value != here[key]:
            raise WrongUsage(
                f"{stage_file}: {key}={value}, but the credentials lead to account {here['Account']}, region "
                f"{here['Region']}. Nothing was changed. Set AWS_PROFILE and AWS_DEFAULT_REGION to those of the stage"
            )
