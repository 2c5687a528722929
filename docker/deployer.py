"""The program of the container `deployer`: `deployer.py OPTION...`, with the options of `deployment deploy`.

It deploys the pipeline and opens its query API without a login, again whenever the emulator has lost them. When the
file of alert rules changes, it writes the rules to the emulator. The file /tmp/state is for the health check of the
container.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from docker import pages
from operations.command_line import WRONG_USAGE
from terminal.output import echo

STATE = Path("/tmp/state")  # noqa: S108  (the container is the only one that uses this /tmp)
SHARED = Path("/run/stockstream")
LAST_STACK = "stockstream-dev-query"
LIVE = "live"
"""The alias of each function that is in use."""
LOOK_SECONDS = 2
RETRY_SECONDS = 10


def with_symbols(options: list[str], symbols: str | None) -> list[str]:
    """The options, and the symbols if the user names some. Otherwise the stage keeps those that it has."""
    return [*options, "--parameter", f"Symbols={symbols}"] if symbols else options


def deploy(options: list[str]) -> bool:
    """Deploy, and hand the outputs to the other containers. Returns whether that succeeded."""
    fresh = SHARED / "outputs.new"
    command = [sys.executable, "-m", "deployment", "deploy", "--outputs-file", str(fresh), *options]
    if subprocess.run(command, check=False).returncode:  # noqa: S603  (of the compose file)
        return False
    outputs = dict(line.split("=", 1) for line in fresh.read_text(encoding="utf-8").splitlines())
    try:
        lambda_ = boto3.client("lambda")
        for name in ("FunctionName", "QueryFunctionName"):
            go_live(lambda_, outputs[name])
        address = open_to_all(lambda_, outputs["QueryFunctionName"])
    except (BotoCoreError, ClientError) as error:
        echo(f"The new version of a function is not live: {error}", err=True)
        return False
    with fresh.open("a", encoding="utf-8") as file:
        file.write(f"QueryUrl={address}\n")
    fresh.replace(SHARED / "outputs")
    return True


def go_live(lambda_: Any, function: str) -> None:
    """Point the alias to the function as it was deployed.

    On AWS, CloudFormation does that. LocalStack's creates versions and aliases, but never updates them.
    """
    version = lambda_.publish_version(FunctionName=function)["Version"]
    lambda_.get_waiter("published_version_active").wait(FunctionName=function, Qualifier=version)
    lambda_.update_alias(FunctionName=function, Name=LIVE, FunctionVersion=version)


def open_to_all(lambda_: Any, function: str) -> str:
    """The URL at which a function answers without a login, created now if there is none.

    It exists only here. On AWS, the stack `api` asks for a login.
    """
    place = {"FunctionName": function, "Qualifier": LIVE}
    try:
        address: str = lambda_.create_function_url_config(**place, AuthType="NONE")["FunctionUrl"]
    except lambda_.exceptions.ResourceConflictException:
        address = lambda_.get_function_url_config(**place)["FunctionUrl"]
    return address


class RulesFile:
    """The file of alert rules that the options name, and what was written of it."""

    def __init__(self, options: list[str]) -> None:
        self._path = Path(options[options.index("--rules") + 1])
        self._seen = b""

    def note(self) -> None:
        """Remember the content, because it is about to be deployed."""
        self._seen = self._content()

    def follow(self) -> None:
        """Write the rules if the file has changed.

        If they are wrong, the command says why, and the next change is waited for. If it fails otherwise, it is tried
        again at the next look.
        """
        content = self._content()
        if content != self._seen:
            command = ["rules", "put", str(self._path), "--outputs-file", str(SHARED / "outputs")]
            done = subprocess.run([sys.executable, "-m", "operations", *command], check=False)  # noqa: S603  (as above)
            if done.returncode in (0, WRONG_USAGE):
                self._seen = content

    def _content(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError:  # an editor is replacing it
            return self._seen


def is_lost(cloudformation: Any) -> bool:
    """Whether the emulator answers, but does not have the stacks. An emulator that does not answer has lost nothing."""
    try:
        cloudformation.describe_stacks(StackName=LAST_STACK)
    except ClientError as error:
        return "does not exist" in str(error)
    except BotoCoreError:
        return False
    return False


def main(options: list[str]) -> None:
    """Keep the pipeline deployed until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    STATE.unlink(missing_ok=True)
    pages.write(Path("docs"), SHARED / "pages")
    settings = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})
    cloudformation = boto3.client("cloudformation", config=settings)
    rules = RulesFile(options)
    while True:
        rules.note()
        while not deploy(options):
            STATE.write_text("the deployment failed; the log of this container says why\n", encoding="utf-8")
            time.sleep(RETRY_SECONDS)
            rules.note()
        STATE.write_text("deployed\n", encoding="utf-8")
        while not is_lost(cloudformation):
            rules.follow()
            time.sleep(LOOK_SECONDS)
        STATE.write_text("the emulator has lost the stacks\n", encoding="utf-8")
        echo("The emulator has lost its stream, tables and archive, as in a restart. Deploying again.")


if __name__ == "__main__":
    main(with_symbols(sys.argv[1:], os.environ.get("PRODUCER_SYMBOLS")))
