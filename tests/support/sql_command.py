"""`python -m analytics sql` in this process."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from analytics.cli import app


def run_sql(archive: Path, query: str, *options: str, status: int = 0) -> str:
    """Run a query over an archive. Returns stdout, or stderr if the command is expected to fail."""
    result = CliRunner().invoke(app, ["sql", query, "--archive", str(archive), *options])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert result.exit_code == status, result.stderr
    return result.stderr if status else result.stdout


def query_rows(archive: Path, query: str) -> list[dict[str, Any]]:
    """The rows that a query returns, with exact numbers."""
    rows: list[dict[str, Any]] = json.loads(run_sql(archive, query, "--json"), parse_float=Decimal)
    return rows
