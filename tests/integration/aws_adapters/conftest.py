"""A scripted server in place of AWS, and services that send their requests to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aws_requests import Service
from aws_requests.credentials import credentials_of
from replica.emulator import REGION
from tests.fakes.scripted_server import ScriptedServer
from tests.support.aws_adapters import Clock, Connect

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "first"}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer().running() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys() -> dict[str, str]:
    """The environment with the keys of a service, unless the test has another."""
    return dict(KEYS)


@pytest.fixture
def connect(server: ScriptedServer, clock: Clock, keys: dict[str, str]) -> Iterator[Connect]:
    made: list[Service] = []

    def connect(
        name: str = "dynamodb",
        url: str | None = None,
        environment: dict[str, str] | None = None,
        ca: str | None = None,
    ) -> Service:
        credentials = credentials_of(keys if environment is None else environment)
        url = server.url if url is None else url
        region = REGION if ca else "eu-west-1"
        made.append(Service(name, url, region, credentials, ca_bundle=ca, sleep=clock.sleep, monotonic=clock))
        return made[-1]

    yield connect
    for service in made:
        service.close()


@pytest.fixture
def dynamodb(connect: Connect) -> Service:
    return connect()
