"""The records of the demos on this machine, by which other programs find a running demo and the last archive.

A demo holds the lock of its stage for as long as it lives, so a demo that was killed is not running. When a demo ends
in order, its record becomes the last one, and the stage is free again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import msgspec

from workspace.places import STATE

DIRECTORY = STATE / "demos"
"""Where the records are: one file for each demo, `<stage>.json`, and `last.json` of the demo that ended last."""
STAGE = "demo"
"""The stage of a demo, if no other one runs."""
CREDENTIALS: Mapping[str, str] = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
"""The credentials of every demo's emulator, which knows no others."""

_LAST = "last.json"


class DemoRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What other programs need to know of a demo."""

    stage: str
    """`demo`, or `demo-2` if another demo ran when it started, and so on."""
    process: int
    """The id of its process."""
    started_at: datetime
    ended_at: datetime | None = None
    """None while it runs."""
    endpoint_url: str
    """The address of the emulator, which serves every AWS API."""
    region: str
    ca_bundle: str | None = None
    """The file of the emulator's certificate. None if the emulator speaks plain HTTP."""
    producer_url: str
    """The address of the producer's /status, /metrics, /healthz and /readyz."""
    dashboard_url: str = ""
    """The address of the dashboard, with a slash at the end; the query API is below it. Empty in an older record."""
    source: str
    """The name of the source of quotes."""
    outputs: dict[str, str]
    """The outputs of the stacks, which name the resources."""
    archive: str
    """The directory that gets the archive when the demo ends."""

    @property
    def host(self) -> str:
        """The host of the emulator, without its port."""
        return urlsplit(self.endpoint_url).hostname or ""


def environment(record: DemoRecord) -> dict[str, str]:
    """The AWS_ variables with which any SDK reaches the demo.

    Unset every other AWS_ variable: no file and no profile of the user belongs to the demo.
    """
    variables = {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": record.endpoint_url,
        "AWS_DEFAULT_REGION": record.region,
        "AWS_REGION": record.region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return variables if record.ca_bundle is None else {**variables, "AWS_CA_BUNDLE": record.ca_bundle}


def lead_to(record: DemoRecord, variables: MutableMapping[str, str]) -> None:
    """Change the environment variables of a process so that its AWS SDK reaches the demo, also beside a proxy."""
    for name in [name for name in variables if name.startswith("AWS_")]:
        del variables[name]
    variables.update(environment(record))
    for name in ("NO_PROXY", "no_proxy"):
        variables[name] = ",".join(filter(None, (variables.get(name), record.host)))


def _encoded(record: DemoRecord) -> bytes:
    """A record as its file holds it."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


class Claim:
    """The stage of one demo, which no other demo can take while the claim is held."""

    def __init__(self, stage: str, directory: Path) -> None:
        self.stage = stage
        self._directory = directory

    @property
    def file(self) -> Path:
        """The file of the demo's record."""
        return _file(self.stage, self._directory)

    def write(self, record: DemoRecord) -> None:
        """Write the record of the demo. From now on, other programs find it."""
        _write(self.file, _encoded(record))

    def write_beside(self, suffix: str, text: str) -> Path:
        """Write a file for people beside the record, such as `demo.env`. It is removed with the record."""
        file = self.file.with_suffix(suffix)
        _write(file, text.encode())
        return file

    def end(self, ended_at: datetime) -> None:
        """Make the record that of the demo that ended last. It no longer runs."""
        record = _read(self.file)
        if record is not None:
            _write(self._directory / _LAST, _encoded(msgspec.structs.replace(record, ended_at=ended_at)))
            _remove(self.stage, self._directory)


@contextmanager
def claim(directory: Path | None = None) -> Iterator[Claim]:
    """Take the first stage that no running demo has, for as long as the block lasts. Then its files are removed.

    The files that a killed demo left there are removed at once.
    """
    directory = directory or DIRECTORY
    directory.mkdir(parents=True, exist_ok=True)
    with _taken(directory) as stage:
        _remove(stage, directory)
        try:
            yield Claim(stage, directory)
        finally:
            _remove(stage, directory)


def running(directory: Path | None = None) -> tuple[DemoRecord, ...]:
    """The demos that run, in the order of their stages."""
    directory = directory or DIRECTORY
    with suppress(FileNotFoundError, PermissionError), _exclusive(directory):
        return tuple(record for record, is_alive in _records(directory) if is_alive)
    return ()


def find(stage: str, directory: Path | None = None) -> DemoRecord | None:
    """The running demo of a stage. None if there is none."""
    return next((record for record in running(directory) if record.stage == stage), None)


def last_ended(directory: Path | None = None) -> DemoRecord | None:
    """The demo that ended last. None if none has ended here. Demos that were killed do not count."""
    return _read((directory or DIRECTORY) / _LAST)


def remove_stale(directory: Path | None = None) -> tuple[DemoRecord, ...]:
    """Remove the files of demos that were killed. Returns their records."""
    directory = directory or DIRECTORY
    with suppress(FileNotFoundError, PermissionError), _exclusive(directory):
        dead = tuple(record for record, is_alive in _records(directory) if not is_alive)
        for record in dead:
            _remove(record.stage, directory)
        return dead
    return ()


def _records(directory: Path) -> list[tuple[DemoRecord, bool]]:
    """The records, and whether the demo of each runs. Call it in `_exclusive`."""
    found = []
    for file in sorted(directory.glob(f"{STAGE}*.json"), key=lambda path: (len(path.name), path.name)):
        record = _read(file)
        if record is not None and file == _file(record.stage, directory):
            found.append((record, _is_locked(_lock(record.stage, directory))))
    return found


def _file(stage: str, directory: Path) -> Path:
    return directory / f"{stage}.json"


def _lock(stage: str, directory: Path) -> Path:
    return directory / f"{stage}.lock"


def _remove(stage: str, directory: Path) -> None:
    """Remove the record of a stage and what was written beside it. The lock stays."""
    for file in directory.glob(f"{stage}.*"):
        if file != _lock(stage, directory):
            file.unlink(missing_ok=True)


@contextmanager
def _taken(directory: Path) -> Iterator[str]:
    """The first free stage. Its lock is held until the block ends. The empty file stays, since another may open it."""
    with _exclusive(directory):
        for number in count(1):
            stage = STAGE if number == 1 else f"{STAGE}-{number}"
            file = _lock(stage, directory).open("wb")
            if _locks(file):
                break
            file.close()
    with file:
        yield stage


def _locks(file: IO[bytes]) -> bool:
    """Lock an open file, unless another program holds its lock. Returns whether it did."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_locked(path: Path) -> bool:
    """Whether a program holds the lock of a file. Call it in `_exclusive`, because it takes a free lock briefly."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return not _locks(file)


@contextmanager
def _exclusive(directory: Path) -> Iterator[None]:
    """Keep all others from taking and testing locks, for a moment. Raises `OSError` if there is no directory."""
    opened = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _read(file: Path) -> DemoRecord | None:
    """A record. None if there is none, or one of another user or of another version of this program."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=DemoRecord)
    except (OSError, msgspec.MsgspecError):
        return None


def _write(file: Path, content: bytes) -> None:
    """Write a file at once, for this user alone: nobody reads half of it."""
    partial = file.with_suffix(f"{file.suffix}.{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_bytes(content)
    partial.replace(file)
