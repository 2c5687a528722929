"""The commands of `python -m operations symbols`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from configuration import WATCHLIST_KEY, ConfigurationObject
from operations import watchlist_edit
from operations.aws import client
from operations.command_line import (
    DEFAULT_PREFIX,
    DEFAULT_STAGE,
    DryRunOption,
    OutputsFileOption,
    StackPrefixOption,
    StageOption,
    epilog,
    outputs_of,
    reported_errors,
    say,
)
from operations.errors import WrongUsage
from operations.outputs import required
from operations.producer_stack import producer_parameters
from operations.watchlist_place import FilePlace, ObjectPlace, Watchlist, WatchlistPlace
from quotes import MAX_LANES
from terminal.output import echo
from watchlist import DEFAULT_LANES, InvalidWatchlist, WatchGroup, changes, lane_problems, parse

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, add, remove or check the symbols that are polled. A change takes effect within a minute.",
    epilog="The watchlist is the object configuration/watchlist.toml in the archive's bucket of a stage, or a file "
    "(--file). docs/symbols.md describes it.",
)

SymbolsArgument = Annotated[
    list[str], typer.Argument(metavar="SYMBOL...", help="Symbols, such as AAPL, VOD.L or BTC-USD.", show_default=False)
]
FileOption = Annotated[
    Path | None, typer.Option("--file", help="Use this watchlist, and not the one of a stage.", dir_okay=False)
]
LanesOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MAX_LANES,
        help="The number of lanes that the symbols must fit into. By default, that of the deployed producer, or "
        f"{DEFAULT_LANES}.",
    ),
]


@app.command("list", epilog=epilog("symbols list", "symbols list --stage prod --toml > watchlist.toml"))
def list_(
    *,
    toml: Annotated[bool, typer.Option("--toml", help="Print the watchlist as it is, to edit and replace it.")] = False,
    file: FileOption = None,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Print the groups and their symbols."""
    with _reported():
        place = _place(file, stack_prefix, stage, outputs_file)
        current = _required(place)
        if toml and sys.stdout.isatty():
            echo(current.content.decode(errors="replace"))
            return
        if toml:
            sys.stdout.buffer.write(current.content)
            sys.stdout.flush()
            return
        for group in _parsed(current.content, place.address):
            echo(f"{group.name} ({len(group.symbols)}): {', '.join(group.symbols)}")


@app.command(epilog=epilog("symbols add NVDA AMD", "symbols add VOD.L --stage prod --group london"))
def add(
    symbols: SymbolsArgument,
    *,
    group: Annotated[
        str | None, typer.Option(help="The group that gets the symbols. It is needed if there are several.")
    ] = None,
    new_group: Annotated[str | None, typer.Option(help="Make a group of this name for the symbols.")] = None,
    lanes: LanesOption = None,
    dry_run: DryRunOption = False,
    file: FileOption = None,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Poll more symbols. The comments and the order of the watchlist stay."""
    with _reported():
        if group is not None and new_group is not None:
            raise WrongUsage("use either --group or --new-group")
        place = _place(file, stack_prefix, stage, outputs_file)
        named = _split(symbols)
        _change(
            place,
            lambda content: watchlist_edit.added(content, named, new_group or group, is_new=new_group is not None),
            lanes or _lanes(file, stack_prefix, stage, outputs_file),
            dry_run=dry_run,
        )


@app.command(epilog=epilog("symbols remove NVDA AMD --stage prod"))
def remove(
    symbols: SymbolsArgument,
    *,
    dry_run: DryRunOption = False,
    file: FileOption = None,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Poll some symbols no more. What is stored of them stays. A group without symbols is removed too."""
    with _reported():
        place = _place(file, stack_prefix, stage, outputs_file)
        named = _split(symbols)
        _change(place, lambda content: watchlist_edit.removed(content, named), None, dry_run=dry_run)


@app.command(epilog=epilog("symbols replace watchlist.toml --stage prod --dry-run"))
def replace(
    new: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The new watchlist.")],
    *,
    lanes: LanesOption = None,
    dry_run: DryRunOption = False,
    file: FileOption = None,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Replace the whole watchlist, whatever is there now. It is checked first."""
    with _reported():
        place = _place(file, stack_prefix, stage, outputs_file)
        content = _required(FilePlace(new)).content
        _parsed(content, str(new))
        _change(
            place,
            lambda _: content,
            lanes or _lanes(file, stack_prefix, stage, outputs_file),
            dry_run=dry_run,
            may_be_broken=True,
        )


@app.command(epilog=epilog("symbols check watchlist.toml"))
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="A watchlist.")],
    *,
    lanes: LanesOption = None,
) -> None:
    """Check a watchlist as the producer does, and name every mistake. Write nothing."""
    with _reported():
        groups = _parsed(_required(FilePlace(file)).content, str(file))
        symbols = _symbols(groups)
        _check_lanes(symbols, lanes or DEFAULT_LANES)
        for hint in watchlist_edit.hints(groups, symbols):
            say(f"note  {hint}")
        echo(f"{file} is a valid watchlist: {len(groups)} groups, {len(symbols)} symbols")


@contextmanager
def _reported() -> Iterator[None]:
    with reported_errors():
        try:
            yield
        except InvalidWatchlist as error:
            raise WrongUsage(str(error)) from error


def _place(file: Path | None, prefix: str, stage: str, outputs_file: Path | None) -> WatchlistPlace:
    if file is not None:
        return FilePlace(file)
    bucket = required(outputs_of(prefix, stage, outputs_file), "ArchiveBucket")
    return ObjectPlace(ConfigurationObject(client("s3"), bucket, WATCHLIST_KEY))


def _lanes(file: Path | None, prefix: str, stage: str, outputs_file: Path | None) -> int:
    """The lanes of the producer that is deployed beside the stage. A file, a demo and compose have the default."""
    if file is not None or outputs_file is not None:
        return DEFAULT_LANES
    return int(producer_parameters(prefix, stage).get("Lanes") or DEFAULT_LANES)


def _required(place: WatchlistPlace) -> Watchlist:
    current = place.read()
    if current is None and isinstance(place, FilePlace):
        raise WrongUsage(f"there is no file {place.address}")
    if current is None:
        raise WrongUsage(
            f"there is no watchlist {place.address}; `symbols replace FILE` makes one, and so does the next deployment"
        )
    return current


def _parsed(content: bytes, address: str) -> tuple[WatchGroup, ...]:
    try:
        return parse(content)
    except InvalidWatchlist as error:
        raise WrongUsage("\n".join(f"{address}: {mistake}" for mistake in error.mistakes)) from error


def _change(
    place: WatchlistPlace,
    edit: Callable[[bytes], bytes],
    lanes: int | None,
    *,
    dry_run: bool,
    may_be_broken: bool = False,
) -> None:
    """Edit the watchlist, check the result, print what changes, and write it. Without `lanes`, it has fewer symbols."""
    current = place.read() if may_be_broken else _required(place)
    before: tuple[WatchGroup, ...] = ()
    try:
        before = () if current is None else parse(current.content)
    except InvalidWatchlist as error:
        mistakes = "".join(f"\n  {mistake}" for mistake in error.mistakes)
        problem = f"the watchlist {place.address} has mistakes, so the producer does not use it:{mistakes}"
        if not may_be_broken:
            advice = (
                "Correct it in an editor"
                if isinstance(place, FilePlace)
                else "Save it with `symbols list --toml`, correct it, and write it with `symbols replace`"
            )
            raise WrongUsage(f"{problem}\n{advice}") from error
        say(problem)
    content = edit(b"" if current is None else current.content)
    after = parse(content)
    if lanes is not None:
        _check_lanes(_symbols(after), lanes)
    found = changes(before, after)
    for hint in watchlist_edit.hints(after, found.added_symbols):
        say(f"note  {hint}")
    if current is not None and content == current.content:
        say("nothing changes")
        return
    for line in found.lines() or ["only comments and layout change"]:
        echo(line)
    if dry_run:
        return
    place.write(content, current)
    say(f"wrote {place.address}; a producer that runs takes it over within a minute")
    if found.removed_symbols:
        say("what is stored of removed symbols stays until it expires; one stale_feed alert may still name them")


def _check_lanes(symbols: Sequence[str], lanes: int) -> None:
    if problems := lane_problems(symbols, lanes):
        raise WrongUsage("; ".join(problems))


def _symbols(groups: Sequence[WatchGroup]) -> tuple[str, ...]:
    return tuple(symbol for group in groups for symbol in group.symbols)


def _split(texts: Sequence[str]) -> tuple[str, ...]:
    """Symbols as people type them: separated by blanks or commas."""
    return tuple(dict.fromkeys(name.strip() for text in texts for name in text.split(",") if name.strip()))
