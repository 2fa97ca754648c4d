"""Languages: the pages are written in Simplified Chinese; English comes from a gettext file by Babel, compiled at load.

``python -m console.i18n`` brings the file up to date with the texts in templates and code; untranslated ones stay
empty, and a test names them.
"""

from __future__ import annotations

import gettext
import io
from functools import lru_cache
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

HERE: Final = Path(__file__).parent
ENGLISH: Final = HERE / "locale" / "en" / "LC_MESSAGES" / "console.po"
LANGUAGES: Final = {"zh": "中文", "en": "English"}
DEFAULT: Final = "zh"
_METHODS: Final = [("**.py", "python"), ("**.html", "jinja2.ext:babel_extract")]
_OPTIONS: Final = {"**.html": {"trimmed": "true", "encoding": "utf-8"}}


def mark(text: str) -> str:
    """Mark a text for translation where it is only looked up later."""
    return text


@lru_cache(maxsize=4)
def translations(language: str) -> gettext.NullTranslations:
    """The texts of a language; Chinese needs none."""
    if language != "en":
        return gettext.NullTranslations()
    with ENGLISH.open("rb") as file:
        catalog = read_po(file, locale="en")
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def extracted() -> Catalog:
    """Every text of templates and code, in Chinese."""
    found = Catalog(project="liucun console", charset="utf-8")
    rows = extract_from_dir(
        str(HERE), _METHODS, _OPTIONS, keywords={"_": None, "mark": None, "ngettext": (1, 2)}, comment_tags=()
    )
    for name, _line, message, _comments, _context in rows:
        if message:
            found.add(message, locations=[(name, 0)])
    return found


def update() -> int:
    """Merge new texts into the English file; returns how many have no translation."""
    with ENGLISH.open("rb") as file:
        catalog = read_po(file, locale="en")
    catalog.update(extracted(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    out = io.BytesIO()
    write_po(out, catalog, width=120, sort_output=True, include_lineno=False, omit_header=False)
    ENGLISH.write_bytes(out.getvalue())
    return sum(1 for message in catalog if message.id and not message.string)


if __name__ == "__main__":
    print(f"{update()} texts without a translation")
