"""The store's settings file, ``liucun.toml``: read strictly, each section checked by the room it belongs to."""

from __future__ import annotations

import reprlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from console.settings import ConsoleSettings
from errors import SettingsError
from pipelines.runners.settings import FlinkSettings
from pipelines.sources.spec import SourceSpec
from retention.intake.settings import CollectorSettings
from retention.keys.settings import KeySettings
from retention.policies.settings import RetentionSettings
from retention.search.settings import SearchSettings
from retention.store import ArchiveSettings, CustodianSettings, StoreSettings
from tickets.settings import CompanySettings, ReviewSettings, TicketSettings

FILE_NAME = "liucun.toml"
MAX_BYTES = 1 << 20
_FORMS = {
    "tuple_type": "a list in square brackets",
    "list_type": "a list in square brackets",
    "dict_type": "a section",
    "model_type": "a section",
    "model_attributes_type": "a section",
    "string_type": "a text in quotation marks",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


class RunSettings(BaseModel):
    """``[run]``: how much one batch and one round of the embedded run hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_megabytes: int = Field(default=8, ge=1, le=64)
    round_megabytes: int = Field(default=32, ge=1, le=512)


class DetectSettings(BaseModel):
    """``[detect]``: the operator's own rule packs and which rules run; see docs/rules.md.

    ``packs`` are folders or files, relative to the store's folder; the others hold ids of rules, ``*`` for any
    characters.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    packs: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()
    enable: tuple[str, ...] = ()
    engines: dict[str, str] = {}
    """Type of content (image, audio, video …) to the outside engine that checks it live; audits name the others."""


class Settings(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1]
    archive: ArchiveSettings = ArchiveSettings()
    keys: KeySettings = KeySettings()
    custodian: CustodianSettings = CustodianSettings()
    run: RunSettings = RunSettings()
    flink: FlinkSettings = FlinkSettings()
    detect: DetectSettings = DetectSettings()
    tickets: TicketSettings = TicketSettings()
    review: ReviewSettings = ReviewSettings()
    company: CompanySettings = CompanySettings()
    console: ConsoleSettings = ConsoleSettings()
    collector: CollectorSettings = CollectorSettings()
    retention: RetentionSettings = RetentionSettings()
    search: SearchSettings = SearchSettings()
    source: tuple[SourceSpec, ...] = ()

    @field_validator("source")
    @classmethod
    def _names_differ(cls, sources: tuple[SourceSpec, ...]) -> tuple[SourceSpec, ...]:
        names = [source.name for source in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"declared twice: {', '.join(twice)}")
        return sources

    @property
    def store(self) -> StoreSettings:
        """The part that opens the store."""
        return StoreSettings(archive=self.archive, keys=self.keys, custodian=self.custodian)

    def declared(self, name: str) -> SourceSpec | None:
        """The source declared under a name."""
        return next((source for source in self.source if source.name == name), None)


TEMPLATE = """\
# Settings of this store 本留存库的设置. `liucun doctor` checks them; docs/settings.md explains each.
format = 1

[archive]
# SM4-GCM-SM3 (commercial cryptography 商用密码) or AES-256-GCM-SHA256
suite = "{suite}"

# A second custodian 第二保管人: a folder of another administrator that receives the log's signed checkpoints.
# Without one an audit says "anchored: false".
# [custodian]
# checkpoints = "/mnt/custodian/liucun"

[run]
batch_megabytes = 8
round_megabytes = 32

# Rules of your own lie in the folder rules/ 自有规则包; switches by rule id:
# [detect]
# disable = ["contact_diversion.*"]
# shadow = []
# enable = []

# A declared source 日志来源; run it by its name: liucun run --source shop-orders
# [[source]]
# name = "shop-orders"
# record_class = "transaction"        # user_log, transaction, content, seller_identity, live_index
# format = "csv"                      # ndjson, csv, combined, syslog
# paths = ["/logs/orders/*.csv"]
# time_zone = "Asia/Shanghai"
# mapping = {{ order_id = "OrderNo", event_time = "CreatedAt" }}
# published = {{ text = true }}         # only text published to the public is scanned
"""


def read_settings(root: Path) -> Settings:
    """Read the settings of the store in ``root``.

    Raises:
        SettingsError: there is no store, or its file is damaged; the message names section and field.
    """
    return read_settings_file(root / FILE_NAME)


def read_settings_file(path: Path) -> Settings:
    """Read a settings file wherever it lies.

    Raises:
        SettingsError: it is missing or damaged; the message names section and field.
    """
    root = path.parent
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsError(f"{path} is larger than 1 MiB.", cure="Restore it from a backup.")
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise SettingsError(
            f"There is no store at {root}.", cure="Make one with `liucun init`, or name it with --store."
        ) from error
    except NotADirectoryError as error:
        raise SettingsError(f"{root} is not a folder.", cure="Name the store's folder with --store.") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.", cure="Check its rights.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path} is not UTF-8 text.", cure="Restore it from a backup, or save it as UTF-8."
        ) from error
    try:
        document = tomllib.loads(text)
        return Settings.model_validate(document)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.", cure="Mend the line it names.") from error
    except ValidationError as error:
        raise SettingsError(
            f"{path}: {_words(error.errors(), document)}.", cure="Mend the fields named; docs/settings.md lists them."
        ) from error


def _words(errors: Iterable[Any], document: dict[str, Any]) -> str:
    return "; ".join(f"{_place(item['loc'], document)}: {_reason(item)}" for item in errors)


def _place(location: tuple[int | str, ...], document: Any) -> str:
    """Where a field stands: ``run.batch_megabytes``; of a list its entry by name, else counted from one."""
    parts: list[str] = []
    for part in location:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            document = None
        if isinstance(part, str):
            parts.append(part)
        else:
            name = document.get("name") if isinstance(document, dict) else None
            parts[-1] += f"[{name}]" if isinstance(name, str) and name.isprintable() else f"[{part + 1}]"
    return ".".join(parts)


def _reason(item: Any) -> str:
    """What is wrong, in the words of TOML where the checker's own speak of Python."""
    kind, given, context = item["type"], item["input"], item.get("ctx", {})
    if kind == "extra_forbidden":
        return f"there is no such {'section' if isinstance(given, dict | list) else 'field'}"
    if kind == "missing":
        return "it is missing"
    if kind in _FORMS:
        return f"it must be {_FORMS[kind]}, and is {reprlib.repr(given)}"
    if kind == "string_pattern_mismatch":
        return f"{reprlib.repr(given)} does not match the pattern {context['pattern']}"
    if kind in {"literal_error", "enum"}:
        return f"it must be {context['expected']}, and is {reprlib.repr(given)}"
    return str(item["msg"]).removeprefix("Value error, ")
