"""The stages of demos: the commands find a demo that runs on this machine by its stage, and need no other setting."""

from __future__ import annotations

import os
import re

from operations.errors import WrongUsage
from workspace import demo_record
from workspace.demo_record import DemoRecord

_STAGE = re.compile(rf"{demo_record.STAGE}(-\d+)?")


def is_of_a_demo(stage: str) -> bool:
    """Whether a stage is one that demos have: `demo`, `demo-2` and so on."""
    return _STAGE.fullmatch(stage) is not None


def running_demo(stage: str) -> DemoRecord:
    """The running demo of a stage. Raises `WrongUsage` if there is none, with the stages that there are."""
    running = demo_record.running()
    found = next((record for record in running if record.stage == stage), None)
    if found is not None:
        return found
    others = [record.stage for record in running]
    advice = (
        f"use --stage {' or --stage '.join(others)}, the stage of a demo that runs"
        if others
        else "start one with `make demo`. To reach a deployment of this stage on AWS, set --outputs-file"
    )
    raise WrongUsage(f"no demo runs as stage {stage}: {advice}")


def lead_sdk_to(record: DemoRecord) -> None:
    """Let the AWS SDK in this process reach the demo and nothing else."""
    demo_record.lead_to(record, os.environ)
