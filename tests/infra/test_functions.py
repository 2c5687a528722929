"""Each deployable function agrees with its template: the handler, the version of Python, the CPU, the zip's place."""

from __future__ import annotations

from typing import Any

import pytest

from deployment.deployer import CODE_KEY
from deployment.functions import FUNCTIONS, ROOT
from deployment.package import Target
from deployment.stacks import ALL_STACKS
from tests.support.imports import packages_used_by
from tests.support.templates import ALL, default, resources


def function_of(template: str) -> dict[str, Any]:
    """The properties of a template's only function."""
    (found,) = [resource["Properties"] for name, _, resource in resources("AWS::Lambda::Function") if name == template]
    return dict(found)


def test_every_function_of_a_template_can_be_packaged() -> None:
    assert {template for template, _, _ in resources("AWS::Lambda::Function")} == FUNCTIONS.keys()
    assert FUNCTIONS.keys() <= set(ALL_STACKS)


@pytest.mark.parametrize("name", FUNCTIONS)
class TestFunction:
    def test_has_the_handler_of_its_template(self, name: str) -> None:
        function = FUNCTIONS[name]
        assert function_of(name)["Handler"] == function.handler
        package, *modules, attribute = function.handler.split(".")
        assert package in function.packages
        assert f"def {attribute}(" in ROOT.joinpath(package, *modules).with_suffix(".py").read_text(encoding="utf-8")

    def test_has_the_packages_that_it_imports_and_no_other(self, name: str) -> None:
        function = FUNCTIONS[name]
        assert set(function.packages) == packages_used_by(function.handler.partition(".")[0])

    def test_is_built_for_the_python_and_the_cpu_of_its_template(self, name: str) -> None:
        assert function_of(name)["Runtime"] == f"python{Target().python}"
        assert default(name, "Architecture") == Target().architecture

    def test_takes_its_zip_from_the_code_bucket(self, name: str) -> None:
        assert function_of(name)["Code"] == {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": CODE_KEY}}
        assert "Default" not in ALL[name]["Parameters"][CODE_KEY]
