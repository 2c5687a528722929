"""The installed command: a wheel of this checkout in an environment of its own, used from an empty directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import httpx
import pytest

from terminal.program import VERSION
from workspace.places import ROOT


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment that has the wheel, and finds its dependencies in the environment of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env")
    (packages,) = folder.glob("env/lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "env" / "bin" / "python"), "--no-cache-dir"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True, timeout=60)
    # A file of paths in this folder reads no such files in the folders that it names, so the checkout is on no path.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "env"


class Person:
    """Who runs the installed command in an empty directory, with a home of their own."""

    def __init__(self, environment: Path, scratch: Path) -> None:
        self.command = environment / "bin" / "stockstream"
        self.directory, self.state = scratch / "empty", scratch / "state"
        self.directory.mkdir()

    def run(self, *arguments: str) -> str:
        variables = {"XDG_STATE_HOME": str(self.state), "PATH": os.environ["PATH"], "HOME": str(self.directory.parent)}
        done = subprocess.run(
            [self.command, *arguments],
            cwd=self.directory,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def person(installed: Path, tmp_path: Path) -> Person:
    return Person(installed, tmp_path)


def test_the_wheel_holds_no_test_and_no_benchmark(installed: Path) -> None:
    (packages,) = installed.glob("lib/python*/site-packages")
    ours = {path.name for path in packages.iterdir() if not path.name.endswith((".pth", ".dist-info"))}
    assert {"stockstream", "infra", "requirements", "dashboard_server", "query_api"} <= ours
    assert (packages / "web" / "dist" / "index.html").is_file()
    assert [path.name for path in (packages / "web").iterdir()] == ["dist"]
    assert not ours & {"tests", "benchmarks", "docs", "build"}


def test_the_installed_command_needs_no_checkout(person: Person, package: Path) -> None:
    # The demo installs the wheels of the function once. The fixture has done so in the checkout.
    shutil.copytree(package.parent / "wheels", person.state / "stockstream" / "wheels")
    assert person.run("--version") == f"stockstream {VERSION}\n"
    assert "redrive" in person.run("--help")
    assert "per million quotes" in person.run("bill", "--brief")
    shown = person.run("demo", "--seconds", "5", "--summary", str(person.state / "summary.json"))
    assert "dashboard http://127.0.0.1:" in shown
    accepted = json.loads((person.state / "summary.json").read_text())["quotes_accepted"]
    assert accepted > 0
    (row,) = json.loads(person.run("sql", "--json", "select count(*) as quotes from quotes"))
    assert row == {"quotes": accepted}
    assert not list(person.directory.iterdir())


def test_the_installed_command_serves_the_page(person: Person) -> None:
    variables = {"PATH": os.environ["PATH"], "HOME": str(person.directory)}
    command = [str(person.command), "dashboard", "--api", "http://127.0.0.1:9", "--port", "0"]
    with subprocess.Popen(command, cwd=person.directory, env=variables, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            url = served.stdout.readline().partition(" ")[2].strip()
            page = httpx.get(url, trust_env=False)
        finally:
            served.kill()
    assert page.status_code == 200
    assert page.text.lower().startswith("<!doctype html>")
