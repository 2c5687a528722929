"""The configuration that running programs read: which symbols are watched, and the alert rules.

Each is one object in the archive's bucket, which keeps its earlier versions. The programs see a change within a minute,
without a deployment. This package names the objects, and reads and writes them for the commands of a person. It depends
on botocore alone.
"""

from configuration.errors import ChangedMeanwhile, ConfigurationError
from configuration.objects import MAX_BYTES, RULES_KEY, WATCHLIST_KEY, ConfigurationObject, Stored

__all__ = [
    "MAX_BYTES",
    "RULES_KEY",
    "WATCHLIST_KEY",
    "ChangedMeanwhile",
    "ConfigurationError",
    "ConfigurationObject",
    "Stored",
]
