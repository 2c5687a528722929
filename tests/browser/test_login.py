"""A page with an issuer shows no price before the viewer has logged in, by the code flow with PKCE."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.fakes.oidc_issuer import CLIENT_ID, Behaviour, OidcIssuer
from tests.support.dashboard import Dashboard

POLICY = "content-security-policy"


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    issuer = OidcIssuer()
    with issuer.running():
        yield issuer


@pytest.fixture
def private_page(page: Page, dashboard: Dashboard, issuer: OidcIssuer) -> Iterator[Page]:
    """A page that is deployed with an issuer: its settings and its policy name it, and the API wants its tokens."""
    auth = {"issuer": issuer.url, "clientId": CLIENT_ID, "scope": "openid"}
    config = {"name": "stockstream", "stage": "prod", "apiBase": "", "auth": auth}

    def document(route: Route) -> None:
        answer = route.fetch()
        policy = answer.headers[POLICY].replace("connect-src 'self'", f"connect-src 'self' {issuer.url}")
        route.fulfill(response=answer, headers={**answer.headers, POLICY: policy})

    def issuer_page(route: Route) -> None:
        """Send the viewer back by a page, since Playwright hands over no request that follows a redirection."""
        answer = route.fetch(max_redirects=0)
        if "location" in answer.headers:
            refresh = f'<meta http-equiv="refresh" content="0;url={html.escape(answer.headers["location"])}">'
            route.fulfill(content_type="text/html", body=refresh)
        else:
            route.fulfill(response=answer)

    def api(route: Route) -> None:
        if route.request.headers.get("authorization", "").startswith("Bearer ey"):
            route.continue_()
        else:
            route.fulfill(status=401, body="{}")

    # A page that a test has changed counts as one of the internet, which may not reach this machine unasked.
    page.context.grant_permissions(["local-network-access"])
    page.route(lambda url: url.partition("?")[0] == f"{dashboard.url}/", document)
    page.route(f"{issuer.url}/**", issuer_page)
    page.route("**/config.json", lambda route: route.fulfill(body=json.dumps(config)))
    page.route("**/v1/**", api)
    yield page
    page.unroute_all(behavior="ignoreErrors")  # the page may still ask while it is closed


def test_a_login_leads_back_to_the_view_that_was_asked_for(private_page: Page, dashboard: Dashboard) -> None:
    asked: list[Request] = []
    private_page.on("request", lambda request: asked.append(request) if "/v1/" in request.url else None)
    private_page.goto(f"{dashboard.url}/#/symbol/AAPL?resolution=5m")
    login = private_page.get_by_test_id("login")
    expect(login).to_be_visible()
    assert asked == []
    login.click()
    expect(private_page.get_by_test_id("last-price")).to_contain_text(".")
    expect(private_page).to_have_url(f"{dashboard.url}/#/symbol/AAPL?resolution=5m")
    private_page.reload()
    expect(private_page.get_by_test_id("last-price")).to_contain_text(".")
    private_page.get_by_role("button", name="Log out").click()
    expect(login).to_be_visible()


def test_a_login_that_the_issuer_refuses_is_said_in_words(
    private_page: Page, dashboard: Dashboard, issuer: OidcIssuer
) -> None:
    issuer.behave(Behaviour(authorize_error="access_denied"))
    private_page.goto(dashboard.url)
    private_page.get_by_test_id("login").click()
    expect(private_page.get_by_role("alert")).to_be_visible()
    expect(private_page.get_by_test_id("login")).to_be_visible()
