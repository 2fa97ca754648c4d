"""Models of a store: every version that was installed, and which one is in use.

``FOLDER/VERSION/`` holds a model; the file ``FOLDER/current`` names the one in use and
is replaced in one step, so that a reader sees the old model or the new one, and a
model once installed can be put back.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from detectors.model.errors import ModelFileError, ModelWriteError
from detectors.model.files import replace_file, save
from detectors.model.linear import LinearModel

POINTER: Final = "current"
_VERSION: Final = re.compile(r"linear-[0-9]+-[0-9a-f]{12}")


def install(model: LinearModel, folder: Path) -> Path:
    """Store a model under its version and put it in use.

    Raises:
        ModelWriteError: the folder cannot be written.
    """
    staging = folder / "incoming"
    save(model, staging)
    place = folder / model.version
    try:
        if place.exists():
            # The same version holds the same bytes.
            for name in ("model.json", "model.npz"):
                (staging / name).replace(place / name)
            staging.rmdir()
        else:
            staging.rename(place)
        replace_file(folder / POINTER, model.version.encode())
    except OSError as error:
        raise ModelWriteError(
            f"The model cannot be installed in {folder}: {error}.", cure="Free the folder."
        ) from error
    return place


def installed(folder: Path) -> Path | None:
    """Return the folder of the model in use, None if none was ever installed.

    Raises:
        ModelFileError: the pointer is damaged.
    """
    pointer = folder / POINTER
    if not pointer.exists():
        return None
    try:
        version = pointer.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{pointer} cannot be read: {error}.", cure="Install a model again.") from error
    if not _VERSION.fullmatch(version):
        raise ModelFileError(f"{pointer} names no model version.", cure="Install a model again.")
    return folder / version
