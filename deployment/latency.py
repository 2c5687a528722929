"""The two modes in which the function reads the stream, and the order of the stacks in each. Pure.

In fast mode, Kinesis pushes records to a registered consumer. In cheap mode, Lambda polls the stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

CONSUMER = "consumer"
"""The stack of the stream's consumer, which is empty in cheap mode."""
_PROCESSOR = "processor"
"""The stack of the function that reads the stream."""
LATENCY = "Latency"
"""The parameter of several templates that is the mode."""
CONSUMER_ARN = "ConsumerArn"
"""The output of the stack consumer, and the parameter of the function's template. It is empty in cheap mode."""
CHEAP, FAST = "cheap", "fast"


def in_order(stacks: Iterable[str], latency: str) -> tuple[str, ...]:
    """The stacks in the order of their deployment.

    In fast mode, the consumer is registered before the function's mapping names it. In cheap mode, it is removed after
    the function's stack was updated, when nothing reads through it any more. If that update fails, the consumer stays.
    """
    stacks = tuple(stacks)
    if latency == FAST or CONSUMER not in stacks:
        return stacks
    others = [name for name in stacks if name != CONSUMER]
    after = others.index(_PROCESSOR) + 1
    return (*others[:after], CONSUMER, *others[after:])


def mode_of(values: Mapping[str, str], held: Mapping[str, str]) -> dict[str, str]:
    """The parameters of the mode: what the user names, else what the function's stack has (`held`), else cheap mode."""
    latency = values.get(LATENCY, held.get(LATENCY, CHEAP))
    return {LATENCY: latency} if latency == FAST else {LATENCY: latency, CONSUMER_ARN: ""}


def is_switched(held: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a deployment changes the mode of a stage that exists. One of a version without modes is in cheap mode.

    `held` are the parameters that are deployed, and `wanted` those that differ by the user's wish.
    """
    deployed = held.get(LATENCY, CHEAP)
    return bool(held) and wanted.get(LATENCY, deployed) != deployed
