"""The targets that a zip can be built for."""

from __future__ import annotations

import sys

import pytest

from deployment.errors import PackageError
from deployment.package import Architecture, Target


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [("AMD64", "x86_64"), ("x86_64", "x86_64"), ("arm64", "arm64"), ("aarch64", "arm64")],
)
def test_this_interpreter_is_a_target_of_its_own(
    monkeypatch: pytest.MonkeyPatch, machine: str, architecture: Architecture
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    here = Target.of_this_interpreter()
    assert here.name == f"{version}-{architecture}-native"
    # It differs from Lambda's target of the same version and CPU, since its wheels may be of another operating system.
    assert here != Target(version, architecture)


def test_a_cpu_that_lambda_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(PackageError, match="this machine's CPU is riscv64, but Lambda runs only on arm64 and x86_64"):
        Target.of_this_interpreter()
