"""A command that is asked to stop ends at its next checkpoint, or at once if it is asked again."""

import signal
import threading
from collections.abc import Callable

import pytest

from operations import safe_stop
from operations.every_day import STOP_SECONDS as STOP_SECONDS_OF_EVERY_DAY
from operations.safe_stop import STOP_SECONDS, stopping_safely

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_at_its_next_checkpoint(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    done = []
    with pytest.raises(KeyboardInterrupt), stopping_safely() as checkpoint:  # noqa: PT012  (the block is the command)
        checkpoint()
        signal.raise_signal(number)
        done.append("the step")
        checkpoint()
        done.append("another step")
    assert done == ["the step"]
    assert "stopping at the next point where nothing is half done" in capfd.readouterr().err
    assert [signal.getsignal(each) for each in SIGNALS] == before
    assert signal.alarm(0) == 0


def test_a_second_signal_ends_it_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), stopping_safely():  # noqa: PT012  (the block is the command)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")


def test_a_step_that_takes_too_long_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_stop, "STOP_SECONDS", 1)
    with pytest.raises(KeyboardInterrupt), stopping_safely():  # noqa: PT012  (the block is the command)
        signal.raise_signal(signal.SIGTERM)
        threading.Event().wait(60)
        pytest.fail("it went on")


def test_in_a_thread_the_handlers_stay() -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    found: list[object] = []

    def run() -> None:
        with stopping_safely() as checkpoint:
            found.extend([[signal.getsignal(each) for each in SIGNALS], _outcome(checkpoint)])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [before, "went on"]


def test_every_day_waits_longer_than_a_command_needs() -> None:
    assert STOP_SECONDS < STOP_SECONDS_OF_EVERY_DAY


def _outcome(checkpoint: Callable[[], None]) -> str:
    checkpoint()
    return "went on"
