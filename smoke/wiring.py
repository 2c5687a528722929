"""The composition root: connects the steps of the plan with what runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from smoke.accepted_log import AcceptedLog
from smoke.alarms import Alarms
from smoke.bill import BillSoFar
from smoke.commands import Commands
from smoke.deadline import Deadline
from smoke.deployer import Deployer
from smoke.function import Function
from smoke.notices import Notices
from smoke.plan import DESTROY, STEPS, Step
from smoke.preflight import Place
from smoke.quotes import Quotes
from smoke.report import Report, failed
from smoke.runner import Action, CleanUps, Runner
from smoke.stage import Stage
from smoke.symbols import Symbols
from smoke.tasks import Tasks
from smoke.verdicts import Failed, LeftOut, Passed, Result, Verdict

_DATA = ("QuotesTable", "BarsTable", "StateTable", "AlertsTable", "ArchiveBucket")
"""The outputs that name what `destroy` keeps."""


def run(
    stage: Stage,
    deployer: Deployer,
    commands: Commands,
    place: Place,
    *,
    keep: bool,
    on_begin: Callable[[Step], None],
    on_end: Callable[[Result], None],
    steps: Sequence[Step] = STEPS,
) -> Report:
    """Run the whole test, and clean up. `keep` says whether the stage stays after it."""
    clock = stage.clock
    began, stage.started_at = clock.monotonic(), clock.now()
    runner = Runner(clock, CleanUps(), on_begin, on_end)
    try:
        runner.run(steps, actions(stage, deployer, commands, runner.clean_ups, keep=keep))
    except KeyboardInterrupt:  # between two steps
        runner.interrupted = True
    results = tuple(runner.results)
    return Report(
        stage=stage.full_name,
        account=place.account,
        region=place.region,
        started_at=stage.started_at,
        seconds=round(clock.monotonic() - began, 1),
        interrupted=runner.interrupted,
        passed=not failed(results) and not runner.interrupted,
        results=results,
    )


def actions(
    stage: Stage, deployer: Deployer, commands: Commands, clean_ups: CleanUps, *, keep: bool
) -> Mapping[str, Action]:
    """What each step of the plan does. `keep` says whether the stage stays after the test."""
    deployment = _Deployment(stage, deployer, clean_ups, keep)
    notices, quotes = Notices(stage, clean_ups), Quotes(stage)
    return {
        "deploy": deployment.deploy,
        "listen": notices.listen,
        "quotes": quotes.arrive,
        "counts": quotes.agree,
        "queries": quotes.saved_queries,
        "task stop": Tasks(stage, notices, quotes).stop_one,
        "symbol": Symbols(stage, quotes, commands, clean_ups).can_be_added,
        "rollback": Function(stage, deployer, clean_ups, stays=keep).rolls_back,
        "nothing lost": quotes.still_agree,
        "accepted": AcceptedLog(stage, quotes).is_archived,
        "alarm notice": notices.alarm_arrives,
        "alarms": Alarms(stage).are_quiet,
        "bill": BillSoFar(stage, quotes).computed,
    }


@dataclass(frozen=True)
class _Deployment:
    stage: Stage
    deployer: Deployer
    clean_ups: CleanUps
    keep: bool

    def deploy(self, deadline: Deadline) -> Verdict:
        self.clean_ups.add_step(DESTROY, self._keep if self.keep else self._destroy)
        self.stage.outputs.update(self.deployer.deploy(deadline))
        return Passed(f"{len(self.stage.existing_stacks())} stacks; the stream is {self.stage.output('StreamName')}")

    def _destroy(self, deadline: Deadline) -> Verdict:
        self.deployer.destroy(deadline)
        if left := self.stage.existing_stacks():
            return Failed("no stack of the stage", f"these exist: {', '.join(left)}")
        kept = [self.stage.outputs[name] for name in _DATA if name in self.stage.outputs]
        return Passed(f"no stack is left; kept with their data: {', '.join(kept) or 'what the lines above name'}")

    def _keep(self, _deadline: Deadline) -> Verdict:
        return LeftOut("the stage stays, as KEEP=1 asks")
