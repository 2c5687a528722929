"""The parameters of the templates: what each template declares, and whether a value fits."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from aws_limits import CLOUDFORMATION_PARAMETER_BYTES

_NAME = re.compile(r"^  (\w+):(.*)$")
_INLINE = re.compile(r"(\w+): (\"[^\"]*\"|[^,}]+)")
_SHOWN_LENGTH = 200
_PROPERTY = re.compile(r"^    (\w+): (.+?)(?: #.*)?$")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as a template declares it. A limit that is not declared is None."""

    default: str | None = None
    number: bool = False
    allowed: tuple[str, ...] | None = None
    pattern: str | None = None
    least: Decimal | None = None
    most: Decimal | None = None

    def problem(self, value: str) -> str | None:
        """What is wrong with a value; None if CloudFormation would take it."""
        if (size := len(value.encode())) > CLOUDFORMATION_PARAMETER_BYTES:
            return f"is {size:,} bytes long; CloudFormation takes at most {CLOUDFORMATION_PARAMETER_BYTES:,}"
        if self.allowed is not None and value not in self.allowed:
            return f"must be one of: {', '.join(self.allowed)}"
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            return f"must match the pattern {self.pattern}"
        return self._problem_of_number(value) if self.number else None

    def _problem_of_number(self, value: str) -> str | None:
        try:
            figure = Decimal(value)
        except InvalidOperation:
            return "must be a number"
        if not figure.is_finite():
            return "must be a number"
        if self.least is not None and figure < self.least:
            return f"must be at least {self.least}"
        if self.most is not None and figure > self.most:
            return f"must be at most {self.most}"
        return None


@dataclass(frozen=True, slots=True)
class Named:
    """A value that the user gave a parameter."""

    name: str
    value: str
    place: str = ""
    """Where the user gave it, such as `infra/stages/dev.env line 3: `. It begins the messages about it."""


def declared(template: str) -> dict[str, Parameter]:
    """The parameters of a template, by name.

    This reads the text of our own templates, in which every limit is on one line. The image that deploys in
    Compose has no YAML parser. A test compares the result with that of one.
    """
    found: dict[str, dict[str, str]] = {}
    properties: dict[str, str] = {}
    for line in template.partition("\nParameters:\n")[2].splitlines():
        if line and line[0].isalpha():
            break  # the next section of the template
        if name := _NAME.match(line):
            properties = found.setdefault(name[1], dict(_INLINE.findall(name[2])))
        elif setting := _PROPERTY.match(line):
            properties[setting[1]] = setting[2]
    return {name: _parameter(properties) for name, properties in found.items()}


def _parameter(properties: Mapping[str, str]) -> Parameter:
    allowed, pattern = properties.get("AllowedValues"), properties.get("AllowedPattern")
    least, most = properties.get("MinValue"), properties.get("MaxValue")
    return Parameter(
        default=_plain(properties["Default"]) if "Default" in properties else None,
        number=properties.get("Type") == "Number",
        allowed=None if allowed is None else tuple(_plain(text) for text in allowed.strip("[]").split(",")),
        pattern=None if pattern is None else _plain(pattern),
        least=None if least is None else Decimal(least),
        most=None if most is None else Decimal(most),
    )


def _plain(text: str) -> str:
    return text.strip().strip("\"'")


def mistakes(
    named: Iterable[Named],
    reset: Collection[str],
    deployed: Mapping[str, Mapping[str, Parameter]],
    other: Mapping[str, Mapping[str, Parameter]],
) -> list[str]:
    """Everything that is wrong with the user's parameters.

    `deployed` has the parameters of each stack that the deployment deploys, and `other` those of the other stacks.
    """
    parameters = {name: parameter for stack in deployed.values() for name, parameter in stack.items()}
    named = list(named)
    found = []
    for one in named:
        if one.name not in parameters:
            found.append(f"{one.place}{_unknown(one.name, parameters, other)}")
        elif problem := parameters[one.name].problem(one.value):
            found.append(f"{one.place}{one.name}={_short(one.value)}: {problem}")
    values = {one.name: one for one in named}
    for name in sorted(reset):
        if name not in parameters:
            found.append(f"--reset / RESET: {_unknown(name, parameters, other)}")
        elif parameters[name].default is None:
            found.append(f"--reset / RESET: {name} has no default, because it comes from another stack")
        elif name in values:
            found.append(f"--reset / RESET: {values[name].place}{name} has a value; remove one of the two")
    return found


_LEAST = {kind: tuple(f"{table}{kind}Capacity" for table in ("Quotes", "Bars", "State")) for kind in ("Write", "Read")}
RELATED = frozenset(
    {
        "Latency",
        "ConsumerArn",
        "MetricsCollector",
        "Memory",
        "TableBilling",
        "MostWriteCapacity",
        "MostReadCapacity",
        *_LEAST["Write"],
        *_LEAST["Read"],
    }
)
"""The parameters that `contradictions` compares with each other."""


def contradictions(values: Mapping[str, str | None]) -> list[str]:
    """What is wrong with values that are right by themselves. CloudFormation would refuse them later, or not at all."""
    found = []
    if values.get("Latency") == "fast" and values.get("ConsumerArn") == "":
        found.append(
            "Latency=fast needs a registered consumer of the stream. --whole registers one. Without --whole, register "
            "one yourself (aws kinesis register-stream-consumer), and name its ARN as ConsumerArn"
        )
    if values.get("MetricsCollector") == "adot" and values.get("Memory") == "512":
        found.append("MetricsCollector=adot needs Memory=1024 or more, because 512 MiB are for the producer alone")
    for kind, names in _LEAST.items() if values.get("TableBilling") == "PROVISIONED" else ():
        most = values.get(f"Most{kind}Capacity")
        for name in names:
            least = values.get(name)
            if most is not None and least is not None and Decimal(least) > Decimal(most):
                found.append(f"{name}={least} is more than Most{kind}Capacity={most}")
    return found


def _short(value: str) -> str:
    """A value as messages show it."""
    return value if len(value) <= _SHOWN_LENGTH else f"{value[:_SHOWN_LENGTH]}…"


def _unknown(name: str, known: Collection[str], other: Mapping[str, Mapping[str, Parameter]]) -> str:
    for stack, parameters in other.items():
        if name in parameters:
            return f"{name} is a parameter of the stack {stack}, which only --whole deploys"
    similar = difflib.get_close_matches(name, known, n=1)
    suggestion = f" (did you mean {similar[0]}?)" if similar else "; the templates in infra/cloudformation list all"
    return f"no template has a parameter {name}{suggestion}"
