"""Builds an image with docker, and pushes it to ECR once, under a tag that names what it is built from.

A deployment names the image by its digest, `repository@sha256:…`. So the image that was tested is the one that runs.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import boto3
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from deployment.cloudformation import aws_errors_about
from deployment.errors import ImageError
from deployment.functions import ROOT
from deployment.package import Architecture

DOCKERFILE = "docker/Dockerfile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What one image is built from."""

    target: str
    """The target of the Dockerfile."""
    title: str
    """What messages call the image."""
    option: str
    """How a user names an image that is built already."""
    repository: str
    """The output of the stack registry that is the URI of the image's repository."""
    sources: tuple[str, ...]
    """The files and packages in the image, as paths from the root of the repository."""
    otherwise: str = ""
    """How a user does without the image."""


PRODUCER = Contents(
    target="producer",
    title="the producer's image",
    option="--image URI, or make deploy IMAGE=URI",
    repository="RepositoryUri",
    sources=(
        DOCKERFILE,
        "docker/probe.py",
        "requirements/producer.txt",
        "aws_limits",
        "quotes",
        "terminal",
        "watchlist",
        "yahoo_requests",
        "producer_service",
    ),
)
OPERATIONS = Contents(
    target="operations",
    title="the image of the history's tasks",
    option="--parameter HistoryImage=URI, or make deploy PARAMETERS=HistoryImage=URI",
    otherwise=". Without a history, there is none: --parameter History=off, or make deploy PARAMETERS=History=off",
    repository="OperationsRepositoryUri",
    sources=(
        DOCKERFILE,
        "docker/probe.py",
        "requirements/producer.txt",
        "requirements/history.txt",
        "requirements/replica.txt",
        "infra/athena",
        "infra/cloudformation",
        "analytics",
        "aws_limits",
        "aws_requests",
        "backfill",
        "bars",
        "compaction",
        "configuration",
        "indicators",
        "lane_state",
        "operations",
        "processor_lambda",
        "quotes",
        "terminal",
        "watchlist",
        "workspace",
        "yahoo_requests",
    ),
)
IMAGES = {contents.target: contents for contents in (PRODUCER, OPERATIONS)}
"""The images that run on AWS, by their targets."""
_CODE = ("*.py", "*.sql", "*.toml", "*.yaml")
"""The files of a folder that are in an image."""
_PLATFORMS: dict[Architecture, str] = {"arm64": "linux/arm64", "x86_64": "linux/amd64"}
_COMMAND_SECONDS = 1800
_BASE = re.compile(r"^ARG PYTHON_IMAGE=(\S+)$", re.MULTILINE)
"""The line of the Dockerfile that names the base image."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PRIVATE = re.compile(r"(\d{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.[a-z.]+/([^:@]+)")
"""The URI of an image in a private repository of ECR: the account, the region and the name."""
_IN_USE = "in-use-"
"""The first part of a tag that names a stage. The repository keeps such an image (registry.yaml)."""


def repository_arn(image: str) -> str | None:
    """The ARN of the private ECR repository that an image is in, or None if it is in another registry."""
    found = _PRIVATE.match(image)
    if found is None:
        return None
    account, region, name = found.groups()
    return f"arn:{boto3.Session().get_partition_for_region(region)}:ecr:{region}:{account}:repository/{name}"


@dataclass(frozen=True)
class ContainerImage:
    """An image for a CPU, from the sources under `root`. Methods raise `ImageError`."""

    architecture: Architecture
    root: Path = ROOT
    docker: str = "docker"
    contents: Contents = PRODUCER

    @cached_property
    def base(self) -> str:
        """The base image with its digest. Docker looks the digest up, unless the Dockerfile has it."""
        found = _BASE.search((self.root / DOCKERFILE).read_text(encoding="utf-8"))
        if found is None:
            raise ImageError(f"{DOCKERFILE} names no base image in a line ARG PYTHON_IMAGE=…")
        base = found[1]
        if "@" in base:
            return base
        self.check_docker()
        answer = self._run("buildx", "imagetools", "inspect", base, "--format", "{{json .Manifest.Digest}}")
        digest = _DIGEST.search(answer)
        if digest is None:
            raise ImageError(f"docker names no digest of the base image {base}, but {answer.strip()!r}")
        return f"{base}@{digest[0]}"

    @cached_property
    def tag(self) -> str:
        """The CPU and a hash of the sources and the base image, so the tag changes if and only if one of them does."""
        digest = hashlib.sha256(f"{self.base}\n".encode())
        for path in self._files():
            content = path.read_bytes()
            digest.update(f"{path.relative_to(self.root)} {len(content)}\n".encode())
            digest.update(content)
        return f"{self.architecture.replace('_', '-')}-{digest.hexdigest()[:16]}"

    def uri(self, ecr: BaseClient, repository_uri: str) -> str:
        """What `push` would return: the image with its digest, or with its tag if no repository has it yet.

        Without docker the tag is unknown, if only docker knows the digest of the base image.
        """
        try:
            return self._pushed(ecr, repository_uri) or f"{repository_uri}:{self.tag}"
        except ImageError:
            if shutil.which(self.docker) is not None:
                raise
            return f"{repository_uri}:known-when-docker-is-installed"

    def check_sources(self) -> None:
        """Raise `ImageError` if there is no checkout, from which the image is built."""
        if not (self.root / DOCKERFILE).is_file():
            raise ImageError(
                f"{self.contents.title} is built from a checkout of stockstream, and this command is installed without "
                f"one. Run it from a checkout, or name an image that is built already: {self.contents.option}"
                f"{self.contents.otherwise}"
            )

    def check_docker(self) -> None:
        """Raise `ImageError` if docker is not installed."""
        if shutil.which(self.docker) is None:
            raise ImageError(
                f"docker is not installed, and {self.contents.title} is built with it. Install docker, or name an "
                f"image that is built already: {self.contents.option}{self.contents.otherwise}"
            )

    @property
    def can_be_built(self) -> bool:
        """Whether docker and a checkout are here."""
        return (self.root / DOCKERFILE).is_file() and shutil.which(self.docker) is not None

    def push(self, ecr: BaseClient, repository_uri: str, report: Callable[[str], None]) -> str:
        """Build and push the image, unless the repository has it already. Returns its URI with its digest."""
        tagged = f"{repository_uri}:{self.tag}"
        if pushed := self._pushed(ecr, repository_uri):
            report(f"{tagged} exists already")
            return pushed
        self.check_docker()
        with aws_errors_about("the login to the registry"):
            token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        user, _, password = base64.b64decode(token).decode().partition(":")
        registry = repository_uri.partition("/")[0]
        self._run("login", "--username", user, "--password-stdin", registry, secret=password)
        report(f"building and pushing {tagged}")
        base_name, _, base_digest = self.base.partition("@")
        options = [
            *("--platform", _PLATFORMS[self.architecture]),
            *("--target", self.contents.target),
            *("--tag", tagged),
            *("--build-arg", f"VERSION={self.tag}"),
            *("--build-arg", f"PYTHON_IMAGE={self.base}"),
            *("--label", f"org.opencontainers.image.base.name={base_name}"),
            *("--label", f"org.opencontainers.image.base.digest={base_digest}"),
            *("--file", str(self.root / DOCKERFILE)),
            # A statement of provenance would be two more entries in the repository for each push.
            *("--provenance=false", "--push"),
        ]
        self._run("buildx", "build", *options, str(self.root))
        pushed = self._pushed(ecr, repository_uri)
        if pushed is None:
            raise ImageError(f"docker pushed {tagged}, but the repository does not have it")
        return pushed

    def _pushed(self, ecr: BaseClient, repository_uri: str) -> str | None:
        """The URI of the image with its digest, or None if the repository does not have it."""
        name = repository_uri.partition("/")[2]
        if not name:
            return None  # the repository is still to be made
        try:
            found = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": self.tag}])["imageDetails"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ImageNotFoundException", "RepositoryNotFoundException"):
                return None
            raise ImageError(f"AWS rejected a request to {repository_uri}: {error}") from error
        return f"{repository_uri}@{found[0]['imageDigest']}" if found else None

    def _files(self) -> Iterator[Path]:
        for source in self.contents.sources:
            path = self.root / source
            yield from [path] if path.is_file() else sorted(file for kind in _CODE for file in path.rglob(kind))

    def _run(self, *arguments: str, secret: str | None = None) -> str:
        """What docker prints. A secret goes to its standard input, so that no list of processes shows it."""
        command = [self.docker, *arguments]
        try:
            done = subprocess.run(  # noqa: S603  (no shell)
                command, check=True, capture_output=True, text=True, input=secret, timeout=_COMMAND_SECONDS
            )
        except subprocess.CalledProcessError as error:
            raise ImageError(f"docker {arguments[0]} failed:\n{error.stderr.strip()}") from error
        except subprocess.TimeoutExpired as error:
            raise ImageError(f"docker {arguments[0]} did not finish within {_COMMAND_SECONDS} s") from error
        return done.stdout


def mark_in_use(ecr: BaseClient, repository_uri: str, image: str, stage: str) -> None:
    """Tag the image that a stage runs, so that the repository keeps it however many images come after it.

    The tag moves from the image that the stage ran before. An image of another repository is left alone.
    """
    separator, reference = image[len(repository_uri) :][:1], image[len(repository_uri) + 1 :]
    if not image.startswith(repository_uri) or separator not in ("@", ":"):
        return
    name = repository_uri.partition("/")[2]
    with aws_errors_about(f"the tag {_IN_USE}{stage} of {image}"):
        image_id = {"imageDigest" if separator == "@" else "imageTag": reference}
        found = ecr.batch_get_image(repositoryName=name, imageIds=[image_id])["images"]
        if not found:
            raise ImageError(f"the repository does not have {image}")
        try:
            ecr.put_image(
                repositoryName=name,
                imageManifest=found[0]["imageManifest"],
                imageManifestMediaType=found[0]["imageManifestMediaType"],
                imageDigest=found[0]["imageId"]["imageDigest"],
                imageTag=f"{_IN_USE}{stage}",
            )
        except ecr.exceptions.ImageAlreadyExistsException:
            return  # the image has the tag already


def mark_unused(ecr: BaseClient, repository_uri: str, stage: str) -> None:
    """Remove the tag of a stage that is gone. Its image has other tags, so it stays until newer ones take its place."""
    with aws_errors_about(f"the removal of the tag {_IN_USE}{stage}"):
        tag = {"imageTag": f"{_IN_USE}{stage}"}
        ecr.batch_delete_image(repositoryName=repository_uri.partition("/")[2], imageIds=[tag])
