"""What was seen becomes a verdict that names what differs."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from smoke.checks import (
    Alarm,
    Counts,
    SavedQuery,
    Span,
    accepted_archived,
    alarms_quiet,
    api_answered,
    counts_agree,
    needs_other_engine,
    notified,
    polled,
    queries_answered,
    quotes_arrived,
    rolled_back,
    task_replaced,
)
from smoke.verdicts import Failed, LeftOut, Passed, Verdict
from tests.fakes.smoke_clock import START

AAPL = ("AAPL", "2026-11-23T14:30:00.000Z")
REVISED = ("AAPL", "2026-11-23T14:30:00.000Z#1")
MSFT = ("MSFT", "2026-11-23T14:30:01.000Z")
BOTH = frozenset({AAPL, MSFT})
SPAN = Span(START, START + timedelta(minutes=1))
AGREED = Counts(
    span=SPAN,
    archived=BOTH,
    rows=BOTH,
    moments_in_lines=2,
    quotes_in_view=2,
    archived_after=BOTH,
    batches_given_up=0,
    every_quote_has_a_row=True,
)
TOPIC = "arn:aws:sns:us-east-1:123456789012:operators"
QUIET = Alarm(
    name="StateLarge", state="OK", description="See #statelarge", reason="", actions=(TOPIC,), actions_enabled=True
)


def seen(verdict: Verdict) -> str:
    assert isinstance(verdict, Failed)
    return verdict.seen


class TestQuotes:
    def test_quotes_in_the_archive_and_in_the_table_pass(self) -> None:
        verdict = quotes_arrived(BOTH, {AAPL})
        assert verdict == Passed(f"2 quotes in the archive; the newest row is AAPL of {AAPL[1]}")

    def test_an_empty_archive_or_table_fails(self) -> None:
        assert seen(quotes_arrived((), ())) == "the archive has none"
        assert "none of them in DynamoDB" in seen(quotes_arrived(BOTH, ()))


class TestCounts:
    def test_equal_counts_pass(self) -> None:
        assert isinstance(counts_agree(AGREED), Passed)
        assert isinstance(counts_agree(msgspec.structs.replace(AGREED, quotes_in_view=None)), Passed)

    def test_revisions_of_a_moment_are_one_line_of_the_count_without_revisions(self) -> None:
        three = BOTH | {REVISED}
        counts = msgspec.structs.replace(AGREED, archived=three, rows=three, archived_after=three, quotes_in_view=3)
        assert isinstance(counts_agree(counts), Passed)

    @pytest.mark.parametrize(
        ("difference", "words"),
        [
            ({"rows": frozenset({MSFT})}, f"1 in the archive and not in DynamoDB, first AAPL of {AAPL[1]}"),
            ({"rows": BOTH | {REVISED}}, "1 in DynamoDB and not in the archive"),
            ({"moments_in_lines": 1}, "Athena's table lines, without revisions has 1 in place of 2"),
            ({"quotes_in_view": 3}, "Athena's view recent_quotes has 3 in place of 2"),
            ({"archived_after": BOTH | {REVISED}}, "quotes of this time still arrive"),
            ({"batches_given_up": 1}, "Lambda has discarded 1 batches"),
            ({"archived": frozenset()}, "none in the archive"),
        ],
    )
    def test_a_difference_is_named(self, difference: dict[str, object], words: str) -> None:
        assert words in seen(counts_agree(msgspec.structs.replace(AGREED, **difference)))

    def test_with_one_row_a_minute_quotes_without_a_row_are_right_and_rows_without_a_quote_wrong(self) -> None:
        by_minute = msgspec.structs.replace(AGREED, rows=frozenset({MSFT}), every_quote_has_a_row=False)
        assert isinstance(counts_agree(by_minute), Passed)
        assert "not in the archive" in seen(counts_agree(msgspec.structs.replace(by_minute, rows=frozenset({REVISED}))))


def test_the_archive_has_what_was_accepted() -> None:
    assert isinstance(accepted_archived(SPAN, 12, 12), Passed)
    assert seen(accepted_archived(SPAN, 12, 11)) == "11 in the archive"


class TestTask:
    OLD, NEW = "arn:aws:ecs:us-east-1:1:task/c/old", "arn:aws:ecs:us-east-1:1:task/c/new"

    def verdict(self, running: dict[str, str], notices: list[str], *, announced: bool, quotes: bool) -> Verdict:
        return task_replaced(self.OLD, running, notices, announced=announced, has_new_quotes=quotes)

    def test_a_task_that_is_announced_and_replaced_passes(self) -> None:
        verdict = self.verdict({self.NEW: "HEALTHY"}, [f"stopped: {self.OLD}"], announced=True, quotes=True)
        assert verdict == Passed("task old was stopped (announced), and new replaced it")

    def test_a_notice_is_not_expected_of_a_rule_that_leaves_it_out(self) -> None:
        verdict = self.verdict({self.NEW: "HEALTHY"}, [], announced=False, quotes=True)
        assert isinstance(verdict, Passed)
        assert "the rule TaskStopped leaves out stops by hand" in verdict.seen

    def test_what_is_missing_is_named(self) -> None:
        stopped = [f"stopped: {self.OLD}"]
        healthy = {self.NEW: "HEALTHY"}
        assert seen(self.verdict(healthy, ["other"], announced=True, quotes=True)) == "1 notices, none of them about it"
        assert seen(self.verdict({self.OLD: "HEALTHY"}, stopped, announced=True, quotes=True)) == "new tasks: none"
        starting = {self.NEW: "UNHEALTHY"}
        assert seen(self.verdict(starting, stopped, announced=True, quotes=True)) == "new tasks: UNHEALTHY"
        assert "no quote since" in seen(self.verdict(healthy, stopped, announced=True, quotes=False))


class TestAlarms:
    def test_quiet_alarms_with_their_actions_pass(self) -> None:
        new = msgspec.structs.replace(QUIET, state="INSUFFICIENT_DATA")
        assert alarms_quiet([QUIET, new], TOPIC) == Passed(
            "all 2 alarms notify the operators, and none is in ALARM, 1 of them without data yet"
        )

    @pytest.mark.parametrize(
        ("difference", "words"),
        [
            ({"state": "ALARM", "reason": "1 > 0"}, "StateLarge (See #statelarge; 1 > 0)"),
            ({"actions": ()}, "these do not: StateLarge"),
            ({"actions_enabled": False}, "these are disabled: StateLarge"),
        ],
    )
    def test_what_is_wrong_with_an_alarm_is_named(self, difference: dict[str, object], words: str) -> None:
        assert seen(alarms_quiet([msgspec.structs.replace(QUIET, **difference)], TOPIC)) == words

    def test_an_alarm_that_only_cloudformation_watches_may_notify_nobody(self) -> None:
        watcher = msgspec.structs.replace(QUIET, actions=())
        assert isinstance(alarms_quiet([watcher], TOPIC, watchers=[watcher.name]), Passed)

    def test_a_stage_without_alarms_fails(self) -> None:
        assert seen(alarms_quiet([], TOPIC)) == "none"

    def test_a_notice_names_its_alarm(self) -> None:
        assert isinstance(notified("StateLarge", ["{AlarmName: StateLarge}"]), Passed)
        assert seen(notified("StateLarge", [])) == "0 notices, none of them about it"


class TestRollback:
    DONE = "UPDATE_ROLLBACK_COMPLETE"

    def test_a_failed_deployment_with_the_old_version_passes(self) -> None:
        assert isinstance(rolled_back("3", "3", self.DONE, "it ended as UPDATE_ROLLBACK_COMPLETE"), Passed)

    def test_every_other_end_fails(self) -> None:
        assert "it succeeded, as version 4" in seen(rolled_back("3", "4", "UPDATE_COMPLETE", None))
        assert "it is at version 4" in seen(rolled_back("3", "4", self.DONE, "alarm"))
        assert seen(rolled_back("3", "3", "UPDATE_ROLLBACK_FAILED", "alarm")) == "UPDATE_ROLLBACK_FAILED: alarm"


class TestQueries:
    ANSWER = SavedQuery(name="gaps", error=None, rows=2, scanned_bytes=1_000_000)

    def test_queries_that_ran_pass(self) -> None:
        assert queries_answered(["gaps"], [self.ANSWER]) == Passed("rows: gaps 2; 1.0 MB scanned")

    def test_a_missing_and_a_failed_query_are_named(self) -> None:
        assert seen(queries_answered(["gaps", "cost"], [self.ANSWER])) == "missing: cost"
        failed = msgspec.structs.replace(self.ANSWER, error="FAILED: HIVE_METASTORE_ERROR")
        assert seen(queries_answered(["gaps"], [failed])) == "gaps: FAILED: HIVE_METASTORE_ERROR"

    def test_the_engine_is_told_by_what_it_calls_a_type(self) -> None:
        assert needs_other_engine("integer") is None
        assert isinstance(needs_other_engine("INTEGER"), LeftOut)


def test_a_symbol_is_polled_when_it_has_quotes() -> None:
    assert isinstance(polled("BTC-USD", {"BTC-USD"}), Passed)
    assert seen(polled("BTC-USD", {"AAPL"})) == "new quotes of 1 other symbols"


class TestApi:
    def test_that_refuses_and_answers_passes(self) -> None:
        assert api_answered(403, (200, '{"lanes": [{}, {}]}')) == Passed(
            "403 without a login, and the status of 2 lanes with a signed request"
        )

    def test_that_takes_only_tokens_is_not_read_and_says_why(self) -> None:
        verdict = api_answered(401, None)
        assert isinstance(verdict, Passed)
        assert "a token needs a person who logs in" in verdict.seen

    def test_that_answers_anybody_fails(self) -> None:
        assert api_answered(200, None) == Failed("401 or 403 for a request without a login", "200")

    def test_that_answers_nobody_fails(self) -> None:
        assert api_answered(403, (503, "try again")) == Failed("200 for a signed request", "503: try again")
