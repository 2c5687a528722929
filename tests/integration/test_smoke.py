"""A smoke test of a whole stage on the emulator, with a producer beside it, as far as the emulator goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from analytics import catalog
from deployment.deployer import Deployment
from deployment.functions import PROCESSOR, QUERY
from deployment.stacks import Outputs
from replica.emulator import Emulator
from replica.event_source.aws import connect
from replica.producer_process import ProducerProcess, environment
from smoke import display
from smoke.commands import ChildProcesses
from smoke.deadline import Clock, Deadline
from smoke.preflight import denied_calls, place
from smoke.report import Report
from smoke.stage import Stage
from smoke.verdicts import LeftOut, Passed
from smoke.wiring import run
from tests.support.whole_deployment import QUIET, templates_for_ministack, whole_deployment

PREFIX, NAME = "smoke", "test"
LOOK_SECONDS = 0.2
LEFT_OUT = {
    "api": "the stage serves no API",
    "queries": "the SQL engine here is not Athena's",
    "task stop": "no container runs in the task here",
    "symbol": "this stage has no configuration/watchlist.toml",
    "accepted": "has no polls: nothing writes it here",
    "rollback": "does not know rollback triggers",
}


@dataclass
class EmulatedDeployer:
    """Deploys the adapted templates, and what runs beside an emulator: the event source and the producer."""

    emulator: Emulator
    deployment: Deployment
    package: Path
    folder: Path
    running: ExitStack

    def deploy(self, _deadline: Deadline) -> Outputs:
        outputs = self.deployment.deploy({PROCESSOR.name: self.package, QUERY.name: self.package}, QUIET)
        athena = self.emulator.client("athena")
        for query in catalog.read().queries:  # the emulator's CloudFormation has no saved queries
            athena.create_named_query(
                Name=query.name,
                Database=outputs["Database"],
                QueryString=query.select,
                WorkGroup=outputs["Workgroup"],
            )
        self.running.enter_context(connect(self.emulator.client, outputs["EventSourceMappingId"]))
        settings = {"SOURCE": "synthetic", "POLL_INTERVAL_SECONDS": "1"}
        self.running.enter_context(
            ProducerProcess(environment(self.emulator.environment(), self.folder, outputs["StreamName"], settings))
        )
        return outputs

    def put_function(self, code: Path, _deadline: Deadline) -> None:
        self.deployment.deploy({PROCESSOR.name: code, QUERY.name: self.package}, QUIET)

    def destroy(self, _deadline: Deadline) -> None:
        self.running.close()
        self.deployment.destroy()


@pytest.fixture(scope="module")
def emulator(replica_python: str) -> Iterator[Emulator]:
    """One of its own, because MiniStack's alarms count the errors of all functions."""
    with Emulator(python=replica_python) as started:
        yield started


@pytest.fixture(scope="module")
def stage(emulator: Emulator) -> Stage:
    # An emulator is quick, so the test looks again at once.
    clock = Clock(time.monotonic, lambda: datetime.now(UTC), lambda seconds: time.sleep(min(seconds, LOOK_SECONDS)))
    return Stage(PREFIX, NAME, cache(emulator.client), clock)


@pytest.fixture(scope="module")
def report(
    emulator: Emulator, stage: Stage, package: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Report]:
    folder = tmp_path_factory.mktemp("smoke")
    deployment = whole_deployment(emulator, f"{PREFIX}-{NAME}", [], templates_for_ministack(folder))
    with ExitStack() as running:
        deployer = EmulatedDeployer(emulator, deployment, package, folder, running)
        commands = ChildProcesses(emulator.environment())
        yield run(
            stage, deployer, commands, place(stage.client), keep=False, on_begin=display.begin, on_end=display.end
        )


def test_what_the_emulator_has_passes_and_the_rest_is_left_out_with_its_reason(report: Report) -> None:
    verdicts = {result.step: result.verdict for result in report.results}
    left_out = {step: verdict.why for step, verdict in verdicts.items() if isinstance(verdict, LeftOut)}
    assert left_out.keys() == LEFT_OUT.keys()
    assert {step: why for step, why in left_out.items() if LEFT_OUT[step] not in why} == {}
    others = {step: verdict for step, verdict in verdicts.items() if step not in LEFT_OUT}
    assert {step: verdict for step, verdict in others.items() if not isinstance(verdict, Passed)} == {}
    assert report.passed


def test_everything_that_the_test_made_is_gone(report: Report, stage: Stage) -> None:
    assert report.results[-1].step == "destroy"
    assert stage.existing_stacks() == []
    assert not stage.client("sqs").list_queues(QueueNamePrefix="stockstream-smoke-").get("QueueUrls")


def test_no_cheap_call_is_denied(stage: Stage) -> None:
    assert denied_calls(stage.client) == []
