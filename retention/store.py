"""A store: the folder (or services) that hold an archive, its catalogue and its keys, opened together.

``Store.create`` makes one whole or not at all; ``Store.open`` refuses to hand out
anything unless the keys open. There is no way to a store without its keys.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from errors import IntegrityError, SettingsError, StorageError, UsageError
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.catalogue.retrying import retried
from retention.crypto.bodies import BodyCipher
from retention.crypto.suites import suite
from retention.disclosure.prepare import prepare_disclosure
from retention.errors import KeyRingMissingError
from retention.keys.index import IndexKeys
from retention.keys.opening import Secret, create_provider, open_provider
from retention.keys.periods import PeriodKeys
from retention.keys.provider import KeyProvider, close_provider
from retention.keys.settings import KeySettings
from retention.objects.base import ObjectStore
from retention.objects.opening import close_objects, open_objects
from retention.objects.s3_settings import S3Settings
from retention.places import database_url, is_url, make_folders, refuse_used_places
from retention.policies.prepare import prepare_policies
from retention.search.prepare import prepare_search
from retention.segments import Archive
from retention.transparency.custodian import CustodianFolder
from retention.transparency.keeping import LogKeeper


class ArchiveSettings(BaseModel):
    """``[archive]``: where segments lie and how they are sealed. Paths are relative to the store's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: Literal["SM4-GCM-SM3", "AES-256-GCM-SHA256"] = "SM4-GCM-SM3"
    objects: str = Field(default="objects", min_length=1)
    catalogue: str = Field(default="catalogue.db", min_length=1)
    s3: S3Settings = S3Settings()


class CustodianSettings(BaseModel):
    """``[custodian]``: where the second custodian keeps the log's checkpoints; empty without one.

    ``checkpoints`` is a folder, or ``s3://bucket/prefix`` with the options of ``[custodian.s3]``, that another
    administrator owns and where this host may only read and add.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoints: str = ""
    s3: S3Settings = S3Settings()


class StoreSettings(BaseModel):
    """What it takes to open a store, besides its passphrase."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    archive: ArchiveSettings = ArchiveSettings()
    keys: KeySettings = KeySettings()
    custodian: CustodianSettings = CustodianSettings()


def require_parts(root: Path, archive: ArchiveSettings) -> None:
    """Let nobody open a catalogue that was lost: an empty one in its place would take everything in again.

    Raises:
        SettingsError: a part of the store is not where the settings say.
    """
    for name, where in (("objects", archive.objects), ("catalogue", archive.catalogue)):
        if not is_url(where) and not (root / where).exists():
            raise SettingsError(
                f"The store's {name} {where!r} is not in {root}.",
                cure=f"Put it back, correct [archive] {name} in liucun.toml, or restore the store from a backup.",
            )


@dataclass(slots=True)
class Store:
    """An open store. Used in a ``with`` statement it brings the transparency log up to date at the end."""

    root: Path
    settings: StoreSettings
    provider: KeyProvider
    period_keys: PeriodKeys
    objects: ObjectStore
    catalogue: Catalogue
    archive: Archive
    bodies: BodyCipher
    log: LogKeeper

    @classmethod
    def create(
        cls,
        root: Path,
        settings: StoreSettings,
        passphrase: str | Secret,
        *,
        furnish: Callable[[Path], None] | None = None,
    ) -> None:
        """Make a store at ``root``, which must not exist or be empty; ``furnish`` adds files before it appears.

        ``passphrase`` opens the key provider; given as a function it is asked for only by a provider that needs one.

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
    def open(cls, root: Path, settings: StoreSettings, passphrase: str | Secret) -> Store:
        """Open the store at ``root``; where the provider cannot unwrap, for writing only.

        ``passphrase`` opens the key provider; given as a function it is asked for only by a provider that needs one.

        Raises:
            KeyAccessError: a key or the passphrase is missing or wrong.
            SettingsError: a part of the store is not where the settings say.
            StorageError: the catalogue cannot be read.
        """
        require_parts(root, settings.archive)
        with ExitStack() as opened:
            provider = open_provider(root, settings.keys, _asking(passphrase))
            opened.callback(close_provider, provider)
            index = IndexKeys.read(root / settings.keys.index)
            if index is None and settings.keys.provider == "sm2":
                raise KeyRingMissingError(
                    f"The index keys {settings.keys.index!r} are not in {root}: look-ups would compute other hashes.",
                    cure="Copy the file from another machine of this store, or from its escrow copy.",
                )
            period_keys = PeriodKeys.open(database_url(root, settings.keys.periods), provider, index=index)
            opened.callback(period_keys.close)
            store = cls._assemble(root, settings, provider, period_keys)
            opened.pop_all()  # the store's to close from here on
            return store

    @classmethod
    def _assemble(cls, root: Path, settings: StoreSettings, provider: KeyProvider, period_keys: PeriodKeys) -> Store:
        chosen = suite(settings.archive.suite)
        with ExitStack() as opened:
            objects = open_objects(root, settings.archive.objects, settings.archive.s3)
            opened.callback(close_objects, objects)
            catalogue = Catalogue.open(database_url(root, settings.archive.catalogue))
            opened.callback(catalogue.close)
            migrate(catalogue)
            prepare_policies(catalogue)
            prepare_disclosure(catalogue)
            prepare_search(catalogue)
            custodian = settings.custodian
            log = LogKeeper(
                catalogue,
                objects,
                period_keys,
                chosen,
                place=_custodian(root, custodian),
                place_name=custodian.checkpoints,
            )
            bodies = BodyCipher.from_period_keys(period_keys, chosen, "bodies")
            opened.pop_all()
        return cls(
            root=root,
            settings=settings,
            provider=provider,
            period_keys=period_keys,
            objects=objects,
            catalogue=catalogue,
            archive=Archive(objects, period_keys, chosen),
            bodies=bodies,
            log=log,
        )

    def close(self) -> None:
        """Give back connections, and let go of what is open."""
        self.archive.opened.clear()
        self.catalogue.close()
        self.period_keys.close()
        close_objects(self.objects)
        close_provider(self.provider)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            # Who cannot unwrap cannot sign either: the log is kept where the private key is.
            if kind is None and self.provider.description.can_unwrap:
                retried(self.catalogue, self.log.keep)
        except IntegrityError as error:
            # A forked log, one that lacks leaves, a damaged list at the custodian. The work is done and its results
            # stand; whoever only reads must be able to, and is told. What a disk or server refuses is raised.
            self.log.warnings.append(str(error))
        finally:
            self.close()


def _fill(building: Path, settings: StoreSettings, passphrase: str | Secret) -> None:
    where = settings.archive
    refuse_used_places(objects=where.objects, s3=where.s3, catalogue=where.catalogue, periods=settings.keys.periods)
    make_folders(building, objects=where.objects, periods=settings.keys.periods)
    provider = create_provider(building, settings.keys, _asking(passphrase))
    # Writers that cannot unwrap have these in common; elsewhere a lasting key of the store serves.
    index = IndexKeys.create(building / settings.keys.index) if settings.keys.provider == "sm2" else None
    period_keys = PeriodKeys.open(database_url(building, settings.keys.periods), provider, create=True, index=index)
    Store._assemble(building, settings, provider, period_keys).close()


def _custodian(root: Path, settings: CustodianSettings) -> ObjectStore | None:
    if not settings.checkpoints:
        return None
    if is_url(settings.checkpoints):
        return open_objects(root, settings.checkpoints, settings.s3)
    return CustodianFolder(root / settings.checkpoints)


def _asking(passphrase: str | Secret) -> Secret:
    return (lambda: passphrase) if isinstance(passphrase, str) else passphrase


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
