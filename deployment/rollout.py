"""The safe rollout of the function: the release that publishes a new version. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deployment.cloudformation import Template, exists, parameters_of
from deployment.parameters import declared

RELEASE = "Release"
"""The parameter of a function's template that publishes a new version when it changes."""
MAPPING_PARAMETERS = frozenset(
    {
        "MappingState",
        "BatchSize",
        "BatchingWindowSeconds",
        "ParallelizationFactor",
        "BisectBatchOnFunctionError",
        "MaximumRetryAttempts",
        "MaximumRecordAgeSeconds",
    }
)
"""The parameters that change only the event source mapping. They need no new version of the function."""
_HASH_CHARACTERS = 12


def released(template: Template, stack: Mapping[str, Any] | None, suffix: str) -> Template:
    """The template of a function with its release: that of the stack, or a new one if anything of the function differs.

    A new release ends with `suffix`, which has to be new in each deployment. So a release that was rolled back and is
    deployed again is published again, whatever Lambda kept of the first attempt. A release that the user names stays.
    """
    if RELEASE in template.values:
        return template
    deployed = parameters_of(stack) if exists(stack) else {}
    content = _hash_of(template, deployed)
    current = deployed.get(RELEASE, "")
    release = current if current.partition("-")[0] == content else f"{content}-{suffix}"
    return replace(template, values={**template.values, RELEASE: release})


def _hash_of(template: Template, deployed: Mapping[str, str]) -> str:
    """A hash of all that decides the configuration of the function: the template and the values of its parameters.

    The key of the zip, which has the hash of the code, is one of the parameters. So are the names of other resources.
    """
    values = {name: parameter.default for name, parameter in declared(template.body).items()}
    values |= {name: value for name, value in deployed.items() if name in template.keeps}
    values |= template.values
    decisive = {name: value for name, value in values.items() if name not in MAPPING_PARAMETERS | {RELEASE}}
    text = json.dumps([template.body, decisive], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]
