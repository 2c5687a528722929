"""What the deployer does about a stack, for each status that CloudFormation gives it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from deployment.errors import DeploymentError


class Reaction(Enum):
    """What has to happen before a stack can be created or updated."""

    UPDATE = "Nothing: an update can start."
    CREATE = "Nothing: the stack is gone, so a new one can be created under its name."
    WAIT = "Wait until the operation ends, then react to the status that it ends with."
    REMOVE = "Delete the stack, because CloudFormation cannot update it, and create it again."
    ROLL_BACK = "Roll the stack back to how it was before its last update."
    CONTINUE_ROLLBACK = "Continue the rollback that failed."
    UNDO_IMPORT = "Delete the stack if it holds nothing but imported resources. Otherwise, an update can start."


REACTIONS: Mapping[str, Reaction] = MappingProxyType(
    {
        "CREATE_COMPLETE": Reaction.UPDATE,
        "UPDATE_COMPLETE": Reaction.UPDATE,
        "UPDATE_ROLLBACK_COMPLETE": Reaction.UPDATE,
        "IMPORT_COMPLETE": Reaction.UPDATE,
        # Operations of an interrupted run, or of somebody else.
        "CREATE_IN_PROGRESS": Reaction.WAIT,
        "ROLLBACK_IN_PROGRESS": Reaction.WAIT,
        "UPDATE_IN_PROGRESS": Reaction.WAIT,
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": Reaction.WAIT,
        "UPDATE_ROLLBACK_IN_PROGRESS": Reaction.WAIT,
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": Reaction.WAIT,
        "IMPORT_IN_PROGRESS": Reaction.WAIT,
        "IMPORT_ROLLBACK_IN_PROGRESS": Reaction.WAIT,
        "DELETE_IN_PROGRESS": Reaction.WAIT,
        # The creation or the deletion failed, or a change set of a new stack was made and never executed.
        "CREATE_FAILED": Reaction.REMOVE,
        "ROLLBACK_COMPLETE": Reaction.REMOVE,
        "ROLLBACK_FAILED": Reaction.REMOVE,
        "DELETE_FAILED": Reaction.REMOVE,
        "REVIEW_IN_PROGRESS": Reaction.REMOVE,
        # Somebody updated the stack by hand without a rollback. AWS then refuses every other update.
        "UPDATE_FAILED": Reaction.ROLL_BACK,
        "UPDATE_ROLLBACK_FAILED": Reaction.CONTINUE_ROLLBACK,
        "IMPORT_ROLLBACK_COMPLETE": Reaction.UNDO_IMPORT,
        "IMPORT_ROLLBACK_FAILED": Reaction.UNDO_IMPORT,
        "DELETE_COMPLETE": Reaction.CREATE,
    }
)

_LEAVING = ("DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")
"""Operations that remove what the stack holds."""
DELETION_FAILED = ("DELETE_FAILED", "ROLLBACK_FAILED")
"""CloudFormation has already tried to delete the resources of a stack, and could not delete all of them."""


def reaction_to(status: str) -> Reaction:
    """The reaction to a status. Raises `DeploymentError` for one that CloudFormation has introduced since."""
    if status not in REACTIONS:
        raise DeploymentError(
            f"CloudFormation reports the status {status}, which this version of stockstream does not know. Look at the "
            "stack in the CloudFormation console."
        )
    return REACTIONS[status]


def is_live(status: str) -> bool:
    """Whether a stack has resources that an update can change, now or when its operation has ended."""
    return reaction_to(status) not in (Reaction.REMOVE, Reaction.CREATE) and status not in _LEAVING
