import os
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployment import package
from deployment.errors import PackageError
from deployment.functions import PROCESSOR, ROOT, RULES, checked_rules
from deployment.package import Architecture, Target, build

AARCH64, X86_64 = 183, 62
"""e_machine of an ELF header."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source tree with one module a package, and things that do not belong in a zip."""
    root = tmp_path / "source"
    for name in PROCESSOR.packages:
        (root / name / "__pycache__").mkdir(parents=True)
        (root / name / "__init__.py").write_text(f'"""{name}"""\n')
        (root / name / "notes.txt").write_text("not imported")
        (root / name / "__pycache__" / "__init__.cpython-313.pyc").write_bytes(b"byte code")
    (root / PROCESSOR.requirements).parent.mkdir()
    shutil.copy(ROOT / PROCESSOR.requirements, root / PROCESSOR.requirements)
    return root


def entries(path: Path) -> Iterator[zipfile.ZipInfo]:
    with zipfile.ZipFile(path) as archive:
        yield from archive.infolist()


def machine_of(path: Path, name: str) -> int:
    with zipfile.ZipFile(path) as archive:
        header = archive.read(name)[:20]
    machine: int = struct.unpack_from("<H", header, 18)[0]
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


def test_other_code_is_another_zip(source: Path, tmp_path: Path) -> None:
    before = build(PROCESSOR, Target(), tmp_path, source=source).read_bytes()
    (source / "quotes" / "__init__.py").write_text('"""changed"""\n')
    assert build(PROCESSOR, Target(), tmp_path, source=source).read_bytes() != before


def test_a_file_of_rules_takes_the_place_of_the_default_one(source: Path, tmp_path: Path) -> None:
    (source / RULES).parent.mkdir()
    (source / RULES).write_text("[[rule]]\nkind = 'rsi'\n")
    rules = tmp_path / "mine.toml"
    rules.write_text("[[rule]]\nkind = 'split'\n")
    for given, content in (({}, (source / RULES).read_bytes()), ({RULES: rules}, rules.read_bytes())):
        with zipfile.ZipFile(build(PROCESSOR, Target(), tmp_path, source=source, replaced=given)) as archive:
            assert archive.read(RULES) == content


def test_rules_that_are_wrong_are_refused_before_they_are_deployed(tmp_path: Path) -> None:
    rules = tmp_path / "mine.toml"
    rules.write_text("[[rule]]\nkind = 'rsi'\nabove = 'x'\n")
    with pytest.raises(PackageError, match=r"mine\.toml: rule 1 \(rsi\): Expected `float`, got `str`, in above"):
        checked_rules(rules)


@pytest.mark.parametrize(
    ("target", "suffix", "machine"),
    [
        (Target("3.13", "arm64"), "cpython-313-aarch64-linux-gnu.so", AARCH64),
        (Target("3.13", "x86_64"), "cpython-313-x86_64-linux-gnu.so", X86_64),
        (Target("3.12", "arm64"), "cpython-312-aarch64-linux-gnu.so", AARCH64),
    ],
    ids=lambda value: value.name if isinstance(value, Target) else "",
)
def test_holds_the_wheels_of_its_target(
    source: Path, tmp_path: Path, target: Target, suffix: str, machine: int
) -> None:
    path = build(PROCESSOR, target, tmp_path, source=source)
    assert path.name == f"processor-{target.name}.zip"
    (compiled,) = [entry.filename for entry in entries(path) if entry.filename.endswith(".so")]
    assert compiled == f"msgspec/_core.{suffix}"
    assert machine_of(path, compiled) == machine


def test_holds_our_modules_the_wheels_and_their_licenses_alone(source: Path, tmp_path: Path) -> None:
    names = {entry.filename for entry in entries(build(PROCESSOR, Target(), tmp_path, source=source))}
    names = {name for name in names if not name.endswith(".pyc")}  # which are another test's
    ours = {name for name in names if not name.startswith("msgspec")}
    assert ours == {f"{name}/__init__.py" for name in PROCESSOR.packages}
    assert {Path(name).suffix for name in names - ours} == {".py", ".so", ".typed", ""}
    assert [name for name in names if "dist-info" in name and not name.endswith("LICENSE")] == []


def test_the_zip_that_is_deployed_is_small(tmp_path: Path) -> None:
    assert build(PROCESSOR, Target(), tmp_path).stat().st_size < 1_500_000


def test_brings_the_byte_code_of_every_module_which_python_takes_without_looking_at_its_source(
    source: Path, tmp_path: Path
) -> None:
    root = tmp_path / "unpacked"
    with zipfile.ZipFile(build(PROCESSOR, Target.of_this_interpreter(), tmp_path, source=source)) as archive:
        archive.extractall(root)
    modules = {path.relative_to(root) for path in root.rglob("*.py")}
    tag = sys.implementation.cache_tag
    compiled = {path.relative_to(root) for path in root.rglob("*.pyc")}
    assert compiled == {path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc" for path in modules}
    (root / "quotes" / "__init__.py").write_text("raise SystemExit('compiled anew')\n")
    imported = f"import sys; sys.path.insert(0, {str(root)!r}); import quotes"
    assert subprocess.run([sys.executable, "-I", "-c", imported], check=False).returncode == 0


def test_an_interpreter_that_does_not_run_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "python3.99"
    broken.write_text("#!/bin/sh\nexit 127\n")  # as a version manager leaves on the path
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert package._interpreter("3.99") is None
    assert package._interpreter("3.98") is None
    assert package._interpreter(".".join(map(str, sys.version_info[:2]))) == sys.executable


def test_every_entry_is_readable_by_all_and_has_the_same_age(source: Path, tmp_path: Path) -> None:
    found = list(entries(build(PROCESSOR, Target(), tmp_path, source=source)))
    assert {entry.date_time for entry in found} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in found} == {0o100644}
    assert [entry.filename for entry in found] == sorted(entry.filename for entry in found)


def test_a_second_build_needs_no_package_index(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(PROCESSOR, Target(), tmp_path, source=source).read_bytes()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert build(PROCESSOR, Target(), tmp_path, source=source).read_bytes() == first
    with pytest.raises(PackageError, match="no wheels"):
        build(PROCESSOR, Target(architecture="x86_64"), tmp_path, source=source)


def test_a_wheel_that_is_not_the_one_of_the_lock_is_refused(source: Path, tmp_path: Path) -> None:
    (source / PROCESSOR.requirements).write_text(f"msgspec==0.22.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(PackageError, match="DO NOT MATCH THE HASHES"):
        build(PROCESSOR, Target(), tmp_path, source=source)


def test_an_installation_that_failed_is_not_taken_for_a_complete_one(source: Path, tmp_path: Path) -> None:
    good = (source / PROCESSOR.requirements).read_text()
    (source / PROCESSOR.requirements).write_text(f"msgspec==0.22.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(PackageError):
        build(PROCESSOR, Target(), tmp_path, source=source)
    assert list((tmp_path / "wheels").iterdir()) == []
    (source / PROCESSOR.requirements).write_text(good)
    assert build(PROCESSOR, Target(), tmp_path, source=source).is_file()


def test_a_source_without_our_packages_is_told(source: Path, tmp_path: Path) -> None:
    shutil.rmtree(source / "processor_lambda")
    with pytest.raises(PackageError, match="holds no package processor_lambda"):
        build(PROCESSOR, Target(), tmp_path, source=source)


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
    # Not Lambda's zip of the same version and CPU: this one may hold the wheels of another operating system.
    assert here != Target(version, architecture)


def test_the_zip_of_this_interpreter_can_be_imported(source: Path, tmp_path: Path) -> None:
    path = build(PROCESSOR, Target.of_this_interpreter(), tmp_path, source=source)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "code")
    script = "import msgspec, quotes; print(msgspec.__file__); print(msgspec.json.decode(b'[1]'))"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "code", capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [str(tmp_path / "code" / "msgspec" / "__init__.py"), "[1]"]


def test_a_cpu_that_lambda_does_not_have_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(PackageError, match="riscv64"):
        Target.of_this_interpreter()
