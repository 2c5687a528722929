"""The items of published alerts: their keys, their expiry, and that DynamoDB accepts each that the rules can raise."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from aws_limits import DYNAMODB_ITEM_BYTES
from lane_state import Alert, LaneState
from processor_lambda.alerts import PriceMove, Rules, StaleFeed
from processor_lambda.alerts.stale_feed import StaleSymbol
from processor_lambda.fold import MAX_SYMBOLS
from processor_lambda.stored_alerts import StoredAlert, stored_alerts
from quotes import to_iso
from tests.fakes.pipeline import OPEN, SETTINGS, Shard, make_heartbeats, make_processor, make_quote
from tests.fakes.processor_ports import World

MAX_KEY_BYTES = 1_024
"""The longest sort key of DynamoDB."""
DIGITS = 38
"""The most digits of a number of DynamoDB."""
ALERT = Alert(
    id="price_move:AAPL:2026-11-23T14:30:01.000Z#2",
    rule="price_move",
    severity="warning",
    symbol="AAPL",
    timestamp="2026-11-23T14:30:01.000Z#2",
    subject="AAPL is up",
    values={"price": Decimal("110.50")},
)


def test_an_alert_is_stored_by_its_day_and_in_the_order_of_its_time() -> None:
    later = replace(ALERT, id="price_move:AAPL:2026-11-23T14:30:02.000Z", timestamp="2026-11-23T14:30:02.000Z")
    [first], [second] = (stored_alerts([alert], OPEN, 365) for alert in (ALERT, later))
    assert first.key == (
        "2026-11-23",
        "2026-11-23T14:30:01.000Z#2 price_move:AAPL:2026-11-23T14:30:01.000Z#2",
    )
    assert first.key < second.key


def test_an_alert_expires_by_the_arrival_of_what_raised_it() -> None:
    [stored] = stored_alerts([ALERT], OPEN, 2)
    assert stored.expires_at == (OPEN + timedelta(days=2)).timestamp()
    assert stored_alerts([ALERT], OPEN, 0) == [StoredAlert(ALERT, None)]


def test_the_largest_alert_is_within_the_limits_of_dynamodb() -> None:
    """An alert that DynamoDB never accepts would stop its lane, since it is committed before it is stored."""
    symbols = tuple(f"{number:=>32}" for number in range(MAX_SYMBOLS))
    silence = StaleFeed(name="n" * 24, minutes=10, cooldown_minutes=0)
    stale = [StaleSymbol(symbol, 1e9, 10.0) for symbol in symbols]
    move_of_a_giant = PriceMove(name="n" * 24, percent=5).build(
        symbols[0], f"{to_iso(OPEN)}#{2**63 - 1}", "-" * 99, {"price": Decimal(f"{10**12 - 1}.{10**26 - 1}")}
    )
    for alert in (silence.alert("lane-9999-of-9999", stale, OPEN), move_of_a_giant):
        assert all(len(part.encode()) < MAX_KEY_BYTES for part in StoredAlert(alert, None).key)
        assert len(msgspec.json.encode(alert)) < DYNAMODB_ITEM_BYTES / 4
        assert all(len(value.as_tuple().digits) <= DIGITS for value in alert.values.values())


def move(world: World, shard: Shard, *, dies_at: str | None = None) -> None:
    """Process the records of a shard, and die at a call."""

    def die(call: str) -> None:
        if call == dies_at:
            raise TimeoutError

    world.fault = die
    try:
        make_processor(world, rules=Rules([PriceMove(percent=5)])).process(shard.records)
    except TimeoutError:
        assert dies_at is not None


@pytest.fixture
def shard() -> Shard:
    shard = Shard()
    shard.put_lines([make_quote(price="110", previous_close="100")])
    return shard


def test_a_published_alert_is_stored_with_its_content(shard: Shard) -> None:
    world = World()
    move(world, shard)
    [alert], [stored] = world.alerts, world.stored_alerts.values()
    expires = shard.records[0].arrival + timedelta(days=SETTINGS.alert_ttl_days)
    assert stored == StoredAlert(alert, int(expires.timestamp()))


@pytest.mark.parametrize("dies_at", ["stored_alerts.put", "stored_alerts.put done", "alerts.publish"])
def test_a_function_that_dies_before_it_publishes_stores_the_same_item_at_the_next_attempt(
    shard: Shard, dies_at: str
) -> None:
    world, undisturbed = World(), World()
    move(undisturbed, shard)
    move(world, shard, dies_at=dies_at)
    assert not world.alerts
    shard.put_lines(make_heartbeats(30))  # arrives later, and is the cause of the next attempt
    move(world, shard)
    assert world.stored_alerts == undisturbed.stored_alerts
    assert world.alerts == undisturbed.alerts


def test_a_pending_alert_of_an_earlier_release_expires_by_the_record_that_publishes_it(shard: Shard) -> None:
    world = World()
    commit = world.state_table.commit

    def without_arrival(lane: str, state: LaneState, read: LaneState) -> int:
        return commit(lane, replace(state, arrival=None), read)

    world.state_table.commit = without_arrival  # type: ignore[method-assign]  # as the earlier release wrote it
    move(world, shard, dies_at="stored_alerts.put")
    move(world, shard)
    [stored] = world.stored_alerts.values()
    expires = shard.records[0].arrival + timedelta(days=SETTINGS.alert_ttl_days)
    assert stored.expires_at == int(expires.timestamp())
