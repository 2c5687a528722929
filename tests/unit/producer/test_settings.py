"""Every mistake at once, each with its variable, and nothing unknown passes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from producer_service.errors import ConfigurationError
from producer_service.group_state import GroupState
from producer_service.market_hours import OPEN_ALWAYS, MarketHours
from producer_service.settings import PREFIX, VARIABLES, Configuration, Settings, configuration
from producer_service.settings_in_use import settings_without_effect
from producer_service.sources import SourceTraits
from producer_service.sources.replay import ReplaySettings
from producer_service.sources.synthetic import SyntheticSettings
from watchlist import WatchGroup, lane_problems

GOOD = {"STREAM_NAME": "quotes", "SYMBOLS": "AAPL, BTC-USD,AAPL,^GSPC"}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def configure(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Configuration[Settings]:
    environment = {PREFIX + name: value for name, value in variables.items()}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return configuration(environment)


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    return configure(monkeypatch, **variables).settings


def mistakes(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        configure(monkeypatch, **variables)
    return caught.value.mistakes


def test_symbols_are_split_stripped_and_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, **GOOD).symbols == ("AAPL", "BTC-USD", "^GSPC")


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, **GOOD, JOURNAL_DIR="", LANES="").journal_dir is None


def test_paths_and_numbers_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, **GOOD, JOURNAL_DIR="/var/lib/journal", POLL_INTERVAL_SECONDS="0.5", LANES="16")
    assert (settings.journal_dir, settings.poll_interval_seconds, settings.lanes) == (Path("/var/lib/journal"), 0.5, 16)


def test_every_mistake_is_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = mistakes(
        monkeypatch,
        SYMBOLS="AAPL,B AD,{}",
        LANES="0",
        HTTP_PORT="70000",
        SOURCE="bloomberg",
        POLL_INTERVALL_SECONDS="5",
        SYNTHETIC_SEED="one",
    )
    expected = (
        "PRODUCER_POLL_INTERVALL_SECONDS: unknown; did you mean PRODUCER_POLL_INTERVAL_SECONDS?",
        "PRODUCER_STREAM_NAME: missing; the Kinesis stream",
        "PRODUCER_SOURCE: 'bloomberg': is not a source; the sources are yahoo, yahoo_stream, replay, synthetic",
        "PRODUCER_SYMBOLS: 'AAPL,B AD,{}': not a symbol: 'B AD', '{}'",
        "PRODUCER_LANES: '0': input should be greater than or equal to 1",
        "PRODUCER_HTTP_PORT: '70000': input should be less than or equal to 65535",
        "PRODUCER_SYNTHETIC_SEED: 'one': input should be a valid integer",
    )
    assert len(found) == len(expected)
    for mistake, start in zip(found, expected, strict=True):
        assert mistake.startswith(start)


def test_a_source_that_resembles_another_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mistakes(monkeypatch, **GOOD, SOURCE="yaho") == [
        "PRODUCER_SOURCE: 'yaho': is not a source; did you mean yahoo?"
    ]


def test_an_unknown_variable_that_resembles_none_leads_to_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mistakes(monkeypatch, **GOOD, XYZ="1") == ["PRODUCER_XYZ: unknown; run --help lists the variables"]


@pytest.mark.parametrize(
    ("source", "missing"), [("yahoo", "PRODUCER_SYMBOLS: missing"), ("replay", "PRODUCER_REPLAY_PATH: missing")]
)
def test_what_a_source_needs_is_asked_for_beside_every_other_mistake(
    monkeypatch: pytest.MonkeyPatch, source: str, missing: str
) -> None:
    first, second = mistakes(monkeypatch, SOURCE=source)
    assert first.startswith("PRODUCER_STREAM_NAME: missing")
    assert second.startswith(missing)


def test_the_default_source_needs_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [mistake[:25] for mistake in mistakes(monkeypatch, STREAM_NAME="quotes")] == ["PRODUCER_SYMBOLS: missing"]


def test_the_settings_of_the_sources_in_use_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure(monkeypatch, STREAM_NAME="quotes", SOURCE="replay", REPLAY_PATH="week", REPLAY_TIMEZONE="UTC")
    assert config.source_settings == {
        "replay": ReplaySettings.model_construct(path=Path("week"), timezone=ZoneInfo("UTC"))
    }
    config = configure(monkeypatch, STREAM_NAME="quotes", SOURCE="synthetic")
    assert config.source_settings == {"synthetic": SyntheticSettings.model_construct(seed=1)}


def test_a_wrong_setting_of_a_source_that_is_not_used_is_a_mistake_and_a_missing_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [mistake] = mistakes(monkeypatch, **GOOD, REPLAY_SPEED="-1")
    assert mistake.startswith("PRODUCER_REPLAY_SPEED: '-1': input should be greater than or equal to 0")


@pytest.mark.parametrize(
    ("variables", "without_effect"),
    [
        ({"REPLAY_SPEED": "60", "SYNTHETIC_SEED": "7"}, ["PRODUCER_REPLAY_SPEED", "PRODUCER_SYNTHETIC_SEED"]),
        ({"REPLAY_SPEED": "0", "SYNTHETIC_SEED": ""}, []),
        ({"JOURNAL_SYNC_SECONDS": "5"}, ["PRODUCER_JOURNAL_SYNC_SECONDS"]),
        ({"JOURNAL_SYNC_SECONDS": "5", "JOURNAL_DIR": "/journal"}, []),
        ({"BEFORE_OPEN_SECONDS": "5"}, ["PRODUCER_BEFORE_OPEN_SECONDS"]),
        ({"YAHOO_EXTENDED_HOURS": "true"}, []),
        ({"SOURCE": "yahoo_stream", "YAHOO_EXTENDED_HOURS": "true"}, []),
        ({"SOURCE": "synthetic", "YAHOO_EXTENDED_HOURS": "true"}, ["PRODUCER_YAHOO_EXTENDED_HOURS"]),
    ],
)
def test_settings_without_effect_are_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], without_effect: list[str]
) -> None:
    config = configure(monkeypatch, **(GOOD | variables), CALENDAR="always")
    environment = {PREFIX + name: value for name, value in variables.items()}
    us = WatchGroup(name="us", symbols=("AAPL",), interval_seconds=1, calendar="always", source="yahoo")
    hours = MarketHours(["always"], lambda *_: OPEN_ALWAYS, datetime(2026, 11, 23, tzinfo=UTC))
    none = timedelta()
    states = [GroupState(us, SourceTraits(is_live=True), hours, before_open=none, after_close=none)]
    assert [name for name, _ in settings_without_effect(environment, config, states)] == without_effect


@pytest.mark.parametrize("zone", ["America/NewYork", "America", "Z", "../../etc/localtime", "A" * 5000])
def test_a_replay_names_a_time_zone_that_exists(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    [mistake] = mistakes(monkeypatch, **GOOD, REPLAY_TIMEZONE=zone)
    assert mistake == (
        f"PRODUCER_REPLAY_TIMEZONE: {zone!r:.80}: is not a time zone; one is named like America/New_York or UTC"
    )


def test_a_lane_too_full_for_its_state_is_refused_with_how_many_lanes_it_takes() -> None:
    symbols = tuple(f"S{number}" for number in range(1000))
    [mistake] = lane_problems(symbols, 2)
    advised = int(mistake.split(" lanes are enough")[0].split()[-1])
    assert advised > 2
    assert lane_problems(symbols, advised) == []
    assert lane_problems(symbols, advised - 1) != []
    assert "too many for one stream" in lane_problems(tuple(f"S{number}" for number in range(60_000)), 99)[0]


@pytest.fixture
def watchlist(tmp_path: Path) -> Path:
    path = tmp_path / "groups.toml"
    path.write_text('[[group]]\nname = "us"\nsymbols = ["AAPL"]\n')
    return path


def test_without_a_watchlist_there_are_no_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configure(monkeypatch, **GOOD).groups == ()


def test_a_watchlist_replaces_the_symbols_and_takes_the_settings_where_it_says_nothing(
    monkeypatch: pytest.MonkeyPatch, watchlist: Path
) -> None:
    [group] = configure(
        monkeypatch,
        STREAM_NAME="quotes",
        WATCHLIST=str(watchlist),
        SOURCE="synthetic",
        POLL_INTERVAL_SECONDS="2",
        CALENDAR="XNYS",
    ).groups
    assert (group.name, group.symbols, group.interval_seconds) == ("us", ("AAPL",), 2)
    assert (group.calendar, group.source) == ("XNYS", "synthetic")


def test_mistakes_of_the_environment_and_of_the_watchlist_are_listed_together(
    monkeypatch: pytest.MonkeyPatch, watchlist: Path
) -> None:
    watchlist.write_text(watchlist.read_text() + 'source = "bloomberg"\n')
    found = mistakes(monkeypatch, SYMBOLS="AAPL", WATCHLIST=str(watchlist), CALENDAR="XNYX")
    starts = [
        "PRODUCER_STREAM_NAME: missing",
        "PRODUCER_CALENDAR: 'XNYX': is not a calendar; did you mean XNYS",
        "PRODUCER_SYMBOLS: set beside PRODUCER_WATCHLIST",
        f"{watchlist}: group 1 (us): source: 'bloomberg': is not a source; the sources are",
    ]
    for mistake, start in zip(found, starts, strict=True):
        assert mistake.startswith(start)


def test_a_watchlist_that_is_not_there_is_one_mistake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = mistakes(monkeypatch, STREAM_NAME="quotes", SOURCE="synthetic", WATCHLIST=str(tmp_path / "none.toml"))
    assert found == [f"{tmp_path / 'none.toml'}: No such file or directory"]


def test_a_watchlist_with_mistakes_does_not_make_the_default_source_used(
    monkeypatch: pytest.MonkeyPatch, watchlist: Path
) -> None:
    watchlist.write_text(watchlist.read_text() + "intervall_seconds = 1\n")
    [mistake] = mistakes(monkeypatch, STREAM_NAME="quotes", SOURCE="replay", WATCHLIST=str(watchlist))
    assert "did you mean interval_seconds?" in mistake


def test_a_group_of_recordings_needs_their_path(monkeypatch: pytest.MonkeyPatch, watchlist: Path) -> None:
    watchlist.write_text(watchlist.read_text() + 'source = "replay"\n')
    found = mistakes(monkeypatch, STREAM_NAME="quotes", WATCHLIST=str(watchlist))
    assert [mistake.split(";")[0] for mistake in found] == ["PRODUCER_REPLAY_PATH: missing"]


def test_a_margin_beyond_half_a_day_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    [mistake] = mistakes(monkeypatch, **GOOD, BEFORE_OPEN_SECONDS="50000")
    assert mistake.startswith("PRODUCER_BEFORE_OPEN_SECONDS: '50000': input should be less than or equal to 43200")


def service_variables(service: str, address: str, *ports: tuple[str, int, str]) -> dict[str, str]:
    """What Kubernetes sets for a Service with some ports, each with its name, number and protocol."""
    name = service.upper().replace("-", "_")
    host = f"[{address}]" if ":" in address else address
    variables = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0][1])}
    for port_name, number, protocol in reversed(ports):
        url, prefix = f"{protocol}://{host}:{number}", f"{name}_PORT_{number}_{protocol.upper()}"
        variables |= {f"{name}_PORT": url, prefix: url, f"{prefix}_PROTO": protocol}
        variables |= {f"{prefix}_PORT": str(number), f"{prefix}_ADDR": address}
        if port_name:
            variables[f"{name}_SERVICE_PORT_{port_name.upper().replace('-', '_')}"] = str(number)
    return variables


@pytest.mark.parametrize("address", ["10.96.0.12", "fd00:10:96::c"])
@pytest.mark.parametrize(
    "ports", [[("", 8080, "tcp")], [("http", 80, "tcp"), ("dns-udp", 53, "udp"), ("x", 9, "sctp")]]
)
@pytest.mark.parametrize(
    "service", ["producer", "producer-metrics", "producer-http", "producer-service", "producer-port", "producer-2"]
)
def test_the_variables_of_a_kubernetes_service_are_ignored(
    monkeypatch: pytest.MonkeyPatch, service: str, ports: list[tuple[str, int, str]], address: str
) -> None:
    variables = service_variables(service, address, *ports)
    assert len(variables) >= 7

    settings = load(monkeypatch, **GOOD, **{name.removeprefix(PREFIX): value for name, value in variables.items()})

    assert settings == load(monkeypatch, **GOOD)
    assert settings.http_port == 8080


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "8080"),
        ("PORT", "http://10.0.0.1:8080"),
        ("HTTP_PROT", "8080"),
        ("HTTP_PROT", "tcp://10.0.0.1:8080"),
        ("SERVICE_HOST", "localhost"),
        ("SERVICE_HOST", "producer.default.svc"),
        ("SERVICE_PORT", "http"),
        ("SERVICE", "10.0.0.1"),
        ("PORT_8080_TCP", "8080"),
        ("PORT_8080_TCP_ADDR", "localhost"),
        ("PORT_8080_TCP_PROTO", "http"),
        ("PORT_HTTP_TCP", "tcp://10.0.0.1:8080"),
        ("PORT_8080_TLS", "tcp://10.0.0.1:8080"),
        ("METRICS_PORT", "9090"),
        ("service_host", "10.0.0.1"),
    ],
)
def test_a_variable_that_only_resembles_those_of_kubernetes_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    [mistake] = mistakes(monkeypatch, **GOOD, **{name: value})
    assert mistake.startswith(f"{PREFIX}{name}: unknown")


def test_a_port_that_is_a_url_is_no_port_of_ours_and_another_text_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, **GOOD, HTTP_PORT="tcp://10.0.0.1:80").http_port == 8080
    [mistake] = mistakes(monkeypatch, **GOOD, HTTP_PORT="http://10.0.0.1:80")
    assert mistake.startswith("PRODUCER_HTTP_PORT: 'http://10.0.0.1:80': input should be a valid integer")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://0.0.0.0:8080"),
        ("localhost", "http://localhost:8080"),
        ("::", "http://[::]:8080"),
        ("::1", "http://[::1]:8080"),
        ("[::1]", "http://[::1]:8080"),
        ("fd00:10:96::c", "http://[fd00:10:96::c]:8080"),
    ],
)
def test_the_url_of_an_ipv6_address_has_brackets(monkeypatch: pytest.MonkeyPatch, host: str, url: str) -> None:
    settings = load(monkeypatch, **GOOD, HTTP_HOST=host)
    assert settings.http_url(settings.http_port) == url
    assert settings.http_host == host.strip("[]")


def test_a_text_that_is_no_symbol_leads_to_the_symbol_that_it_may_stand_for(monkeypatch: pytest.MonkeyPatch) -> None:
    [mistake] = mistakes(monkeypatch, STREAM_NAME="quotes", SYMBOLS='"AAPL,BRK B,MSFT"')
    assert "not a symbol: '\"AAPL' (did you mean AAPL?), 'BRK B' (did you mean BRK-B?), 'MSFT\"' (did" in mistake
