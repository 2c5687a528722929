"""A health check of a container: `probe.py URL [METRIC]`.

It exits 0 if the URL answers with 200 and, if a metric is named, the metric is not 0.
"""

import http.client
import sys
import urllib.request

TIMEOUT_SECONDS = 4


def failure(url: str, metric: str | None = None) -> str | None:
    """Why the check fails, for `docker inspect` to show; None if it passes."""
    # The URL is in this container, so a proxy of the environment must not be used.
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
    sys.exit(failure(*sys.argv[1:]))
