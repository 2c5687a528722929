"""What ends comes back. A LocalStack that has lost everything is noticed and mended.

This is the last file, because the rows of the other tests are lost too.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.e2e.stack import ROOT, Stack, docker, wait_until

pytestmark = pytest.mark.e2e


def page(stack: Stack, service: str, port: int, path: str) -> str:
    """The text of a page, also of an error."""
    try:
        with urllib.request.urlopen(stack.url(service, port) + path, timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()


def notified(stack: Stack, alert: str) -> list[dict[str, Any]]:
    """The firing alerts of a name that the webhook has received."""
    received = json.loads(page(stack, "inbox", 8000, "/"))
    alerts = [each for notification in received for each in notification["alerts"]]
    return [each for each in alerts if (each["labels"]["alertname"], each["status"]) == (alert, "firing")]


def test_a_killed_producer_comes_back(stack: Stack) -> None:
    # `docker kill` would count as a stop by a person. A signal from outside is what a lack of memory sends.
    before = stack.state("producer")
    kill = ("run", "--rm", "--pid", "host", "--user", "0", "--entrypoint", "sh", "stockstream-tools:dev")
    assert docker(*kill, "-c", f"kill -9 {before['Pid']}").returncode == 0
    wait_until(lambda: stack.state("producer")["Pid"] not in {0, before["Pid"]}, seconds=30, what="a new process")
    wait_until(lambda: stack.state("producer")["Health"]["Status"] == "healthy", seconds=60, what="health")


def test_a_symbol_is_added_while_the_stack_runs(stack: Stack) -> None:
    command = ("python", "-m", "operations", "symbols", "add", "ADBE", "--outputs-file", "/tmp/outputs")
    assert "group default: added ADBE" in stack.compose("exec", "-T", "exporter", *command).stdout
    wait_until(
        lambda: "ADBE" in {identity.symbol for identity in stack.accepted()}, seconds=60, what="the symbol is polled"
    )


def test_sql_reads_the_archive(stack: Stack) -> None:
    answer = stack.compose("run", "--rm", "sql", "--json", "SELECT count(*) AS quotes FROM quotes")
    assert int(re.findall(r'"quotes": ?"?(\d+)', answer.stdout)[0]) > 0


@pytest.mark.usefixtures("stack")
def test_every_configuration_of_alertmanager_is_valid() -> None:
    files = ROOT / "docker" / "alertmanager"
    options = ("run", "--rm", "--volume", f"{files}:/check:ro", "--entrypoint", "amtool", "prom/alertmanager:v0.28.1")
    checked = docker(*options, "check-config", "/check/alertmanager.yml", "/check/examples.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(("variable", "service"), [("RULES", "deployer"), ("WATCHLIST", "producer")])
def test_a_wrong_file_is_named_by_the_service_that_reads_it(
    stack: Stack, tmp_path: Any, variable: str, service: str
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[[wrong]]\n", encoding="utf-8")
    wrong.chmod(0o644)
    tmp_path.chmod(0o755)
    with stack.setting(variable, str(wrong)):
        command = {
            "deployer": (
                *("--entrypoint", "python", "deployer", "-m", "operations"),
                *("rules", "check", "/etc/stockstream/rules.toml"),
            ),
            "producer": ("producer",),
        }[service]
        refused = stack.compose("run", "--rm", "--no-deps", *command, check=False)
    assert refused.returncode in {1, 2}
    assert f"/etc/stockstream/{variable.lower()}.toml" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_restart_of_localstack_is_noticed_and_mended(stack: Stack) -> None:
    with stack.frozen("deployer"):  # it would mend the pipeline before anyone could look
        stack.compose("restart", "localstack")
        wait_until(
            lambda: "ResourceNotFoundException" in page(stack, "producer", 8080, "/readyz"),
            seconds=60,
            what="/readyz says that the stream does not exist",
        )
        known = len(stack.accepted())
        wait_until(lambda: notified(stack, "DeliveryRefused"), seconds=60, what="the webhook has the alert")
        wait_until(lambda: len(stack.accepted()) > known, seconds=30, what="quotes wait in the journal")
    link = notified(stack, "DeliveryRefused")[0]["annotations"]["runbook_url"]
    path, _, anchor = link.removeprefix("http://").partition("/")[2].partition("#")
    assert f'<h2 id="{anchor}">' in page(stack, "prometheus", 9090, f"/{path}")

    stack.forget(known)
    wait_until(lambda: stack.status_or_none("/readyz") == 200, seconds=180, what="the producer is ready again")
    findings = stack.audited()
    assert (findings.lost, findings.out_of_order) == (0, 0), findings
    services = ("exporter", "dashboard")
    wait_until(
        lambda: all(stack.state(service)["Health"]["Status"] == "healthy" for service in services),
        seconds=90,
        what="health",
    )
    assert json.loads(page(stack, "dashboard", 8000, "/v1/latest"))["quotes"]
