"""What processing costs, beside the design that is commonly copied: same quotes, same local sink, same run.

    python -m benchmarks.processing

Prints JSON lines `{name, figure, unit, baseline, ratio}`. CPU is that of the function's whole process, system time and
the decoding of the event too; the sink is another process. The quotes are those of 500 symbols, one a second, on 16
lanes, with heartbeats, after a minute of warm-up: bars close as they do. The baseline of a cost is the per-record
design: boto3 with its defaults, a PutItem and a PutObject for each quote. The ratio is how many times ours the other
is; where the baseline is a limit, how many times ours fits into it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from benchmarks.events import events, market, noise, shortest
from benchmarks.functions import Figures
from benchmarks.sink import running
from deployment.functions import PROCESSOR
from deployment.package import Target, build

ROUNDS = 3
"""Of each function, in turn; the least is reported, since what disturbs a process only adds."""
IMPORTS = 7
MINUTES = 4
BATCHES = (1_000, 10_000)
MEMORY_MEGABYTES = 256
ZIP_BYTES = 1_500_000
BATCH_SIZE, TIMEOUT_SECONDS, FUNCTION_MEGABYTES = 160, 120, 512
"""As `processor.yaml` has them."""
QUOTES_OF_A_FULL_BATCH = 28_000
"""Of the shortest, as many as the 6 MB of an invocation hold."""
HANDLER = "import processor_lambda.app"
BOTO3 = "import boto3; boto3.client('dynamodb'); boto3.client('s3')"


class Line(msgspec.Struct, frozen=True):
    """One figure, and what it stands beside."""

    name: str
    figure: float
    unit: str
    baseline: float
    ratio: float


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="stockstream-benchmark-") as directory:
        files = {}
        for batch in BATCHES:
            files[batch] = Path(directory) / f"{batch}.jsonl"
            with files[batch].open("wb") as file:
                file.writelines(event + b"\n" for event in events(market(MINUTES), batch))
        with running() as environment:
            place = Path(directory)
            for line in (
                *_costs(files, environment),
                *_starts(files, environment, place),
                *_bounds(environment, place),
            ):
                _print(line)


def _costs(files: Mapping[int, Path], environment: Mapping[str, str]) -> list[Line]:
    """CPU and requests of a quote, for each size of a batch."""
    runs = [("per_record", BATCHES[0]), *(("stockstream", batch) for batch in BATCHES)]
    least: dict[tuple[str, int], Figures] = {}
    for _ in range(ROUNDS):
        for run in runs:
            figures = _run(run[0], files[run[1]], environment)
            least[run] = min(figures, least.get(run, figures), key=_microseconds)
    theirs = least.pop(runs[0])
    lines: list[Line] = []
    for (_, batch), ours in least.items():
        publishing = {"BatchWriteItem bars", "PutItem mark", "PublishBatch"}
        cpu, calls = _microseconds(ours), _calls(ours)
        apart = sum(count for name, count in ours.calls.items() if name not in publishing) * 1_000 / ours.quotes
        lines += [
            _ratio(f"cpu_of_a_quote_in_batches_of_{batch}", cpu, "us", _microseconds(theirs)),
            _ratio(f"calls_of_1000_quotes_in_batches_of_{batch}", calls, "calls", _calls(theirs)),
            _ratio(f"calls_of_1000_quotes_in_batches_of_{batch}_but_publishing", apart, "calls", _calls(theirs)),
        ]
    return lines


def _starts(files: Mapping[int, Path], environment: Mapping[str, str], directory: Path) -> list[Line]:
    """What a fresh process takes: memory for one batch, time to import what is deployed, and the size of that."""
    memory = min(_run("fresh", files[10_000], environment).memory_megabytes for _ in range(ROUNDS))
    unpacked = directory / "unpacked"
    with zipfile.ZipFile(build(PROCESSOR, Target.of_this_interpreter(), directory)) as archive:
        archive.extractall(unpacked)
    ours, theirs = (
        min(_import_milliseconds(statements, unpacked, environment) for _ in range(IMPORTS))
        for statements in (HANDLER, BOTO3)
    )
    size = build(PROCESSOR, Target(), directory).stat().st_size
    return [
        _ratio("memory_of_10000_quotes_in_one_batch", memory, "MB", MEMORY_MEGABYTES),
        _ratio("import_beside_boto3_and_two_clients", ours, "ms", theirs),
        _ratio("zip", size, "bytes", ZIP_BYTES),
    ]


def _bounds(environment: Mapping[str, str], directory: Path) -> Iterator[Line]:
    """The largest batches that the mapping hands over, beside what the function is given for one."""
    worst = {
        "quotes": next(events(map(shortest, market(2)), QUOTES_OF_A_FULL_BATCH)),
        "newlines": noise(BATCH_SIZE),
    }
    for what, event in worst.items():
        file = directory / f"{what}.jsonl"
        file.write_bytes(event)
        figures = _run("fresh", file, environment)
        yield _ratio(f"cpu_of_a_full_batch_of_{what}", figures.seconds, "s", TIMEOUT_SECONDS)
        yield _ratio(f"memory_of_a_full_batch_of_{what}", figures.memory_megabytes, "MB", FUNCTION_MEGABYTES)


def _import_milliseconds(statements: str, directory: Path, environment: Mapping[str, str]) -> float:
    """CPU of some statements in a bare interpreter that finds the unpacked function, and writes no byte code."""
    timed = f"import time; t = time.process_time(); {statements}; print(time.process_time() - t)"
    done = subprocess.run(  # noqa: S603  (ourselves)
        [sys.executable, "-B", "-c", timed],
        env={**os.environ, **environment},
        cwd=directory,
        stdout=subprocess.PIPE,
        check=True,
    )
    return float(done.stdout) * 1e3


def _run(name: str, events_: Path, environment: Mapping[str, str]) -> Figures:
    command = [sys.executable, "-m", "benchmarks.functions", name, str(events_)]
    done = subprocess.run(  # noqa: S603  (ourselves)
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True
    )
    return msgspec.json.decode(done.stdout, type=Figures)


def _microseconds(figures: Figures) -> float:
    return figures.seconds / figures.quotes * 1e6


def _calls(figures: Figures) -> float:
    return sum(figures.calls.values()) * 1_000 / figures.quotes


def _ratio(name: str, figure: float, unit: str, baseline: float) -> Line:
    return Line(name, round(figure, 2), unit, round(baseline, 2), round(baseline / figure, 2))


def _print(line: Line) -> None:
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
