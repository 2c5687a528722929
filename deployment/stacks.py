"""The CloudFormation stacks, as data: the templates and their order.

A new stack is a template in infra/cloudformation and one more name in `ALL_STACKS`, or in `ON_REQUEST`.
"""

from __future__ import annotations

from collections.abc import Mapping

from deployment.functions import ROOT
from deployment.latency import CONSUMER

TEMPLATES = ROOT / "infra" / "cloudformation"
"""The folder of the templates. The stack `stream` is the template `stream.yaml`."""

REGISTRY = "registry"
"""The stack of the repositories of images. All stages of an account and region share it."""
DRIFT = "drift"
"""The stack that remembers what a stage serves."""
PIPELINE = ("stream", "storage", "processor", "query")
"""The stacks that quotes flow through, and the function that answers queries. The replica deploys only these, since it
runs its own producer."""
ALL_STACKS = (
    REGISTRY,
    "stream",
    "storage",
    CONSUMER,  # in cheap mode, `latency.in_order` moves it after the processor
    "processor",
    "query",
    "capacity",
    "analytics",
    "views",
    "queries",
    "subscriptions",
    "operators",
    "observability",
    "network",
    "producer",
    "producer-alarms",
    "history",
    DRIFT,
)
"""The stacks that every stage has, in the order of deployment.

A stack comes after the stacks whose outputs are its parameters. The processor comes before the producer, so it can read
a new version of the line format before the first such line arrives.
"""

ON_REQUEST = ("api", "web")
"""The stacks that a stage has only if it asks for them (`serving`), in the order of deployment, after all others."""

BY_HAND = ("ci", "pipeline")
"""Templates that no stage deploys. A person creates them once (docs/cicd.md)."""

Outputs = Mapping[str, str]
"""The outputs of stacks, by their names in the templates, such as `StreamName` or `FunctionArn`."""
