"""The errors of compaction. The class says what the caller can do."""


class CompactionError(Exception):
    """The base of all errors of compaction."""


class Damaged(CompactionError):
    """An object of the archive cannot be read as what the processor wrote. The day that holds it stays open."""


class CountsDiffer(CompactionError):
    """What was written is not what was read. Nothing of the day was committed."""


class Conflict(CompactionError):
    """Somebody else changed the table or the object in the meantime. Read it again, and repeat."""


class NoRoom(CompactionError):
    """The disk on which rows are sorted is full, or does not work. What is committed stays: make room, and go on."""


class Unavailable(CompactionError):
    """A file, S3 or the catalog did not do what was asked. Nothing is lost: run the command again."""
