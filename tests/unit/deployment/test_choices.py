"""A parameter that is new in a stack gets the value that the stage has already."""

from __future__ import annotations

from deployment.choices import carried_over
from deployment.parameters import Parameter

TEMPLATES = {
    "processor": {"QuotesTable": Parameter(), "PermissionsBoundary": Parameter("")},
    "drift": {"QuotesTable": Parameter(), "PermissionsBoundary": Parameter(""), "DriftSchedule": Parameter("daily")},
}
HELD = {"processor": {"QuotesTable": "quotes", "PermissionsBoundary": "arn:boundary"}}


def test_a_new_stack_gets_what_the_other_stacks_of_the_stage_have() -> None:
    """Without the boundary, CloudFormation may create no role, so the deployment would fail at the new stack."""
    assert carried_over(TEMPLATES, HELD, ()) == {"PermissionsBoundary": "arn:boundary"}


def test_a_stack_of_an_earlier_version_gets_it_for_its_new_parameter() -> None:
    held = {**HELD, "drift": {"QuotesTable": "quotes", "DriftSchedule": "weekly"}}
    assert carried_over(TEMPLATES, held, ()) == {"PermissionsBoundary": "arn:boundary"}


def test_a_stack_that_has_its_own_value_keeps_it() -> None:
    held = {**HELD, "drift": {"PermissionsBoundary": "arn:another", "DriftSchedule": "weekly"}}
    assert carried_over(TEMPLATES, held, ()) == {}


def test_a_parameter_that_is_reset_or_chosen_otherwise_is_left_out() -> None:
    assert carried_over(TEMPLATES, HELD, {"PermissionsBoundary"}) == {}
