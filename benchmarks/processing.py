"""What processing costs, compared with the usual design: the same quotes, the same local sink, the same run.

    python -m benchmarks.processing

Prints JSON lines `{name, figure, unit, baseline, ratio}`. CPU is that of the whole process of a function, including
system time and the decoding of the event. The sink is another process. The input is 500 symbols on 16 lanes, with one
quote of each symbol a second and heartbeats, after a minute of warm-up, so bars close as usual. The baseline of a cost
is the usual design: boto3 with its defaults, with a PutItem and a PutObject for each quote. In other lines it is a
limit. The ratio is the baseline divided by the figure.
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
"""How often each function runs, in turn. The smallest result is reported, because disturbances only add to it."""
IMPORTS = 7
"""How often each import is measured. The smallest result is reported."""
MINUTES = 4
BATCHES = (1_000, 10_000)
MEMORY_MEGABYTES = 256
ZIP_BYTES = 1_500_000
BATCH_SIZE, TIMEOUT_SECONDS, FUNCTION_MEGABYTES = 160, 120, 512
"""The values of the template `processor.yaml`."""
QUOTES_OF_A_FULL_BATCH = 28_000
"""How many of the shortest quotes fit into the 6 MB of an invocation."""
HANDLER = "import processor_lambda.app"
BOTO3 = "import boto3; boto3.client('dynamodb'); boto3.client('s3')"


class Line(msgspec.Struct, frozen=True):
    """One figure and its baseline."""

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
            for line in (
                *_costs(files, environment),
                *_starts(files, environment, Path(directory)),
                *_bounds(environment, Path(directory)),
            ):
                _print(line)


def _costs(files: Mapping[int, Path], environment: Mapping[str, str]) -> list[Line]:
    """The CPU of a quote and the requests for 1,000 quotes, for each batch size."""
    runs = [("per_record", BATCHES[0]), *(("stockstream", batch) for batch in BATCHES)]
    least: dict[tuple[str, int], Figures] = {}
    for _ in range(ROUNDS):
        for run in runs:
            figures = _run(run[0], files[run[1]], environment)
            least[run] = min(figures, least.get(run, figures), key=_microseconds)
    baseline = least.pop(runs[0])
    publishing = {"BatchWriteItem bars", "PutItem mark", "PublishBatch"}
    lines: list[Line] = []
    for (_, batch), ours in least.items():
        cpu, calls = _microseconds(ours), _calls(ours)
        others = sum(count for name, count in ours.calls.items() if name not in publishing) * 1_000 / ours.quotes
        lines += [
            _ratio(f"cpu_of_a_quote_in_batches_of_{batch}", cpu, "us", _microseconds(baseline)),
            _ratio(f"calls_of_1000_quotes_in_batches_of_{batch}", calls, "calls", _calls(baseline)),
            _ratio(f"calls_of_1000_quotes_in_batches_of_{batch}_but_publishing", others, "calls", _calls(baseline)),
        ]
    return lines


def _starts(files: Mapping[int, Path], environment: Mapping[str, str], directory: Path) -> list[Line]:
    """What a new process takes: the memory of one batch, the time of the import, and the size of the deployed zip."""
    memory = min(_run("fresh", files[10_000], environment).memory_megabytes for _ in range(ROUNDS))
    unpacked = directory / "unpacked"
    with zipfile.ZipFile(build(PROCESSOR, Target.of_this_interpreter(), directory)) as archive:
        archive.extractall(unpacked)
    handler, boto3 = (
        min(_import_milliseconds(statements, unpacked, environment) for _ in range(IMPORTS))
        for statements in (HANDLER, BOTO3)
    )
    size = build(PROCESSOR, Target(), directory).stat().st_size
    return [
        _ratio("memory_of_10000_quotes_in_one_batch", memory, "MB", MEMORY_MEGABYTES),
        _ratio("import_beside_boto3_and_two_clients", handler, "ms", boto3),
        _ratio("zip", size, "bytes", ZIP_BYTES),
    ]


def _bounds(environment: Mapping[str, str], directory: Path) -> Iterator[Line]:
    """The largest batches that the event source mapping hands over, compared with the limits of the function."""
    worst = {
        "quotes": next(events(map(shortest, market(2)), QUOTES_OF_A_FULL_BATCH)),
        "newlines": noise(BATCH_SIZE),
    }
    for content, event in worst.items():
        file = directory / f"{content}.jsonl"
        file.write_bytes(event)
        figures = _run("fresh", file, environment)
        yield _ratio(f"cpu_of_a_full_batch_of_{content}", figures.seconds, "s", TIMEOUT_SECONDS)
        yield _ratio(f"memory_of_a_full_batch_of_{content}", figures.memory_megabytes, "MB", FUNCTION_MEGABYTES)


def _import_milliseconds(statements: str, directory: Path, environment: Mapping[str, str]) -> float:
    """The CPU time of statements in a new interpreter, which imports the unpacked function and writes no byte code."""
    timed = f"import time; t = time.process_time(); {statements}; print(time.process_time() - t)"
    done = subprocess.run(  # noqa: S603  (our own code)
        [sys.executable, "-B", "-c", timed],
        env={**os.environ, **environment},
        cwd=directory,
        stdout=subprocess.PIPE,
        check=True,
    )
    return float(done.stdout) * 1e3


def _run(name: str, events_: Path, environment: Mapping[str, str]) -> Figures:
    command = [sys.executable, "-m", "benchmarks.functions", name, str(events_)]
    done = subprocess.run(  # noqa: S603  (our own code)
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
