"""What can go wrong with rule packs and with what detectors are given."""

from __future__ import annotations

from errors import CheckFailedError, SettingsError, UsageError


class PackError(SettingsError):
    """A rule pack is missing or damaged; ``problems`` hold each fault with its file, line and cure."""

    def __init__(self, what: str, *, cure: str, problems: tuple[object, ...] = ()) -> None:
        super().__init__(what, cure=cure)
        self.problems = problems


class PackLintError(CheckFailedError):
    """Lint or the rules' own examples found something wrong."""


class HarmlessTextError(UsageError):
    """A file of harmless texts cannot be read, or holds none."""


class RuleListError(UsageError):
    """A list of words to import cannot be read, or is not in the form it was said to be."""


class TextColumnError(UsageError):
    """A column given to a detector holds no text, or more than one array of strings can hold."""


class DictionaryError(SettingsError):
    """The dictionary that decides word boundaries is missing or damaged."""
