"""Tells a person where a running demo is and how to go on: the lines on the screen, and the files beside its record."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from workspace.demo_record import CREDENTIALS, DemoRecord, environment

_EXAMPLE_ROWS = 3
_TABLES = ("QuotesTable", "BarsTable", "StateTable", "AlertsTable")
_FOREIGN_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE")
"""Variables of the SDK that would lead it elsewhere."""


def stockstream() -> str:
    """How a person in this directory starts the command `stockstream` of this environment."""
    script = Path(sys.executable).with_name("stockstream")
    found = shutil.which("stockstream")
    if not script.exists() or (found is not None and Path(found).samefile(script)):
        return "stockstream"
    return near(script)


def near(path: Path) -> str:
    """A path as a person in this directory types it."""
    return shlex.quote(str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path))


def lines(record: DemoRecord, shell_file: Path, text_file: Path) -> list[str]:
    """Where the demo is, in a few lines."""
    names = record.outputs
    scan = f"aws dynamodb scan --table-name {names['QuotesTable']} --max-items {_EXAMPLE_ROWS}"
    return [
        f"dashboard {record.dashboard_url}, with the API below {record.dashboard_url}v1/",
        f"AWS       {record.endpoint_url}, emulated, in {record.region}",
        f"tables    {', '.join(names[table] for table in _TABLES)}",
        f"producer  {record.producer_url}/status, /metrics, /healthz, /readyz",
        f"go on     {stockstream()} quarantine list --stage {record.stage}",
        f"          . {_sourced(shell_file)} && {scan}",
        f"more      {near(text_file)}: all names, and examples for the AWS CLI, Python and the commands",
    ]


def shell_variables(record: DemoRecord) -> str:
    """A file that a shell can source. Then the AWS CLI, and every SDK, reaches the demo."""
    return "\n".join(
        [
            f"# Leads every AWS SDK to the demo that runs as stage {record.stage}.",
            f"unset {' '.join(_FOREIGN_VARIABLES)}",
            *(f"export {name}={shlex.quote(value)}" for name, value in environment(record).items()),
            *(f'export {name}="${{{name}:+${name},}}{record.host}"' for name in ("NO_PROXY", "no_proxy")),
            "",
        ]
    )


def page(record: DemoRecord, prices: str, shell_file: Path) -> str:
    """Everything that a person needs to know of a running demo, as Markdown."""
    names, command = record.outputs, stockstream()
    keys = "".join(f'    {name.lower()}="{value}",\n' for name, value in CREDENTIALS.items())
    verify = "" if record.ca_bundle is None else f'    verify="{record.ca_bundle}",\n'
    rows = "\n".join(f"| {name} | `{value}` |" for name, value in sorted(names.items()))
    return f"""# The demo that runs as stage {record.stage}

It runs on {prices} since {record.started_at:%Y-%m-%d %H:%M:%S} UTC. It removes this file when it ends, and leaves the
archive in `{record.archive}`, which `{command} sql` reads.

The emulator of AWS is at {record.endpoint_url}, in the region {record.region}. It takes the access key `test` with the
secret key `test`. The producer is at {record.producer_url}: /status, /metrics, /healthz and /readyz.

## The dashboard and the query API

The dashboard is at {record.dashboard_url}, and the API below it (docs/api.md). Neither asks for a login here, and only
this machine reaches them.

```
curl -s '{record.dashboard_url}v1/latest'
curl -s '{record.dashboard_url}v1/bars/AAPL?resolution=5m&indicators=sma_20&limit=3'
curl -s '{record.dashboard_url}v1/alerts?format=csv'
curl -s '{record.dashboard_url}v1/status'
```

The same in Python:

```python
from quotes_client import QuotesClient

demo = QuotesClient("{record.dashboard_url}")
demo.bars("AAPL", "1m")
demo.latest()
```

## The operator's commands

The stage leads them to the demo. They need no other setting.

```
{command} symbols add ADBE --stage {record.stage}
{command} quarantine list --stage {record.stage}
{command} redrive --stage {record.stage} --dry-run
{command} rebuild --stage {record.stage} --all-symbols --day {record.started_at:%Y-%m-%d} --dry-run
{command} coverage --stage {record.stage} --from {record.started_at:%Y-%m-%d}
```

## The AWS CLI

```
. {_sourced(shell_file)}
aws dynamodb scan --table-name {names["QuotesTable"]} --max-items {_EXAMPLE_ROWS}
aws s3 ls --recursive s3://{names["ArchiveBucket"]}/raw-data/
aws kinesis describe-stream-summary --stream-name {names["StreamName"]}
```

Without the first line, add `--endpoint-url {record.endpoint_url}` to each command, and set the keys and the region.

## Python

```python
import boto3

demo = dict(
    endpoint_url="{record.endpoint_url}",
    region_name="{record.region}",
{keys}{verify})
table = boto3.resource("dynamodb", **demo).Table("{names["QuotesTable"]}")
table.scan(Limit={_EXAMPLE_ROWS})["Items"]
```

## Names

| output | value |
|---|---|
{rows}
"""


def closing_line(archive: Path, variables: Mapping[str, str]) -> str:
    """Where the archive of an ended demo is, and how to ask it. `variables` tell whether `make` runs this program."""
    sql, query = ("make sql", "make sql QUERY=") if "MAKELEVEL" in variables else (f"{stockstream()} sql",) * 2
    saved = query if query.endswith("=") else f"{query} "
    return f"The archive is in {near(archive)}. Query it with `{sql}`, or run a saved query: `{saved}daily_ohlc`."


def _sourced(shell_file: Path) -> str:
    """The path of a file as the argument of a shell's `.`, which would look up a bare name on the path."""
    path = near(shell_file)
    return path if "/" in path else f"./{path}"
