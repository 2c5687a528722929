"""Runs the compose stack under its own project name and reads its state through public interfaces."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from localstack_client.session import Session

from producer_service import accepted_log
from quotes import Identity
from replica.audit import EvidenceReader, Findings, audit
from replica.event_source.aws import KinesisStream

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ACCEPTED_LOG = "/var/lib/stockstream/accepted_log.jsonl"
COMMAND_SECONDS = 400.0
STORED_SECONDS = 60.0
"""How long an accepted quote may take to be stored."""
# Port 0 is any free port, since a developer's own stack may be running.
PORTS = {
    f"{name}_PORT": "0" for name in ("LOCALSTACK", "METRICS", "PROMETHEUS", "ALERTMANAGER", "GRAFANA", "DASHBOARD")
} | {"ALERTMANAGER_CONFIG": "./tests/e2e/alertmanager"}


class Stack:
    """A project of docker compose. `services` are the services that `up` starts by default."""

    def __init__(self, project: str, services: tuple[str, ...], scratch: Path) -> None:
        self.services = services
        self.files = [ROOT / "docker-compose.yml", HERE / "compose.yaml"]
        self.project = project
        self._scratch = scratch
        prefixes = ("PRODUCER_", "COMPOSE_", "STOCKSTREAM_VERSION", "WATCHLIST", "RULES", "LATENCY")
        self._forgotten = 0
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)} | PORTS

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `docker compose`. If `check`, fail with its output on an error."""
        files = [part for file in self.files for part in ("--file", str(file))]
        command = ["docker", "compose", "--project-name", self.project, "--env-file", os.devnull, *files, *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        if check:
            assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def up(self, *services: str) -> None:
        """Start services, by default all, and wait until they are healthy."""
        self.compose("up", "--detach", "--wait", *(services or self.services))

    @contextmanager
    def setting(self, variable: str, value: str) -> Iterator[None]:
        """Set a variable of the compose file for as long as the block lasts."""
        self._environment[variable] = value
        try:
            yield
        finally:
            del self._environment[variable]

    @contextmanager
    def frozen(self, service: str) -> Iterator[None]:
        """Pause a service for as long as the block lasts, then wait until it is healthy again."""
        self.compose("pause", service)
        try:
            yield
        finally:
            self.compose("unpause", service)
            # After a pause, Docker calls a container unhealthy until its next health check.
            wait_until(lambda: self.state(service)["Health"]["Status"] == "healthy", seconds=60, what="health")

    def state(self, service: str) -> dict[str, Any]:
        """The state of a service's container, as `docker inspect` reports it."""
        found: dict[str, Any] = json.loads(
            docker("inspect", "--format", "{{json .State}}", self.container(service)).stdout
        )
        return found

    def container(self, service: str) -> str:
        """The id of a service's container, whether it runs or not."""
        return self.compose("ps", "--all", "--quiet", service).stdout.strip()

    def leftovers(self) -> list[str]:
        """The project's containers (including the function's), volumes and networks that still exist."""
        commands = (
            ("ps", "--all", "--filter", f"name={self.project}", "--format", "{{.Names}}"),
            ("volume", "ls", "--filter", f"name={self.project}", "--format", "{{.Name}}"),
            ("network", "ls", "--filter", f"name={self.project}", "--format", "{{.Name}}"),
        )
        return [name for command in commands for name in docker(*command).stdout.split()]

    def url(self, service: str, port: int) -> str:
        """The URL of a service's published port. A restart may change it.

        Raises `ConnectionError` if the container does not run, as while it restarts.
        """
        asked = self.compose("port", service, str(port), check=False)
        if asked.returncode:
            raise ConnectionError(asked.stderr)
        return "http://" + asked.stdout.strip()

    def status(self, path: str) -> int:
        """The HTTP status with which the producer answers a path."""
        try:
            return int(_opened(self.url("producer", 8080) + path).status)
        except urllib.error.HTTPError as error:
            return error.code

    def status_or_none(self, path: str) -> int | None:
        """As `status`, or None if the producer does not answer, as while it restarts."""
        try:
            return self.status(path)
        except (OSError, ValueError):
            return None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The current samples of a Prometheus expression."""
        answer = self.prometheus("query?" + urllib.parse.urlencode({"query": expression}))
        result: list[dict[str, Any]] = answer["result"]
        return result

    def prometheus(self, request: str) -> dict[str, Any]:
        """The `data` of the response of Prometheus's API to a request."""
        with _opened(f"{self.url('prometheus', 9090)}/api/v1/{request}") as answer:
            data: dict[str, Any] = json.load(answer)["data"]
            return data

    @cached_property
    def session(self) -> Session:
        """A boto3-like session for LocalStack."""
        return Session(localstack_host=self.url("localstack", 4566).removeprefix("http://"))

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs of all deployed stacks."""
        stacks = self.session.client("cloudformation").describe_stacks()["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for stack in stacks for output in stack["Outputs"]}

    @cached_property
    def reader(self) -> EvidenceReader:
        """Reads back what was stored. It subscribes a queue of its own to the alerts."""
        client = self.session.client
        sqs = client("sqs")
        inbox = sqs.create_queue(QueueName="inbox")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        client("sns").subscribe(
            TopicArn=self.outputs["AlertsTopicArn"],
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true"},
        )
        stream = KinesisStream(client("kinesis"), self.outputs["StreamArn"])
        return EvidenceReader(self.outputs, stream, inbox, dynamodb=client("dynamodb"), s3=client("s3"), sqs=sqs)

    def accepted(self) -> list[Identity]:
        """The identities of all accepted quotes, from the accepted log in the producer's volume."""
        copy = self._scratch / "accepted_log.jsonl"
        self.compose("cp", f"producer:{ACCEPTED_LOG}", str(copy))
        return list(accepted_log.read(copy))[self._forgotten :]

    def forget(self, accepted: int) -> None:
        """Leave this many accepted quotes out from now on, and find the resources anew: LocalStack has lost both."""
        self._forgotten += accepted
        for found in ("session", "outputs", "reader"):
            self.__dict__.pop(found, None)

    def audited(self) -> Findings:
        """Wait until everything accepted so far is stored, or `STORED_SECONDS` have passed, and return the audit."""
        accepted = self.accepted()
        assert accepted
        deadline = time.monotonic() + STORED_SECONDS
        while True:
            findings = audit(accepted, self.reader.read())
            if not findings.lost or time.monotonic() > deadline:
                return findings
            time.sleep(1)


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `docker` with these arguments."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)


def wait_until(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Wait until a condition is true. Fails with the text `what` if it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"this did not happen within {seconds:.0f} s: {what}"
        time.sleep(0.5)


def _opened(url: str) -> Any:
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10)
