"""The README says what is true of the settings."""

from deployment.functions import ROOT
from producer_service.settings import VARIABLES


def test_the_readme_has_every_setting_with_its_default_and_meaning() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = "".join(
        f"| `{name}` | {f'`{default}`' if default not in ('', 'required') else default} | {description} |\n"
        for name, (default, description) in VARIABLES.items()
    )
    assert table in readme, f"put this table into README.md:\n{table}"
