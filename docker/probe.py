"""A health check: `probe.py URL [METRIC]` exits 0 if the URL answers 200 and the metric, if one is named, is not 0."""

import http.client
import sys
import urllib.request

TIMEOUT_SECONDS = 4


def trouble(url: str, metric: str | None = None) -> str | None:
    """What is wrong, for `docker inspect` to show; None if nothing is."""
    # It asks its own container: a proxy in the environment is for others.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
            lines = answer.read().decode().splitlines()
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {error}"
    if metric is not None and not any(_value(line, metric) for line in lines):
        return f"{url}: {metric} is still 0"
    return None


def _value(line: str, metric: str) -> float:
    name = line.partition("{")[0].partition(" ")[0]
    return float(line.rpartition(" ")[2]) if name == metric else 0


if __name__ == "__main__":
    sys.exit(trouble(*sys.argv[1:]))
