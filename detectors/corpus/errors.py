"""What can go wrong with the corpus's files."""

from __future__ import annotations

from errors import SettingsError


class CorpusFileError(SettingsError):
    """A family or slot file is damaged."""
