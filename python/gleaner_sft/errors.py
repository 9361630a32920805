"""What goes wrong, with the text of the command line: what happened, and a hint what to do."""

from __future__ import annotations


class GleanerError(Exception):
    """A command has failed. ``str()`` says why and what to do; no secret and no text of a conversation is in it."""

    exit_code: int
    """What the program would have ended with: 1 failed, 2 usage, 130 interrupted."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text, exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        return str(self.args[0])


class ConfigError(GleanerError):
    """An argument or a key of the configuration is wrong."""


class InputError(GleanerError):
    """The input cannot be used: files, a cluster, or too many of their rows."""


class OutputError(GleanerError):
    """The place of the dataset refuses, or has a dataset of this name already."""


class WorkDirError(GleanerError):
    """The work directory refuses, or belongs to a run with other settings."""


class DatasetError(GleanerError):
    """A published dataset cannot be read, or is not as it was published."""
