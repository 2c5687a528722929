from __future__ import annotations

from typer.testing import CliRunner

from deployment.cli import app


def test_an_endpoint_that_is_not_a_url_is_reported() -> None:
    environment = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "localhost"}

    result = CliRunner().invoke(app, ["destroy", "--stage", "dev"], env=environment, input="y\n")

    assert result.exit_code == 1
    assert "error: the AWS settings of the environment are wrong: Invalid endpoint: localhost" in result.output
