"""The commands of the deployment guide that delete what a removed stage kept, run on the emulator."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

from deployment.functions import ROOT
from replica.emulator import Emulator
from tests.support.aws_commands import Shell

GUIDE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
(SCRIPT,) = re.findall(r"To delete it too.*?```\n(.*?)```", GUIDE, re.DOTALL)
ARCHIVE, TABLE = "kept-archive", "kept-table"


def test_an_archive_with_versions_and_a_protected_table_are_deleted(emulator: Emulator) -> None:
    s3, dynamodb = emulator.client("s3"), emulator.client("dynamodb")
    s3.create_bucket(Bucket=ARCHIVE)
    s3.put_bucket_versioning(Bucket=ARCHIVE, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"first", b"second"):
        s3.put_object(Bucket=ARCHIVE, Key="raw-data/object", Body=body)
    s3.delete_object(Bucket=ARCHIVE, Key="raw-data/object")
    dynamodb.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "lane", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "lane", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=True,
    )

    python, *commands = SCRIPT.replace("<archive>", ARCHIVE).replace("<table>", TABLE).splitlines()
    program, *arguments = shlex.split(python)
    assert program == ".venv/bin/python"
    subprocess.run([sys.executable, *arguments], env=emulator.environment(), check=True)
    Shell(emulator.client).run("\n".join(commands))

    assert ARCHIVE not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert TABLE not in dynamodb.list_tables()["TableNames"]
