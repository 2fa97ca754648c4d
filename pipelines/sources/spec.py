"""What a source is, as declared in a store's settings or on the command line."""

from __future__ import annotations

import hashlib
import os
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from errors import UsageError
from pipelines.sources.kafka_settings import KafkaSettings
from retention.schema import MAPPED_NAMES, RecordClass

Format = Literal["ndjson", "csv", "combined", "syslog"]
FORMATS: tuple[Format, ...] = ("ndjson", "csv", "combined", "syslog")

_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]


class SourceSpec(BaseModel):
    """One declared source of records.

    ``mapping`` gives for a column of the record schema the name of the incoming field (dotted for nested ndjson).
    ``published`` says for a field (a column, or an incoming field without one) whether its text is published to the
    public: only then is it scanned (电信条例 art. 65). A text field that is not named is undeclared: it is not
    scanned, and audits say so. ``csv_columns`` names the columns of a file without a header. ``paths`` are for files,
    ``kafka`` for topics, whose every message is one record. A source of kind ``collector`` has neither: its lines come
    over HTTP (``POST /v1/logs``) and lie in the intake journal until they are archived.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Name
    record_class: RecordClass
    format: Format
    kind: Literal["files", "kafka", "collector"] = "files"
    paths: tuple[str, ...] = ()
    kafka: KafkaSettings | None = None
    mapping: dict[str, str] = Field(default_factory=dict)
    time_zone: str = "Asia/Shanghai"
    published: dict[str, bool] = Field(default_factory=dict)
    csv_delimiter: str = Field(default=",", min_length=1, max_length=1)
    csv_columns: tuple[str, ...] | None = None

    @field_validator("mapping")
    @classmethod
    def _columns_exist(cls, mapping: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(mapping) - MAPPED_NAMES)
        if unknown:
            raise ValueError(f"no such column: {', '.join(unknown)}")
        return mapping

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"no such time zone: {zone}") from error
        return zone

    @model_validator(mode="after")
    def _fits_its_kind(self) -> SourceSpec:
        if self.kind == "files" and (not self.paths or self.kafka is not None):
            raise ValueError("a source of files has paths and no kafka section")
        if self.kind == "collector" and (self.paths or self.kafka is not None or self.format != "ndjson"):
            raise ValueError("a source of kind collector has format ndjson and neither paths nor a kafka section")
        if self.kind == "kafka" and (self.paths or self.kafka is None):
            raise ValueError("a source of kind kafka has a kafka section and no paths")
        if self.kind == "kafka" and self.format == "csv" and self.csv_columns is None:
            raise ValueError("csv messages have no header: name the columns in csv_columns")
        return self


def parse_spec(
    text: str,
    *,
    mapping: dict[str, str] | None = None,
    time_zone: str | None = None,
    published: bool | None = None,
) -> SourceSpec:
    """Read a command-line source ``CLASS:FORMAT:GLOB``.

    The source's name is derived from the three parts, so that the same words name the same source in every run.

    Raises:
        UsageError: a part is missing or unknown.
    """
    parts = text.split(":", 2)
    if len(parts) != 3 or not all(parts):
        raise UsageError(
            f"The source {text!r} is not of the form CLASS:FORMAT:GLOB.",
            cure="Write for example transaction:csv:/logs/*.csv, or the name of a source declared in the settings.",
        )
    class_name, format_name, glob = parts
    classes = [c.value for c in RecordClass if c not in (RecordClass.UNPARSED, RecordClass.EVIDENCE)]
    if class_name not in classes:
        raise UsageError(f"There is no record class {class_name!r}.", cure=f"Choose one of {', '.join(classes)}.")
    if format_name not in FORMATS:
        raise UsageError(f"There is no format {format_name!r}.", cure=f"Choose one of {', '.join(FORMATS)}.")
    try:
        return SourceSpec.model_validate(
            {
                "name": source_name(class_name, format_name, glob),
                "record_class": class_name,
                "format": format_name,
                "paths": (glob,),
                "mapping": mapping or {},
                "time_zone": time_zone or "Asia/Shanghai",
                "published": {} if published is None else {"text": published},
            }
        )
    except ValueError as error:
        raise UsageError(
            f"The source {text!r} cannot be used: {_reason(error)}.",
            cure="See `liucun run --help` and docs/records.md for columns and time zones.",
        ) from error


def source_name(class_name: str, format_name: str, glob: str) -> str:
    """Name of a source given on the command line: class, format and a digest of the absolute glob."""
    digest = hashlib.sha256(os.path.abspath(glob).encode("utf-8", "surrogateescape")).hexdigest()[:10]
    return f"{class_name}.{format_name}.{digest}"


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(str(item["msg"]).removeprefix("Value error, ") for item in error.errors())
    return str(error)
