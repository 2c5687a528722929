"""The emulator as a child process: what it leaves behind, its environment, and how it fails to start."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from deployment.deployer import Deployment
from replica.emulator import Emulator
from replica.errors import EmulatorError
from tests.support.handler_zips import handler_zip


def test_leaves_no_process_and_no_file_behind(replica_python: str, tmp_path: Path) -> None:
    path = handler_zip(tmp_path, "import os\ndef handler(event, context): return [os.getpid(), os.getcwd()]\n")
    with Emulator(python=replica_python) as started:
        deployment = Deployment(started.client("cloudformation"), started.client("s3"), "worker")
        outputs = deployment.deploy({"processor": path, "query": path}, {"MappingState": "Disabled"})
        answer = started.client("lambda").invoke(FunctionName=outputs["FunctionName"], Payload=b"null")
        worker, directory = json.load(answer["Payload"])
        os.kill(worker, 0)
        assert Path(directory).is_dir()
        assert started.log.is_file()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert not Path(directory).exists()
    assert not started.log.exists()


def test_its_environment_has_no_settings_of_another_aws(emulator: Emulator) -> None:
    base = {"PATH": "/bin", "AWS_PROFILE": "work", "AWS_SESSION_TOKEN": "secret", "NO_PROXY": "example.org"}
    environment = emulator.environment(base)
    assert environment["AWS_ENDPOINT_URL"] == emulator.endpoint_url
    assert environment["PATH"] == "/bin"
    assert environment["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & environment.keys() == set()


def test_its_clients_use_no_proxy_and_read_no_profile(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "none-of-that-name")
    assert emulator.client("sts").get_caller_identity()["Account"] == "000000000000"


def test_an_emulator_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no module named ministack\nexit 3\n")
    python.chmod(0o755)
    with (
        pytest.raises(EmulatorError, match="ended with status 3:\nno module named ministack"),
        Emulator(python=str(python)),
    ):
        pass


def test_an_emulator_that_cannot_be_started_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="did not start"), Emulator(python=str(tmp_path / "none")):
        pass
