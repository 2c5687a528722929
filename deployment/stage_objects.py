"""What a deployment does with the objects that configure a running stage: its alert rules and its watchlist."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from deployment.alert_rules import RulesChange, choose_rules
from deployment.cloudformation import aws_errors_about, outputs_of, parameters_of
from deployment.deployer import Deployment
from deployment.functions import PROCESSOR
from deployment.kept_resources import ARCHIVE, STORAGE, Kept
from deployment.stacks import Outputs
from deployment.stage_file import Wishes
from deployment.watchlist_object import WatchlistChange, choose_watchlist, stored_watchlist


@dataclass(frozen=True, slots=True)
class StageObjects:
    """The changes of both objects."""

    deployment: Deployment
    rules: RulesChange
    watchlist: WatchlistChange

    @property
    def lines(self) -> tuple[str, ...]:
        """What changes, for a person."""
        return (
            *(f"alert rules: {line}" for line in self.rules.lines),
            *(f"watchlist: {line}" for line in self.watchlist.lines),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should look at."""
        return tuple(f"watchlist: note: {note}" for note in self.watchlist.notes)

    def write(self, outputs: Outputs) -> None:
        """Write them as soon as their bucket exists, before a program reads them. Raises `ConfigurationError`."""
        for change in (self.rules, self.watchlist):
            if address := change.write(self.deployment.s3, outputs["ArchiveBucket"]):
                self.deployment.report(f"wrote {address}")


def choose_objects(
    deployment: Deployment, wishes: Wishes, parameters: Mapping[str, str], adopted: Collection[Kept] = ()
) -> StageObjects:
    """What to write. `parameters` are those of the deployment, and `adopted` what it adopts.

    Raises `ParameterError` with all mistakes.
    """
    bucket = next((one.name for one in adopted if one.resource == ARCHIVE), None) or _archive(deployment)
    rules = choose_rules(deployment.s3, bucket, _held(deployment, PROCESSOR.name), wishes.rules)
    stored = stored_watchlist(deployment.s3, bucket)
    watchlist = choose_watchlist(stored, wishes, parameters, _held(deployment, "producer"))
    return StageObjects(deployment, rules, watchlist)


def _archive(deployment: Deployment) -> str | None:
    """The archive's bucket, if the stage has one."""
    stack = deployment.stack(STORAGE)
    if stack is None or "ArchiveBucket" in outputs_of(stack):
        return None if stack is None else outputs_of(stack)["ArchiveBucket"]
    # An import makes no outputs. An adoption that was interrupted after it has only the resources.
    with aws_errors_about(stack["StackName"]):
        found = deployment.cloudformation.describe_stack_resources(StackName=stack["StackName"])["StackResources"]
    return next((one.get("PhysicalResourceId") for one in found if one["LogicalResourceId"] == ARCHIVE), None)


def _held(deployment: Deployment, name: str) -> Mapping[str, str]:
    """The parameters of a stack, empty if it does not exist."""
    stack = deployment.stack(name)
    return {} if stack is None else parameters_of(stack)
