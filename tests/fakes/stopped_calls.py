"""Stops a program at its n-th call of a port, as if the process had been killed there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any


class Killed(BaseException):
    """The process ends here. No program catches this."""


class Stopping:
    """Counts calls, and ends the program before or after the n-th one. Without `at`, it only counts."""

    def __init__(self, at: int | None = None, *, is_after: bool = False) -> None:
        self._at, self._is_after = at, is_after
        self.calls: list[str] = []

    def wrapped(self, port: Any, *, opens: str | None = None) -> Any:
        """The port whose calls are counted. What its method `opens` returns is wrapped too."""
        return _Wrapped(port, self, opens)

    def call(self, name: str, run: Callable[[], Any]) -> Any:
        """Run a call, unless it is the one at which the program ends."""
        self.calls.append(name)
        is_last = len(self.calls) == self._at
        if is_last and not self._is_after:
            raise Killed(name)
        result = run()
        if is_last:
            raise Killed(name)
        return result


class _Wrapped:
    def __init__(self, port: Any, stopping: Stopping, opens: str | None) -> None:
        self._port, self._stopping, self._opens = port, stopping, opens

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if not callable(value) or name in {"partition_of", "batches"}:
            return value

        def call(*args: Any, **named: Any) -> Any:
            if name == "output":
                return self._output(*args)
            result = self._stopping.call(name, lambda: value(*args, **named))
            return self._stopping.wrapped(result) if name == self._opens else result

        return call

    @contextmanager
    def _output(self, path: str) -> Any:
        """A file that is written. The program may end before it is complete."""
        with self._port.output(path) as stream:
            yield stream
        self._stopping.call("written", lambda: None)
