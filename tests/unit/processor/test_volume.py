"""What was traded in each minute, from the cumulative volume of the source."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest
from msgspec.structs import replace

from processor_lambda.alerts import VolumeSpike
from quotes import REGULAR, ROLLING_DAY, Line, Quote
from tests.fakes.pipeline import make_quote
from tests.fakes.volume_source import MARKETS, Market, simulate
from tests.support.lane_folding import DAY, fold_batches, heartbeat, regular_quote
from tests.support.sizes import sized

FRIDAY, MONDAY = "97", "98"
"""The previous closes of two sessions."""


def volumes_of(*lines: Line) -> list[int | None]:
    """The volumes of the bars of some quotes."""
    last = lines[-1]
    assert isinstance(last, Quote)
    end = (last.event_time - make_quote().event_time).total_seconds() + 60
    return [bar.volume for bar in fold_batches([*lines, heartbeat(end)]).bars]


def session(*volumes: int | None, start: float = 0, step: float = 60, close: str = FRIDAY) -> list[Quote]:
    """Quotes of an open market, one a minute."""
    return [
        replace(make_quote(second=start + n * step, volume=volume, previous_close=close), market_state=REGULAR)
        for n, volume in enumerate(volumes)
    ]


@pytest.mark.parametrize(
    ("volumes", "traded"),
    [
        ((100, 200, 0, 300), [0, 100, 0, 100]),  # P6
        ((100, 200, 0, 0, 300), [0, 100, 0, 0, 100]),
        ((100, 200, None, 300), [0, 100, None, 100]),
        ((100, 200, 150, 180, 220), [0, 100, 0, 0, 20]),
        ((1_000, 2_000, 40, 50, 2_100), [0, 1_000, 0, 0, 100]),
        ((100, 300, 100, 300, 400), [0, 200, 0, 0, 100]),
        ((100, 250, 200), [0, 150, 0]),  # a closed bar stays as it is
        ((0, 300), [0, 300]),
    ],
    ids=str,
)
def test_within_a_session_only_a_counter_above_its_greatest_value_counts(
    volumes: tuple[int | None, ...], traded: list[int | None]
) -> None:
    assert volumes_of(*session(*volumes)) == traded


@pytest.mark.parametrize(
    ("volumes", "traded"),
    [
        ((100, 200, 150), 50),
        ((100, 200, 150, 180, 220), 120),
        ((100, 200, 0), 100),  # zero corrects nothing
        ((100, 200, 0, 300), 200),
        ((100, 90), 0),
        ((100, 10**9, 300), 200),
    ],
    ids=str,
)
def test_the_bar_of_the_current_minute_follows_a_correction(volumes: tuple[int, ...], traded: int) -> None:
    assert volumes_of(*session(*volumes, step=1)) == [traded]


def test_a_counter_that_fails_for_one_poll_raises_no_volume_spike() -> None:
    """The case P6."""
    quotes = session(*(5_000 + 100 * n for n in range(40)))
    quotes[30] = replace(quotes[30], volume=0)
    quotes[35] = replace(quotes[35], volume=70)
    assert fold_batches([*quotes, heartbeat(41 * 60)], rules=[VolumeSpike()]).alerts == []


@pytest.mark.parametrize(
    ("first", "second", "traded"),
    [
        (session(900, 1_000), session(40, 60, start=3600, close=MONDAY), [0, 100, 40, 20]),  # a future: a short break
        (session(900, 1_000), session(0, 60, start=3600, close=MONDAY), [0, 100, 0, 60]),
        (session(900, 1_000), session(1_200, 1_300, start=DAY, close=MONDAY), [0, 100, 1_200, 100]),
        (session(900, 1_000), session(40, 60, start=DAY), [0, 100, 40, 20]),  # the close did not change
        (session(900, 1_000), session(1_000, 40, start=3600, close=MONDAY), [0, 100, 0, 40]),  # it changed before
        (session(900, 1_000), session(40, 60, start=3600) + session(90, start=3720, close=MONDAY), [0, 100, 0, 0, 90]),
    ],
    ids=["a fall", "zero", "a night", "a night and the same close", "a close before it", "a close after it"],
)
def test_a_session_starts_from_zero(first: list[Quote], second: list[Quote], traded: list[int]) -> None:
    assert volumes_of(*first, *second) == traded


def test_two_answers_in_turn_at_the_beginning_of_a_session_count_once() -> None:
    """One server of the source is in the new session already, and another is not."""
    answers = [(800, FRIDAY), (1_000, FRIDAY), (40, MONDAY), (1_000, FRIDAY), (70, MONDAY), (1_010, FRIDAY)]
    quotes = [session(volume, start=60 * n, close=close)[0] for n, (volume, close) in enumerate(answers)]
    assert volumes_of(*quotes) == [0, 200, 40, 0, 30, 10]


def test_a_wrong_close_for_one_poll_does_not_end_the_session() -> None:
    quotes = session(1_000, 1_100, 0, 1_200)
    quotes[2] = replace(quotes[2], previous_close=Decimal(5))
    assert volumes_of(*quotes) == [0, 100, 0, 100]


def test_the_pause_of_a_market_at_noon_does_not_end_the_session() -> None:
    morning, noon, afternoon = session(900, 1_000), session(1_000, start=3600), session(990, 1_020, start=7200)
    noon = [replace(noon[0], market_state="CLOSED")]
    assert volumes_of(*morning, *noon, *afternoon) == [0, 100, 0, 0, 20]


def test_a_symbol_that_is_new_before_the_open_starts_from_zero_at_the_open() -> None:
    """Until then the source gives the volume of the day before, though with the close of the new day."""
    early = [replace(quote, market_state="PRE") for quote in session(900, 900, close=MONDAY)]
    assert volumes_of(*early, *session(500, 520, start=120, close=MONDAY)) == [0, 0, 500, 20]


def test_a_first_volume_above_that_of_the_day_before_counts_even_if_the_close_changed_before_the_open() -> None:
    evening = session(200, 300)
    morning = [replace(quote, market_state="PRE") for quote in session(300, start=DAY - 3600, close=MONDAY)]
    assert volumes_of(*evening, *morning, *session(450, start=DAY, close=MONDAY)) == [0, 100, 0, 450]


def test_without_a_previous_close_a_fall_below_half_on_another_day_starts_from_zero() -> None:
    """A coin whose source counts by the UTC day and says that the market is always open."""
    midnight = 9.5 * 3600
    times = [(midnight - 120, 900), (midnight - 60, 1_000), (midnight, 30), (midnight + 60, 50)]
    assert volumes_of(*(regular_quote("AAPL", time, volume=volume) for time, volume in times)) == [0, 100, 30, 20]


def test_a_rolling_volume_of_24_hours_is_nobodys_and_raises_no_spike() -> None:
    rolling = [regular_quote("AAPL", 60 * n, volume=10**6 + n * 5, volume_period=ROLLING_DAY) for n in range(40)]
    rolling[35] = replace(rolling[35], volume=10**9)
    bars, alerts, state = fold_batches([*rolling, heartbeat(41 * 60)], rules=[VolumeSpike()])
    assert {bar.volume for bar in bars} == {None}
    assert not any(name.startswith("volume") for name in bars[-1].indicators)
    assert alerts == []
    assert state.symbols["AAPL"].volume is None


def test_a_counter_that_runs_wild_does_not_exceed_what_a_store_holds() -> None:
    quotes = [quote for n in range(8) for quote in session(0, 2**63 - 1, start=2 * n, step=1, close=str(50 + n))]
    assert volumes_of(*quotes) == [2**63 - 1]


@pytest.mark.parametrize("market", MARKETS.values(), ids=MARKETS)
@pytest.mark.parametrize("seed", range(sized(10, 100)))
def test_the_bars_add_up_to_what_was_traded_by_the_sources_last_word(market: Market, seed: int) -> None:
    simulated = simulate(market, Random(seed))
    bars = fold_batches([*simulated.quotes, heartbeat(10 * DAY)]).bars
    assert sum(bar.volume or 0 for bar in bars) == simulated.traded
    assert all(bar.volume is None or bar.volume >= 0 for bar in bars)
