"""The errors of the configuration's objects. Each message is for the person who started the command."""


class ConfigurationError(Exception):
    """An object could not be read or written. The message names it, and says why."""


class ChangedMeanwhile(ConfigurationError):
    """Somebody else wrote the object after it was read. Nothing was written."""
