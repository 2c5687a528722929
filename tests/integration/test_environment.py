"""The script that makes the environments: it installs what a lock says and nothing else, and ends when told to."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from terminal.program import VERSION
from tests.support.waiting import wait_until
from workspace.places import ROOT

SCRIPT = [sys.executable, str(ROOT / "requirements" / "environment.py")]
STUCK = """#!/bin/sh
echo "Collecting something"
touch "$0.started"
exec sleep 60
"""


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with one wheel, and a lock of it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel = folder / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("small.py", "")
        archive.writestr("small-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
        archive.writestr("small-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("small-1.0.dist-info/RECORD", "")
    (folder / "lock.txt").write_text(f"small==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    (folder / "forged.txt").write_text(f"small==1.0 --hash=sha256:{'0' * 64}\n")
    return folder


def test_an_environment_has_the_files_of_the_lock_and_the_command(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    environment = tmp_path / "env"

    def install(lock: str, *options: str, uv: str = "") -> subprocess.CompletedProcess[str]:
        command = [*SCRIPT, str(environment), str(wheels / lock), "--uv", uv, *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    uv = tmp_path / "uv"
    uv.write_text('#!/bin/sh\necho "$@" > "$0.arguments"\n')
    uv.chmod(0o755)
    assert install("lock.txt", "--wheels-only", uv=str(uv)).returncode == 0
    expected = (
        f"pip install --python {environment}/bin/python --require-hashes --only-binary :all: -r {wheels}/lock.txt"
    )
    assert Path(f"{uv}.arguments").read_text().startswith(expected)
    # Making an environment with pip takes many seconds, so this one finds the pip of the tests.
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "pip.pth").write_text(sysconfig.get_path("purelib") + "\n")

    refused = install("forged.txt", "--add")
    assert refused.returncode == 1
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    made = install("lock.txt", "--add", "--command")
    assert made.returncode == 0, made.stderr
    assert [line.split(str(tmp_path))[0] for line in made.stderr.splitlines()] == ["installing ", "installed "]
    subprocess.run([environment / "bin" / "python", "-c", "import small, stockstream"], cwd=tmp_path, check=True)
    (tmp_path / "link").symlink_to(environment / "bin" / "stockstream")
    shown = subprocess.run([tmp_path / "link", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shown.stdout == f"stockstream {VERSION}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda each: each.name)
def test_a_signal_ends_the_installation_with_one_line(number: signal.Signals, tmp_path: Path, wheels: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STUCK)
    python.chmod(0o755)
    command = [*SCRIPT, str(tmp_path / "env"), str(wheels / "lock.txt"), "--uv", "", "--add"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        wait_until(Path(f"{python}.started").exists, "pip has started")
        process.send_signal(number)
        first, *rest = process.stderr.read().splitlines()  # to the end, so pip has gone as well
        assert process.wait(10) == 130
    assert first.startswith("installing ")
    assert rest == ["interrupted: the next make sets the environment up again"]
