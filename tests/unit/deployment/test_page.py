"""The upload of the dashboard: what a browser is told of each file, and the order of the files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from deployment.errors import DeploymentError
from deployment.page import Page, configuration_of, files_of

NOW = datetime(2026, 11, 28, tzinfo=UTC)
LOGIN = '{"issuer":"https://login.example.org/","clientId":"page","scope":"openid"}'


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    for name in ("index.html", "NOTICE.txt", "assets/main-1a2b.js", "assets/main-3c4d.css", "favicon.svg"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_files_that_others_name_come_first_and_the_index_last(bundle: Path) -> None:
    keys = [file.key for file in files_of(bundle, {})]
    assert keys == [
        *("assets/main-1a2b.js", "assets/main-3c4d.css"),
        *("NOTICE.txt", "config.json", "favicon.svg", "index.html"),
    ]


def test_only_files_that_are_named_by_their_content_are_cached(bundle: Path) -> None:
    cached = {file.key: file.cache_control for file in files_of(bundle, {})}
    assert cached["assets/main-1a2b.js"] == "public, max-age=31536000, immutable"
    assert {cached[name] for name in ("index.html", "config.json", "favicon.svg")} == {"no-cache"}


def test_every_file_has_the_type_that_a_browser_runs_it_by(bundle: Path) -> None:
    types = {file.key.rpartition(".")[2]: file.content_type for file in files_of(bundle, {})}
    assert types["js"] == "text/javascript; charset=utf-8"
    assert types["css"] == "text/css; charset=utf-8"
    assert types["html"] == "text/html; charset=utf-8"
    assert types["json"] == "application/json"


def test_a_file_of_an_unknown_type_is_refused(bundle: Path) -> None:
    (bundle / "page.wasm").touch()
    with pytest.raises(DeploymentError, match=r"page\.wasm\. Add its type to deployment/page\.py"):
        files_of(bundle, {})


def test_a_page_that_is_not_built_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=r"index\.html is missing.*or deploy with Serve=api"):
        files_of(tmp_path, {})


def test_the_configuration_replaces_the_one_of_the_bundle(bundle: Path) -> None:
    (bundle / "config.json").write_text('{"stage": "of the build"}')
    configuration = configuration_of("prod", {"LoginConfiguration": LOGIN})
    (found,) = [json.loads(file.body) for file in files_of(bundle, configuration) if file.key == "config.json"]
    assert found == {
        "name": "stockstream",
        "stage": "prod",
        "apiBase": "",
        "auth": {"issuer": "https://login.example.org/", "clientId": "page", "scope": "openid"},
    }


def test_files_of_earlier_versions_go_a_week_after_they_were_replaced(bundle: Path) -> None:
    files = files_of(bundle, {})
    s3 = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    ages = {"assets/old.js": 8, "assets/recent.js": 6, "assets/main-1a2b.js": 30, "index.html": 0}
    listed: list[Any] = [{"Key": key, "LastModified": NOW - timedelta(days=days)} for key, days in ages.items()]
    reports: list[str] = []
    with Stubber(s3) as stubber:
        for file in files:
            put = {"Bucket": "page", "Key": file.key, "Body": file.body, "ContentType": file.content_type}
            stubber.add_response("put_object", {}, put | {"CacheControl": file.cache_control})
        stubber.add_response("list_objects_v2", {"Contents": listed}, {"Bucket": "page"})
        removed = {"Objects": [{"Key": "assets/old.js"}], "Quiet": True}
        stubber.add_response("delete_objects", {}, {"Bucket": "page", "Delete": removed})
        Page(s3, "page", reports.append).upload(files)
    assert reports == ["uploaded the dashboard: 6 files", "removed 1 files of earlier versions of the dashboard"]
