"""Prices as a table or as JSON lines, and what is wrong with the others, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from producer_service.price_lookup import Answer
from quotes import Quote, encode_line, short_price

_HEAD = ("symbol", "price", "", "change", "exchange", "market", "time (UTC)", "delay")
_TO_THE_RIGHT = ("price", "change", "delay")
_MAX_NAMED = 10


def json_line(quote: Quote) -> str:
    """A quote as in the stream and in the archive, with exact values."""
    return encode_line(quote).decode().rstrip("\n")


def problems(answers: Sequence[Answer]) -> Iterator[str]:
    """Why symbols have no price. Those with the same reason and no hint share a line."""
    alike: dict[str, list[str]] = {}
    for answer in answers:
        if answer.problem is not None and answer.hint is not None:
            yield f"{answer.symbol}: {answer.problem}; {answer.hint}"
        elif answer.problem is not None:
            alike.setdefault(answer.problem, []).append(answer.symbol)
    for problem, symbols in alike.items():
        more = f" and {len(symbols) - _MAX_NAMED} more" if len(symbols) > _MAX_NAMED else ""
        yield f"{', '.join(symbols[:_MAX_NAMED])}{more}: {problem}"


def price_table(quotes: Sequence[Quote]) -> Iterator[str]:
    """The lines of a table with one row for each quote, below a header. Nothing if there are no quotes."""
    if not quotes:
        return
    rows = [_HEAD, *(_row(quote) for quote in quotes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if name in _TO_THE_RIGHT else cell.ljust(width)
            for name, cell, width in zip(_HEAD, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()


def _row(quote: Quote) -> tuple[str, ...]:
    return (
        quote.symbol,
        short_price(quote.price, quote.open, quote.high, quote.low, quote.previous_close),
        quote.currency or "",
        _change(quote),
        quote.exchange or "",
        quote.market_state or "",
        f"{quote.event_time:%Y-%m-%d %H:%M}",
        "" if quote.delay_minutes is None else f"{quote.delay_minutes} min",
    )


def _change(quote: Quote) -> str:
    """The change since the previous close in percent."""
    if not quote.previous_close:
        return ""
    return f"{(quote.price / quote.previous_close - 1) * 100:+.2f}%"
