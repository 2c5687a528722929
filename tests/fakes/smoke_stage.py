"""Stand-ins for what a smoke test calls: clients that answer as they are told, and commands that are only recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from smoke.errors import CommandFailed

Answer = Any
"""What a call returns: a value, an exception to raise, or a function of the call's arguments."""


def no_client(service: str) -> Any:
    raise AssertionError(f"nothing should call {service}")


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "Call")


@dataclass
class ScriptedAws:
    """Clients whose calls have one answer each, such as `{"ecs.list_tasks": {"taskArns": []}}`."""

    answers: Mapping[str, Answer]
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def client(self, service: str) -> _Client:
        return _Client(self, service)

    def answer(self, call: str, arguments: dict[str, Any]) -> Any:
        self.calls.append((call, arguments))
        answer = self.answers[call]
        if isinstance(answer, Exception):
            raise answer
        return answer(**arguments) if callable(answer) else answer

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
