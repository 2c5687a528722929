"""What signals do to the program that handles them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from replica.interrupts import SIGNALS, Interrupts


@pytest.fixture(autouse=True)
def no_alarm() -> Iterator[None]:
    """Take back the alarm that ends a program whose clean-up takes too long."""
    yield
    signal.alarm(0)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts():
        signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_of_a_running_pipeline_asks_it_to_drain(number: signal.Signals) -> None:
    with Interrupts() as interrupts:
        with interrupts.draining():
            signal.raise_signal(number)
        assert interrupts.asked_to_drain
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_the_end_of_the_terminal_interrupts_a_running_pipeline() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts, interrupts.draining():
        signal.raise_signal(signal.SIGHUP)


def test_an_error_of_what_was_interrupted_is_an_interrupt_too() -> None:
    @contextmanager
    def clean_up_that_fails() -> Iterator[None]:
        try:
            yield
        finally:
            [].pop()

    with pytest.raises(KeyboardInterrupt), Interrupts(), clean_up_that_fails():
        signal.raise_signal(signal.SIGINT)


def test_another_error_stays_as_it_is() -> None:
    with pytest.raises(IndexError), Interrupts():
        [].pop()


def test_the_handlers_are_those_of_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyboardInterrupt), Interrupts():
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before
