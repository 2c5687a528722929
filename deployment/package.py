"""Builds the zip of a function: our packages and their wheels, for one version of Python and one CPU.

The zip contains byte code if the target's version of Python is installed on this machine. Lambda mounts the zip
read-only, so Python cannot store byte code there. Without it, Python would compile every module at every cold start,
which takes a third of the import time. Our modules are in the zip without their docstrings, which nobody reads there.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deployment.errors import PackageError
from deployment.functions import ROOT, Function
from workspace.places import STATE

Architecture = Literal["arm64", "x86_64"]

_ARCHITECTURES: dict[str, Architecture] = {
    "aarch64": "arm64",
    "amd64": "x86_64",
    "arm64": "arm64",
    "x86_64": "x86_64",
}
_MACHINES: dict[Architecture, str] = {"arm64": "aarch64", "x86_64": "x86_64"}
# The platforms of wheels that Amazon Linux 2023 (glibc 2.34) can load. pip does not infer the older ones by itself.
_PLATFORMS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can store."""
_MODE = 0o100644  # readable by all, because Lambda reads the files as another user
_UNIX = 3
_ROOT_IN_LAMBDA = "/var/task"
_INSTALL_TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Target:
    """What a zip is built for. The defaults are those of the templates."""

    python: str = "3.13"
    """The minor version of Python."""
    architecture: Architecture = "arm64"
    """The CPU."""
    native: bool = False
    """Whether the zip is for the operating system of this machine, where an emulator runs it, and not for Lambda's."""

    @classmethod
    def of_this_interpreter(cls) -> Target:
        """The target for an emulator that runs functions with this interpreter. Raises `PackageError`."""
        machine = platform.machine().lower()
        if machine not in _ARCHITECTURES:
            raise PackageError(f"this machine's CPU is {machine}, but Lambda runs only on {' and '.join(_MACHINES)}")
        major, minor = sys.version_info[:2]
        return cls(python=f"{major}.{minor}", architecture=_ARCHITECTURES[machine], native=True)

    @property
    def name(self) -> str:
        """A part of the zip's file name, such as `3.13-arm64` or `3.11-x86_64-native`."""
        return f"{self.python}-{self.architecture}" + ("-native" if self.native else "")


def build(
    function: Function,
    target: Target,
    output_dir: Path = STATE,
    *,
    source: Path = ROOT,
    wheels: Path | None = None,
) -> Path:
    """Build `<function>-<target>.zip` in the output directory from a source tree, and return its path.

    Two builds of the same source for the same target and with the same interpreter are equal, byte for byte. The wheels
    are installed once for each target and lock file, so a second build needs no package index. They are kept in
    `wheels`, which is a folder of the output directory by default. Raises `PackageError`.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    installed = _installed_wheels(target, source / function.requirements, wheels or output_dir / "wheels")
    paths = dict(_sources(source, function.packages))
    files = {name: _without_docstrings(path.read_bytes()) for name, path in paths.items() if path.suffix == ".py"}
    files |= {
        name: path.read_bytes() for name, path in (paths | dict(_wheel_files(installed))).items() if name not in files
    }
    files |= _byte_code({name: content for name, content in files.items() if name.endswith(".py")}, target, output_dir)
    path = output_dir / f"{function.name}-{target.name}.zip"
    partial = path.with_suffix(f".{os.getpid()}")
    with zipfile.ZipFile(partial, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED, compresslevel=9)
    return partial.replace(path)


def _sources(source: Path, packages: Iterable[str]) -> Iterator[tuple[str, Path]]:
    for package in packages:
        modules = sorted(path for path in (source / package).rglob("*") if path.suffix in {".py", ".toml"})
        if not modules:
            raise PackageError(f"{source} has no package {package}, which the zip needs")
        yield from ((module.relative_to(source).as_posix(), module) for module in modules)


def _without_docstrings(module: bytes) -> bytes:
    """A module without its docstrings. Every line keeps its number, so tracebacks point to the lines of the source."""
    lines = module.splitlines(keepends=True)
    for node in ast.walk(ast.parse(module)):
        body = getattr(node, "body", None)
        block: list[ast.stmt] = body if isinstance(body, list) else []  # the body of a lambda is one expression
        for statement in block:
            match statement:
                case ast.Expr(value=ast.Constant(value=str()), lineno=first, end_lineno=int(last), col_offset=column):
                    # A block needs a statement.
                    lines[first - 1 : last] = [b"\n"] * (last + 1 - first)
                    if len(block) == 1:
                        lines[first - 1] = b" " * column + b"...\n"
    return b"".join(lines)


def _wheel_files(wheels: Path) -> Iterator[tuple[str, Path]]:
    """The files that the function imports, and the licenses. No stubs, scripts, byte code or installation records."""
    for path in sorted(wheels.rglob("*")):
        name = path.relative_to(wheels)
        if not path.is_file() or path.suffix in {".pyc", ".pyi"} or name.parts[0] == "bin":
            continue
        if name.parts[0].endswith(".dist-info") and not path.name.startswith(("LICENSE", "NOTICE")):
            continue
        yield name.as_posix(), path


def _byte_code(modules: Mapping[str, bytes], target: Target, scratch: Path) -> dict[str, bytes]:
    """The byte code of the modules; empty if no interpreter of the target's version is installed."""
    python = _interpreter(target.python)
    if python is None:
        return {}
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".") as directory:
        root = Path(directory)
        for name, content in modules.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        # Unchecked, because by default byte code contains the modification time of its source, which a zip loses.
        command = [python, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        try:
            subprocess.run(  # noqa: S603  (no shell)
                [*command, "-s", directory, "-p", _ROOT_IN_LAMBDA, directory],
                check=True,
                capture_output=True,
                text=True,
                timeout=_INSTALL_TIMEOUT_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            raise PackageError(
                f"Python {target.python} cannot compile the modules of the zip:\n{error.stdout}"
            ) from error
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.pyc")}


def _interpreter(version: str) -> str | None:
    """An interpreter of a minor version: this one, or a working one on the path; None if there is none."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None:
        return None
    # Version managers put commands on the path that do not run.
    result = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)  # noqa: S603  (no shell)
    return found if result.stdout.startswith(f"Python {version}.") else None


def _installed_wheels(target: Target, lock: Path, cache: Path) -> Path:
    """The directory in the cache with the wheels of a lock file, installed now if it does not exist."""
    try:
        digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise PackageError(f"the lock file of the function cannot be read: {error}") from error
    installed = cache / f"{target.name}-{digest}"
    if not installed.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        # The directory is renamed when it is complete, so an interrupted build leaves no partial installation behind.
        with tempfile.TemporaryDirectory(dir=cache, prefix=".") as scratch:
            _install(target, lock, Path(scratch, "wheels"))
            try:
                Path(scratch, "wheels").rename(installed)
            except OSError:
                if not installed.is_dir():
                    raise
    return installed


def _install(target: Target, lock: Path, directory: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-compile", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--requirement", str(lock), "--target", str(directory)]
    if not target.native:
        machine = _MACHINES[target.architecture]
        command += ["--implementation", "cp", "--python-version", target.python]
        command += [option for tag in _PLATFORMS for option in ("--platform", f"{tag}_{machine}")]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_SECONDS)  # noqa: S603  (no shell)
    except subprocess.CalledProcessError as error:
        raise PackageError(
            f"pip cannot install the wheels of {lock} for {target.name}:\n{error.stderr.strip()}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise PackageError(f"pip did not install {lock} within {_INSTALL_TIMEOUT_SECONDS} s") from error
