"""Prometheus scrapes all targets, its rules are valid, and every panel of the dashboard has data."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from tests.e2e.stack import ROOT, Stack, wait_until

pytestmark = pytest.mark.e2e

DASHBOARD: dict[str, Any] = json.loads((ROOT / "docker/grafana/dashboards/stockstream.json").read_text())
QUERIES = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
}


def test_every_target_is_up(stack: Stack) -> None:
    wait_until(lambda: len(stack.query("up == 1")) == 4, seconds=30, what="four targets are up")


@pytest.mark.parametrize("title", QUERIES)
def test_panel_has_data(stack: Stack, title: str) -> None:
    wait_until(lambda: stack.query(QUERIES[title]), seconds=60, what=f"there is data for {QUERIES[title]}")


def test_every_rule_evaluates(stack: Stack) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in stack.prometheus("rules")["groups"] for rule in group["rules"]]

    wait_until(lambda: all(rule["health"] != "unknown" for rule in rules()), seconds=30, what="all rules are evaluated")
    assert len(rules()) > 10
    assert [(rule["name"], rule["lastError"]) for rule in rules() if rule["health"] != "ok"] == []


def test_rules_pass_their_unit_tests(stack: Stack) -> None:
    promtool = ("exec", "--env", "TMPDIR=/prometheus", "prometheus", "promtool")  # everything else is read-only
    stack.compose(*promtool, "test", "rules", "/etc/prometheus/rules_test.yml")
    stack.compose(*promtool, "check", "config", "--lint-fatal", "/etc/prometheus/prometheus.yml")


def test_grafana_shows_the_dashboard_to_anyone(stack: Stack) -> None:
    if "grafana" not in stack.services:
        pytest.skip("the image of Grafana is not on this machine, and cannot be pulled")
    url = stack.url("grafana", 3000)
    with urllib.request.urlopen(f"{url}/api/dashboards/uid/stockstream", timeout=10) as answer:
        shown = json.load(answer)
    assert shown["meta"]["provisioned"]
    assert not shown["meta"]["canEdit"]
    assert [panel["title"] for panel in shown["dashboard"]["panels"]] == [p["title"] for p in DASHBOARD["panels"]]
    with urllib.request.urlopen(f"{url}/api/datasources/uid/prometheus/health", timeout=10) as answer:
        assert json.load(answer)["status"] == "OK"
