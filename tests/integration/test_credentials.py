"""Credentials of every origin, with the real SDK and a Kinesis that accepts one key.

Whatever is wrong with them at first, requests fail with a reason, and succeed once the credentials are right.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from producer_service.kinesis import KinesisStream
from producer_service.packing import Packet, Row
from replica.producer_process import ProducerProcess, environment
from tests.fakes.guarded_kinesis import GuardedKinesis
from tests.support.sizes import FULL
from tests.support.waiting import wait_until

PACKETS = [Packet(0, "lane-00-of-01", (Row(1, 0, b"{}\n", 1, 0.0),))]
HELPER_SECONDS = 0.5
AWS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


@pytest.fixture
def kinesis() -> Iterator[GuardedKinesis]:
    with GuardedKinesis().running() as running:
        yield running


@pytest.fixture
def files(tmp_path: Path, kinesis: GuardedKinesis, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the AWS files `config` and `credentials`, which do not exist yet."""
    for name in AWS:
        monkeypatch.delenv(name, raising=False)
    for name, value in aws_environment(tmp_path, kinesis).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("producer_service.credentials.RETRY_SECONDS", 0.0)
    monkeypatch.setattr("producer_service.credentials.HELPER_SECONDS", HELPER_SECONDS)
    return tmp_path


def aws_environment(directory: Path, kinesis: GuardedKinesis) -> dict[str, str]:
    return {
        "AWS_CONFIG_FILE": str(directory / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(directory / "credentials"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": kinesis.url,
    }


def make_stream() -> KinesisStream:
    return KinesisStream("quotes", 1, read_timeout_seconds=5)


def profile(key: str, name: str = "default") -> str:
    return f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = secret\n"


def helper_output(key: str, expires_in: timedelta | None = None) -> str:
    fields = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": "secret", "SessionToken": "token"}
    if expires_in is not None:
        fields["Expiration"] = (datetime.now(UTC) + expires_in).isoformat()
    return json.dumps(fields)


def write_helper(directory: Path, script: str) -> None:
    """Make a `credential_process` of a Python script."""
    path = directory / "helper.py"
    path.write_text(script, encoding="utf-8")
    (directory / "config").write_text(
        f"[default]\ncredential_process = {sys.executable} -S -E {path}\n", encoding="utf-8"
    )


def assert_fails_then_works(kinesis: GuardedKinesis, repair: Callable[[], object], why: str = "") -> None:
    stream = make_stream()
    for _ in range(2):
        result = stream.put(PACKETS)
        assert result.failures == ("refused",)
        assert why in result.detail
    repair()
    wait_until(lambda: stream.put(PACKETS).failures == (None,), "the request succeeds")
    assert kinesis.stored == 1
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("credentials") <= 1


def test_a_shared_file_that_appears_later_is_found(files: Path, kinesis: GuardedKinesis) -> None:
    assert_fails_then_works(
        kinesis, lambda: (files / "credentials").write_text(profile("GOOD")), "no AWS credentials were found"
    )


def test_a_profile_that_appears_later_is_found(
    files: Path, kinesis: GuardedKinesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "producer")
    repair = lambda: (files / "credentials").write_text(profile("GOOD", "producer"))  # noqa: E731
    assert_fails_then_works(kinesis, repair, "producer")


@pytest.mark.parametrize(
    "error",
    [
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "AccessDeniedException",
    ],
)
def test_a_shared_file_that_is_rotated_in_place_is_read_again(files: Path, kinesis: GuardedKinesis, error: str) -> None:
    kinesis.error = error
    (files / "credentials").write_text(profile("OLD"))
    assert_fails_then_works(kinesis, lambda: (files / "credentials").write_text(profile("GOOD")), error)


def test_a_shared_file_that_is_half_written_is_read_again(files: Path, kinesis: GuardedKinesis) -> None:
    (files / "credentials").write_bytes(b"[default\naws_acc\xff")
    assert_fails_then_works(kinesis, lambda: (files / "credentials").write_text(profile("GOOD")))


def test_keys_that_work_are_rotated_without_a_restart(files: Path, kinesis: GuardedKinesis) -> None:
    (files / "credentials").write_text(profile("GOOD"))
    stream = make_stream()
    assert stream.put(PACKETS).failures == (None,)
    kinesis.good = "NEXT"
    assert stream.put(PACKETS).failures == ("refused",)
    (files / "credentials").write_text(profile("NEXT"))
    wait_until(lambda: stream.put(PACKETS).failures == (None,), "the new keys are used")


BROKEN_HELPERS = {
    "exits with 1": "raise SystemExit(1)",
    "is killed": "import os; os.kill(os.getpid(), 9)",
    "prints nothing": "",
    "prints no JSON": "print('Enter your MFA code:')",
    "prints no UTF-8": "import sys; sys.stdout.buffer.write(b'\\xff\\xfe')",
    "writes no UTF-8 to stderr": "import sys; sys.stderr.buffer.write(b'\\xff'); raise SystemExit(1)",
    "prints a list": "print('[]')",
    "prints null": "print('null')",
    "prints another version": "print('{\"Version\": 2}')",
    "prints no keys": "print('{\"Version\": 1}')",
    "prints keys that are no texts": 'print(\'{"Version": 1, "AccessKeyId": 1, "SecretAccessKey": null}\')',
    "prints keys that no header holds": f"print({helper_output('GOOD' + chr(10))!r})",
    "prints a bad expiration": f'print({helper_output("GOOD")[:-1]!r} + \', "Expiration": "soon"}}\')',
    "prints expired keys": f"print({helper_output('GOOD', timedelta(hours=-1))!r})",
    "hangs": "import time; time.sleep(60)",
    "hangs with a child that holds its output": (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    ),
}


@pytest.mark.parametrize("broken", BROKEN_HELPERS)
def test_a_helper_that_is_broken_is_asked_again(files: Path, kinesis: GuardedKinesis, broken: str) -> None:
    write_helper(files, BROKEN_HELPERS[broken])
    repaired = f"print({helper_output('GOOD', timedelta(hours=1))!r})"
    assert_fails_then_works(kinesis, lambda: write_helper(files, repaired))


def test_a_helper_that_is_missing_is_asked_again(files: Path, kinesis: GuardedKinesis) -> None:
    (files / "config").write_text("[default]\ncredential_process = /no/such/helper\n")
    repaired = f"print({helper_output('GOOD')!r})"
    assert_fails_then_works(kinesis, lambda: write_helper(files, repaired), "FileNotFoundError")


def test_a_metadata_service_that_becomes_ready_is_asked_again(
    files: Path, kinesis: GuardedKinesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    del files
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{kinesis.url}/keys")
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0.01)
    expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    keys = {"AccessKeyId": "GOOD", "SecretAccessKey": "secret", "Token": "token", "Expiration": expires}

    def become_ready() -> None:
        kinesis.metadata = json.dumps(keys).encode()

    assert_fails_then_works(kinesis, become_ready)


def page(producer: ProducerProcess, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(producer.url + path, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("broken", ["exits with 1", "prints no JSON", "hangs"] if FULL else ["exits with 1"])
def test_a_producer_starts_with_a_broken_helper_and_delivers_once_it_works(
    tmp_path: Path, kinesis: GuardedKinesis, broken: str
) -> None:
    write_helper(tmp_path, BROKEN_HELPERS[broken])
    base = {name: value for name, value in os.environ.items() if not name.startswith(("PRODUCER_", "AWS_"))}
    settings = {"SOURCE": "synthetic", "POLL_INTERVAL_SECONDS": "0.1", "KINESIS_TIMEOUT_SECONDS": "1"}
    variables = environment({**base, **aws_environment(tmp_path, kinesis)}, tmp_path, "quotes", settings)
    with ProducerProcess(variables, command=("tests.fakes.impatient_producer",)) as producer:
        wait_until(lambda: "credentials" in page(producer, "/readyz")[1], "the page names the reason", seconds=15)
        assert page(producer, "/readyz")[0] == 503
        assert page(producer, "/healthz")[0] == 200
        write_helper(tmp_path, f"print({helper_output('GOOD', timedelta(hours=1))!r})")
        wait_until(lambda: page(producer, "/readyz")[0] == 200, "it delivers", seconds=40)
        assert kinesis.stored
        producer.stop()
