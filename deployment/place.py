"""Where a deployment goes: the AWS account and the region, and whether they are those that the stage file names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from botocore.client import BaseClient

from deployment.cloudformation import aws_errors_about
from deployment.parameters import Named

ACCOUNT = "Account"
"""The key of a stage file that names the account of the stage."""
REGION = "Region"
"""The key of a stage file that names the region of the stage."""
EMULATED_ACCOUNT = "000000000000"
"""The account of an emulator. A stage on it needs no guard."""

_FORMS = {
    ACCOUNT: (re.compile(r"\d{12}", re.ASCII), "an account has 12 digits"),
    REGION: (re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d", re.ASCII), "a region has a name such as eu-central-1"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """An account and a region."""

    account: str
    region: str

    def __str__(self) -> str:
        return f"account {self.account}, region {self.region}"

    @property
    def is_emulated(self) -> bool:
        """Whether this is an emulator on this machine or in a container."""
        return self.account == EMULATED_ACCOUNT

    def problem(self, named: tuple[Named, ...]) -> str | None:
        """How this differs from the account and the region that a stage file names; None if it does not."""
        here = {ACCOUNT: self.account, REGION: self.region}
        differences = [
            f"{one.place}{one.name}={one.value}, but the credentials lead to {self}"
            for one in named
            if one.value != here[one.name]
        ]
        if not differences:
            return None
        differences.append("Nothing was changed. Set AWS_PROFILE and AWS_DEFAULT_REGION to those of the stage")
        return "\n".join(differences)

    def advice(self, named: tuple[Named, ...], stage: str) -> str:
        """The lines that the stage file should have, as a sentence; empty if it names all or needs none."""
        names = {one.name for one in named}
        missing = {ACCOUNT: self.account, REGION: self.region}.items()
        lines = " and ".join(f"{name}={value}" for name, value in missing if name not in names)
        if not lines or self.is_emulated:
            return ""
        return f"add {lines} to infra/stages/{stage}.env, so that the stage is never deployed elsewhere by mistake"


def malformed(one: Named) -> str | None:
    """What is wrong with an account or a region in a stage file; None if it has the right form."""
    form, words = _FORMS[one.name]
    return None if form.fullmatch(one.value) else f"{one.place}{one.name}={one.value}: {words}"


def read_place(sts: BaseClient) -> Place:
    """The account of the credentials, which STS names, and the region of the client. Raises `DeploymentError`."""
    with aws_errors_about("the credentials"):
        account = sts.get_caller_identity()["Account"]
    return Place(account, sts.meta.region_name)
