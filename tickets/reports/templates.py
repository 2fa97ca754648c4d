"""Reads the templates of reports: which sections, which fields, under which names."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from errors import SettingsError
from tickets.errors import ReportError

SHIPPED: Final = Path(__file__).parent / "data" / "templates.toml"
MAX_BYTES: Final = 1 << 20
Named = tuple[Annotated[str, Field(min_length=1, max_length=60)], Annotated[str, Field(pattern=r"^[a-z0-9_.]{1,80}$")]]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    heading: str = Field(max_length=100)


class FieldsSection(_Part):
    """Names and values of the report as a whole."""

    kind: Literal["fields"]
    fields: tuple[Named, ...]


class TextSection(_Part):
    """A paragraph."""

    kind: Literal["text"]
    path: str


class TableSection(_Part):
    """One row a ticket."""

    kind: Literal["table"]
    columns: tuple[Named, ...]


class EachSection(_Part):
    """Names and values of each ticket; ``title`` may name one field in braces."""

    kind: Literal["each"]
    title: str
    fields: tuple[Named, ...]


Section = Annotated[FieldsSection | TextSection | TableSection | EachSection, Field(discriminator="kind")]


class Template(BaseModel):
    """A report's layout for one kind of recipient; ``like`` takes another one's sections."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1, max_length=100)
    recipient: str = Field(min_length=1, max_length=100)
    basis: str = Field(max_length=300)
    like: str | None = None
    section: tuple[Section, ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    format: Literal[1]
    template: dict[Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,32}$")], Template]


@functools.cache
def templates(path: Path = SHIPPED) -> dict[str, Template]:
    """The templates of a file by recipient.

    Raises:
        SettingsError: the file cannot be read or is none; the message names the place.
    """
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise _wrong(path, "it is larger than 1 MiB")
        found = _File.model_validate(tomllib.loads(data.decode("utf-8"))).template
    except OSError as error:
        raise _wrong(path, f"it cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise _wrong(path, f"it is not valid TOML: {str(error)[:200]}") from error
    except ValidationError as error:
        raise _wrong(path, "; ".join(_words(item) for item in error.errors()[:5])) from error
    for name, template in found.items():
        if template.like is not None:
            other = found.get(template.like)
            if other is None or other.like is not None:
                raise _wrong(path, f"{name} is like {template.like!r}, which has no sections of its own")
            found[name] = template.model_copy(update={"section": other.section})
    return found


def templates_of(store: Path, own: str) -> Path:
    """The file of a store's templates: its ``own`` by [company] report_templates, else those shipped."""
    return store / own if own else SHIPPED


def template_for(recipient: str, path: Path = SHIPPED) -> Template:
    """The template for a recipient.

    Raises:
        ReportError: there is none.
    """
    known = templates(path)
    if recipient not in known:
        raise ReportError(f"There is no template for {recipient!r}.", cure=f"There are {', '.join(known)}.")
    return known[recipient]


def _words(item: Any) -> str:
    return f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"


def _wrong(path: Path, why: str) -> SettingsError:
    return SettingsError(
        f"The report templates {path.name}: {why}.", cure="Mend the file; docs/reports.md gives its form."
    )
