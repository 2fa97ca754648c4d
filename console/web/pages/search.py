"""Search of the archive: words of the text, an account, an order, an address; for a purpose that goes on record."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form
from starlette.responses import Response

from console import labels
from console.access.roles import Right
from console.reading.search import Found, search
from console.web.render import page, say
from console.web.status import status_of
from console.web.visit import Gate, Visit
from errors import LiucunError, UsageError
from retention.schema import RecordClass
from retention.search.asking import EXACT, Question

router = APIRouter(prefix="/search")
Reader = Annotated[Visit, Depends(Gate(Right.CONTENT_READ, Right.CONTENT_READ_FOR_PURPOSE, any_of=True))]
Text = Annotated[str, Form(max_length=1_000)]
SEARCHED: Final = (RecordClass.CONTENT, RecordClass.USER_LOG, RecordClass.TRANSACTION, RecordClass.LIVE_INDEX)


_EMPTY: Final = {
    **dict.fromkeys(("words", "value", "first", "last", "purpose"), ""),
    "kind": "content",
    "column": "user_id",
}


@router.get("")
def show(visit: Reader) -> Response:
    """The form. What is looked for never stands in an address: addresses are logged by proxies."""
    return _page(visit, {})


@router.post("")
def find(
    visit: Reader,
    kind: Text = "content",
    words: Text = "",
    column: Text = "user_id",
    value: Text = "",
    first: Text = "",
    last: Text = "",
    purpose: Text = "",
) -> Response:
    """Search, and show what was found beside the form as it was filled in."""
    form = {
        "kind": kind,
        "words": words,
        "column": column,
        "value": value,
        "first": first,
        "last": last,
        "purpose": purpose,
    }
    try:
        if kind not in {one.value for one in SEARCHED}:
            raise UsageError("There is no such class.", cure="Choose one of the list.")
        question = Question(
            RecordClass(kind),
            words=words.strip(),
            values={column: value.strip()} if value.strip() else {},
            first=_day(first),
            last=_day(last),
        )
        found = search(visit.parts, question, visit.account, purpose)
    except LiucunError as error:
        return _page(visit, form, status=status_of(error), error=error)
    return _page(visit, form, found=found)


def _page(
    visit: Visit,
    form: dict[str, str],
    *,
    status: int = 200,
    error: LiucunError | None = None,
    found: Found | None = None,
) -> Response:
    return page(
        visit,
        "search.html",
        status=status,
        failed=say(visit, labels.error_text(error)) if error else None,
        detail=str(error) if error else None,
        index_failed=str(found.failed) if found and found.failed else None,
        form={**_EMPTY, **form},
        found=found,
        kinds=[one.value for one in SEARCHED],
        columns=EXACT,
        indexed=visit.parts.search.on,
    )


def _day(text: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{text!r} is no day.", cure="Write days as 2026-11-27.") from None
