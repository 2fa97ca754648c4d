"""What can go wrong with models and their training data."""

from __future__ import annotations

from errors import CheckFailedError, SettingsError, StorageError, UsageError


class ModelFileError(SettingsError):
    """A model's folder is missing, damaged or of an unknown version."""


class TrainingDataError(UsageError):
    """Labelled data cannot be read or cannot train a model."""


class WorseModelError(CheckFailedError):
    """The new model does worse than the installed one on the held-out part."""


class ModelWriteError(StorageError):
    """A model cannot be written where it should be."""
