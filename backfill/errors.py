"""The errors of the backfill."""


class Unreadable(Exception):
    """An archived chunk is damaged, or a later version wrote it. The message says which chunk and why."""


class UnknownSymbol(Exception):
    """The source says that it has no such symbol. The message says what it said."""


class Forgotten(Exception):
    """The source does not keep bars that are so old. The message says what it said."""


class OtherCurrency(Exception):
    """The source's prices of a symbol are in another currency than its quotes. The message names both."""
