"""What a stage serves: chosen by the user, else as deployed, else nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from deployment.deployer import Deployment
from deployment.errors import DeploymentError, ParameterError
from deployment.parameters import Named
from deployment.serving import Serving, choose_serving
from deployment.stacks import ALL_STACKS, ON_REQUEST, PIPELINE, TEMPLATES
from tests.fakes.scripted_cloudformation import ScriptedCloudFormation

LOGIN = {"JwtIssuer": "https://login.example.org", "JwtAudience": "quotes", "LoginClientId": "page"}
JWT = {"Authentication": "jwt", **LOGIN}


def deployment(held: str | None = None, *others: str, stacks: tuple[str, ...] = ALL_STACKS) -> Deployment:
    """A deployment of a stage that serves something, with some of its stacks."""
    aws = ScriptedCloudFormation()
    if held is not None:
        for name in ("drift", *others):
            body = (TEMPLATES / f"{name}.yaml").read_text(encoding="utf-8")
            values = {"Serve": held} if name == "drift" else {}
            aws.given(f"stockstream-dev-{name}", "CREATE_COMPLETE", body=body, values=values)
    return Deployment(cast(Any, aws), cast(Any, None), "stockstream-dev", stacks=stacks)


def chosen(made: Deployment, serve: str | None = None, *reset: str) -> Serving:
    named = [] if serve is None else [Named("Serve", serve)]
    return choose_serving(made, named, reset, "dev")


@pytest.mark.parametrize(
    ("serve", "extra"), [("nothing", ()), ("api", ("api",)), ("dashboard", ("api", "web")), (None, ())]
)
def test_a_new_stage_serves_what_it_asks_for_and_nothing_by_default(serve: str | None, extra: tuple[str, ...]) -> None:
    assert chosen(deployment(), serve).deployment.stacks == (*ALL_STACKS, *extra)


def test_a_stage_keeps_what_it_serves() -> None:
    made = chosen(deployment("dashboard", "api", "web"))
    assert made.deployment.stacks == (*ALL_STACKS, *ON_REQUEST)
    assert made.removed.stacks == ()


@pytest.mark.parametrize(
    ("serve", "reset", "gone"),
    [("nothing", (), ("api", "web")), (None, ("Serve",), ("api", "web")), ("api", (), ("web",))],
)
def test_what_is_no_longer_asked_for_is_deleted(
    serve: str | None, reset: tuple[str, ...], gone: tuple[str, ...]
) -> None:
    made = chosen(deployment("dashboard", "api", "web"), serve, *reset)
    assert made.removed.stacks == gone
    assert dict(made.changes) == {f"stockstream-dev-{name}": ("delete the stack",) for name in gone}


def test_a_deployment_of_the_pipeline_alone_leaves_what_is_served() -> None:
    made = chosen(deployment("dashboard", "api", "web", stacks=PIPELINE), "nothing")
    assert (made.deployment.stacks, made.removed.stacks) == (PIPELINE, ())


class TestLogin:
    @pytest.mark.parametrize(
        ("serve", "named", "problem"),
        [
            ("api", {}, r"needs a login: Authentication=jwt for people.*Authentication=iam for programs"),
            ("api", {"Authentication": "none"}, r"Authentication=none: must be one of: jwt, iam"),
            ("api", {"Authentication": "jwt"}, r"Authentication=jwt also needs JwtIssuer, JwtAudience"),
            ("dashboard", {"Authentication": "iam"}, r"Serve=dashboard needs Authentication=jwt"),
            ("dashboard", JWT | {"LoginClientId": ""}, r"Authentication=jwt also needs LoginClientId"),
            ("everything", {}, r"Serve=everything: must be one of: nothing, api, dashboard"),
            ("nothing", {"Authentication": "none"}, r"Authentication=none: must be one of: jwt, iam"),
        ],
    )
    def test_is_needed_before_anything_is_deployed(self, serve: str, named: dict[str, str], problem: str) -> None:
        made = chosen(deployment(), serve).deployment
        with pytest.raises(ParameterError, match=problem):
            made.check([Named(name, value) for name, value in {"Serve": serve, **named}.items()])

    @pytest.mark.parametrize(
        ("serve", "named"),
        [
            ("dashboard", JWT),
            ("api", {"Authentication": "iam"}),
            ("api", JWT | {"LoginClientId": ""}),
            ("nothing", JWT),
        ],
    )
    def test_that_is_complete_is_taken(self, serve: str, named: dict[str, str]) -> None:
        made = chosen(deployment(), serve).deployment
        known = {name: value for name, value in named.items() if value}
        made.check([Named(name, value) for name, value in {"Serve": serve, **known}.items()])


def test_a_dashboard_that_is_not_built_stops_a_deployment_before_it_begins(tmp_path: Path) -> None:
    made = chosen(deployment(), "dashboard")
    with pytest.raises(DeploymentError, match="the dashboard is not built"):
        Serving(made.deployment, made.removed, "dev", bundle=tmp_path).check()
    Serving(deployment(), made.removed, "dev", bundle=tmp_path).check()
