"""Stand-ins for what a smoke test calls: clients that answer as they are told, and commands that are only recorded.

Each call and each answer is checked against botocore's model of the service, so a field that AWS does not know fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

from smoke.errors import CommandFailed

Answer = Any
"""What a call returns: a value, an exception to raise, or a function of the call's arguments."""


def no_client(service: str) -> Any:
    raise AssertionError(f"nothing should call {service}")


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "Call")


_SESSION = botocore.session.get_session()


@cache
def _model(service: str) -> ServiceModel:
    return _SESSION.get_service_model(service)


def _operation(service: str, method: str) -> OperationModel:
    (name,) = [name for name in _model(service).operation_names if xform_name(name) == method]
    return _model(service).operation_model(name)


def _check(value: Any, shape: Shape | None, what: str, *, complete: bool) -> None:
    """Check a call or an answer. An answer has only the fields that a test is about, so it is not `complete`."""
    if shape is None:
        return
    report = ParamValidator().validate({} if value is None else value, shape)
    if not complete:
        report._errors = [error for error in report._errors if error[0] != "missing required field"]
    assert not report.has_errors(), f"{what}: {report.generate_report()}"


@dataclass
class ScriptedAws:
    """Clients whose calls have one answer each, such as `{"ecs.list_tasks": {"taskArns": []}}`."""

    answers: Mapping[str, Answer]
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def client(self, service: str) -> _Client:
        return _Client(self, service)

    def answer(self, call: str, arguments: dict[str, Any]) -> Any:
        self.calls.append((call, arguments))
        model = _operation(*call.split("."))
        _check(arguments, model.input_shape, f"the call {call}", complete=True)
        answer = self.answers[call]
        if isinstance(answer, Exception):
            raise answer
        answer = answer(**arguments) if callable(answer) else answer
        _check(answer, model.output_shape, f"the answer of {call}", complete=False)
        return answer

    def called(self, call: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == call]


@dataclass
class _Client:
    aws: ScriptedAws
    service: str

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda **arguments: self.aws.answer(f"{self.service}.{method}", arguments)

    def get_paginator(self, method: str) -> _Paginator:
        return _Paginator(self, method)


@dataclass
class _Paginator:
    client: _Client
    method: str

    def paginate(self, **arguments: Any) -> list[Any]:
        operation = _operation(self.client.service, self.method).name
        assert _SESSION.get_paginator_model(self.client.service).get_paginator(operation)
        return [getattr(self.client, self.method)(**arguments)]


@dataclass
class RecordedCommands:
    """Records each command. Those whose name is in `failing` fail."""

    failing: frozenset[str] = frozenset()
    ran: list[tuple[str, ...]] = field(default_factory=list)
    on_run: Callable[[tuple[str, ...]], None] = lambda _: None

    def run(self, package: str, *arguments: str, seconds: float) -> None:
        assert seconds > 0
        self.ran.append((package, *arguments))
        self.on_run(self.ran[-1])
        if arguments[0] in self.failing:
            raise CommandFailed(f"{arguments[0]} failed")
