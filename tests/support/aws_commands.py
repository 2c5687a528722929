"""Runs commands of the AWS CLI that a page shows, without the AWS CLI: each becomes a call of boto3."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from functools import reduce
from string import Template
from typing import Any

_ASSIGNED = re.compile(r"(\w+)=(?:\$\((.*)\)|(.*))")
"""`NAME=$(command)` or `NAME=text`."""


class Shell:
    """A shell with variables, whose only command is `aws`."""

    def __init__(self, client: Callable[[str], Any], **variables: str) -> None:
        self._client = client
        self._variables = variables

    def run(self, script: str) -> Any:
        """Run each line, and return the answer to the last one."""
        answer = None
        for line in filter(None, (text.partition(" #")[0].strip() for text in script.splitlines())):
            assigned = _ASSIGNED.fullmatch(line)
            if assigned is None:
                answer = self._call(line)
            elif assigned[2] is None:
                self._variables[assigned[1]] = self._with_variables(assigned[3])
            else:
                self._variables[assigned[1]] = str(self._call(assigned[2]))
        return answer

    def _call(self, command: str) -> Any:
        aws, service, operation, *words = shlex.split(self._with_variables(command))
        assert aws == "aws"
        client = self._client({"s3api": "s3"}.get(service, service))
        waiter = words.pop(0) if operation == "wait" else None
        options = _options(words)
        query, _ = options.pop("Query", None), options.pop("Output", None)
        if waiter is not None:
            return client.get_waiter(waiter.replace("-", "_")).wait(**options, WaiterConfig={"Delay": 1})
        answer = getattr(client, operation.replace("-", "_"))(**options)
        return answer if query is None else reduce(lambda value, name: value[name], query.split("."), answer)

    def _with_variables(self, text: str) -> str:
        # A hyphen ends a name in a shell, and so it does here. A variable that is not set is an error.
        return Template(text).substitute(self._variables)


def _options(words: list[str]) -> dict[str, Any]:
    """The options of a command as arguments of boto3: `--table-name x` is `TableName="x"`."""
    options: dict[str, Any] = {}
    while words:
        option = words.pop(0).removeprefix("--")
        takes_value = bool(words) and not words[0].startswith("--")
        value = _value(words.pop(0)) if takes_value else not option.startswith("no-")
        options["".join(word.capitalize() for word in option.removeprefix("no-").split("-"))] = value
    return options


def _value(text: str) -> Any:
    """A value: JSON, the shorthand `A=true,B=x`, a number, or text."""
    if re.fullmatch(r"\w+=[\w-]+(,\w+=[\w-]+)*", text):
        pairs = (pair.split("=") for pair in text.split(","))
        return {name: {"true": True, "false": False}.get(value, value) for name, value in pairs}
    return int(text) if text.isdigit() else json.loads(text) if text.startswith("{") else text
