"""Which of our packages import which others, read from the source."""

from __future__ import annotations

import tomllib
from functools import cache

import grimp

from deployment.functions import ROOT


@cache
def _graph() -> grimp.ImportGraph:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = settings["tool"]["importlinter"]["root_packages"]
    return grimp.build_graph(*packages)


def packages_used_by(*packages: str) -> set[str]:
    """The packages themselves, and every package of this repository that they import, directly or not."""
    upstream = {module for package in packages for module in _graph().find_upstream_modules(package, as_package=True)}
    return set(packages) | {module.partition(".")[0] for module in upstream}
