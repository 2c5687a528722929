"""Any function can be packaged and deployed: here a made-up one beside the processor, with its own wheels."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from deployment.deployer import Deployment
from deployment.errors import DeploymentError
from deployment.functions import FUNCTIONS, ROOT, Function
from deployment.package import Target, build
from deployment.stacks import PIPELINE, TEMPLATES
from replica.emulator import Emulator
from tests.support.templates import ALL, resources

GREETER = Function(
    name="greeter",
    handler="greeter.app.handler",
    packages=("greeter", "greetings"),
    requirements=Path("requirements/greeter.txt"),
)
WHEEL = "iniconfig"
"""A small wheel of the development tools, which the processor's zip does not have."""
MODULES = {
    "greeter/__init__.py": "",
    "greeter/app.py": """
from greetings import english
from iniconfig import IniConfig

def handler(event, context):
    return english.greeting(IniConfig("names.ini", event["names"])["names"]["first"])
""",
    "greetings/__init__.py": "",
    "greetings/english.py": "def greeting(name):\n    return f'hello {name}'\n",
    "elsewhere/__init__.py": "raise SystemExit('this package is not in the zip')\n",
}
TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  CodeBucket: {Type: String}
  CodeKey: {Type: String}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.13
      Handler: greeter.app.handler
      Role: !GetAtt Role.Arn
      Code: {S3Bucket: !Ref CodeBucket, S3Key: !Ref CodeKey}
Outputs:
  GreeterName:
    Value: !Ref Function
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source tree with the made-up function, its lock file and its template."""
    root = tmp_path / "source"
    locked = re.search(
        rf"^{WHEEL}==[^\\\n]*(?:\\\n[^\\\n]*)+",
        (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert locked is not None
    templates = Path(shutil.copytree(TEMPLATES, root / "templates"))
    (templates / "greeter.yaml").write_text(TEMPLATE)
    for name, text in (MODULES | {GREETER.requirements.as_posix(): locked[0]}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def names_in(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return {name for name in archive.namelist() if not name.endswith(".pyc")}


def test_the_zip_of_a_function_holds_its_own_packages_and_wheels_only(source: Path, tmp_path: Path) -> None:
    path = build(GREETER, Target(), tmp_path, source=source)
    assert path.name == "greeter-3.13-arm64.zip"
    names = names_in(path)
    assert {name for name in names if name.startswith(("greet", "elsewhere"))} == {
        name for name in MODULES if name.startswith("greet")
    }
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"greeter", "greetings", WHEEL}


def test_a_function_may_have_no_wheels(source: Path, tmp_path: Path) -> None:
    (source / GREETER.requirements).write_text("# no requirements\n")
    names = names_in(build(GREETER, Target(), tmp_path, source=source))
    assert names == {name for name in MODULES if name.startswith("greet")}


def test_a_function_is_deployed_beside_the_processor_and_invoked(
    emulator: Emulator, packages: dict[str, Path], source: Path, tmp_path: Path
) -> None:
    greeter = build(GREETER, Target.of_this_interpreter(), tmp_path, source=source)
    deployment = Deployment(
        emulator.client("cloudformation"),
        emulator.client("s3"),
        "two-functions",
        templates=source / "templates",
        stacks=(*PIPELINE, GREETER.name),
    )
    try:
        outputs = deployment.deploy({**packages, GREETER.name: greeter}, {"MappingState": "Disabled"})
        assert invoke(emulator, outputs["GreeterName"], {"names": "[names]\nfirst=AAPL\n"}) == "hello AAPL"
        assert invoke(emulator, outputs["FunctionName"], {"Records": []}) == {"batchItemFailures": []}
    finally:
        deployment.destroy()


def test_a_function_without_its_zip_is_reported(emulator: Emulator, packages: dict[str, Path], source: Path) -> None:
    deployment = Deployment(
        emulator.client("cloudformation"),
        emulator.client("s3"),
        "no-zip",
        templates=source / "templates",
        stacks=("storage", GREETER.name),
    )
    try:
        with pytest.raises(DeploymentError, match="the stack greeter needs the zip of its function"):
            deployment.deploy(packages)
    finally:
        deployment.destroy()


def invoke(emulator: Emulator, function: str, event: object) -> Any:
    answer = emulator.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return payload


IMPORT = """
import importlib.util, json, sys
root, handler = sys.argv[1:]
sys.path.insert(0, root)
module, _, attribute = handler.rpartition(".")
assert callable(getattr(importlib.import_module(module), attribute))
loaded = [name for name in ("boto3", "botocore") if name in sys.modules]
installed = importlib.util.find_spec("boto3") is not None
print(json.dumps({"file": sys.modules[module].__file__, "loaded": loaded, "boto3_is_installed": installed}))
"""


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda function: function.name)
class TestBareInterpreter:
    """The options keep other packages off the path: `-I` the checkout, and `-S` the installed packages."""

    def test_imports_the_handler_from_the_zip_alone(self, function: Function, package: Path, tmp_path: Path) -> None:
        found = imported(function, package, tmp_path, "-I", "-S")
        assert found["file"].startswith(str(tmp_path / "code"))
        assert not found["boto3_is_installed"]

    def test_does_not_load_boto3_where_it_is_installed(self, function: Function, package: Path, tmp_path: Path) -> None:
        found = imported(function, package, tmp_path, "-I")
        assert found["boto3_is_installed"]
        assert found["loaded"] == []


def imported(function: Function, package: Path, folder: Path, *options: str) -> dict[str, Any]:
    """What the import of a function's handler loads in a new interpreter with these options."""
    path = package if function.name == "processor" else build(function, Target.of_this_interpreter(), folder)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "code")
    done = subprocess.run(
        [sys.executable, *options, "-c", IMPORT, str(folder / "code"), function.handler],
        env=variables_of(function),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def variables_of(function: Function) -> dict[str, str]:
    """The environment of a deployed function: the defaults of its template's parameters, and a text for the others."""
    ((_, _, resource),) = [found for found in resources("AWS::Lambda::Function") if found[0] == function.name]
    parameters = ALL[function.name]["Parameters"]
    variables = resource["Properties"]["Environment"]["Variables"]
    return {"AWS_REGION": "us-east-1"} | {
        name: value if isinstance(value, str) else str(parameters[value["Ref"]].get("Default", "https://example.org/x"))
        for name, value in variables.items()
    }
