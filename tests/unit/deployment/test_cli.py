from __future__ import annotations

import pytest
from typer.testing import CliRunner

from deployment.cli import app
from deployment.deployer import Deployment


def test_an_endpoint_that_is_not_a_url_is_reported() -> None:
    environment = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "localhost"}

    result = CliRunner().invoke(app, ["destroy", "--stage", "dev"], env=environment, input="y\n")

    assert result.exit_code == 1
    assert "error: the AWS settings of the environment are wrong: Invalid endpoint: localhost" in result.output


def test_ctrl_c_says_that_the_same_command_completes_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Deployment, "check", interrupt)  # the first thing that a deployment does

    result = CliRunner().invoke(app, ["deploy"], env={"AWS_DEFAULT_REGION": "eu-west-1"})

    assert result.exit_code == 130
    assert result.stderr == (
        "error: interrupted. Run the same command again: it waits for what is in progress, and completes the rest\n"
    )
