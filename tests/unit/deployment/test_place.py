"""The account and the region of a stage, and how a person confirms what deletes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment.confirmation import Confirmation
from deployment.errors import ParameterError
from deployment.parameters import Named
from deployment.place import Place
from deployment.stage_file import read_wishes

HERE = Place("111122223333", "eu-central-1")


def place_in(folder: Path, text: str) -> tuple[Named, ...]:
    file = folder / "prod.env"
    file.write_text(text)
    return read_wishes(file).place


def test_a_stage_is_not_deployed_to_another_account_or_region(tmp_path: Path) -> None:
    named = place_in(tmp_path, "Account=444455556666\nRegion=us-east-1\nLanes=4\n")
    problem = HERE.problem(named)
    assert problem is not None
    first, second, last = problem.splitlines()
    there = "but the credentials lead to account 111122223333, region eu-central-1"
    assert first == f"{tmp_path}/prod.env line 1: Account=444455556666, {there}"
    assert second == f"{tmp_path}/prod.env line 2: Region=us-east-1, {there}"
    assert last.startswith("Nothing was changed.")


def test_the_named_account_and_region_are_right(tmp_path: Path) -> None:
    named = place_in(tmp_path, "Account=111122223333\nRegion=eu-central-1\n")
    assert HERE.problem(named) is None
    assert HERE.advice(named, "prod") == ""


def test_a_stage_file_without_them_is_given_the_lines(tmp_path: Path) -> None:
    assert HERE.problem(()) is None
    assert "Account=111122223333 and Region=eu-central-1 to infra/stages/prod.env" in HERE.advice((), "prod")
    assert "add Region=eu-central-1 to" in HERE.advice(place_in(tmp_path, "Account=111122223333"), "prod")
    assert Place("000000000000", "us-east-1").advice((), "prod") == "", "an emulator needs no guard"


@pytest.mark.parametrize(
    ("line", "words"),
    [("Account=1111-2222", "12 digits"), ("Account=prod", "12 digits"), ("Region=Frankfurt", "such as eu-central-1")],
)
def test_an_account_or_region_in_another_form_is_refused(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(ParameterError, match=f"line 1: {line}: .*{words}"):
        place_in(tmp_path, line)


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1", "ap-southeast-5", "us-iso-east-1"])
def test_regions_of_every_partition_have_the_form(tmp_path: Path, region: str) -> None:
    assert place_in(tmp_path, f"Region={region}")


def test_the_name_of_the_stage_confirms() -> None:
    Confirmation("prod", "prod").ask_for_name("delete the stage prod")


def test_another_name_confirms_nothing() -> None:
    with pytest.raises(ParameterError, match="the stage is prod, and not dev"):
        Confirmation("prod", "dev").ask_for_name("delete the stage prod")


def test_without_a_terminal_the_command_line_has_to_confirm() -> None:
    with pytest.raises(ParameterError, match=r"to delete the stage prod, .*--confirm prod, or YES=prod"):
        Confirmation("prod", yes=True).ask_for_name("delete the stage prod")
