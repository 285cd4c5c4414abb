"""What is wrong with a folder of results, in one line."""


class ResultsError(ValueError):
    """A folder that holds no results."""
