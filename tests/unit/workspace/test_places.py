from __future__ import annotations

from pathlib import Path

from workspace import places


def test_a_checkout_keeps_what_programs_make_in_its_build_folder(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert places.state_directory(tmp_path, {"XDG_STATE_HOME": "/state"}) == tmp_path / "build"


def test_an_installed_package_keeps_it_in_the_users_directory(tmp_path: Path) -> None:
    assert places.state_directory(tmp_path, {"XDG_STATE_HOME": "/state"}) == Path("/state/stockstream")
    for unset in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative/state"}):
        assert places.state_directory(tmp_path, unset) == Path.home() / ".local/state/stockstream"


def test_the_user_can_choose_another_place(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert places.state_directory(tmp_path, {"STOCKSTREAM_STATE": "/mine"}) == Path("/mine")


def test_the_root_holds_the_templates_and_the_locks() -> None:
    assert (places.ROOT / "infra" / "cloudformation").is_dir()
    assert (places.ROOT / "requirements").is_dir()
