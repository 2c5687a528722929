"""The guides name only parameters, outputs and stacks that exist."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from costs.expected_usage import Setup, sizes_of
from deployment.stacks import ALL_STACKS, BY_HAND, TEMPLATES
from deployment.stage_file import SYMBOLS
from tests.support.templates import ALL, parsed

ROOT = Path(__file__).parents[2]
GUIDES = {
    name: (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in (
        "deploy.md",
        "alerts.md",
        "security.md",
        "runbook.md",
        "operations.md",
        "cicd.md",
        "smoke.md",
        "symbols.md",
    )
}
EVERY = [*ALL.values(), *(parsed(TEMPLATES / f"{name}.yaml") for name in BY_HAND)]
PARAMETERS = {key for template in EVERY for key in template.get("Parameters", {})}
OUTPUTS = {key for template in ALL.values() for key in template.get("Outputs", {})}
MAKE = {
    SYMBOLS,
    "Account",
    "Region",
    "KEEP",
    "WATCHLIST",
    "ADOPT",
    "ARCHIVE",
    "KEY",
    "STAGE",
    "PARAMETERS",
    "IMAGE",
    "DRY_RUN",
    "PACKAGE_ARCHITECTURE",
    "RULES",
    "RESET",
    "YES",
}


@pytest.mark.parametrize("guide", GUIDES)
class TestGuide:
    def test_names_only_parameters_that_exist(self, guide: str) -> None:
        named = set(re.findall(r"`([A-Z][A-Za-z]+)=[^`]*`", GUIDES[guide])) - {"Database"}
        assert named - MAKE <= PARAMETERS

    def test_names_only_outputs_that_exist(self, guide: str) -> None:
        assert set(re.findall(r"\$([A-Z][A-Za-z]+)", GUIDES[guide])) <= OUTPUTS


def test_the_deployment_guide_lists_the_stacks_in_their_order() -> None:
    rows = re.findall(r"^\| ([\w-]+) \| ", GUIDES["deploy.md"].partition("| stack |")[2], re.MULTILINE)
    assert tuple(rows[: len(ALL_STACKS)]) == ALL_STACKS


def test_the_query_of_the_signed_example_is_encoded_as_aws_encodes_it() -> None:
    """botocore signs a query as it is written."""
    (query,) = re.findall(r'^url = "https://[^?"]+\?([^"]+)"', GUIDES["deploy.md"], re.MULTILINE)
    assert query == urlencode(parse_qsl(query), quote_via=quote)


def test_the_deployment_guide_counts_the_alarms() -> None:
    counted = dict(re.findall(r"^\| ([\w-]+) \| (\d+) alarms", GUIDES["deploy.md"], re.MULTILINE))
    alarms = {
        name: str(sum(resource["Type"] == "AWS::CloudWatch::Alarm" for resource in template["Resources"].values()))
        for name, template in ALL.items()
    }
    assert counted == {name: number for name, number in alarms.items() if number != "0"}


def test_the_deployment_guide_and_the_readme_have_the_dollars_of_the_bill() -> None:
    """`tests/unit/costs/test_cost_page.py` compares the page of costs with the bill itself."""
    page = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    pattern = r"bill --symbols 24 --interval 10 --brief\n.*; \$([\d.]+) a month, of which \$([\d.]+)"
    month, fixed = re.findall(pattern, page)[0]
    assert f"The fixed costs are about ${float(fixed):.0f} a month." in GUIDES["deploy.md"]
    assert f"about ${float(month):.0f} (" in GUIDES["deploy.md"]
    assert f"(about ${float(fixed):.0f} a\n  month fixed)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_has_the_dollars_of_a_million_quotes() -> None:
    page = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    bills = dict(re.findall(r"^\$ stockstream bill(.*) --brief\n\$([\d.]+) per million", page, re.MULTILINE))
    rows = re.findall(r'\| `make bill(?: BILL_ARGS="(.*)")?` \| \$([\d.]+) \|', readme)
    assert len(rows) == 3
    for options, dollars in rows:
        places = len(dollars.partition(".")[2])
        assert dollars == f"{float(bills[f' {options}'.rstrip()]):.{places}f}"
    assert f"costs ${rows[0][1]} with a row for every quote, or ${rows[1][1]} with a row a minute" in readme


def test_the_readme_has_the_dollars_that_fast_mode_adds() -> None:
    page = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    cheap, fast = (float(usd) for usd in re.findall(r"--latency \w+ --brief\n.*; \$([\d.]+) a month", page))
    assert f"| ${fast - cheap:.2f} a month (" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rate", "hours", "words"),
    [(2.4, 24, "33 seconds"), (100, 6.5 + 1 / 6, "6 minutes"), (100, 24, "23 minutes"), (1_000, 24, "4.5 hours")],
)
def test_the_deployment_guide_says_how_long_a_new_mapping_needs_to_catch_up(
    rate: float, hours: float, words: str
) -> None:
    """It reads 2 MB a second from a shard, to which what is polled meanwhile is added."""
    line = sizes_of(Setup(symbols=100, interval_seconds=1, lanes=4, shards=1)).line
    arriving = rate * line if hours == 24 else 0
    seconds = hours * 3600 * rate * line / (2e6 - arriving)
    number, unit = words.split()
    assert float(number) == pytest.approx(seconds / {"seconds": 1, "minutes": 60, "hours": 3600}[unit], rel=0.06)
    row = rf"^  \| {rate:,g}\b.* \| {'always' if hours == 24 else 'New York.s hours'} \| {words} \|$"
    assert re.search(row, GUIDES["deploy.md"], re.MULTILINE)


def test_the_files_of_stages_name_only_parameters_that_exist() -> None:
    for path in (ROOT / "infra" / "stages").glob("*.env"):
        lines = path.read_text(encoding="utf-8").splitlines()
        names = {match[1] for line in lines if (match := re.match(r"#?([A-Z][A-Za-z]+)=", line))}
        assert names <= PARAMETERS | {"RULES", SYMBOLS, "Account", "Region"}


SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^#|\Z)", GUIDES["runbook.md"], re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("heading", sorted(SECTIONS.keys() - {"Pausing", "Restoring"}))
def test_a_section_of_the_runbook_says_what_happened_how_to_see_it_and_what_to_do(heading: str) -> None:
    parts = re.findall(r"^\*\*(.+?)\.\*\*", SECTIONS[heading], re.MULTILINE)
    assert parts == ["What happened", "How to see it", "What to do"]
