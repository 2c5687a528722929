"""The producer's image: built by docker, and pushed to ECR under a tag that names its content, once."""

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

from deployment.errors import ImageError
from deployment.functions import ROOT
from deployment.package import Architecture
from deployment.stacks import refusal

_DOCKERFILE = "docker/Dockerfile"
# What the target `producer` of the Dockerfile is made of.
_SOURCES = (_DOCKERFILE, "docker/probe.py", "requirements/producer.txt", "aws_limits", "quotes", "producer_service")
_PLATFORMS: dict[Architecture, str] = {"arm64": "linux/arm64", "x86_64": "linux/amd64"}
_COMMAND_SECONDS = 1800


@dataclass(frozen=True)
class ProducerImage:
    """The image of the sources under `root`, for a CPU. Raises `ImageError`."""

    architecture: Architecture
    root: Path = ROOT
    docker: str = "docker"

    @property
    def tag(self) -> str:
        """Names the content: other sources, or another CPU, are another tag."""
        digest = hashlib.sha256()
        for path in self._files():
            content = path.read_bytes()
            digest.update(f"{path.relative_to(self.root)} {len(content)}\n".encode())
            digest.update(content)
        return f"{self.architecture.replace('_', '-')}-{digest.hexdigest()[:16]}"

    def uri(self, repository_uri: str) -> str:
        """Where the image is, or will be."""
        return f"{repository_uri}:{self.tag}"

    def check(self) -> None:
        """Raise `ImageError` if there is nothing here that can build an image."""
        if shutil.which(self.docker) is None:
            raise ImageError(
                "the producer's image takes docker to build, which is not here; name one that is built: IMAGE=…"
            )

    def pushed(self, ecr: BaseClient, repository_uri: str, report: Callable[[str], None]) -> str:
        """The image's URI, when the repository has it; builds and pushes it if it has not."""
        uri = self.uri(repository_uri)
        if self._is_there(ecr, repository_uri):
            report(f"{uri} is there")
            return uri
        self.check()
        report(f"building {uri}")
        options = {
            "--platform": _PLATFORMS[self.architecture],
            "--target": "producer",
            "--tag": uri,
            "--build-arg": f"VERSION={self.tag}",
            "--file": str(self.root / _DOCKERFILE),
        }
        self._run("build", *(part for option in options.items() for part in option), str(self.root))
        with refusal("the registry's login"):
            token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        user, _, password = base64.b64decode(token).decode().partition(":")
        registry = repository_uri.partition("/")[0]
        self._run("login", "--username", user, "--password-stdin", registry, secret=password)
        report(f"pushing {uri}")
        self._run("push", "--quiet", uri)
        return uri

    def _is_there(self, ecr: BaseClient, repository_uri: str) -> bool:
        name = repository_uri.partition("/")[2]
        try:
            ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": self.tag}])
        except ClientError as error:
            if error.response["Error"]["Code"] == "ImageNotFoundException":
                return False
            raise ImageError(f"{repository_uri} does not answer: {error}") from error
        return True

    def _files(self) -> Iterator[Path]:
        for source in _SOURCES:
            path = self.root / source
            yield from [path] if path.is_file() else sorted(path.rglob("*.py"))

    def _run(self, *arguments: str, secret: str | None = None) -> None:
        """`docker` with these arguments; a secret goes through its input, where no list of processes shows it."""
        command = [self.docker, *arguments]
        try:
            subprocess.run(  # noqa: S603  (no shell)
                command, check=True, capture_output=True, text=True, input=secret, timeout=_COMMAND_SECONDS
            )
        except subprocess.CalledProcessError as error:
            raise ImageError(f"docker {arguments[0]} failed:\n{error.stderr.strip()}") from error
        except subprocess.TimeoutExpired as error:
            raise ImageError(f"docker {arguments[0]} took over {_COMMAND_SECONDS} s") from error
