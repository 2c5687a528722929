"""Looks at what a deployment would change: shows it, refuses what must not happen, and finds what to confirm."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from deployment.deployer import Deployment
from deployment.errors import DeploymentError
from deployment.guards import network_refusal, stops
from deployment.latency import LATENCY, is_switched
from deployment.place import Place
from terminal.output import echo


def what_stops(
    deployment: Deployment, previews: Mapping[str, tuple[str, ...]], wanted: Mapping[str, str], stage: str
) -> tuple[str, ...]:
    """What stops the stream, which this also prints. Raises `DeploymentError` if a change must not happen now."""
    held = deployment.held()
    network = previews.get(f"{deployment.prefix}-network", ())
    if refusal := network_refusal(network, held, wanted, stage):
        raise DeploymentError(refusal)
    if is_switched(held, wanted):
        echo(
            f"Latency={wanted[LATENCY]} replaces the event source mapping. The new one begins with the stream's oldest "
            "record, and the function drops what it has processed (docs/deploy.md, Latency)",
            err=True,
        )
    stopping = stops(previews, held, wanted)
    for line in stopping:
        echo(f"this stops the stream: {line}", err=True)
    return stopping


def question_before(place: Place, *, is_new: bool, advice: str, changes: Collection[tuple[str, ...]]) -> str:
    """What to ask before a deployment; empty if nothing changes, or a new stage is where its file says."""
    if is_new:
        return f"Create a new stage in {place}?" if advice else ""
    return "Deploy these changes?" if any(changes) else ""


def lines_of(previews: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """The changes of each stack, under its name."""
    for stack, changes in previews.items():
        yield stack
        yield from (f"  {change}" for change in changes or ("nothing to change",))
