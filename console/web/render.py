"""Templates to pages: one Jinja environment a language, with the filters that pages need."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from console import labels
from console.i18n import LANGUAGES, mark, translations
from console.masking import mask_account
from console.web.details import detail
from console.web.visit import FLASH_COOKIE, Visit
from tickets.clocks import SHANGHAI

_KINDS: Final = {"system": mark("系统"), "os": mark("命令行"), "authority": mark("机关")}
TEMPLATES: Final = Path(__file__).parent / "templates"
STATIC: Final = Path(__file__).parent.parent / "static"


def page(visit: Visit, template: str, *, status: int = 200, here: str = "", **values: Any) -> HTMLResponse:
    """Render a template for a visit; ``here`` is where a change of language leads, if not to this address."""
    env = environment(visit.language)
    said = visit.heard()
    text = env.get_template(template).render(
        visit=visit,
        said=said,
        path=visit.request.url.path,
        here=here or _here(visit),
        language=visit.language,
        languages=LANGUAGES,
        **values,
    )
    response = HTMLResponse(text, status_code=status)
    visit.keep(response)
    if said is not None:
        response.delete_cookie(FLASH_COOKIE, path="/")
    return response


def _here(visit: Visit) -> str:
    """The address that shows this page again, its filters too. What a form was sent to may have no page of its own:
    then that of the form, as the browser names it.
    """
    url = visit.request.url
    if visit.request.method != "GET":
        came = urlsplit(visit.request.headers.get("referer", ""))
        if came.path and came.netloc in {"", url.netloc}:
            return came.path + (f"?{came.query}" if came.query else "")
    return url.path + (f"?{url.query}" if url.query else "")


@lru_cache(maxsize=4)
def environment(language: str) -> Environment:
    """The templates in a language."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    texts = translations(language)
    env.install_gettext_translations(texts, newstyle=True)  # type: ignore[attr-defined] # the extension's
    env.policies["ext.i18n.trimmed"] = True
    env.globals.update(labels=labels, static=static_url, lang=language)
    env.filters.update(
        moment=moment,
        clock=clock,
        day=day,
        number=number,
        size=size,
        person=lambda actor: person(actor, texts.gettext),
        mask=mask_account,
        detail=lambda value, name: detail(value, name, texts.gettext),
        label=lambda key, names: texts.gettext(names[key]) if key in names else str(key),
        tr=texts.gettext,
    )
    return env


def say(visit: Visit, text: str) -> str:
    """A text in the visit's language."""
    return translations(visit.language).gettext(text)


@lru_cache(maxsize=32)
def static_url(name: str) -> str:
    """Address of a static file; it changes with the content, so that browsers may keep it for long."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def moment(value: str | datetime | None, fmt: str = "%Y-%m-%d %H:%M") -> str | Markup:
    """A time of the catalogue as an element, in Shanghai's time."""
    if not value:
        return "–"
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    local = at.astimezone(SHANGHAI)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        local.isoformat(timespec="seconds"), local.strftime("%Y-%m-%d %H:%M:%S +08:00"), local.strftime(fmt)
    )


def clock(value: str | datetime | None) -> str | Markup:
    """A time without its year, for narrow columns."""
    return moment(value, "%m-%d %H:%M")


def day(value: str | date | None) -> str:
    """A date."""
    return "–" if not value else str(value)[:10]


def number(value: float | None) -> str:
    """A count with its thousands apart."""
    return "–" if value is None else f"{value:,}"


def size(value: float | None) -> str:
    """Bytes for people, in binary units."""
    if value is None:
        return "–"
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            return f"{amount:,.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:,.1f} {unit}"
        amount /= 1024
    return ""


def person(actor: str | None, say: Callable[[str], str] = str) -> str:
    """An actor for people: the account's name without its kind; the program's own work and programs named as such."""
    if not actor:
        return "–"
    kind, _colon, name = actor.partition(":")
    if kind in _KINDS:
        return f"{say(_KINDS[kind])} {name}"
    return actor.removeprefix("user:")


class Fields(dict[str, Any]):
    """Fields of a form or an event, where one that is missing reads as empty."""

    def __missing__(self, key: str) -> str:
        return ""
