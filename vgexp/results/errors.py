"""What is wrong with a folder of results, in one line."""


class ResultsError(ValueError):
    """A folder that holds no results."""


class StorageError(OSError):
    """A file of results that the system would not write or read. It is no fault of the runs: they stay as they are."""
