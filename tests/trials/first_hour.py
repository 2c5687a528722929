"""The first hour of a new user: demos that end at random moments, side by side, and with wrong parameters.

`python -m tests.trials.first_hour` tries many, and prints one line for each that does not end as it should.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.support.demo_terminal import Demo, processes_of
from workspace import demo_record
from workspace.places import ROOT

SECONDS = 3
"""How long a demo runs if nothing ends it before."""
ENDS_WITHIN = 60.0
"""How long a demo may take to deliver what it has accepted, and to compare."""
CLEAN_WITHIN = 15.0
"""How long its processes and directories may outlive it, if it was killed."""
DRAINED, WRONG_USAGE, INTERRUPTED = 0, 2, 130
"""The exit statuses of a demo."""
BESIDE, WRONG_PARAMETER = 0.1, 0.1
"""The shares of the demos that run beside another one, and of those with a wrong parameter."""
PREFIX = "first-hour-"
LOOK_SECONDS = 0.1
LAST = 600
"""How many characters of its output are shown of a demo that fails."""


class Ending(NamedTuple):
    """One way to end a demo."""

    name: str
    apply: Callable[[Demo], None]
    statuses: frozenset[int]
    """The exit statuses that it may lead to, beside those of a drained and of an interrupted demo."""


ENDINGS = (
    Ending("Ctrl-C", Demo.press_ctrl_c, frozenset()),
    Ending("a closed terminal", Demo.close_terminal, frozenset()),
    Ending("SIGKILL of the demo and its shell", Demo.kill, frozenset({128 + signal.SIGKILL})),
    *(
        Ending(number.name, partial(Demo.send, number=number), frozenset({128 + number}))
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGKILL)
    ),
)

WRONG = (
    ("seconds", "--seconds 0"),
    ("seconds", "--seconds soon"),
    ("source", "--source yaho"),
    ("symbols", "--source yahoo"),
    ("symbols", "--symbols aapl"),
    ("interval", "--interval 0"),
    ("replay-path", "--replay-path /nowhere"),
    ("replay-path", "--source replay --replay-path /nowhere"),
    ("replay-path", "--source replay"),
    ("replay-speed", "--replay-speed 60"),
    ("replay-timezone", "--replay-timezone Mars/Olympus"),
    ("replay-stamp", "--replay-stamp middle"),
    ("rules", "--rules /nowhere/rules.toml"),
    ("summary", "--summary /nowhere/summary.json"),
    ("keep", "--keep /dev/null"),
    ("port", "--port 0"),
)
"""Wrong parameters of every kind, each with the parameter that the message has to name."""


def problems_of(python: str, directory: Path, random: Random, length: float) -> list[str]:
    """Start a demo as a new user might, end it, and return what is wrong.

    Its files are in a directory of its own. A demo that nothing ends takes `length` seconds.
    """
    with ExitStack() as stack:

        def start(*options: str, archive: str = "archive") -> Demo:
            demo = Demo(python, directory, "--seconds", str(SECONDS), "--keep", str(directory / archive), *options)
            stack.callback(demo.end)
            return demo

        kind = random.random()
        if kind < WRONG_PARAMETER:
            parameter, options = random.choice(WRONG)
            name, problems = options, _refuse(start(options), parameter)
        elif kind < WRONG_PARAMETER + BESIDE:
            other = start(archive="beside")
            time.sleep(random.uniform(0, length))
            name, problems = _end(start(), random, length)
            name += ", beside another"
            problems += [f"the other one: {problem}" for problem in _wait(other, {DRAINED}, length + ENDS_WITHIN)]
        else:
            name, problems = _end(start(), random, length)
        return [f"{name}: {problem}" for problem in (*problems, *_leftovers(directory))]


def _end(demo: Demo, random: Random, length: float) -> tuple[str, list[str]]:
    """End a demo at a random moment, in one way or in two. Returns what was done, and what is wrong."""
    endings = random.choices(ENDINGS, k=random.choice((1, 1, 2)))
    moment, pause = random.uniform(0, length), random.uniform(0, 2)
    name = f"{' and '.join(ending.name for ending in endings)} after {moment:.1f} s"
    time.sleep(moment)
    for ending in endings:
        if not demo.has_ended():
            ending.apply(demo)
            time.sleep(pause)
    return name, _wait(demo, {DRAINED, INTERRUPTED}.union(*(ending.statuses for ending in endings)), ENDS_WITHIN)


def _refuse(demo: Demo, parameter: str) -> list[str]:
    """What is wrong with the answer to a wrong parameter."""
    problems = _wait(demo, {WRONG_USAGE}, ENDS_WITHIN)
    name = f"--{parameter} / {parameter.upper().replace('-', '_')}: "
    if not any(line.partition(name)[2].strip() for line in demo.read().splitlines()):
        problems.append(f"no line says what is wrong with {name}{demo.output}")
    return problems


def _wait(demo: Demo, statuses: Collection[int], seconds: float) -> list[str]:
    """Wait for the end of a demo. Returns what is wrong with it."""
    deadline = time.monotonic() + seconds
    while not demo.has_ended():
        if time.monotonic() > deadline:
            return [f"it runs on for {seconds:.0f} s: {demo.output[-LAST:]}"]
        time.sleep(LOOK_SECONDS)
    problems = []
    if "Traceback" in demo.output:
        problems.append(f"a traceback: {demo.output[-LAST:]}")
    if (status := demo.status) is not None and status not in statuses:
        problems.append(f"status {status}: {demo.output[-LAST:]}")
    return problems


def _leftovers(directory: Path) -> list[str]:
    """What demos have left behind: processes, directories, or a record that says that one runs."""
    deadline = time.monotonic() + CLEAN_WITHIN
    while (left := _left(directory)) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return left


def _left(directory: Path) -> list[str]:
    running = (record.stage for record in demo_record.running(directory / "state" / "demos"))
    return [
        *(f"process {number} is left" for number in processes_of(directory)),
        *(f"{path} is left" for path in directory.glob("stockstream-*")),
        *(f"the stage {stage} counts as running" for stage in running),
    ]


def undisturbed_seconds(python: str) -> float:
    """How long a demo takes that nothing ends. Exits if it does not end as it should."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as directory:
        began = time.monotonic()
        demo = Demo(python, Path(directory), "--seconds", str(SECONDS), "--keep", f"{directory}/archive")
        try:
            if problems := _wait(demo, {DRAINED}, 10 * ENDS_WITHIN):
                sys.exit("\n".join(["a demo that nothing ends:", *problems]))
        finally:
            demo.end()
        return time.monotonic() - began


def main() -> None:
    """Try many, and print what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.trials.first_hour", description=__doc__)
    parser.add_argument("--moments", type=int, default=200, help="number of demos [200]")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first one [0]")
    parser.add_argument("--at-once", type=int, default=2, help="number of demos at the same time [2]")
    parser.add_argument("--python", default=str(ROOT / ".venv/bin/python"), help="the interpreter of the demo")
    options = parser.parse_args()
    length = undisturbed_seconds(options.python)
    sys.stdout.write(f"a demo takes {length:.0f} s\n")

    def attempt(seed: int) -> list[str]:
        with tempfile.TemporaryDirectory(prefix=PREFIX) as directory:
            return problems_of(options.python, Path(directory), Random(seed), length)

    passed = 0
    seeds = range(options.first, options.first + options.moments)
    with ThreadPoolExecutor(options.at_once) as pool:
        for seed, problems in zip(seeds, pool.map(attempt, seeds), strict=True):
            passed += not problems
            sys.stdout.writelines(f"--first {seed}: {problem}\n" for problem in problems or ["ended as it should"])
            sys.stdout.flush()
    sys.stdout.write(f"{passed} of {options.moments} ended as they should\n")
    sys.exit(passed != options.moments)


if __name__ == "__main__":
    main()
