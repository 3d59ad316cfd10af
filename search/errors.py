"""The one exception that is meant for the person at the terminal."""


class UserError(Exception):
    """Bad input or a missing thing. Its message is one line: the culprit, then the remedy."""
