"""Exporter, rules, dashboard and runbook agree. promtool's tests of the rules run in tests/e2e."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from docker import pages
from lane_state import LaneState, SymbolState, pack
from operations.exporter import PipelineCollector
from producer_service.metrics import Metrics
from tests.fakes.empty_outbox import EmptyOutbox

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
NEWEST = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
NAME = re.compile(r"\bstockstream[\w:]*")


class FakeTables:
    """DynamoDB with the states of some lanes and a published mark."""

    def __init__(self, *event_times: datetime) -> None:
        self._items: list[dict[str, Any]] = [{"lane": {"S": "lane-00-of-04#published"}, "published": {"N": "7"}}]
        for number, event_time in enumerate(event_times):
            symbol = SymbolState(
                event_time=event_time,
                revision=0,
                price=None,
                previous_close=None,
                volume=None,
                is_open=True,
                delay_minutes=0,
                bar=None,
            )
            self._items.append({"state": {"B": pack(LaneState(symbols={f"S{number}": symbol}))}})

    def get_paginator(self, operation: str) -> FakeTables:
        assert operation == "scan"
        return self

    def paginate(self, *, TableName: str) -> Iterator[dict[str, Any]]:  # noqa: N803  (boto3's)
        assert TableName == "state"
        yield from ({"Items": [item]} for item in self._items)


class FakeQueue:
    """SQS with three visible messages, and one that a reader holds."""

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:  # noqa: N803
        assert QueueUrl == "quarantine"
        return {"Attributes": dict(zip(AttributeNames, ("3", "1"), strict=True))}


def exporter(*event_times: datetime) -> CollectorRegistry:
    registry = CollectorRegistry()
    outputs = {"StateTable": "state", "QuarantineQueueUrl": "quarantine"}
    registry.register(PipelineCollector(outputs, dynamodb=FakeTables(*event_times), sqs=FakeQueue()))
    return registry


def producer() -> CollectorRegistry:
    metrics = Metrics(CollectorRegistry())
    metrics.watch_outbox(EmptyOutbox(), limit_bytes=1)
    metrics.watch_clock(lambda: 0.0, lambda: 0.0)
    metrics.watch_calendars(lambda: NEWEST)
    return metrics.registry


def rules(file: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((DOCKER / "prometheus" / "rules" / file).read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS, RECORDINGS = rules("alerts.yml"), rules("recording.yml")
DASHBOARD: dict[str, Any] = json.loads((DOCKER / "grafana/dashboards/stockstream.json").read_text(encoding="utf-8"))
GUIDES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
RUNBOOK = pages.page(GUIDES["runbook.md"], GUIDES.keys())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


class TestExporter:
    def test_exports_the_event_time_of_the_newest_quote_of_all_lanes(self) -> None:
        registry = exporter(NEWEST.replace(minute=1), NEWEST.replace(minute=3), NEWEST)
        value = registry.get_sample_value("stockstream_stored_quote_timestamp_seconds")
        assert value == NEWEST.replace(minute=3).timestamp()

    def test_exports_no_event_time_before_a_quote_is_stored(self) -> None:
        assert exporter().get_sample_value("stockstream_stored_quote_timestamp_seconds") is None

    def test_counts_quarantine_messages_that_a_reader_holds_too(self) -> None:
        assert exporter().get_sample_value("stockstream_quarantine_messages") == 4


def test_rules_and_panels_name_metrics_that_exist() -> None:
    exported = {
        sample.name
        for registry in (producer(), exporter(NEWEST))
        for each in registry.collect()
        for sample in each.samples
    }
    recorded = {rule["record"] for rule in RECORDINGS}
    expressions = [target["expr"] for panel in PANELS for target in panel["targets"]]
    expressions += [rule["expr"] for rule in ALERTS + RECORDINGS]
    named = {name for expression in expressions for name in NAME.findall(expression)}
    assert named - exported - recorded == set()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
class TestAlert:
    def test_has_a_severity_and_a_summary(self, alert: dict[str, Any]) -> None:
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        assert alert["annotations"]["summary"]

    def test_links_to_its_section_of_the_runbook(self, alert: dict[str, Any]) -> None:
        link = f"{{{{ $externalURL }}}}/user/runbook.html#{alert['alert'].lower()}"
        assert alert["annotations"]["runbook_url"] == link
        assert f'id="{alert["alert"].lower()}"' in RUNBOOK

    def test_has_a_unit_test(self, alert: dict[str, Any]) -> None:
        assert alert["alert"] in (DOCKER / "prometheus" / "rules_test.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("guide", ["runbook.md", "deploy.md", "security.md"])
def test_every_link_of_a_page_leads_to_a_section_of_a_page(guide: str) -> None:
    written = {name.removesuffix(".md") + ".html": pages.page(text, GUIDES.keys()) for name, text in GUIDES.items()}
    here = guide.removesuffix(".md") + ".html"
    links = [link for link in re.findall(r'href="([^"]*)"', written[here]) if "://" not in link]
    assert links
    for page, _, anchor in (link.partition("#") for link in links):
        assert not anchor or f'id="{anchor}"' in written[page or here]


class TestDashboard:
    def test_links_to_the_runbook_where_prometheus_serves_it(self) -> None:
        assert "(http://127.0.0.1:9090/user/runbook.html)" in json.dumps(DASHBOARD)

    def test_reads_from_the_provisioned_data_source(self) -> None:
        provisioned = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yml").read_text())
        uids = {source["uid"] for source in provisioned["datasources"]}
        assert {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]} <= uids

    def test_every_panel_says_what_it_shows_and_in_which_unit(self) -> None:
        assert all(panel["title"] and panel["description"] for panel in PANELS)
        assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in PANELS)

    def test_no_two_panels_share_an_id_or_a_place(self) -> None:
        everything = DASHBOARD["panels"]
        assert len({panel["id"] for panel in everything}) == len(everything)
        for one, other in itertools.combinations((panel["gridPos"] for panel in everything), 2):
            apart = (
                one["x"] + one["w"] <= other["x"]
                or other["x"] + other["w"] <= one["x"]
                or one["y"] + one["h"] <= other["y"]
                or other["y"] + other["h"] <= one["y"]
            )
            assert apart, (one, other)
