"""The alert rules that an instance uses: those of an object in S3, which it looks at again now and then.

An object that is missing, unreadable or wrong changes nothing: the rules in use stay. An instance that has none yet
takes those of the newest earlier version that is right, so a wrong object changes nothing in a new instance either. If
there is no such version, it takes the rules that are packaged with the code. That is no problem if there is no object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from aws_requests import Unavailable
from processor_lambda.alerts import Rules, RulesInUse
from processor_lambda.alerts.rules_file import parse
from processor_lambda.errors import SettingsError
from processor_lambda.ports import NoRules, RulesObject, RulesStore
from processor_lambda.settings import RULES_REFRESH_SECONDS

DIGEST_LENGTH = 12
"""How much of the SHA-256 of a file names its rules."""
DEFAULTS = "defaults"
"""Stands for the version of the rules that are packaged with the code."""


class CurrentRules:
    """The rules of one instance. `monotonic` is a clock in seconds."""

    def __init__(
        self, store: RulesStore, defaults: Path, anomaly_percent: Decimal, monotonic: Callable[[], float]
    ) -> None:
        self._store, self._defaults = store, defaults
        self._anomaly_percent, self._monotonic = anomaly_percent, monotonic
        self.in_use: RulesInUse | None = None
        """The rules that `current` returned last. None before its first call."""
        self._etag = ""
        """The ETag of the object that was read last, whether its rules are in use or refused."""
        self._refusal = ""
        """What is wrong with that object."""
        self._next_look = 0.0

    def current(self) -> Rules:
        """The rules for the next batch.

        Raises `Unavailable` if S3 does not answer, and the instance has no rules yet: then the batch must come again.
        """
        now = self._monotonic()
        if self.in_use is None or now >= self._next_look:
            self.in_use = self._looked(self.in_use)
            self._next_look = now + RULES_REFRESH_SECONDS
        return self.in_use.rules

    def _looked(self, before: RulesInUse | None) -> RulesInUse:
        try:
            newest = self._store.newest(self._etag)
        except NoRules as error:
            self._etag, self._refusal = "", str(error)
        except Unavailable as error:
            if before is None:
                raise
            return replace(before, problem=str(error))
        else:
            if newest is not None:
                self._etag, self._refusal = newest.etag, ""
                try:
                    return self._parsed(newest)
                except SettingsError as error:
                    self._refusal = str(error)
        in_use = before or self._last_good()
        is_nothing_written = self._etag == "" and in_use.version == DEFAULTS
        return replace(in_use, problem="" if is_nothing_written else self._refusal)

    def _last_good(self) -> RulesInUse:
        for earlier in self._store.earlier():
            try:
                return self._parsed(earlier)
            except SettingsError:
                continue
        return self._parsed(RulesObject(self._defaults.read_bytes(), "", DEFAULTS))

    def _parsed(self, found: RulesObject) -> RulesInUse:
        rules = parse(found.content, "the alert rules", self._anomaly_percent)
        return RulesInUse(rules, hashlib.sha256(found.content).hexdigest()[:DIGEST_LENGTH], found.version)
