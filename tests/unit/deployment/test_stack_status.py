"""The reactions to the statuses of stacks."""

from __future__ import annotations

import botocore.session
import pytest

from deployment.errors import DeploymentError
from deployment.stack_status import REACTIONS, Reaction, is_live, reaction_to


def statuses_of_aws() -> set[str]:
    model = botocore.session.get_session().get_service_model("cloudformation")
    return set(model.shape_for("StackStatus").enum)


def test_every_status_of_cloudformation_has_a_reaction() -> None:
    assert REACTIONS.keys() == statuses_of_aws()


def test_a_status_of_the_future_is_reported_and_nothing_is_done() -> None:
    with pytest.raises(DeploymentError, match="reports the status ARCHIVED, which this version"):
        reaction_to("ARCHIVED")


def test_only_what_is_in_progress_is_waited_for() -> None:
    waiting = {status for status, reaction in REACTIONS.items() if reaction is Reaction.WAIT}
    # A stack in review has no operation: it waits until somebody executes a change set.
    assert waiting == {status for status in REACTIONS if status.endswith("_IN_PROGRESS")} - {"REVIEW_IN_PROGRESS"}


def test_no_stack_that_was_ever_complete_is_removed() -> None:
    removed = {status for status, reaction in REACTIONS.items() if reaction is Reaction.REMOVE}
    assert removed == {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"}


@pytest.mark.parametrize("status", ["DELETE_IN_PROGRESS", "DELETE_FAILED", "DELETE_COMPLETE", "ROLLBACK_IN_PROGRESS"])
def test_a_stack_that_goes_has_no_values_that_a_deployment_keeps(status: str) -> None:
    assert not is_live(status)


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED", "CREATE_COMPLETE"])
def test_a_stack_that_stays_has_values_that_a_deployment_keeps(status: str) -> None:
    assert is_live(status)
