"""The dashboard's server as a process: before an HTTP API of the emulator, and with what a person may ask of it."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from replica import http_api
from replica.dashboard_process import DashboardFailed, DashboardProcess
from replica.emulator import Emulator
from replica.parameters import Typed, WrongParameters, checked
from tests.support.waiting import wait_until

ECHO = """
import base64, gzip, json

def handler(event, context):
    http, headers = event["requestContext"]["http"], event["headers"]
    if headers.get("if-none-match") == '"1"':
        return {"statusCode": 304, "headers": {"ETag": '"1"'}}
    if event["rawPath"] == "/v1/crash":
        raise ValueError
    seen = {"version": event["version"], "method": http["method"], "path": event["rawPath"]}
    seen |= {"stage": event["requestContext"]["stage"], "query": event["rawQueryString"]}
    body = gzip.compress(json.dumps(seen).encode())
    answer = {"ETag": '"1"', "Content-Encoding": "gzip", "Content-Type": "application/json"}
    return {"statusCode": 200, "headers": answer, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}
"""
"""A function that tells what an entrance gave it, as the query function would get it."""


@pytest.fixture(scope="module")
def api(emulator: Emulator) -> str:
    """The address of an HTTP API before a function that echoes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("echo.py", ECHO)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = emulator.client("iam").create_role(RoleName="echo", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    functions = emulator.client("lambda")
    functions.create_function(
        FunctionName="echo",
        Runtime="python3.13",
        Role=role,
        Handler="echo.handler",
        Code={"ZipFile": packed.getvalue()},
        Publish=True,
    )
    alias = functions.create_alias(FunctionName="echo", Name="live", FunctionVersion="1")["AliasArn"]
    return http_api.url(emulator.endpoint_url, http_api.create(emulator.client, "echo", alias))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    (folder / "index.html").write_text("<!doctype html><title>stockstream</title>", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def dashboard(api: str, page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    log = tmp_path_factory.mktemp("dashboard") / "log"
    options = {"api": api, "page": str(page), "port": "0"}
    with (
        DashboardProcess(options, os.environ, log, lambda _: None) as running,
        httpx.Client(base_url=running.url, trust_env=False) as client,
    ):
        yield client
    assert log.read_text() == ""


def test_a_request_reaches_the_function_as_it_was_sent(dashboard: httpx.Client) -> None:
    answer = dashboard.get("/v1/bars/BRK%2FB?start=2026-11-27T14%3A30%3A00%2B01%3A00&limit=1&limit=2")
    seen = answer.json()
    assert seen == {
        "version": "2.0",
        "method": "GET",
        "path": "/v1/bars/BRK/B",
        "stage": "$default",
        "query": "start=2026-11-27T14%3A30%3A00%2B01%3A00&limit=1&limit=2",
    }


def test_an_answer_of_the_function_comes_back_compressed_with_its_tag(dashboard: httpx.Client) -> None:
    with dashboard.stream("GET", "/udf/config") as answer:
        body = b"".join(answer.iter_raw())
    assert json.loads(gzip.decompress(body))["path"] == "/udf/config"
    assert (answer.headers["etag"], answer.headers["content-encoding"]) == ('"1"', "gzip")
    assert "access-control-allow-origin" not in answer.headers
    again = dashboard.get("/udf/config", headers={"If-None-Match": '"1"'})
    assert (again.status_code, again.content) == (304, b"")


def test_head_has_no_body_and_a_crash_of_the_function_is_an_error(dashboard: httpx.Client) -> None:
    assert dashboard.head("/v1/latest").content == b""
    assert dashboard.get("/v1/crash").status_code >= 500


def test_the_page_is_served(dashboard: httpx.Client) -> None:
    answer = dashboard.get("/")
    assert answer.status_code == 200
    assert answer.text.startswith("<!doctype html>")


def test_an_api_that_is_gone_is_said_and_found_again(page: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    options = {"api": f"http://127.0.0.1:{port}", "page": str(page), "port": "0"}
    with DashboardProcess(options, os.environ, tmp_path / "log", lambda _: None) as running:
        url = f"{running.url}v1/latest"
        assert httpx.get(url, trust_env=False).json()["type"] == "urn:stockstream:api-unreachable"
        back = subprocess.Popen(
            [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
            cwd=page,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: httpx.get(url, trust_env=False).status_code == 404, "the new server answers")
        finally:
            back.kill()
            back.wait()


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dashboard_server", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_a_port_that_is_taken_is_refused_only_if_it_was_asked_for(api: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = run("--api", api, "--port", port)
        assert refused.returncode == 2
        assert f"127.0.0.1:{port}" in refused.stderr
        with (
            pytest.raises(DashboardFailed, match=port),
            DashboardProcess({"api": api, "port": port}, os.environ, tmp_path / "log", lambda _: None) as failed,
        ):
            assert failed.url


def test_the_demo_refuses_a_port_that_is_taken_before_it_starts_anything() -> None:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WrongParameters) as refusal:
            checked(Typed(port=str(port)), os.environ, now)
    (mistake,) = refusal.value.mistakes
    assert mistake.startswith(f"--port / PORT: {port}: the dashboard cannot listen there: Address already in use")
    assert checked(Typed(port=str(port)), os.environ, now).port == port


def test_it_ends_in_order_at_sigterm(api: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dashboard_server", "--api", api, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as started:
        assert started.stdout is not None
        assert started.stdout.readline().startswith("dashboard: http://127.0.0.1:")
        started.terminate()
        assert started.wait(10) == -signal.SIGTERM  # as a program that left the signal alone
