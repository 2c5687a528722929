"""Reads the file of a stage, such as infra/stages/dev.env: parameters, account and region, symbols and alert rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deployment.errors import ParameterError
from deployment.parameters import Named
from deployment.place import ACCOUNT, REGION, malformed
from quotes.encodings import NotUtf8, decode_text

RULES = "RULES"
"""The key of a stage file that names the file of alert rules. It is no parameter of a template."""
WATCHLIST = "WATCHLIST"
"""The key of a stage file that names a file of watch groups."""
SYMBOLS = "Symbols"
"""The key that names the symbols of the only watch group. Neither key is a parameter of a template."""
DEFAULT_RULES = "default"
"""The word that stands for the default rules where a file of rules can be named."""


_COMMAND_LINE = "--watchlist / WATCHLIST: "


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asks of a deployment. What it does not name stays as it is deployed."""

    parameters: tuple[Named, ...] = ()
    rules: str | None = None
    """A file of alert rules, or `default`. None keeps the rules that are deployed."""
    place: tuple[Named, ...] = ()
    """The account and the region, as far as the stage file names them."""
    symbols: str | None = None
    """The symbols of the only watch group, separated by commas. At most one of this and `watchlist` is named."""
    watchlist: str | None = None
    """A file of watch groups. If neither is named, the stage keeps the watch groups that it has."""


def read_wishes(
    stage_file: Path | None, options: Iterable[str] = (), rules: str | None = None, watchlist: str | None = None
) -> Wishes:
    """The wishes in a stage file, and those of the command line, which win.

    Comments and empty lines are left out. A file of rules or watch groups is relative to the stage file. Raises
    `ParameterError` with every line that is not KEY=VALUE, and every account or region that is none.
    """
    parameters: dict[str, Named] = {}
    places: dict[str, Named] = {}
    wrong = []
    in_file = () if stage_file is None else enumerate(_text(stage_file).splitlines(), start=1)
    lines = [(f"{stage_file} line {number}: ", line.strip(), stage_file) for number, line in in_file]
    for place, text, file in [*lines, *(("--parameter / PARAMETERS: ", text, None) for text in options)]:
        name, separator, value = text.partition("=")
        if file is not None and (text == "" or text.startswith("#")):
            continue
        if not (name and separator):
            wrong.append(f"{place}{text!r} is not KEY=VALUE")
        elif name in (ACCOUNT, REGION):
            places[name] = Named(name, value, place)
        elif name != RULES:
            parameters[name] = Named(name, value, place)
        elif file is None:
            wrong.append(f"{place}{RULES} is no parameter; name the rules with --rules / RULES")
        elif rules is None:
            rules = value if value == DEFAULT_RULES else str(file.parent / value)
    wrong += [problem for one in places.values() if (problem := malformed(one))]
    if wrong:
        raise ParameterError("\n".join(wrong))
    if watchlist is not None:
        parameters[WATCHLIST] = Named(WATCHLIST, watchlist, _COMMAND_LINE)
    symbols, watchlist = _watched(parameters, stage_file)
    return Wishes(tuple(parameters.values()), rules, tuple(places.values()), symbols, watchlist)


def _watched(parameters: dict[str, Named], stage_file: Path | None) -> tuple[str | None, str | None]:
    """The symbols or the file of watch groups that counts; neither is a parameter, so both are taken out.

    Raises `ParameterError` if the stage file, or the command line, names both.
    """
    symbols, watchlist = parameters.pop(SYMBOLS, None), parameters.pop(WATCHLIST, None)
    if symbols is not None and watchlist is not None:
        if _is_typed(symbols) == _is_typed(watchlist):
            raise ParameterError(f"{symbols.place}{SYMBOLS} and {WATCHLIST} are both named; name only one of them")
        symbols, watchlist = (symbols, None) if _is_typed(symbols) else (None, watchlist)
    folder = Path() if stage_file is None or watchlist is None or _is_typed(watchlist) else stage_file.parent
    return (
        None if symbols is None else symbols.value,
        None if watchlist is None else str(folder / watchlist.value),
    )


def _is_typed(one: Named) -> bool:
    """Whether it is from the command line, which wins over the stage file."""
    return one.place.startswith("--")


def _text(file: Path) -> str:
    try:
        return decode_text(file.read_bytes())
    except NotUtf8 as error:
        raise ParameterError(f"{file}: the file {error}") from error
