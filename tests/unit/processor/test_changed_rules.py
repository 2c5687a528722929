"""What becomes of a symbol's alerts when rules are added, changed, removed and brought back."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from lane_state import WHOLE, AlertState, LaneState, Position
from processor_lambda.alerts import PriceMove, Rule, Rules
from processor_lambda.fold import FORGET_RULES_AFTER, Fold
from quotes import Line
from tests.fakes.pipeline import make_quote
from tests.support.lane_folding import DAY, heartbeat, positioned

MOVE = PriceMove(name="move", percent=5, cooldown_minutes=60)
WEEK = FORGET_RULES_AFTER.total_seconds()


class Lane:
    """A lane whose rules change from batch to batch."""

    def __init__(self) -> None:
        self.state, self._number = LaneState(), 0

    def fold(self, rules: Sequence[Rule], *lines: Line) -> list[str]:
        """The ids of the alerts that a batch raises by these rules."""
        end = Position(self._number, WHOLE)
        self.state = Fold(Rules(rules))(self.state, positioned(lines, self._number), end, {}).state
        self._number += 1
        return [item.alert.rule for item in self.state.pending if item.alert is not None]

    def alert_states(self) -> dict[str, AlertState]:
        return self.state.symbols["AAPL"].alert_states


def jump(second: float, price: str = "110") -> Line:
    return make_quote("AAPL", second, price, previous_close="100")


def test_a_new_rule_raises_its_alert_at_the_next_event_although_the_condition_held_before() -> None:
    lane = Lane()
    assert lane.fold([], jump(1)) == []
    assert lane.fold([MOVE], jump(2)) == ["move"]
    assert lane.fold([MOVE], jump(3)) == []


def test_a_changed_rule_keeps_what_it_has_announced() -> None:
    lane = Lane()
    assert lane.fold([MOVE], jump(1)) == ["move"]
    assert lane.fold([replace(MOVE, percent=8)], jump(2)) == []  # still on
    assert lane.fold([replace(MOVE, percent=20)], jump(3)) == []  # off
    assert lane.fold([replace(MOVE, percent=8)], jump(4)) == []  # on again, within the cooldown
    assert lane.fold([replace(MOVE, percent=8)], jump(3_700)) == ["move"]


def test_a_renamed_rule_is_a_new_rule() -> None:
    lane = Lane()
    assert lane.fold([MOVE], jump(1)) == ["move"]
    assert lane.fold([replace(MOVE, name="other")], jump(2)) == ["other"]


def test_a_removed_rule_raises_nothing_and_repeats_nothing_when_it_comes_back_soon() -> None:
    lane = Lane()
    assert lane.fold([MOVE], jump(1)) == ["move"]
    assert lane.fold([], jump(2), heartbeat(61), jump(62)) == []
    assert lane.fold([MOVE], jump(63)) == []


def test_a_removed_rule_is_forgotten_a_week_after_its_last_alert() -> None:
    lane = Lane()
    other = replace(MOVE, name="other", percent=50)
    lane.fold([MOVE, other], jump(1, "200"))
    lane.fold([other], heartbeat(WEEK))
    assert lane.alert_states().keys() == {"move", "other"}
    lane.fold([other], heartbeat(WEEK + 61))
    assert lane.alert_states().keys() == {"other"}
    assert lane.fold([MOVE, other], jump(WEEK + DAY, "200")) == ["move"]  # the other has announced it


def test_a_rule_that_no_longer_holds_for_a_symbol_is_forgotten_like_a_removed_one() -> None:
    lane = Lane()
    lane.fold([MOVE], jump(1))
    lane.fold([replace(MOVE, symbols=("MSFT",))], heartbeat(WEEK + 61))
    assert lane.alert_states() == {}
