"""The function's settings: every mistake at once."""

from __future__ import annotations

import pytest

from query_api.errors import SettingsError
from query_api.settings import from_environment

REQUIRED = ("QUOTES_TABLE", "BARS_TABLE", "STATE_TABLE", "ALERTS_TABLE", "CALENDARS_TABLE", "QUARANTINE_QUEUE_URL")
GOOD = {**dict.fromkeys(REQUIRED, "x"), "LANES": "16"}


def test_reads_the_environment() -> None:
    settings = from_environment({**GOOD, "CORS_ORIGINS": "https://a.example, http://localhost:8000"})
    assert settings.lanes == 16
    assert settings.cors_origins == ("https://a.example", "http://localhost:8000")
    assert settings.row_resolution == "every"


def test_lists_every_mistake() -> None:
    wrong = {"LANES": "100", "CORS_ORIGINS": "example.org, https://a.example/path", "ROW_RESOLUTION": "hour"}
    with pytest.raises(SettingsError) as error:
        from_environment(wrong)
    message = str(error.value).splitlines()
    assert message[1:7] == [f"{name}: missing" for name in REQUIRED]
    assert [line.partition(":")[0] for line in message[7:]] == [
        "LANES",
        "CORS_ORIGINS",
        "CORS_ORIGINS",
        "ROW_RESOLUTION",
    ]


@pytest.mark.parametrize("lanes", ["0", "100", "-1", "x", "٣", "1.0"])
def test_lanes_are_a_number_from_1_to_99(lanes: str) -> None:
    with pytest.raises(SettingsError, match=r"LANES: .* is not a number from 1 to 99"):
        from_environment({**GOOD, "LANES": lanes})
