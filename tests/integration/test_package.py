"""The zip of a function: what it holds, that two builds are equal, and what goes wrong. pip installs the wheels."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deployment import package
from deployment.errors import PackageError
from deployment.functions import PROCESSOR, ROOT
from deployment.package import Target, build

AARCH64, X86_64 = 183, 62
"""The values of e_machine in an ELF header."""


def make_source(root: Path) -> Path:
    """A source tree with one module in each package, and with files that do not belong in a zip."""
    for name in PROCESSOR.packages:
        (root / name / "__pycache__").mkdir(parents=True)
        (root / name / "__init__.py").write_text(f'"""{name}"""\n')
        (root / name / "notes.txt").write_text("not imported")
        (root / name / "__pycache__" / "__init__.cpython-313.pyc").write_bytes(b"byte code")
    (root / PROCESSOR.requirements).parent.mkdir()
    shutil.copy(ROOT / PROCESSOR.requirements, root / PROCESSOR.requirements)
    return root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source tree that the test may change."""
    return make_source(tmp_path / "source")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for zips, in which the wheels of a target are installed once."""
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, output: Path) -> dict[str, bytes]:
    """The content of a zip for Lambda's default target, by names."""
    source = make_source(tmp_path_factory.mktemp("built") / "source")
    return content(build(PROCESSOR, Target(), output, source=source))


def content(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def machine_of(elf: bytes) -> int:
    machine: int = struct.unpack_from("<H", elf, 18)[0]
    return machine


def test_two_builds_are_the_same_byte_for_byte(source: Path, tmp_path: Path) -> None:
    first = build(PROCESSOR, Target(), tmp_path / "first", source=source)
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    for module in copy.rglob("*.py"):
        module.chmod(0o700)
        module.touch()
    second = build(PROCESSOR, Target(), tmp_path / "second", source=copy)
    assert first.read_bytes() == second.read_bytes()


def test_our_modules_have_no_docstrings_and_keep_their_line_numbers(source: Path, output: Path) -> None:
    (source / "quotes" / "__init__.py").write_text(
        '"""A module.\n\nWith more to say."""\n\nfrom __future__ import annotations\n\nLIMIT = 1\n"""A value."""\n\n\n'
        'class Refused(Exception):\n    """Only a docstring."""\n\n\n'
        'def text() -> str:\n    """Says\n    something."""\n    return """not a\n    docstring"""\n'
    )
    zipped = content(build(PROCESSOR, Target(), output, source=source))["quotes/__init__.py"].decode()
    assert zipped == (
        "\n\n\n\nfrom __future__ import annotations\n\nLIMIT = 1\n\n\n\n"
        "class Refused(Exception):\n    ...\n\n\n"
        'def text() -> str:\n\n\n    return """not a\n    docstring"""\n'
    )


def test_changed_code_gives_another_zip(source: Path, output: Path) -> None:
    before = build(PROCESSOR, Target(), output, source=source).read_bytes()
    (source / "quotes" / "__init__.py").write_text("CHANGED = True\n")
    assert build(PROCESSOR, Target(), output, source=source).read_bytes() != before


@pytest.mark.parametrize(
    ("target", "suffix", "machine"),
    [
        (Target("3.13", "arm64"), "cpython-313-aarch64-linux-gnu.so", AARCH64),
        (Target("3.13", "x86_64"), "cpython-313-x86_64-linux-gnu.so", X86_64),
        (Target("3.12", "arm64"), "cpython-312-aarch64-linux-gnu.so", AARCH64),
    ],
    ids=lambda value: value.name if isinstance(value, Target) else "",
)
def test_holds_the_wheels_of_its_target(source: Path, output: Path, target: Target, suffix: str, machine: int) -> None:
    path = build(PROCESSOR, target, output, source=source)
    assert path.name == f"processor-{target.name}.zip"
    ((name, library),) = [(name, body) for name, body in content(path).items() if name.endswith(".so")]
    assert name == f"msgspec/_core.{suffix}"
    assert machine_of(library) == machine


def test_holds_only_our_modules_the_wheels_and_their_licenses(built: dict[str, bytes]) -> None:
    names = {name for name in built if not name.endswith(".pyc")}  # another test is about byte code
    ours = {name for name in names if not name.startswith("msgspec")}
    assert ours == {f"{name}/__init__.py" for name in PROCESSOR.packages}
    assert {Path(name).suffix for name in names - ours} == {".py", ".so", ".typed", ""}
    assert [name for name in names if "dist-info" in name and not name.endswith("LICENSE")] == []


def test_the_zip_that_is_deployed_is_small(output: Path) -> None:
    assert build(PROCESSOR, Target(), output).stat().st_size < 1_500_000


def test_holds_the_byte_code_of_every_module_and_python_uses_it_without_its_source(
    source: Path, output: Path, tmp_path: Path
) -> None:
    root = tmp_path / "unpacked"
    with zipfile.ZipFile(build(PROCESSOR, Target.of_this_interpreter(), output, source=source)) as archive:
        archive.extractall(root)
    modules = {path.relative_to(root) for path in root.rglob("*.py")}
    tag = sys.implementation.cache_tag
    compiled = {path.relative_to(root) for path in root.rglob("*.pyc")}
    assert compiled == {path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc" for path in modules}
    (root / "quotes" / "__init__.py").write_text("raise SystemExit('Python compiled the source')\n")
    script = f"import sys; sys.path.insert(0, {str(root)!r}); import quotes"
    assert subprocess.run([sys.executable, "-I", "-c", script], check=False).returncode == 0


def test_an_interpreter_that_does_not_run_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "python3.99"
    broken.write_text("#!/bin/sh\nexit 127\n")  # as a version manager leaves on the path
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert package._interpreter("3.99") is None
    assert package._interpreter("3.98") is None
    assert package._interpreter(".".join(map(str, sys.version_info[:2]))) == sys.executable


def test_every_entry_is_readable_by_all_and_has_the_same_time(source: Path, output: Path) -> None:
    with zipfile.ZipFile(build(PROCESSOR, Target(), output, source=source)) as archive:
        entries = archive.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


def test_a_second_build_needs_no_package_index(
    source: Path, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(PROCESSOR, Target(), output, source=source).read_bytes()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert build(PROCESSOR, Target(), output, source=source).read_bytes() == first
    with pytest.raises(PackageError, match="pip cannot install the wheels"):
        build(PROCESSOR, Target(), tmp_path, source=source)


def test_a_wheel_with_another_hash_than_in_the_lock_is_refused(source: Path, tmp_path: Path) -> None:
    (source / PROCESSOR.requirements).write_text(f"msgspec==0.22.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(PackageError, match="DO NOT MATCH THE HASHES"):
        build(PROCESSOR, Target(), tmp_path, source=source)


def test_a_failed_installation_is_not_taken_for_a_complete_one(source: Path, tmp_path: Path) -> None:
    lock = (source / PROCESSOR.requirements).read_text()
    (source / PROCESSOR.requirements).write_text(f"msgspec==0.22.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(PackageError):
        build(PROCESSOR, Target(), tmp_path, source=source)
    assert list((tmp_path / "wheels").iterdir()) == []
    (source / PROCESSOR.requirements).write_text(lock)
    assert build(PROCESSOR, Target(), tmp_path, source=source).is_file()


def test_a_missing_package_is_reported(source: Path, output: Path) -> None:
    shutil.rmtree(source / "processor_lambda")
    with pytest.raises(PackageError, match="has no package processor_lambda, which the zip needs"):
        build(PROCESSOR, Target(), output, source=source)


def test_the_zip_of_this_interpreter_can_be_imported(source: Path, output: Path, tmp_path: Path) -> None:
    path = build(PROCESSOR, Target.of_this_interpreter(), output, source=source)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "code")
    script = "import msgspec, quotes; print(msgspec.__file__); print(msgspec.json.decode(b'[1]'))"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "code", capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [str(tmp_path / "code" / "msgspec" / "__init__.py"), "[1]"]
