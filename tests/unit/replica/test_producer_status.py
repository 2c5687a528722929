"""What the demo says about a producer by its /status."""

from __future__ import annotations

from producer_service.silence import Silence
from producer_service.sources.registry import SOURCES
from replica.producer_status import Group, ProducerStatus, prices_in_words

CLOSED = Silence("closed", "XNYS is closed")


def status(*sources: str) -> ProducerStatus:
    return ProducerStatus(tuple(Group(f"g{n}", source, 1, (CLOSED,)) for n, source in enumerate(sources)))


def test_prices_are_labelled_by_the_sources_of_the_groups() -> None:
    assert prices_in_words(ProducerStatus(), "synthetic", 0, SOURCES) == "simulated prices"
    assert prices_in_words(status("replay"), "synthetic", 0, SOURCES) == "replayed prices"
    assert prices_in_words(status("yahoo"), "synthetic", 15, SOURCES) == "Yahoo's prices, up to 15 minutes late"
    assert prices_in_words(ProducerStatus(), "", 0, SOURCES) == "prices"  # a watchlist, before it is known
    mixed = prices_in_words(status("yahoo", "synthetic", "yahoo"), "", 0, SOURCES)
    assert mixed == "Yahoo's prices and simulated prices"


def test_the_group_is_named_if_there_are_several() -> None:
    assert status("yahoo").notes() == ("XNYS is closed",)
    assert status("yahoo", "synthetic").notes() == ("g0: XNYS is closed", "g1: XNYS is closed")
