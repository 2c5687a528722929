"""The commands of `stockstream`: which program each is in, and what it does in one sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One command."""

    package: str
    """The package whose command line has it."""
    summary: str
    """How its help begins. It is repeated here, so that the list of commands loads no program."""
    is_whole_program: bool = False
    """Whether it is all that its package does, so that `python -m` names no command."""


SECTIONS: dict[str, dict[str, Entry]] = {
    "Try it": {
        "demo": Entry("replica", "Run the whole pipeline on this machine, watch it, and check that no quote was lost."),
        "sql": Entry("analytics", "Run SQL over an archive."),
        "dashboard": Entry(
            "dashboard_server",
            "Serve the dashboard and a query API on this machine, until Ctrl-C.",
            is_whole_program=True,
        ),
        "bill": Entry(
            "costs", "Price a month line by line, and compare it with the naive design.", is_whole_program=True
        ),
    },
    "Run the producer": {
        "check": Entry(
            "producer_service",
            "Check the settings, the stream and the sources, and print when each group is polled.",
        ),
        "once": Entry(
            "producer_service",
            "Poll each group once, whatever its hours, deliver, and print a report as JSON.",
        ),
        "quote": Entry(
            "producer_service",
            "Print the prices of some symbols, such as AAPL BTC-USD, and deliver nothing.",
        ),
        "run": Entry("producer_service", "Poll on a schedule and deliver."),
    },
    "Operate a deployment": {
        "symbols": Entry("operations", "List, add, remove or check the symbols that are polled."),
        "rules": Entry("operations", "Check, show or replace the alert rules."),
        "coverage": Entry("operations", "Say how complete the stored minutes are, for each symbol and day."),
        "backfill": Entry("operations", "Fill the gaps of stored bars from Yahoo's history."),
        "quarantine": Entry("operations", "List, show, replay or drop refused lines."),
        "redrive": Entry("operations", "Put the batches that Lambda discarded back on the stream."),
        "rebuild": Entry("operations", "Compute the bars of a day again from the archive."),
        "compact": Entry("operations", "Make sorted Iceberg tables of the raw objects of closed days."),
        "export": Entry("operations", "Write bars or quotes of some symbols and days to a file."),
        "every-day": Entry("operations", "Run `backfill` and then `compact` once a day until stopped."),
        "metrics": Entry("operations", "Serve metrics for Prometheus until stopped."),
    },
    "Deploy": {
        "deploy": Entry("deployment", "Create or update the stacks, and print their outputs."),
        "image": Entry("deployment", "Build an image, push it to the registry, and print its URI with its digest."),
        "destroy": Entry(
            "deployment",
            "Delete the stacks, except the tables and the archive.",
        ),
        "smoke": Entry("smoke", "Prove on an account that a stage works.", is_whole_program=True),
        "package": Entry("deployment", "Build the zips of the Lambda functions, and print their paths."),
    },
}
COMMANDS: dict[str, Entry] = {name: entry for entries in SECTIONS.values() for name, entry in entries.items()}
