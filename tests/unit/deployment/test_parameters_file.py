"""A file of parameters such as infra/stages/dev.env, what the command line adds, and what is wrong with them."""

from decimal import Decimal
from pathlib import Path

import pytest

from aws_limits import CLOUDFORMATION_PARAMETER_BYTES
from deployment.errors import ParameterError
from deployment.parameters import Named, Parameter, declared, mistakes
from deployment.stage_file import read_wishes
from tests.support.templates import ALL, PATHS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_comments_and_empty_lines_are_left_out(tmp_path: Path, encoding: str, line_end: str) -> None:
    path = tmp_path / "dev.env"
    path.write_bytes(line_end.join(["ShardCount=2", "", "# a comment", "Source=yahoo"]).encode(encoding))
    parameters = read_wishes(path, ["ShardCount=3"], None).parameters
    assert {one.name: one.value for one in parameters} == {"ShardCount": "3", "Source": "yahoo"}


def test_a_file_in_utf_16_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dev.env"
    path.write_text("ShardCount=2", encoding="utf-16")
    with pytest.raises(ParameterError, match="the file is not UTF-8 but UTF-16; save it as UTF-8"):
        read_wishes(path, [], None)


def test_rules_are_relative_to_the_stage_file_and_the_command_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "dev.env"
    path.write_text("RULES=rules/dev.toml\n")
    assert read_wishes(path, [], None).rules == str(tmp_path / "rules" / "dev.toml")
    assert read_wishes(path, [], "default").rules == "default"
    path.write_text("RULES=default\n")
    assert read_wishes(path, [], None).rules == "default"
    assert read_wishes(None, [], None).rules is None


def test_every_line_that_is_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dev.env"
    path.write_text("ShardCount: 2\nSource=yahoo\n=3\n")
    with pytest.raises(ParameterError) as refusal:
        read_wishes(path, ["RULES=x", "Lanes"], None)
    assert str(refusal.value).splitlines() == [
        f"{path} line 1: 'ShardCount: 2' is not KEY=VALUE",
        f"{path} line 3: '=3' is not KEY=VALUE",
        "--parameter / PARAMETERS: RULES is no parameter; name the rules with --rules / RULES",
        "--parameter / PARAMETERS: 'Lanes' is not KEY=VALUE",
    ]


@pytest.mark.parametrize("name", sorted(ALL))
def test_declarations_are_those_that_a_yaml_parser_finds(name: str) -> None:
    def text(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    found = declared(PATHS[name].read_text(encoding="utf-8"))
    expected = ALL[name].get("Parameters", {})
    assert found.keys() == expected.keys()
    for key, properties in expected.items():
        allowed = properties.get("AllowedValues")
        least, most = properties.get("MinValue"), properties.get("MaxValue")
        assert found[key] == Parameter(
            default=text(properties["Default"]) if "Default" in properties else None,
            number=properties["Type"] == "Number",
            allowed=None if allowed is None else tuple(map(text, allowed)),
            pattern=properties.get("AllowedPattern"),
            least=None if least is None else Decimal(str(least)),
            most=None if most is None else Decimal(str(most)),
        )


@pytest.mark.parametrize("letter", ["A", "€"])
def test_a_value_that_is_too_long_for_cloudformation_is_refused(letter: str) -> None:
    size = len(letter.encode())
    longest = letter * (CLOUDFORMATION_PARAMETER_BYTES // size)
    symbols = {"producer": {"Symbols": Parameter()}}
    assert mistakes([Named("Symbols", longest)], (), symbols, {}) == []
    (refusal,) = mistakes([Named("Symbols", longest + letter, "dev.env line 2: ")], (), symbols, {})
    assert refusal.startswith(f"dev.env line 2: Symbols={letter * 200}…: is ")
    assert refusal.endswith(" bytes long; CloudFormation takes at most 4,096")
