"""Keys come from the environment, or from the credential chain of the AWS SDK."""

from pathlib import Path

import pytest

from aws_requests import Unavailable
from aws_requests.credentials import credentials_of
from aws_requests.signature import Keys


@pytest.fixture
def sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credentials file, the only source of keys that the SDK's chain can find here."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return path


def test_keys_are_read_from_the_environment_and_again_when_they_expire() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    credentials = credentials_of(environment)
    assert credentials.keys() == Keys("a", "b", "c")
    environment |= {"AWS_ACCESS_KEY_ID": "d", "AWS_SESSION_TOKEN": ""}
    assert credentials.keys() == Keys("a", "b", "c")
    credentials.renew()
    assert credentials.keys() == Keys("d", "b", None)


def test_without_keys_in_the_environment_the_sdk_s_chain_is_used(sdk: Path) -> None:
    sdk.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    credentials = credentials_of({"AWS_ACCESS_KEY_ID": "a key without its secret"})
    assert credentials.keys() == Keys("a", "b")
    sdk.write_text("[default]\naws_access_key_id = c\naws_secret_access_key = d\naws_session_token = e\n")
    credentials.renew()
    assert credentials.keys() == Keys("c", "d", "e")


def test_no_keys_at_all_are_reported(sdk: Path) -> None:
    with pytest.raises(Unavailable, match="no AWS credentials"):
        credentials_of({}).keys()
    sdk.write_text("[default]\naws_access_key_id = a\n")
    with pytest.raises(Unavailable, match="AWS credentials: "):
        credentials_of({}).keys()
