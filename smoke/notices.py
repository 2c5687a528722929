"""A temporary queue that gets what the operators' topic tells, and the step that makes an alarm tell something.

The queue needs no key of KMS: SNS decrypts what the key of the topic encrypts before it delivers it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from uuid import uuid4

from botocore.exceptions import ClientError

from smoke.checks import notified
from smoke.deadline import Deadline
from smoke.runner import CleanUps
from smoke.stage import Stage
from smoke.verdicts import Passed, Verdict

ALARM = "StateLarge"
"""The logical id of the alarm that is set. Nothing but people follows it, and it is quiet on a stage that is small."""
_REASON = "A smoke test of stockstream sets this alarm, to see that its notice arrives. There is nothing to do."
_WAIT_SECONDS = 1


@dataclass
class Notices:
    """What the operators' topic told since the queue was subscribed."""

    stage: Stage
    clean_ups: CleanUps
    name: str = field(default_factory=lambda: f"stockstream-smoke-{uuid4().hex[:12]}")
    """The name of the queue."""
    url: str | None = None
    texts: list[str] = field(default_factory=list)

    def listen(self, _deadline: Deadline) -> Verdict:
        """Make the queue, and subscribe it."""
        self.clean_ups.add("delete the temporary queue and its subscription", self._remove)
        sqs, topic = self.stage.client("sqs"), self.stage.output("OperatorsTopicArn")
        url: str = sqs.create_queue(QueueName=self.name)["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self.stage.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"}
        )
        self.url = url
        return Passed(f"the queue {self.name} is subscribed")

    def look(self) -> list[str]:
        """All notices so far."""
        sqs = self.stage.client("sqs")
        while self.url is not None:
            messages = sqs.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_SECONDS
            ).get("Messages", [])
            if not messages:
                break
            self.texts += [message["Body"] for message in messages]
            for message in messages:
                sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self.texts

    def alarm_arrives(self, deadline: Deadline) -> Verdict:
        """Set an alarm, and wait for its notice."""
        cloudwatch = self.stage.client("cloudwatch")
        (alarm,) = [name for logical, name in self.stage.resources("AWS::CloudWatch::Alarm") if logical == ALARM]

        def reset(_deadline: Deadline) -> Verdict:
            cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason=_REASON)
            return Passed(f"{alarm} is OK")

        self.clean_ups.add(f"reset the alarm {ALARM}", reset)
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason=_REASON)
        verdict = deadline.until(lambda: notified(alarm, self.look()))
        reset(deadline)
        return verdict

    def _remove(self, _deadline: Deadline) -> Verdict:
        sqs, sns = self.stage.client("sqs"), self.stage.client("sns")
        pages = sns.get_paginator("list_subscriptions_by_topic")
        for page in pages.paginate(TopicArn=self.stage.output("OperatorsTopicArn")):
            for one in page["Subscriptions"]:
                if one["Endpoint"].endswith(f":{self.name}"):
                    sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
        try:
            sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=self.name)["QueueUrl"])
        except ClientError as error:
            if not error.response["Error"]["Code"].endswith(("NonExistentQueue", "QueueDoesNotExist")):
                raise
        return Passed(f"the queue {self.name} is gone")
