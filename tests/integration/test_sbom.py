"""`make sbom`: the bills of materials hold every package of the locks with its hashes, and are the same each time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workspace.places import ROOT

PARTS = ("producer", "history", "processor")


def make(*parts: str) -> dict[str, bytes]:
    """The bills of some parts, written anew. The tool checks each against CycloneDX's schema, and fails if need be."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # with uv, if it is there
    done = subprocess.run(
        ["make", "--silent", "sbom", f"PYTHON={sys.executable}", f"SBOM_PARTS={' '.join(parts)}"],
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {part: (ROOT / "build" / "sbom" / f"{part}.json").read_bytes() for part in parts}


@pytest.fixture(scope="module")
def bills() -> dict[str, bytes]:
    return make(*PARTS)


def test_a_bill_is_the_same_each_time(bills: dict[str, bytes]) -> None:
    assert make("processor")["processor"] == bills["processor"]


@pytest.mark.parametrize("part", PARTS)
def test_every_package_of_the_lock_is_listed_with_its_hashes(bills: dict[str, bytes], part: str) -> None:
    bill: dict[str, Any] = json.loads(bills[part])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "stockstream"
    lock = (ROOT / "requirements" / f"{part}.txt").read_text(encoding="utf-8")
    entries = re.findall(r"^([\w.-]+)==(\S+)((?:.*\\\n)+.*)", lock, re.MULTILINE)
    locked = {(name, version): set(re.findall(r"sha256:(\w+)", rest)) for name, version, rest in entries}
    listed = {
        (component["name"], component["version"]): {
            one["content"] for reference in component["externalReferences"] for one in reference["hashes"]
        }
        for component in bill["components"]
    }
    assert listed == locked
    assert all(component["purl"].startswith("pkg:pypi/") for component in bill["components"])
