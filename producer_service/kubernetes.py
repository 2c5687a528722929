"""Recognizes the environment variables that Kubernetes sets for its Services, which may begin as ours do. Pure.

For a Service named `producer` in the namespace of a pod, Kubernetes sets `PRODUCER_SERVICE_HOST`, `PRODUCER_PORT` and
others, and for one named `producer-metrics` `PRODUCER_METRICS_SERVICE_HOST`. Docker's links set some of them too. See
https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

_URL = re.compile(r"(tcp|udp|sctp)://\S+", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,5}", re.ASCII)
_PROTOCOL = re.compile(r"tcp|udp|sctp", re.ASCII)


def is_service_variable(name: str, value: str) -> bool:
    """Whether a variable has the name and the value of one that Kubernetes sets for a Service."""
    return any(shape.fullmatch(name) and is_value(value) for shape, is_value in _SHAPES.items())


def is_service_url(value: str) -> bool:
    """Whether a value is the URL of a Service, such as `tcp://10.0.0.1:8080`. No setting has such a value."""
    return _URL.fullmatch(value) is not None


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None


def _is_protocol(value: str) -> bool:
    return _PROTOCOL.fullmatch(value) is not None


_PORT = r"[A-Z0-9_]+_PORT_[0-9]+_(TCP|UDP|SCTP)"
_SHAPES: Mapping[re.Pattern[str], Callable[[str], bool]] = {
    re.compile(shape, re.ASCII): is_value
    for shape, is_value in {
        r"[A-Z0-9_]+_SERVICE_HOST": _is_address,
        r"[A-Z0-9_]+_SERVICE_PORT(_[A-Z0-9_]+)?": _is_number,
        r"[A-Z0-9_]+_PORT": is_service_url,
        _PORT: is_service_url,
        _PORT + "_ADDR": _is_address,
        _PORT + "_PORT": _is_number,
        _PORT + "_PROTO": _is_protocol,
    }.items()
}
