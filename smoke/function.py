"""The step that deploys a version of the function that fails."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from deployment.errors import DeploymentError
from smoke.checks import rolled_back
from smoke.deadline import Deadline
from smoke.deployer import Deployer, failing_zip
from smoke.plan import RESTORE
from smoke.runner import CleanUps
from smoke.stage import Stage
from smoke.verdicts import Failed, LeftOut, Passed, Verdict

ALIAS = "live"
"""The alias of the function that the event source mapping points to."""


@dataclass(frozen=True)
class Function:
    """The function of the stage."""

    stage: Stage
    deployer: Deployer
    clean_ups: CleanUps
    stays: bool
    """Whether the stage stays after the test. Then the function must be as before, whatever happens."""

    def rolls_back(self, deadline: Deadline) -> Verdict:
        """Deploy a version that fails, and expect CloudFormation to go back."""
        before = self._version()
        if before is None:
            return LeftOut(f"the function has no alias {ALIAS}, so this stage has no rollback")
        if "RollbackConfiguration" not in self.stage.stack("processor"):
            return LeftOut("this CloudFormation does not know rollback triggers: no stack has a RollbackConfiguration")
        if self.stays:
            code = self._code()
            self.clean_ups.add_step(RESTORE, lambda deadline: self._restore(code, deadline))
        error: str | None = None
        with tempfile.TemporaryDirectory() as folder:
            try:
                self.deployer.put_function(failing_zip(Path(folder)), deadline)
            except DeploymentError as failure:
                error = str(failure)
        return rolled_back(before, self._version() or "none", self.stage.stack("processor")["StackStatus"], error)

    def _restore(self, code: str, deadline: Deadline) -> Verdict:
        if self._code() != code:
            self.deployer.deploy(deadline)
        if self._code() == code:
            return Passed("the function has the code from before")
        return Failed("the code from before", "other code; `make deploy` deploys it again")

    def _code(self) -> str:
        return self.stage.parameters("processor")["CodeKey"]

    def _version(self) -> str | None:
        """The version that the alias points to. None if there is no alias."""
        try:
            alias = self.stage.client("lambda").get_alias(FunctionName=self.stage.output("FunctionName"), Name=ALIAS)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise
        version: str = alias["FunctionVersion"]
        return version
