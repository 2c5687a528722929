"""What follows from a deployment, unless a person names it: the source, the lanes, and how long minutes stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from operations.aws import client
from operations.demo_stage import is_of_a_demo, running_demo
from operations.errors import WrongUsage
from operations.outputs import Outputs, function_settings
from operations.producer_stack import producer_parameters
from watchlist import DEFAULT_LANES

DEFAULT_BAR_TTL_DAYS = 365
"""That of the template of the stream function."""


class Deployed:
    """A deployment, by the options that name it. Each fact is read only when it is asked for."""

    def __init__(self, names: Outputs, prefix: str, stage: str, file: Path | None) -> None:
        self.names = names
        """The outputs of its stacks."""
        self._prefix, self._stage = prefix, stage
        self.is_demo = file is None and is_of_a_demo(stage)
        """Whether it is a demo on this machine."""
        self._has_stacks = file is None and not self.is_demo

    def source(self) -> str:
        """The source of the quotes. Raises `WrongUsage` if nothing says so."""
        if self.is_demo:
            return running_demo(self._stage).source
        source = self._parameters().get("Source")
        if not source:
            raise WrongUsage("nothing says where the quotes come from: set --source, for example --source yahoo")
        return source

    def lanes(self) -> int:
        """The number of lanes of the stream."""
        return int(self._parameters().get("Lanes") or DEFAULT_LANES)

    def bar_ttl_days(self) -> int:
        """The days after which a minute expires. A file of outputs need not name the function that says so."""
        # LocalStack does not find the settings of a function by an alias.
        function = self.names.get("FunctionName") or self.names.get("LiveAliasArn")
        return function_settings(client("lambda"), function).bar_ttl_days if function else DEFAULT_BAR_TTL_DAYS

    def _parameters(self) -> Mapping[str, str]:
        return producer_parameters(self._prefix, self._stage) if self._has_stacks else {}
