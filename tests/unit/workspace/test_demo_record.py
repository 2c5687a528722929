from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from workspace import demo_record
from workspace.demo_record import DemoRecord, claim

START = datetime(2026, 11, 27, 15, tzinfo=UTC)
END = START + timedelta(minutes=1)


def record(stage: str = "demo", archive: str = "/archive") -> DemoRecord:
    return DemoRecord(
        stage=stage,
        process=1,
        started_at=START,
        endpoint_url="http://127.0.0.1:4566",
        region="us-east-1",
        producer_url="http://127.0.0.1:8080",
        source="synthetic",
        outputs={"StreamName": "quotes"},
        archive=archive,
    )


def test_a_demo_is_found_while_it_runs(tmp_path: Path) -> None:
    with claim(tmp_path) as mine:
        assert demo_record.running(tmp_path) == ()  # it has not written its record yet
        mine.write(record())
        assert demo_record.running(tmp_path) == (record(),)
        assert demo_record.find("demo", tmp_path) == record()
        assert demo_record.find("demo-2", tmp_path) is None
    assert demo_record.running(tmp_path) == ()


def test_only_the_user_can_read_a_record(tmp_path: Path) -> None:
    with claim(tmp_path) as mine:
        mine.write(record())
        assert stat.S_IMODE(mine.file.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR


def test_demos_that_run_at_once_get_stages_of_their_own(tmp_path: Path) -> None:
    with claim(tmp_path) as first, claim(tmp_path) as second:
        assert (first.stage, second.stage) == ("demo", "demo-2")
        first.write(record())
        second.write(record("demo-2"))
        with claim(tmp_path) as third:
            assert third.stage == "demo-3"
        assert [found.stage for found in demo_record.running(tmp_path)] == ["demo", "demo-2"]
    with claim(tmp_path) as later:
        assert later.stage == "demo"


def test_ten_demos_are_listed_in_the_order_of_their_stages(tmp_path: Path) -> None:
    stages = ["demo", *(f"demo-{number}" for number in range(2, 12))]
    claims = [claim(tmp_path) for _ in stages]
    for each in claims:
        mine = each.__enter__()
        mine.write(record(mine.stage))
    assert [found.stage for found in demo_record.running(tmp_path)] == stages
    for each in claims:
        each.__exit__(None, None, None)


def test_the_demo_that_ended_last_is_known_even_while_another_runs(tmp_path: Path) -> None:
    for archive in ("/first", "/second"):
        with claim(tmp_path) as mine:
            mine.write(record(archive=archive))
            mine.end(END)
            assert demo_record.running(tmp_path) == ()
        with claim(tmp_path) as another:
            another.write(record(archive="/running"))
            assert demo_record.last_ended(tmp_path) == msgspec.structs.replace(record(archive=archive), ended_at=END)


def test_what_is_written_beside_a_record_goes_with_it(tmp_path: Path) -> None:
    with claim(tmp_path) as first, claim(tmp_path) as second:
        beside = [each.write_beside(".env", "A=1\n") for each in (first, second)]
        assert [file.name for file in beside] == ["demo.env", "demo-2.env"]
        assert {stat.S_IMODE(file.stat().st_mode) for file in beside} == {stat.S_IRUSR | stat.S_IWUSR}
        first.write(record())
        first.end(END)
        assert [file.exists() for file in beside] == [False, True]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["demo-2.lock", "demo.lock", "last.json"]


def test_a_process_is_led_to_a_demo_and_away_from_all_else() -> None:
    variables = {"AWS_PROFILE": "mine", "AWS_ENDPOINT_URL_S3": "http://other", "HOME": "/me", "NO_PROXY": "intranet"}
    demo_record.lead_to(record(), variables)
    assert variables == {
        **demo_record.environment(record()),
        "HOME": "/me",
        "NO_PROXY": "intranet,127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def test_a_demo_that_did_not_end_in_order_leaves_the_last_one_as_it_is(tmp_path: Path) -> None:
    def interrupted() -> None:
        with claim(tmp_path) as mine:
            mine.write(record())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert demo_record.last_ended(tmp_path) is None


def test_a_killed_demo_does_not_run_and_its_record_is_removed_once(tmp_path: Path) -> None:
    with claim(tmp_path) as mine:
        mine.write(record())
        content = mine.file.read_bytes()
    (tmp_path / "demo.json").write_bytes(content)  # what a killed demo leaves behind; the system frees its lock
    assert demo_record.running(tmp_path) == ()
    assert demo_record.remove_stale(tmp_path) == (record(),)
    assert demo_record.remove_stale(tmp_path) == ()
    assert not (tmp_path / "demo.json").exists()


def test_the_records_of_running_demos_are_never_stale(tmp_path: Path) -> None:
    with claim(tmp_path) as mine:
        mine.write(record())
        assert demo_record.remove_stale(tmp_path) == ()
        assert demo_record.find("demo", tmp_path) is not None


def test_a_new_demo_does_not_show_the_record_of_a_killed_one_as_its_own(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_bytes(msgspec.json.encode(record()))
    with claim(tmp_path) as mine:
        assert mine.stage == "demo"
        assert demo_record.running(tmp_path) == ()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"stage": "demo"}', b"\xff"])
def test_a_record_of_another_version_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    for name in ("demo.json", "last.json"):
        (tmp_path / name).write_bytes(content)
    assert demo_record.running(tmp_path) == ()
    assert demo_record.last_ended(tmp_path) is None


def test_no_demo_runs_where_none_ever_ran(tmp_path: Path) -> None:
    nowhere = tmp_path / "nothing"
    assert demo_record.running(nowhere) == ()
    assert demo_record.last_ended(nowhere) is None
    assert not nowhere.exists()


def test_the_environment_points_every_sdk_to_the_demo_and_to_no_file_of_the_user() -> None:
    variables = demo_record.environment(record())
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert variables["AWS_DEFAULT_REGION"] == variables["AWS_REGION"] == "us-east-1"
    assert variables["AWS_CONFIG_FILE"] == variables["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert "AWS_CA_BUNDLE" not in variables
    enforced = msgspec.structs.replace(record(), ca_bundle="/certificate")
    assert demo_record.environment(enforced)["AWS_CA_BUNDLE"] == "/certificate"
