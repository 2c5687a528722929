"""Runs everything of the pipeline except the producer: emulator, deployed stacks, event source and a subscriber."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from costs.metering import Tables, calls_of, metered
from costs.usage import Usage
from deployment.alert_rules import choose_rules
from deployment.deployer import Deployment
from deployment.functions import PROCESSOR, QUERY
from deployment.package import Target, build
from deployment.parameters import declared
from deployment.stacks import PIPELINE, TEMPLATES, Outputs
from replica import consumer, http_api
from replica.audit import EvidenceReader
from replica.emulator import Emulator
from replica.event_source import EventSourceRunner
from replica.event_source.aws import KinesisStream, connect
from replica.monitor import Monitor
from workspace import demo_record
from workspace.places import STATE

PREFIX = "stockstream"
CONSUMER = "processor"
"""The name of the registered consumer in fast mode."""

LatencyMode = Literal["cheap", "fast"]
"""How the function reads the stream: by polling, or through a registered consumer. The template has the same values."""


class Pipeline:
    """The pipeline runs for as long as a `with` block lasts, and leaves nothing behind.

    The deployed event source mapping is disabled, and our own runner delivers by its properties, because no emulator
    has Lambda's failure semantics. `report` is called with each step of the set-up. `python` is an interpreter that has
    MiniStack. `latency` is how the function reads the stream. With `serves_api`, the query API is there too, at
    `api_url`. `parameters` are other parameters of the templates, and `rules` is a file of alert rules that replaces
    the default ones. Entering raises `ReplicaError` or `DeploymentError`.
    """

    def __init__(
        self,
        report: Callable[[str], None],
        *,
        stage: str = demo_record.STAGE,
        python: str = sys.executable,
        policies_enforced: bool = False,
        latency: LatencyMode = "fast",
        serves_api: bool = False,
        parameters: Mapping[str, str] | None = None,
        rules: Path | None = None,
    ) -> None:
        self._report = report
        self._prefix = f"{PREFIX}-{stage}"
        self._latency = latency
        self._parameters = parameters or {}
        self._rules = rules
        self._target = Target.of_this_interpreter()
        self._functions = (PROCESSOR, QUERY) if serves_api else (PROCESSOR,)
        self._zips: dict[str, Path] = {}
        self.emulator = Emulator(
            python=python, policies_enforced=policies_enforced, metered=True, meanwhile=self._build
        )
        self.monitor = Monitor()
        self._stack = ExitStack()
        self.outputs: Outputs = {}
        self.api_url = ""
        """The address of the query API, without a slash at the end. Empty if there is none."""
        self._began_at = 0.0
        self.runner: EventSourceRunner
        self.reader: EvidenceReader

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._report("starting the emulator")
            stack.enter_context(self.emulator)
            client: Callable[..., Any] = self.emulator.client
            deployment = Deployment(
                client("cloudformation"), client("s3"), self._prefix, self._report, stacks=self._stacks()
            )
            overrides = {
                "MappingState": "Disabled",
                "Architecture": self._target.architecture,
                "Latency": self._latency,
                **self._parameters,
            }
            if self._latency == "fast":
                overrides["ConsumerArn"] = self._register_consumer(deployment, overrides)
            self.outputs = deployment.deploy(self._zips, overrides, before={PROCESSOR.name: self._write_rules})
            if QUERY.name in self._zips:
                api = http_api.create(client, f"{self._prefix}-api", self.outputs["QueryLiveAliasArn"])
                self.api_url = http_api.url(self.emulator.endpoint_url, api)
            self._grant_batches()
            self._start_functions()
            self.reader = EvidenceReader(
                self.outputs,
                KinesisStream(client("kinesis"), self.outputs["StreamArn"]),
                self._subscribe(),
                dynamodb=client("dynamodb"),
                s3=client("s3"),
                sqs=client("sqs"),
            )
            self.runner = connect(client, self.outputs["EventSourceMappingId"], on_batch=self.monitor.on_batch)
            stack.enter_context(self.runner)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def usage(self, quotes: int, producer_log_bytes: int) -> Usage:
        """What AWS would bill for the calls so far, in which `quotes` quotes were stored.

        Call it before the evidence is read, since reading makes calls too.
        """
        outputs, logs = self.outputs, self.emulator.client("logs")
        function = self.emulator.client("lambda").get_function_configuration(FunctionName=outputs["FunctionName"])
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=outputs["LogGroup"], startTime=int(self._began_at * 1000)
        )
        tables = Tables(
            quotes=outputs["QuotesTable"],
            bars=outputs["BarsTable"],
            state=outputs["StateTable"],
            alerts=outputs["AlertsTable"],
        )
        return metered(
            calls_of(self.emulator.calls.read_bytes()),
            tables,
            quotes=quotes,
            function_log=(event["message"] for page in pages for event in page["events"]),
            producer_log_bytes=producer_log_bytes,
            memory_mb=function["MemorySize"],
        )

    def _build(self, scratch: Path) -> None:
        """Build the zips of the functions, while the emulator starts."""
        self._report(
            "building the zips of the functions" if QUERY in self._functions else "building the function's zip"
        )
        for function in self._functions:
            self._zips[function.name] = build(function, self._target, scratch, wheels=STATE / "wheels")
        self._report("waiting for the emulator")

    def _stacks(self) -> tuple[str, ...]:
        """The stacks of the pipeline, without that of a function which is not wanted."""
        return tuple(name for name in PIPELINE if name != QUERY.name or QUERY in self._functions)

    def _register_consumer(self, deployment: Deployment, overrides: Mapping[str, str]) -> str:
        """Deploy the stream before the other stacks, because the processor's stack needs the ARN of a consumer."""
        names = declared((TEMPLATES / "stream.yaml").read_text(encoding="utf-8"))
        own = {name: value for name, value in overrides.items() if name in names}
        outputs = replace(deployment, stacks=("stream",)).deploy({}, own)
        return consumer.register(self.emulator.client("kinesis"), outputs["StreamArn"], CONSUMER)

    def _write_rules(self, known: Outputs) -> None:
        rules = choose_rules(None, None, {}, None if self._rules is None else str(self._rules))
        rules.write(self.emulator.client("s3"), known["ArchiveBucket"])

    def _grant_batches(self) -> None:
        """Allow the function to send batches.

        AWS allows a batch by the name of the single call. MiniStack wants the batch's own name.
        """
        function = self.emulator.client("lambda").get_function_configuration(FunctionName=self.outputs["FunctionName"])
        actions = {
            "sns:PublishBatch": self.outputs["AlertsTopicArn"],
            "sqs:SendMessageBatch": self.outputs["QuarantineQueueArn"],
        }
        statements = [{"Effect": "Allow", "Action": action, "Resource": arn} for action, arn in actions.items()]
        self.emulator.client("iam").put_role_policy(
            RoleName=function["Role"].rpartition("/")[2],
            PolicyName="batches",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )

    def _start_functions(self) -> None:
        """Invoke the stream function without records, so that it is warm when the first quotes come.

        Lambda keeps an instance of a function that is in use for hours. In a short run, a cold start would decide about
        the 99th percentile of the latency. The usage does not count this invocation. The query function starts
        meanwhile, so that the dashboard's first page need not wait for it.
        """
        client = self.emulator.client("lambda")
        if self.api_url:
            http = {"method": "GET", "path": "/udf/time"}
            event = {"rawPath": http["path"], "headers": {}, "requestContext": {"stage": "$default", "http": http}}
            client.invoke(
                FunctionName=self.outputs["QueryLiveAliasArn"], InvocationType="Event", Payload=json.dumps(event)
            )
        client.invoke(FunctionName=self.outputs["LiveAliasArn"], Payload=b'{"Records": []}')
        self._began_at = time.time()

    def _subscribe(self) -> str:
        """Subscribe a new queue to the alerts, and return its URL."""
        sqs, topic = self.emulator.client("sqs"), self.outputs["AlertsTopicArn"]
        url: str = sqs.create_queue(QueueName=f"{self._prefix}-inbox")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self.emulator.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
        )
        return url
