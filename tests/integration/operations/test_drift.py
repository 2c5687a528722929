"""What the daily comparison of a stack finds, as far as the emulator's CloudFormation compares."""

from __future__ import annotations

import time
from typing import Any

from deployment.deployer import Deployment
from replica.emulator import Emulator

STACK = "drifting-storage"
PATIENCE_SECONDS = 30.0


def compared(cloudformation: Any) -> str:
    """The result of a comparison, as the schedule asks for it."""
    detection = cloudformation.detect_stack_drift(StackName=STACK)["StackDriftDetectionId"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        status = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if status["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            assert status["DetectionStatus"] == "DETECTION_COMPLETE", status
            result: str = status["StackDriftStatus"]
            return result
        assert time.monotonic() < deadline


def test_a_change_by_hand_is_drift_and_the_protection_of_the_tables_is_none(emulator: Emulator) -> None:
    cloudformation = emulator.client("cloudformation")
    deployment = Deployment(cloudformation, emulator.client("s3"), "drifting", stacks=("storage",))
    outputs = deployment.deploy({}, {"DeletionProtection": "true"})
    try:
        assert compared(cloudformation) == "IN_SYNC"
        deployment.deploy({}, {"DeletionProtection": "false"})
        assert compared(cloudformation) == "IN_SYNC"
        emulator.client("sqs").set_queue_attributes(
            QueueUrl=outputs["QuarantineQueueUrl"], Attributes={"MessageRetentionPeriod": "60"}
        )
        assert compared(cloudformation) == "DRIFTED"
    finally:
        deployment.destroy()
