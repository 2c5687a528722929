"""The steps of a smoke test, in order, with their time limits. Pure."""

from __future__ import annotations

import msgspec

MINUTE = 60.0
HOUR_SECONDS = 3600.0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step."""

    name: str
    title: str
    """What it does."""
    limit_seconds: float
    usual_seconds: float
    """How long it takes if all is well. From AWS's documentation and from memory, since no account was at hand."""
    needs: tuple[str, ...] = ()
    """Steps without which this one shows nothing. It is left out if one of them did not pass."""
    look_at: str
    """Where to look if it fails."""


STEPS = (
    Step(
        name="deploy",
        title="Deploy the stage, as `make deploy` does",
        limit_seconds=45 * MINUTE,
        usual_seconds=12 * MINUTE,
        look_at="the messages of the deployment above, and docs/runbook.md",
    ),
    Step(
        name="listen",
        title="Subscribe a temporary queue to the operators' topic",
        limit_seconds=2 * MINUTE,
        usual_seconds=5,
        needs=("deploy",),
        look_at="the topic OperatorsTopicArn in the SNS console",
    ),
    Step(
        name="quotes",
        title="Wait for new quotes in the archive and in DynamoDB",
        limit_seconds=10 * MINUTE,
        usual_seconds=2 * MINUTE,
        needs=("deploy",),
        look_at="the logs ProducerLogGroup and LogGroup, and whether the market of the symbols is open",
    ),
    Step(
        name="counts",
        title="Compare the quotes in the archive, in DynamoDB and in Athena",
        limit_seconds=10 * MINUTE,
        usual_seconds=3 * MINUTE,
        needs=("quotes",),
        look_at="docs/runbook.md#batchesfailing, and `stockstream quarantine list`",
    ),
    Step(
        name="queries",
        title="Run each saved query in Athena",
        limit_seconds=10 * MINUTE,
        usual_seconds=MINUTE,
        needs=("quotes",),
        look_at="the query in the history of the workgroup in the Athena console",
    ),
    Step(
        name="api",
        title="Ask the API for its status, with a login and without",
        limit_seconds=2 * MINUTE,
        usual_seconds=5,
        needs=("quotes",),
        look_at="docs/runbook.md#apifailing, and the logs ApiAccessLog and QueryLogGroup",
    ),
    Step(
        name="task stop",
        title="Stop the producer's task, and wait for the notice and for a new task",
        limit_seconds=10 * MINUTE,
        usual_seconds=3 * MINUTE,
        needs=("listen", "quotes"),
        look_at="docs/runbook.md#taskstopped, and the events of the service in the ECS console",
    ),
    Step(
        name="symbol",
        title="Add a symbol at run time, and wait until it is polled",
        limit_seconds=5 * MINUTE,
        usual_seconds=MINUTE,
        needs=("quotes",),
        look_at="`stockstream symbols list`, and warnings in the log ProducerLogGroup",
    ),
    Step(
        name="rollback",
        title="Publish a version of the function that fails, and wait until it is rolled back",
        limit_seconds=40 * MINUTE,
        usual_seconds=12 * MINUTE,
        needs=("quotes",),
        look_at="the events of the stack processor in the CloudFormation console, and docs/runbook.md#functionfailing",
    ),
    Step(
        name="nothing lost",
        title="Compare the quotes of the whole test once more",
        limit_seconds=15 * MINUTE,
        usual_seconds=2 * MINUTE,
        needs=("counts",),
        look_at="docs/runbook.md#batchesfailing, `stockstream quarantine list` and `stockstream redrive`",
    ),
    Step(
        name="accepted",
        title="Compare what the producer says that it accepted with the archive",
        limit_seconds=10 * MINUTE,
        usual_seconds=MINUTE,
        needs=("quotes",),
        look_at="docs/runbook.md#deliverystalled, and `undelivered/` in the archive bucket",
    ),
    Step(
        name="alarm notice",
        title="Set one alarm, and wait until the operators' topic tells so",
        limit_seconds=3 * MINUTE,
        usual_seconds=10,
        needs=("listen",),
        look_at="the policies of the operators' topic and of its key in infra/cloudformation/operators.yaml",
    ),
    Step(
        name="alarms",
        title="Check the actions of every alarm, and wait until none is in ALARM",
        limit_seconds=20 * MINUTE,
        usual_seconds=6 * MINUTE,
        needs=("deploy",),
        look_at="the section of the alarm in docs/runbook.md, which its description names",
    ),
    Step(
        name="bill",
        title="Compute the bill so far",
        limit_seconds=2 * MINUTE,
        usual_seconds=5,
        needs=("deploy",),
        look_at="docs/cost.md",
    ),
)
DESTROY = Step(
    name="destroy",
    title="Remove the stage, as `make destroy` does",
    limit_seconds=40 * MINUTE,
    usual_seconds=12 * MINUTE,
    look_at="the stacks in the CloudFormation console; `make destroy` may be run again",
)
RESTORE = Step(
    name="restore the function",
    title="Make sure that the function has the code from before",
    limit_seconds=40 * MINUTE,
    usual_seconds=1,
    look_at="the stack processor in the CloudFormation console; `make deploy` deploys the function again",
)
CLEAN_UP_SECONDS = 2 * MINUTE
"""The limit of every other clean-up."""
