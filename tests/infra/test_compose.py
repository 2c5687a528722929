"""What the compose file promises, checked in its text. tests/e2e runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from producer_service.settings import PREFIX, VARIABLES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
SET_BY_THE_IMAGE_OR_THE_DEPLOYMENT = {
    "PRODUCER_STREAM_NAME",
    "PRODUCER_HTTP_HOST",
    "PRODUCER_HTTP_PORT",
    "PRODUCER_JOURNAL_DIR",
    "PRODUCER_YAHOO_CACHE_DIR",
    "PRODUCER_WATCHLIST",
    "PRODUCER_CALENDARS_TABLE",
}
OF_TESTS_AND_REPLAYS = {"PRODUCER_ACCEPTED_LOG_PATH", *(name for name in VARIABLES if "_REPLAY_" in name)}


@pytest.mark.parametrize("service", SERVICES.keys())
class TestService:
    def test_publishes_only_on_the_loopback(self, service: str) -> None:
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))

    def test_has_an_image_with_a_tag(self, service: str) -> None:
        assert re.search(r":(v?\d|\$\{STOCKSTREAM_VERSION:-dev\}$)", SERVICES[service]["image"])

    def test_comes_back_after_it_ended_unless_it_is_a_command(self, service: str) -> None:
        is_command = "profiles" in SERVICES[service]
        assert SERVICES[service]["restart"] == ("no" if is_command else "unless-stopped")

    def test_mounts_only_declared_volumes_and_files_of_the_repository(self, service: str) -> None:
        volumes = SERVICES[service].get("volumes", [])
        sources = {volume.partition(":")[0] for volume in volumes if isinstance(volume, str)}
        # The user may name another file than the default.
        users = {
            re.sub(r"^\$\{[A-Z_]+:-(.*)\}$", r"\1", volume["source"]) for volume in volumes if isinstance(volume, dict)
        }
        folders = {source for source in sources | users if source.startswith(".")}
        assert users <= folders
        assert all((ROOT / folder).exists() for folder in folders)
        assert sources - folders - {"/var/run/docker.sock"} <= yaml.safe_load(TEXT)["volumes"].keys()


def test_only_localstack_has_capabilities() -> None:
    confined = {
        name
        for name, service in SERVICES.items()
        if service.get("cap_drop") == ["ALL"] and service.get("security_opt") == ["no-new-privileges:true"]
    }
    assert confined == SERVICES.keys() - {"localstack"}


def test_env_example_documents_every_variable_of_the_compose_file_with_its_default() -> None:
    defaults = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", TEXT))
    documented = dict(re.findall(r"^#([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert {name: documented.get(name, "") for name in defaults} == defaults


def test_env_example_documents_every_setting_for_users_of_the_producer() -> None:
    documented = {name for name in re.findall(r"^#([A-Z_]+)=", EXAMPLE, re.MULTILINE) if name.startswith(PREFIX)}
    assert documented == VARIABLES.keys() - SET_BY_THE_IMAGE_OR_THE_DEPLOYMENT - OF_TESTS_AND_REPLAYS


def test_docker_waits_longer_than_a_drain_takes() -> None:
    drain_seconds = float(VARIABLES["PRODUCER_DRAIN_SECONDS"][0])
    assert float(SERVICES["producer"]["stop_grace_period"].removesuffix("s")) > drain_seconds
