"""Builds the producer's image with docker, and pushes it to ECR once, under a tag that names its content."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from deployment.cloudformation import aws_errors_about
from deployment.errors import ImageError
from deployment.functions import ROOT
from deployment.package import Architecture

DOCKERFILE = "docker/Dockerfile"
SOURCES = (
    DOCKERFILE,
    "docker/probe.py",
    "requirements/producer.txt",
    "aws_limits",
    "quotes",
    "terminal",
    "watchlist",
    "producer_service",
)
"""The files and packages in the Dockerfile's target `producer`."""
_PLATFORMS: dict[Architecture, str] = {"arm64": "linux/arm64", "x86_64": "linux/amd64"}
_COMMAND_SECONDS = 1800


@dataclass(frozen=True)
class ProducerImage:
    """The producer's image for a CPU, from the sources under `root`. Methods raise `ImageError`."""

    architecture: Architecture
    root: Path = ROOT
    docker: str = "docker"

    @property
    def tag(self) -> str:
        """The CPU and a hash of the sources, so the tag changes if and only if the image's content does."""
        digest = hashlib.sha256()
        for path in self._files():
            content = path.read_bytes()
            digest.update(f"{path.relative_to(self.root)} {len(content)}\n".encode())
            digest.update(content)
        return f"{self.architecture.replace('_', '-')}-{digest.hexdigest()[:16]}"

    def uri(self, repository_uri: str) -> str:
        """The URI of the image in a repository, whether it is there yet or not."""
        return f"{repository_uri}:{self.tag}"

    def check_sources(self) -> None:
        """Raise `ImageError` if there is no checkout, from which the image is built."""
        if not (self.root / DOCKERFILE).is_file():
            raise ImageError(
                "the producer's image is built from a checkout of stockstream, and this command is installed without "
                "one. Run it from a checkout, or name an image that is built already: --image URI"
            )

    def check_docker(self) -> None:
        """Raise `ImageError` if docker is not installed."""
        if shutil.which(self.docker) is None:
            raise ImageError(
                "docker is not installed, and the producer's image is built with it. Install docker, or name an image "
                "that is built already: --image URI, or make deploy IMAGE=URI"
            )

    def push(self, ecr: BaseClient, repository_uri: str, report: Callable[[str], None]) -> str:
        """Build and push the image, unless the repository has it already. Returns its URI."""
        uri = self.uri(repository_uri)
        if self._exists(ecr, repository_uri):
            report(f"{uri} exists already")
            return uri
        self.check_docker()
        report(f"building {uri}")
        options = {
            "--platform": _PLATFORMS[self.architecture],
            "--target": "producer",
            "--tag": uri,
            "--build-arg": f"VERSION={self.tag}",
            "--file": str(self.root / DOCKERFILE),
        }
        self._run("build", *(part for option in options.items() for part in option), str(self.root))
        with aws_errors_about("the login to the registry"):
            token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        user, _, password = base64.b64decode(token).decode().partition(":")
        registry = repository_uri.partition("/")[0]
        self._run("login", "--username", user, "--password-stdin", registry, secret=password)
        report(f"pushing {uri}")
        self._run("push", "--quiet", uri)
        return uri

    def _exists(self, ecr: BaseClient, repository_uri: str) -> bool:
        name = repository_uri.partition("/")[2]
        try:
            ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": self.tag}])
        except ClientError as error:
            if error.response["Error"]["Code"] == "ImageNotFoundException":
                return False
            raise ImageError(f"AWS rejected a request to {repository_uri}: {error}") from error
        return True

    def _files(self) -> Iterator[Path]:
        for source in SOURCES:
            path = self.root / source
            yield from [path] if path.is_file() else sorted(path.rglob("*.py"))

    def _run(self, *arguments: str, secret: str | None = None) -> None:
        """Run docker. A secret goes to its standard input, so that no list of processes shows it."""
        command = [self.docker, *arguments]
        try:
            subprocess.run(  # noqa: S603  (no shell)
                command, check=True, capture_output=True, text=True, input=secret, timeout=_COMMAND_SECONDS
            )
        except subprocess.CalledProcessError as error:
            raise ImageError(f"docker {arguments[0]} failed:\n{error.stderr.strip()}") from error
        except subprocess.TimeoutExpired as error:
            raise ImageError(f"docker {arguments[0]} did not finish within {_COMMAND_SECONDS} s") from error
