"""A store: the folder (or services) that hold an archive, its catalogue and its keys, opened together.

``Store.create`` makes one whole or not at all; ``Store.open`` refuses to hand out
anything unless the keys open. There is no way to a store without its keys.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from errors import SettingsError, StorageError, UsageError
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.crypto.bodies import BodyCipher
from retention.crypto.suites import suite
from retention.keys.keyring import KeyRing
from retention.keys.periods import PeriodKeys
from retention.keys.provider import KeyProvider
from retention.objects.base import ObjectStore
from retention.objects.local import LocalObjects
from retention.policies.prepare import prepare_policies
from retention.segments import Archive


class ArchiveSettings(BaseModel):
    """``[archive]``: where segments lie and how they are sealed. Paths are relative to the store's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: Literal["SM4-GCM-SM3", "AES-256-GCM-SHA256"] = "SM4-GCM-SM3"
    objects: str = Field(default="objects", min_length=1)
    catalogue: str = Field(default="catalogue.db", min_length=1)


class KeySettings(BaseModel):
    """``[keys]``: who keeps the top key, and where the period keys lie."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: Literal["keyring"] = "keyring"
    keyring: str = Field(default="keys/keyring.json", min_length=1)
    periods: str = Field(default="keys/periods.db", min_length=1)


class StoreSettings(BaseModel):
    """What it takes to open a store, besides its passphrase."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    archive: ArchiveSettings = ArchiveSettings()
    keys: KeySettings = KeySettings()


@dataclass(slots=True)
class Store:
    """An open store. Close it, or use it in a ``with`` statement."""

    root: Path
    settings: StoreSettings
    provider: KeyProvider
    period_keys: PeriodKeys
    objects: ObjectStore
    catalogue: Catalogue
    archive: Archive
    bodies: BodyCipher

    @classmethod
    def create(
        cls, root: Path, settings: StoreSettings, passphrase: str, *, furnish: Callable[[Path], None] | None = None
    ) -> None:
        """Make a store at ``root``, which must not exist or be empty; ``furnish`` adds files before it appears.

        Raises:
            UsageError: there is something at ``root`` already.
            StorageError: the disk refused.
        """
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise UsageError(f"{root} exists and is not empty.", cure="Choose another --store, or use the store there.")
        building: Path | None = None
        try:
            root.parent.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
            _fill(building, settings, passphrase)
            if furnish:
                furnish(building)
            _sync_tree(building)
            building.replace(root)
            _sync(root.parent)
        except OSError as error:
            raise StorageError(
                f"The store cannot be made at {root}: {error.strerror or error}.",
                cure="Check the folder's rights and the disk's free space.",
            ) from error
        finally:
            if building is not None and building.exists():
                shutil.rmtree(building)

    @classmethod
    def open(cls, root: Path, settings: StoreSettings, passphrase: str) -> Store:
        """Open the store at ``root``.

        Raises:
            KeyAccessError: a key or the passphrase is missing or wrong.
            SettingsError: a part of the store is not where the settings say.
            StorageError: the catalogue cannot be read.
        """
        for name, where in (("objects", settings.archive.objects), ("catalogue", settings.archive.catalogue)):
            if "://" not in where and not (root / where).exists():
                raise SettingsError(
                    f"The store's {name} {where!r} is not in {root}.",
                    cure=f"Put it back, correct [archive] {name} in liucun.toml, or restore the store from a backup.",
                )
        provider = KeyRing.open(root / settings.keys.keyring, passphrase)
        period_keys = PeriodKeys.open(_url(root, settings.keys.periods), provider)
        return cls._assemble(root, settings, provider, period_keys)

    @classmethod
    def _assemble(cls, root: Path, settings: StoreSettings, provider: KeyProvider, period_keys: PeriodKeys) -> Store:
        chosen = suite(settings.archive.suite)
        objects = LocalObjects(root / settings.archive.objects)
        catalogue = Catalogue.open(_url(root, settings.archive.catalogue))
        migrate(catalogue)
        prepare_policies(catalogue)
        return cls(
            root=root,
            settings=settings,
            provider=provider,
            period_keys=period_keys,
            objects=objects,
            catalogue=catalogue,
            archive=Archive(objects, period_keys, chosen),
            bodies=BodyCipher.from_period_keys(period_keys, chosen, "bodies"),
        )

    def close(self) -> None:
        """Give back connections."""
        self.catalogue.close()
        self.period_keys.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _fill(building: Path, settings: StoreSettings, passphrase: str) -> None:
    keyring = building / settings.keys.keyring
    keyring.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    (building / settings.keys.periods).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    (building / settings.archive.objects).mkdir(parents=True, exist_ok=True)
    provider = KeyRing.create(keyring, passphrase)
    period_keys = PeriodKeys.open(_url(building, settings.keys.periods), provider, create=True)
    Store._assemble(building, settings, provider, period_keys).close()


def _url(root: Path, where: str) -> str:
    return where if "://" in where else f"sqlite:///{root / where}"


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
