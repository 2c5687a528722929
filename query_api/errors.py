"""What ends a request early: a problem of the request, or of what is stored."""

from __future__ import annotations

from collections.abc import Mapping


class QueryError(Exception):
    """The base of the errors of this package."""


class SettingsError(QueryError):
    """The function's environment is wrong. The message lists every mistake."""


class NewerState(QueryError):
    """A lane's state was written by a later version of the stream function. Deploy this function again."""


class Problem(QueryError):
    """The answer is an error, as RFC 9457 describes it. `detail` says what is wrong and what is allowed."""

    def __init__(
        self, status: int, kind: str, title: str, detail: str, *, parameter: str = "", headers: Mapping[str, str] = {}
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.title, self.detail = status, kind, title, detail
        self.parameter, self.headers = parameter, headers


def wrong_parameter(name: str, detail: str) -> Problem:
    """A parameter of the query has a value that is not allowed."""
    return Problem(400, "parameter-wrong", "A parameter is wrong", f"{name}: {detail}", parameter=name)


def unknown_symbol(symbol: str) -> Problem:
    """Nothing is stored of a symbol."""
    detail = f"Nothing is stored of the symbol {symbol!r}. GET /v1/symbols lists the symbols that are stored."
    return Problem(404, "symbol-unknown", "The symbol is unknown", detail)
